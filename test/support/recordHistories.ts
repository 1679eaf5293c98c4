/**
 * Records the histories that test/workflow/replay.test.ts replays, on a real server:
 *   npm run build && LOCKSTEP_TEST_STACK=stack.json node dist/test/support/recordHistories.js [name …]
 * (stack.json is the output of `lockstep up --json`). Record a new history when a workflow learns something new, under a
 * new name; keep the old ones for as long as pipelines of that age may run.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { LockstepError } from '../../core/errors.js';
import { noCounts as noRows, type IngestProgress } from '../../core/ingestReport.js';
import { noCounts } from '../../core/sweep.js';
import { packageRoot } from '../../temporal-compose/place.js';
import type { Stack } from '../../temporal-compose/stack.js';
import { ingestId, taskQueue } from '../../core/workflowNames.js';
import type { ingest } from '../../workflows/ingest.js';
import {
  cancelIngestUpdate,
  drainSignal,
  ingestProgressSignal,
  ingestQuery,
  pauseIngestUpdate,
  pauseUpdate,
  resumeIngestUpdate,
  resumeUpdate,
  resyncUpdate,
  stateQuery,
  stopUpdate,
  type IngestInput,
} from '../../workflows/messages.js';
import { openRig, untilStopped, type PipelineHandle, type Rig } from '../workflow/rig.js';
import { until } from './processes.js';
import type { WorkflowHandle } from '@temporalio/client';

const folder = join(packageRoot(), 'test', 'histories');

/** A scenario leaves its workflows ended; what it returns is recorded: name → workflow id and run. */
type Scenario = (rig: Rig) => Promise<Readonly<Record<string, readonly [workflowId: string, runId?: string]>>>;

const scenarios: Readonly<Record<string, Scenario>> = {
  /** Install, copy, stream, pause, resume, resync, stop. */
  async life(rig) {
    rig.script.due.set('one', 'run-1').set('two', 'run-2').set('three', 'run-3');
    const pipeline = await rig.start();
    await streaming(pipeline);
    await pipeline.executeUpdate(pauseUpdate, { args: [{ table: 'one' }] });
    await pipeline.executeUpdate(pauseUpdate, { args: [{}] });
    await pipeline.executeUpdate(resumeUpdate, { args: [{}] });
    await pipeline.executeUpdate(resyncUpdate, { args: [{ table: 'two' }] });
    await until('copied again', () => rig.script.due.size === 0);
    await streaming(pipeline);
    await pipeline.executeUpdate(stopUpdate);
    const id = `lockstep/${rig.name}`;
    return {
      'pipeline-life': [id],
      'capture-life': [`${id}/capture`],
      'apply-life': [`${id}/apply/redis`],
      'snapshot-life': [`${id}/snapshot/one`],
    };
  },

  /** Streams that fail, lose a store and are fenced; a copy that fails. */
  async trouble(rig) {
    let broken = true;
    let losses = 0;
    rig.script.capture = (run) =>
      broken ? Promise.reject(new LockstepError('LS-KAFKA-REFUSED', 'write on shop.*')) : untilStopped(run);
    rig.script.apply = async ({ store }, run) => {
      if (store === 'mongo') return await untilStopped(run);
      losses += 1;
      if (losses === 1) return { kind: 'store-lost', store };
      return losses === 2 ? { kind: 'fenced' } : await untilStopped(run);
    };
    const copy = rig.script.copy;
    rig.script.copy = async (request, run) => {
      rig.script.copy = copy;
      return await Promise.reject(
        new LockstepError('LS-INTERNAL', `no definition of ${request.table} ${run.signal.aborted}`),
      );
    };
    rig.script.due.set('one', 'run-1');
    const pipeline = await rig.start();
    await until('trouble', async () => (await pipeline.query(stateQuery)).problems.length >= 2);
    broken = false;
    await until('well again', async () => (await pipeline.query(stateQuery)).problems.length === 0);
    await until('copied', () => rig.script.due.size === 0);
    await pipeline.executeUpdate(stopUpdate);
    const id = `lockstep/${rig.name}`;
    return {
      'pipeline-trouble': [id],
      'capture-trouble': [`${id}/capture`],
      'apply-trouble': [`${id}/apply/redis`],
    };
  },

  /** The run that continues as new, and the one after it. */
  async continued(rig) {
    const pipeline = await rig.start({ maxHistoryEvents: 60 });
    const id = `lockstep/${rig.name}`;
    const first = (await pipeline.describe()).runId;
    for (let i = 0; i < 12; i++) await pipeline.executeUpdate(pauseUpdate, { args: [{ table: `table-${i}` }] });
    await until('a second run', async () => (await rig.client.workflow.getHandle(id).describe()).runId !== first);
    await pipeline.executeUpdate(stopUpdate);
    return { 'pipeline-continues': [id, first], 'pipeline-continued': [id] };
  },

  /** An installation that cannot succeed; a pipeline that is cancelled. */
  async ends(rig) {
    rig.script.install = () => Promise.reject(new LockstepError('LS-MYSQL-PRIVILEGE', 'TRIGGER is missing on shop'));
    const refused = await rig.start();
    const { runId } = await refused.describe();
    await refused.result().catch(() => undefined);
    rig.script.install = () => Promise.resolve();
    const cancelled = await rig.start();
    await streaming(cancelled);
    await cancelled.cancel();
    await cancelled.result().catch(() => undefined);
    const id = `lockstep/${rig.name}`;
    return { 'pipeline-refused': [id, runId], 'pipeline-cancelled': [id] };
  },

  /** Each applied change is verified; one verify is fenced and comes back. */
  async verified(rig) {
    let runs = 0;
    rig.script.verify = async ({ store }, run) => {
      if (store === 'mongo') return await untilStopped(run);
      runs += 1;
      return runs === 1 ? { kind: 'fenced' } : await untilStopped(run);
    };
    const pipeline = await rig.start({ verify: true });
    await streaming(pipeline);
    await until('verified again', () => runs === 2);
    await pipeline.executeUpdate(pauseUpdate, { args: [{}] });
    await pipeline.executeUpdate(resumeUpdate, { args: [{}] });
    await pipeline.executeUpdate(stopUpdate);
    const id = `lockstep/${rig.name}`;
    return {
      'pipeline-verified': [id],
      'verify-life': [`${id}/verify/mongo`],
      'verify-fenced': [`${id}/verify/redis`],
    };
  },

  /** A sweep that meets everything there is: a table set aside and taken again, a store that begins anew, drift, repairs. */
  async swept(rig) {
    let [rows, parts, repairs, looks] = [0, 0, 0, 0];
    const { sweep } = rig.script;
    const { sweepRows, sweepEntries } = sweep;
    sweep.sweepRows = async (request, run) => {
      rows += 1;
      if (rows === 2) return { kind: 'aside', reason: 'copying' };
      return request.number === 2 ? { kind: 'none' } : await sweepRows(request, run);
    };
    let taken = 0;
    sweep.takeAgain = () => {
      taken += 1;
      return Promise.resolve(taken === 1 ? { kind: 'aside', reason: 'copying' } : { kind: 'again' });
    };
    sweep.sweepEntries = async (request, run) => {
      parts += 1;
      return parts === 1 ? { kind: 'again' } : await sweepEntries(request, run);
    };
    sweep.finishSweep = () => Promise.resolve({ drift: 5, leftOut: 0 });
    sweep.repairSweep = () => {
      repairs += 1;
      const waitMs = repairs === 1 ? 100 : null;
      return Promise.resolve({ kind: 'repaired', keys: 2, skipped: 0, waitMs, tooMuch: ['two'] });
    };
    sweep.recheckSweep = () => {
      looks += 1;
      return Promise.resolve({ kind: 'rechecked', healed: looks === 1 ? 2 : 4, left: looks === 1 ? 2 : 0 });
    };
    const pipeline = await rig.start();
    await streaming(pipeline);
    const limits = { perMinute: 2, maxShare: 0.05 };
    const handle = await rig.sweep({ repair: true, limits, askedBy: 'schedule', parallel: 2 });
    await handle.result();
    await pipeline.executeUpdate(stopUpdate);
    return { 'validate-life': [handle.workflowId], 'pipeline-swept': [`lockstep/${rig.name}`] };
  },

  /** A sweep whose pipeline is stopped under it. */
  async sweepDrained(rig) {
    rig.script.sweep.sweepRows = (_, run) => untilStopped(run);
    const pipeline = await rig.start();
    await streaming(pipeline);
    const handle = await rig.sweep();
    await until('sweeping', async () => (await handle.describe()).raw.pendingActivities?.length === 1);
    await pipeline.executeUpdate(stopUpdate);
    await handle.result();
    return { 'validate-drained': [handle.workflowId], 'pipeline-sweep-drained': [`lockstep/${rig.name}`] };
  },

  /** Without a pipeline, and with a store that does not come back. */
  async sweepEnded(rig) {
    rig.script.sweep.sweepEntries = () =>
      Promise.reject(new LockstepError('LS-MYSQL-PRIVILEGE', 'SELECT was taken away'));
    const handle = await rig.sweep();
    await handle.result();
    return { 'validate-ended': [handle.workflowId] };
  },

  /** The run of a long sweep that continues as new, and the last one. */
  async sweepContinued(rig) {
    let done = 0;
    rig.script.sweep.beginSweep = ({ sweep }) =>
      Promise.resolve({
        sweep,
        tables: [{ name: 'one', chunks: 12, next: done, through: done === 12 }],
        entries: { mongo: 0, redis: null },
      });
    rig.script.sweep.sweepRows = ({ number }) => {
      done = number + 1;
      return Promise.resolve({ kind: 'swept', counts: { ...noCounts, rows: 10 }, drift: 0, last: number === 11 });
    };
    const handle = await rig.sweep({ maxHistoryEvents: 60 });
    const first = (await handle.describe()).runId;
    await handle.result();
    return { 'validate-continues': [handle.workflowId, first], 'validate-continued': [handle.workflowId] };
  },

  /** A sweep that is cancelled in the Temporal UI. */
  async sweepCancelled(rig) {
    rig.script.sweep.sweepRows = (_, run) => untilStopped(run);
    const handle = await rig.sweep();
    await until('sweeping', async () => (await handle.describe()).raw.pendingActivities?.length === 1);
    await handle.cancel();
    await handle.result().catch(() => undefined);
    return { 'validate-cancelled': [handle.workflowId] };
  },

  /** A copy that is drained by a pause. */
  async drained(rig) {
    rig.script.copy = (_, run) => untilStopped(run);
    rig.script.due.set('one', 'run-1');
    const pipeline = await rig.start();
    await until('copying', async () => (await pipeline.query(stateQuery)).copying.length === 1);
    await pipeline.executeUpdate(pauseUpdate, { args: [{}] });
    await until('drained', async () => (await pipeline.query(stateQuery)).copying.length === 0);
    await pipeline.executeUpdate(stopUpdate);
    return { 'snapshot-drained': [`lockstep/${rig.name}/snapshot/one`] };
  },

  /** Slices, a worker that does not see the file, pause, resume, the proving copy; then loads that end in other ways. */
  async ingest(rig) {
    let slices = 0;
    rig.script.load = async (_, run) => {
      slices += 1;
      if (slices === 1) throw new LockstepError('LS-INGEST-FILE-UNSEEN', 'not on this machine');
      if (slices === 2) return { kind: 'more' };
      return slices === 3 ? await untilStopped(run) : { kind: 'loaded' };
    };
    rig.script.settle = () => Promise.resolve({ table: 'one', run: 'run-1' });
    const life = await startIngest(rig, 'life');
    await until('the third slice', () => slices === 3);
    await life.executeUpdate(pauseIngestUpdate);
    await rests(life);
    await life.executeUpdate(resumeIngestUpdate);
    await life.result();

    // Paused while a store is away, for longer than a history holds what is told meanwhile.
    const back = new AbortController();
    rig.script.settle = () => Promise.resolve(null);
    rig.script.load = async ({ readOn }, run) => {
      if (readOn) return await untilStopped(run);
      const ends = AbortSignal.any([run.signal, back.signal]);
      await untilStopped({ ...run, signal: ends });
      return { kind: back.signal.aborted ? 'loaded' : 'stopped' };
    };
    const waiting = await startIngest(rig, 'waiting', { maxHistoryEvents: 60 });
    const waits = (await waiting.describe()).runId;
    await begun(waiting);
    await waiting.executeUpdate(pauseIngestUpdate);
    await until('another run', async () => {
      await waiting.signal(ingestProgressSignal, progress);
      return (await waiting.describe()).runId !== waits;
    });
    back.abort();
    await waiting.executeUpdate(cancelIngestUpdate);
    await waiting.result();

    rig.script.load = ({ readOn }, run) => (readOn ? untilStopped(run) : Promise.resolve({ kind: 'loaded' }));
    const cancelled = await startIngest(rig, 'cancelled');
    await begun(cancelled);
    await cancelled.executeUpdate(cancelIngestUpdate);
    await cancelled.result();
    const drained = await startIngest(rig, 'drained');
    await begun(drained);
    await drained.signal(drainSignal);
    await drained.result();

    rig.script.load = ({ readOn }) =>
      readOn
        ? Promise.reject(new LockstepError('LS-INGEST-FILE-CHANGED', 'flights.csv is another file'))
        : Promise.resolve({ kind: 'loaded' });
    await (await startIngest(rig, 'failed')).result();

    let more = 0;
    rig.script.load = () => Promise.resolve({ kind: ++more < 4 ? 'more' : 'loaded' });
    const continued = await startIngest(rig, 'continued', { maxHistoryEvents: 8 });
    const { runId } = await continued.describe();
    await continued.result();
    const id = (name: string): string => ingestId(rig.name, 'one', name);
    return {
      'ingest-life': [id('life')],
      'ingest-waits': [id('waiting'), waits],
      'ingest-waited': [id('waiting')],
      'ingest-cancelled': [id('cancelled')],
      'ingest-drained': [id('drained')],
      'ingest-failed': [id('failed')],
      'ingest-continues': [id('continued'), runId],
      'ingest-continued': [id('continued')],
    };
  },
};

async function startIngest(
  rig: Rig,
  name: string,
  more: Partial<IngestInput> = {},
): Promise<WorkflowHandle<typeof ingest>> {
  const input = { pipeline: rig.name, identity: {}, stores: ['mongo', 'redis'], shards: 1, table: 'one', ingest: name };
  return await rig.client.workflow.start<typeof ingest>('ingest', {
    workflowId: ingestId(rig.name, 'one', name),
    taskQueue: taskQueue(rig.name, 'control'),
    args: [{ ...input, ...more } as IngestInput],
  });
}

async function rests(handle: WorkflowHandle<typeof ingest>): Promise<void> {
  await until('it rests', async () => (await handle.query(ingestQuery)).landed);
}

const progress: IngestProgress = {
  ...noRows,
  phase: 'loading',
  road: 'log',
  records: 10,
  contentBytes: 100,
  inFlight: 1,
  rowsPerSecond: 0,
  percent: 0,
  secondsLeft: null,
  slowedBy: null,
  trouble: null,
};

/** Its activity is with a worker. */
async function begun(handle: WorkflowHandle): Promise<void> {
  await until('a slice', async () => {
    const [pending] = (await handle.describe()).raw.pendingActivities ?? [];
    return pending?.attempt !== undefined && pending.lastStartedTime !== null && pending.lastStartedTime !== undefined;
  });
}

async function streaming(pipeline: PipelineHandle): Promise<void> {
  await until('streaming', async () => (await pipeline.query(stateQuery)).stage === 'streaming');
}

const file = process.env['LOCKSTEP_TEST_STACK'];
if (file === undefined) throw new Error('LOCKSTEP_TEST_STACK names no file');
const stack = JSON.parse(await readFile(file, 'utf8')) as Stack;
const wanted = process.argv.slice(2);
for (const [name, scenario] of Object.entries(scenarios)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  const rig = await openRig(stack);
  try {
    for (const [history, [workflowId, runId]] of Object.entries(await scenario(rig))) {
      const recorded = await rig.client.workflow.getHandle(workflowId, runId).fetchHistory();
      const json: unknown = JSON.parse(historyToJSON(recorded));
      await writeFile(join(folder, `${history}.json`), `${JSON.stringify(json)}\n`);
      console.log(`${history}: ${recorded.events?.length ?? 0} events`);
    }
  } finally {
    await rig.close();
  }
}
process.exit(0);
