/** The workflows that a worker runs; the entry of their bundle. */
export { apply } from './apply.js';
export { capture } from './capture.js';
export { ingest } from './ingest.js';
export { pipeline } from './pipeline.js';
export { snapshot } from './snapshot.js';
export { validate } from './validate.js';
export { verify } from './verify.js';
export { witness } from './witness.js';
