/** The package's version. */
export { version } from '../workers/version.js';
