/**
 * A pipeline's workflow as commands reach it: start, stop, pause, resume, resync, refresh, ask. Every fault comes out
 * as an error of ours that names the fix.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  WorkflowExecutionAlreadyStartedError,
  WorkflowNotFoundError,
  type Client,
  type Connection,
  type WorkflowHandle,
} from '@temporalio/client';
import { configuredStores, type Config } from '../core/config.js';
import { LockstepError } from '../core/errors.js';
import { identityDifferences, pipelineIdentity, type PipelineIdentity } from '../core/pipelineIdentity.js';
import { pipelineId, streamId, streamsOf, taskQueue } from '../core/workflowNames.js';
import * as messages from '../workflows/messages.js';
import { workflowTaskTimeout } from '../workflows/options.js';
import type { pipeline } from '../workflows/pipeline.js';
import { searchAttributes } from '../workflows/searchAttributes.js';
import { attributesMissing, ensureSearchAttributes } from './searchAttributes.js';
import { connectClient, temporalFailure } from './temporal.js';

export interface PipelineClient {
  /** `running`: it ran already, with this configuration. Another configuration under the same name is refused. */
  start(): Promise<'started' | 'running'>;
  /** Drains and ends it; what was left behind by a pipeline that was terminated is drained as well. */
  stop(): Promise<messages.PipelineResult>;
  /** Ends every workflow of the pipeline without a drain and without a worker; how many there were. Nothing is lost. */
  stopNow(): Promise<number>;
  pause(table?: string): Promise<void>;
  resume(table?: string): Promise<void>;
  /** Returns once the copy is certain to happen. */
  resync(table: string): Promise<void>;
  refresh(): Promise<messages.RefreshResult>;
  /** Has it look at what is really there now, instead of seconds later. */
  look(): Promise<void>;
  /** Null when none runs. */
  view(): Promise<messages.PipelineView | null>;
  /** Why the last run ended, or null while it runs or never did. */
  ended(): Promise<'stopped' | LockstepError | null>;
  close(): Promise<void>;
}

/** No worker answers within this: there is none. A drain takes longer, and says so by itself. */
const answerMs = 15_000;
const drainMs = 60_000;
const leftoverPatienceMs = 30_000;

export async function openPipelineClient(config: Config): Promise<PipelineClient> {
  const client = await connectClient(config.temporal);
  const handle = client.workflow.getHandle<typeof pipeline>(pipelineId(config.pipeline));
  const connection = client.connection as Connection;

  async function call<T>(ms: number, work: () => Promise<T>): Promise<T> {
    try {
      return await connection.withDeadline(Date.now() + ms, work);
    } catch (error) {
      throw temporalFailure(error, config.temporal);
    }
  }

  return {
    start: () => call(answerMs, () => start(client, handle, config)),
    stop: () => call(drainMs, () => stop(client, handle, config)),
    stopNow: () => call(drainMs, () => stopNow(client, config)),
    pause: (table) => call(answerMs, () => handle.executeUpdate(messages.pauseUpdate, { args: [one(table)] })),
    resume: (table) => call(answerMs, () => handle.executeUpdate(messages.resumeUpdate, { args: [one(table)] })),
    resync: (table) => call(answerMs, () => handle.executeUpdate(messages.resyncUpdate, { args: [{ table }] })),
    refresh: () => call(drainMs, () => handle.executeUpdate(messages.refreshUpdate)),
    look: () => call(answerMs, () => handle.signal(messages.lookSignal)),
    view: () => call(answerMs, () => view(handle)),
    ended: () => call(answerMs, () => ended(handle, config)),
    close: () => connection.close(),
  };
}

type Handle = WorkflowHandle<typeof pipeline>;

function one(table: string | undefined): { table?: string } {
  return table === undefined ? {} : { table };
}

async function start(client: Client, handle: Handle, config: Config): Promise<'started' | 'running'> {
  await ensureSearchAttributes(client);
  const identity = pipelineIdentity(config);
  const input: messages.PipelineInput = {
    pipeline: config.pipeline,
    identity,
    stores: configuredStores(config),
    shards: config.apply.shards,
    verify: config.verify.sample > 0,
    witness: config.witness !== false,
    parallelCopies: config.snapshot.parallel,
  };
  try {
    await client.workflow.start<typeof pipeline>('pipeline', {
      workflowId: handle.workflowId,
      taskQueue: taskQueue(config.pipeline, 'control'),
      args: [input],
      memo: { identity },
      workflowIdConflictPolicy: 'FAIL',
      workflowIdReusePolicy: 'ALLOW_DUPLICATE',
      workflowTaskTimeout,
      typedSearchAttributes: searchAttributes(config.pipeline, 'starting'),
      staticDetails:
        'How it goes: the current details. A problem has a code: docs/errors.md; what to do at night: docs/runbook.md.',
      staticSummary: `${config.mysql.database} → ${configuredStores(config).join(' and ')}`,
    });
    return 'started';
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw attributesMissing(error) ?? error;
    await refuseAnother(handle, identity);
    return 'running';
  }
}

async function refuseAnother(handle: Handle, here: PipelineIdentity): Promise<void> {
  const { memo } = await handle.describe();
  const running = (memo?.['identity'] ?? {}) as PipelineIdentity;
  const differences = identityDifferences(running, here);
  if (differences.length === 0) return;
  throw new LockstepError(
    'LS-PIPELINE-OTHER',
    `pipeline ${handle.workflowId} runs with another configuration: ${differences.join('; ')}`,
    { details: { differences } },
  );
}

async function stop(client: Client, handle: Handle, config: Config): Promise<messages.PipelineResult> {
  try {
    return await handle.executeUpdate(messages.stopUpdate);
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) throw error;
    const left = await drainLeftovers(client, config);
    if (left === null) throw error;
    return { kind: 'stopped', stillDraining: left };
  }
}

/** The pipeline first: it would start its streams anew. Those that still run somewhere learn of it by their heartbeat. */
async function stopNow(client: Client, config: Config): Promise<number> {
  const terminate = (workflowId: string): Promise<boolean> =>
    isGone(client.workflow.getHandle(workflowId).terminate('lockstep stop --now')).then((gone) => !gone);
  // The list is some moments late; the streams are known by name.
  const { pipeline: name, apply } = config;
  const streams = streamsOf({
    stores: configuredStores(config),
    shards: apply.shards,
    verify: true,
    witness: true,
  }).map((s) => streamId(name, s, apply.shards));
  let ended = 0;
  for (const workflowId of [pipelineId(name), ...streams]) if (await terminate(workflowId)) ended += 1;
  for await (const workflowId of runningOf(client, config)) if (await terminate(workflowId)) ended += 1;
  if (ended === 0) throw new LockstepError('LS-PIPELINE-NOT-RUNNING', 'no pipeline of this name runs');
  return ended;
}

async function* runningOf(client: Client, { pipeline: name }: Config): AsyncIterable<string> {
  const query = `LockstepPipeline = '${name}' AND ExecutionStatus = 'Running'`;
  for await (const { workflowId } of client.workflow.list({ query })) yield workflowId;
}

/** Streams outlive a pipeline that was terminated. Null when there was none; else what did not end in time. */
async function drainLeftovers(client: Client, config: Config): Promise<readonly string[] | null> {
  const told: string[] = [];
  for await (const workflowId of runningOf(client, config)) {
    if (await isGone(client.workflow.getHandle(workflowId).signal(messages.drainSignal))) continue;
    told.push(workflowId);
  }
  if (told.length === 0) return null;
  const giveUpAt = Date.now() + leftoverPatienceMs;
  for (;;) {
    const states = await Promise.all(told.map((id) => client.workflow.getHandle(id).describe()));
    const left = states.filter(({ status }) => status.name === 'RUNNING').map(({ workflowId }) => workflowId);
    if (left.length === 0 || Date.now() >= giveUpAt) return left;
    await sleep(200);
  }
}

/** The list of running workflows lags behind: one that it names may have ended. */
async function isGone(work: Promise<unknown>): Promise<boolean> {
  try {
    await work;
    return false;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return true;
    throw error;
  }
}

async function view(handle: Handle): Promise<messages.PipelineView | null> {
  try {
    const { status } = await handle.describe();
    return status.name === 'RUNNING' ? await handle.query(messages.stateQuery) : null;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return null;
    throw error;
  }
}

async function ended(handle: Handle, config: Config): Promise<'stopped' | LockstepError | null> {
  try {
    const { status } = await handle.describe();
    if (status.name === 'RUNNING') return null;
    if (status.name !== 'FAILED') return 'stopped';
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return null;
    throw error;
  }
  return handle.result().then(
    () => 'stopped' as const,
    (error: unknown) => temporalFailure(error, config.temporal),
  );
}
