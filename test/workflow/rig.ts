/**
 * Workflows on a real server with workers as in production, and activities that a test steers: what a pipeline does about
 * time, signals and outcomes, without stores.
 */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Context } from '@temporalio/activity';
import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import { bundleWorkflowCode, DefaultLogger, NativeConnection, type Worker } from '@temporalio/worker';
import type {
  ApplyRequest,
  CopyRequest,
  IngestEnding,
  IngestProven,
  IngestRequest,
  IngestSlice,
  LookRequest,
  SweepActivities,
  VerifyRequest,
} from '../../activities/contract.js';
import { failingCleanly, runStage, type Run } from '../../activities/run.js';
import type {
  ApplyStageOutcome,
  CaptureOutcome,
  CopyOutcome,
  LoadOutcome,
  ProvingCopy,
  VerifyOutcome,
  WitnessOutcome,
} from '../../core/outcome.js';
import type { PipelineStatus } from '../../core/status.js';
import { noCounts } from '../../core/sweep.js';
import { streamId, streamsOf, taskQueue, validateId } from '../../core/workflowNames.js';
import type { SweepBegun } from '../../stages/sweep.js';
import type { Stack } from '../../temporal-compose/stack.js';
import { installRuntime } from '../../workers/log.js';
import { createWorkers, type QueueActivities } from '../../workers/queues.js';
import { ensureSearchAttributes } from '../../workers/searchAttributes.js';
import type { PipelineInput, ValidateInput } from '../../workflows/messages.js';
import { workflowTaskTimeout } from '../../workflows/options.js';
import type { pipeline } from '../../workflows/pipeline.js';
import type { DueCopy, Look } from '../../workflows/pipelineState.js';
import { searchAttributes } from '../../workflows/searchAttributes.js';
import type { validate } from '../../workflows/validate.js';

export type PipelineHandle = WorkflowHandle<typeof pipeline>;

/** What the activities do, and what they were asked: a test changes and reads it while they run. */
export interface Script {
  install: (attempt: number) => Promise<void>;
  capture: (run: Run, attempt: number) => Promise<CaptureOutcome>;
  witness: (run: Run) => Promise<WitnessOutcome>;
  apply: (request: ApplyRequest, run: Run, attempt: number) => Promise<ApplyStageOutcome>;
  verify: (request: VerifyRequest, run: Run) => Promise<VerifyOutcome>;
  copy: (request: CopyRequest, run: Run) => Promise<CopyOutcome>;
  request: (tables: readonly string[] | null) => Promise<void>;
  load: (request: IngestSlice, run: Run, attempt: number) => Promise<LoadOutcome>;
  settle: (request: IngestRequest) => Promise<ProvingCopy | null>;
  prove: (request: IngestEnding) => Promise<IngestProven>;
  sweep: SweepScript;
  /** Tables that are due: name → run. `requestCopies` gives a new run; a finished copy takes its table out. */
  readonly due: Map<string, string>;
  /** Tables that their policy pauses until they are resumed. */
  readonly held: Set<string>;
  readonly looks: LookRequest[];
  readonly asked: { readonly tables: readonly string[] | null }[];
}

/** Each part of a sweep; those that take long are told when they are to end. */
export type SweepScript = {
  [Part in keyof SweepActivities]: (
    request: Parameters<SweepActivities[Part]>[0],
    run: Run,
  ) => ReturnType<SweepActivities[Part]>;
};

export interface Rig {
  readonly name: string;
  readonly client: Client;
  readonly script: Script;
  start(over?: Partial<PipelineInput>): Promise<PipelineHandle>;
  sweep(over?: Partial<ValidateInput>): Promise<WorkflowHandle<typeof validate>>;
  /** The same workers again, as if another process came. */
  startWorkers(): Promise<void>;
  stopWorkers(): Promise<void>;
  close(): Promise<void>;
}

let bundle: Promise<{ code: string }> | undefined;

/** From the sources; from dist/ when this runs compiled. */
export function workflowBundle(): Promise<{ code: string }> {
  const paths = ['ts', 'js'].map((end) => fileURLToPath(new URL(`../../workflows/index.${end}`, import.meta.url)));
  const workflowsPath = paths.find((path) => existsSync(path));
  if (workflowsPath === undefined) throw new Error(`no workflows at ${paths.join(' or ')}`);
  bundle ??= bundleWorkflowCode({ workflowsPath, logger: new DefaultLogger('ERROR') });
  return bundle;
}

let runtimeInstalled = false;

/** Stands in histories that are kept: no host, no process. */
const identity = 'lockstep-test';

/** Runs until it is told to end. */
export async function untilStopped({ signal, beat }: Run): Promise<{ kind: 'stopped' }> {
  while (!signal.aborted) {
    beat();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return { kind: 'stopped' };
}

/** An activity that fails while the condition holds. */
export function failing<A extends unknown[], R>(
  when: () => boolean,
  error: Error,
  otherwise: (...args: A) => Promise<R>,
): (...args: A) => Promise<R> {
  return (...args) => (when() ? Promise.reject(error) : otherwise(...args));
}

/** Streams that run until they are told to end, copies that succeed at once. */
export function newScript(): Script {
  const script: Script = {
    install: () => Promise.resolve(),
    capture: untilStopped,
    witness: untilStopped,
    apply: (_, run) => untilStopped(run),
    verify: (_, run) => untilStopped(run),
    copy: ({ table }) => {
      script.due.delete(table);
      return Promise.resolve({ kind: 'copied', rows: 10, orphans: 0 });
    },
    request: (tables) => {
      script.asked.push({ tables });
      for (const table of tables ?? ['one', 'two']) script.due.set(table, `${table}-${script.asked.length}`);
      return Promise.resolve();
    },
    load: () => Promise.resolve({ kind: 'loaded' }),
    settle: () => Promise.resolve(null),
    prove: () => Promise.resolve({ kind: 'proven', accepted: 5, rejected: 0, agrees: true }),
    sweep: sweepThatFindsNothing(),
    due: new Map(),
    held: new Set(),
    looks: [],
    asked: [],
  };
  return script;
}

/** Two tables of two chunks each, one part a store, nothing that drifts. */
function sweepThatFindsNothing(): SweepScript {
  const swept = { kind: 'swept', drift: 0 } as const;
  const table = (name: string): SweepBegun['tables'][number] => ({ name, chunks: 2, next: 0, through: false });
  return {
    beginSweep: ({ sweep }) =>
      Promise.resolve({ sweep, tables: [table('one'), table('two')], entries: { mongo: 0, redis: 0 } }),
    sweepRows: ({ number }) => Promise.resolve({ ...swept, counts: { ...noCounts, rows: 10 }, last: number === 1 }),
    sweepEntries: () => Promise.resolve({ ...swept, last: true }),
    takeAgain: () => Promise.resolve({ kind: 'again' }),
    leaveOut: () => Promise.resolve(),
    finishSweep: () => Promise.resolve({ drift: 0, leftOut: 0 }),
    repairSweep: () => Promise.resolve({ kind: 'repaired', keys: 0, skipped: 0, waitMs: null, tooMuch: [] }),
    recheckSweep: () => Promise.resolve({ kind: 'rechecked', healed: 0, left: 0 }),
    endSweep: () => Promise.resolve(),
  };
}

/** workerAddress: where the workers reach Temporal, if not where the client does. */
export async function openRig(stack: Stack, workerAddress?: string): Promise<Rig> {
  if (!runtimeInstalled) installRuntime({ level: 'ERROR' });
  runtimeInstalled = true;
  const name = `wf-${randomBytes(4).toString('hex')}`;
  const { address, namespace } = stack.temporal;
  const connection = await Connection.connect({ address });
  const client = new Client({ connection, namespace, identity });
  await ensureSearchAttributes(client);
  const native = await NativeConnection.connect({ address: workerAddress ?? address });
  const code = await workflowBundle();
  const script = newScript();
  let running: { workers: readonly Worker[]; ended: Promise<unknown> } | undefined;

  const rig: Rig = {
    name,
    client,
    script,
    async start(over = {}) {
      const input: PipelineInput = {
        pipeline: name,
        identity: { test: name },
        stores: ['mongo', 'redis'],
        shards: 1,
        parallelCopies: 2,
        ...over,
      };
      return await client.workflow.start<typeof pipeline>('pipeline', {
        workflowId: `lockstep/${name}`,
        taskQueue: taskQueue(name, 'control'),
        args: [input],
        workflowTaskTimeout,
        typedSearchAttributes: searchAttributes(name, 'starting'),
      });
    },
    async sweep(over = {}) {
      const input: ValidateInput = {
        pipeline: name,
        identity: { test: name },
        stores: ['mongo', 'redis'],
        shards: 1,
        tables: null,
        sweepStores: ['mongo', 'redis'],
        repair: false,
        limits: null,
        askedBy: 'command',
        parallel: 1,
        ...over,
      };
      return await client.workflow.start<typeof validate>('validate', {
        workflowId: validateId(name, null),
        taskQueue: taskQueue(name, 'control'),
        args: [input],
        workflowTaskTimeout,
        typedSearchAttributes: searchAttributes(name, 'validate'),
      });
    },
    async startWorkers() {
      const activities = activitiesOf(script);
      const setup = { connection: native, namespace, pipeline: name, activities, bundle: code, identity };
      const workers = await createWorkers(setup, ['control', 'capture', 'mongo', 'redis', 'ingest', 'sweep']);
      running = { workers, ended: Promise.all(workers.map((worker) => worker.run())) };
    },
    async stopWorkers() {
      for (const worker of running?.workers ?? []) worker.shutdown();
      await running?.ended;
      running = undefined;
    },
    async close() {
      const query = `LockstepPipeline = '${name}' AND ExecutionStatus = 'Running'`;
      for await (const { workflowId } of client.workflow.list({ query })) {
        await client.workflow.getHandle(workflowId).terminate('test ended').catch(ignoreEnded);
      }
      await rig.stopWorkers();
      await native.close();
      await connection.close();
    },
  };
  await rig.startWorkers();
  return rig;
}

/** Nothing here drains but by the worker. */
const never = new AbortController().signal;

function ignoreEnded(error: unknown): void {
  if ((error as Error).name !== 'WorkflowNotFoundError') throw error;
}

export function activitiesOf(script: Script): QueueActivities {
  const attempt = (): number => Context.current().info.attempt;
  const apply = {
    runApply: (request: ApplyRequest) => runStage((run) => script.apply(request, run, attempt()), never),
    runVerify: (request: VerifyRequest) => runStage((run) => script.verify(request, run), never),
  };
  return {
    control: {
      async install() {
        await failingCleanly(() => script.install(attempt()));
        return { tables: ['one', 'two'] };
      },
      async look(request) {
        script.looks.push(request);
        return await lookAt(script, request);
      },
      requestCopies: (_scope, tables) => failingCleanly(() => script.request(tables)),
      releaseTables: (_scope, tables) => {
        for (const table of tables) script.held.delete(table);
        return Promise.resolve();
      },
      running: async (ids) => await runningAmong(ids),
    },
    capture: {
      runCapture: () => runStage((run) => script.capture(run, attempt()), never),
      runWitness: () => runStage((run) => script.witness(run), never),
    },
    mongo: apply,
    redis: apply,
    ingest: {
      copyTable: (request) => runStage((run) => script.copy(request, run), null),
      loadIngest: (request) => runStage((run) => script.load(request, run, attempt()), null),
      settleIngest: (request) => failingCleanly(() => script.settle(request)),
      proveIngest: (request) => runStage(() => script.prove(request), null),
    },
    sweep: sweepActivitiesOf(script),
  };
}

function sweepActivitiesOf({ sweep }: Script): QueueActivities['sweep'] {
  const short = <T>(part: (run: Run) => Promise<T>): Promise<T> =>
    failingCleanly(() => part({ signal: never, beat: () => undefined, trouble: () => undefined }));
  return {
    beginSweep: (request) => short((run) => sweep.beginSweep(request, run)),
    sweepRows: (request) => runStage((run) => sweep.sweepRows(request, run), null),
    sweepEntries: (request) => runStage((run) => sweep.sweepEntries(request, run), null),
    takeAgain: (request) => short((run) => sweep.takeAgain(request, run)),
    leaveOut: (request) => short((run) => sweep.leaveOut(request, run)),
    finishSweep: (request) => short((run) => sweep.finishSweep(request, run)),
    repairSweep: (request) => runStage((run) => sweep.repairSweep(request, run), null),
    recheckSweep: (request) => runStage((run) => sweep.recheckSweep(request, run), null),
    endSweep: (request) => short((run) => sweep.endSweep(request, run)),
  };
}

async function lookAt(script: Script, { scope, copying, limit }: LookRequest): Promise<Look> {
  const streams = streamsOf(scope);
  const alive = await runningAmong(streams.map((stream) => streamId(scope.pipeline, stream, scope.shards)));
  const copies = await runningAmong(copying.map((table) => `lockstep/${scope.pipeline}/snapshot/${table}`));
  const due: DueCopy[] = [...script.due].map(([table, run]) => ({ table, run }));
  const at = Date.now();
  return {
    status: emptyStatus(scope.pipeline, at),
    problems: [],
    sample: { at, published: 0, stores: [] },
    tableCount: 2,
    due: due.slice(0, limit + copying.length),
    uncopied: due.length,
    missingStreams: streams.filter((stream) => !alive.includes(streamId(scope.pipeline, stream, scope.shards))),
    missingCopies: copying.filter((table) => !copies.includes(`lockstep/${scope.pipeline}/snapshot/${table}`)),
    ...(script.held.size === 0 ? {} : { held: [...script.held] }),
  };
}

function emptyStatus(name: string, at: number): PipelineStatus {
  return {
    pipeline: name,
    stage: 'streaming',
    at: new Date(at).toISOString(),
    windowSeconds: 0,
    tables: [],
    capture: { backlog: 0, oldestMs: 0, changesPerSecond: 0, bytes: 0 },
    stores: [],
    problems: [],
  };
}

async function runningAmong(ids: readonly string[]): Promise<readonly string[]> {
  const { client } = Context.current();
  const states = await Promise.all(
    ids.map(async (id) => {
      try {
        return (await client.workflow.getHandle(id).describe()).status.name;
      } catch (error) {
        if ((error as Error).name === 'WorkflowNotFoundError') return 'NONE';
        throw error;
      }
    }),
  );
  return ids.filter((_, i) => states[i] === 'RUNNING');
}
