/** The workflows as one file, made by `npm run build`: bundling at start would cost a worker 1.7 s of the 3 s it has. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { WorkflowBundleOption } from '@temporalio/worker';
import { LockstepError } from '../core/errors.js';

export function builtBundle(): WorkflowBundleOption {
  const codePath = fileURLToPath(new URL('../bundles/workflows.js', import.meta.url));
  if (!existsSync(codePath)) throw new LockstepError('LS-WORKER-BUILD', `${codePath} is missing`);
  return { codePath };
}
