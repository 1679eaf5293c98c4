/**
 * A worker process that tests kill: `node victim.js <address> <namespace> <pipeline> <journal>`. Its capture writes a line
 * into the journal at each beat and when it ends, so that a test sees who ran when, and how it ended.
 */
import { appendFileSync } from 'node:fs';
import { NativeConnection } from '@temporalio/worker';
import { builtBundle } from '../../workers/bundle.js';
import { installRuntime } from '../../workers/log.js';
import { createWorkers } from '../../workers/queues.js';
import { activitiesOf, newScript, untilStopped } from './rig.js';

export interface JournalLine {
  readonly pid: number;
  readonly attempt: number;
  readonly what: 'beat' | 'ended';
  readonly at: number;
}

const [address = '', namespace = '', pipeline = '', journal = ''] = process.argv.slice(2);
installRuntime({ level: 'ERROR' });
const script = newScript();
script.capture = async (run, attempt) => {
  const write = (what: JournalLine['what']): void => {
    appendFileSync(journal, `${JSON.stringify({ pid: process.pid, attempt, what, at: Date.now() })}\n`);
  };
  const outcome = await untilStopped({
    ...run,
    beat: () => {
      run.beat();
      write('beat');
    },
  });
  write('ended');
  return outcome;
};
const connection = await NativeConnection.connect({ address });
const setup = { connection, namespace, pipeline, activities: activitiesOf(script), bundle: builtBundle() };
const workers = await createWorkers(setup, ['control', 'capture', 'mongo', 'redis', 'ingest']);
process.once('SIGTERM', () => {
  for (const worker of workers) worker.shutdown();
});
process.stdout.write('ready\n');
await Promise.all(workers.map((worker) => worker.run()));
await connection.close();
