/** Which of the two ways a new stack takes. A stack that was made keeps to its way: its data is there. */
import { LockstepError } from '../core/errors.js';
import { findCompose } from './compose.js';
import type { Progress } from './progress.js';
import type { Engine } from './state.js';

/** Docker when its engine answers and Compose is there, unless LOCKSTEP_ENGINE says otherwise. */
export async function chooseEngine(progress: Progress): Promise<Engine> {
  const wanted = process.env['LOCKSTEP_ENGINE'];
  if (wanted === 'native') return 'native';
  const compose = await findCompose();
  if ('command' in compose) return 'docker';
  if (wanted === 'docker') {
    throw new LockstepError('LS-STACK-TOOL', `LOCKSTEP_ENGINE=docker, and that cannot be used: ${compose.missing}`);
  }
  progress.line('stack', `no Docker engine with Compose (${compose.missing})`);
  progress.line('stack', 'running the servers as processes of this machine');
  return 'native';
}
