/** An ingest as commands reach it: its workflow in Temporal, where it stands in MySQL. */
import {
  ServiceError,
  WorkflowExecutionAlreadyStartedError,
  WorkflowNotFoundError,
  type Connection,
} from '@temporalio/client';
import { configuredStores, type Config } from '../core/config.js';
import { LockstepError } from '../core/errors.js';
import { pipelineIdentity } from '../core/pipelineIdentity.js';
import { ingestId, taskQueue } from '../core/workflowNames.js';
import type { ingest } from '../workflows/ingest.js';
import * as messages from '../workflows/messages.js';
import { workflowTaskTimeout } from '../workflows/options.js';
import { searchAttributes } from '../workflows/searchAttributes.js';
import { attributesMissing, ensureSearchAttributes } from './searchAttributes.js';
import { connectClient, temporalFailure } from './temporal.js';

/** Which one: as MySQL registers it. */
export interface IngestPlace {
  readonly table: string;
  readonly name: string;
}

export type IngestState =
  | { readonly kind: 'running'; readonly waitsFor: string | null }
  | { readonly kind: 'ended'; readonly result: messages.IngestResult }
  | { readonly kind: 'failed'; readonly error: LockstepError }
  /** Never started, or ended by somebody else. */
  | { readonly kind: 'gone' };

export interface IngestClient {
  /** `running`: it runs already. */
  start(place: IngestPlace): Promise<'started' | 'running'>;
  state(place: IngestPlace): Promise<IngestState>;
  pause(place: IngestPlace): Promise<void>;
  resume(place: IngestPlace): Promise<void>;
  cancel(place: IngestPlace): Promise<void>;
  close(): Promise<void>;
}

const answerMs = 15_000;
const viewMs = 1_000;

export async function openIngestClient(config: Config): Promise<IngestClient> {
  const client = await connectClient(config.temporal);
  const connection = client.connection as Connection;
  const handleOf = ({ table, name }: IngestPlace) =>
    client.workflow.getHandle<typeof ingest>(ingestId(config.pipeline, table, name));

  async function call<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await connection.withDeadline(Date.now() + answerMs, work);
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) {
        throw new LockstepError('LS-INGEST-UNKNOWN', 'no such ingest is under way', { cause: error });
      }
      throw temporalFailure(error, config.temporal);
    }
  }

  async function start({ table, name }: IngestPlace): Promise<'started' | 'running'> {
    await ensureSearchAttributes(client);
    const input: messages.IngestInput = {
      pipeline: config.pipeline,
      identity: pipelineIdentity(config),
      stores: configuredStores(config),
      shards: config.apply.shards,
      table,
      ingest: name,
    };
    try {
      await client.workflow.start<typeof ingest>('ingest', {
        workflowId: ingestId(config.pipeline, table, name),
        taskQueue: taskQueue(config.pipeline, 'control'),
        args: [input],
        workflowIdConflictPolicy: 'FAIL',
        workflowIdReusePolicy: 'ALLOW_DUPLICATE',
        workflowTaskTimeout,
        typedSearchAttributes: searchAttributes(config.pipeline, 'ingest', table),
        staticSummary: `files → ${table}`,
      });
      return 'started';
    } catch (error) {
      if (error instanceof WorkflowExecutionAlreadyStartedError) return 'running';
      throw attributesMissing(error) ?? error;
    }
  }

  async function state(place: IngestPlace): Promise<IngestState> {
    const handle = handleOf(place);
    try {
      const { status, raw } = await handle.describe();
      if (status.name === 'RUNNING') {
        const pending = raw.pendingActivities?.[0];
        // What an attempt tells while it goes on counts no more once it is well; the server keeps the last failure.
        const failure = (pending?.attempt ?? 1) > 1 ? (pending?.lastFailure?.message ?? null) : null;
        return { kind: 'running', waitsFor: pending === undefined ? await standstillOf(handle) : failure };
      }
      if (status.name === 'COMPLETED') return { kind: 'ended', result: await handle.result() };
      if (status.name !== 'FAILED') return { kind: 'gone' };
      const error = await handle.result().then(
        () => new LockstepError('LS-INTERNAL', 'a failed workflow has a result'),
        (cause: unknown) => temporalFailure(cause, config.temporal),
      );
      return { kind: 'failed', error };
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return { kind: 'gone' };
      throw error;
    }
  }

  /** Between two activities only the workflow knows; it needs a worker to answer. */
  async function standstillOf(handle: ReturnType<typeof handleOf>): Promise<string | null> {
    try {
      const view = await connection.withDeadline(Date.now() + viewMs, () => handle.query(messages.ingestQuery));
      if (view.problem !== null) return `${view.problem.code}: ${view.problem.message}`;
      return view.paused ? 'paused' : null;
    } catch (error) {
      // No worker is there to answer, or the ingest has just ended: the next look tells.
      if (error instanceof ServiceError || error instanceof WorkflowNotFoundError) return null;
      throw error;
    }
  }

  return {
    start: (place) => call(() => start(place)),
    state: (place) => call(() => state(place)),
    pause: (place) => call(() => handleOf(place).executeUpdate(messages.pauseIngestUpdate)),
    resume: (place) => call(() => handleOf(place).executeUpdate(messages.resumeIngestUpdate)),
    cancel: (place) => call(() => handleOf(place).executeUpdate(messages.cancelIngestUpdate)),
    close: () => connection.close(),
  };
}
