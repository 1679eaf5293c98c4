/**
 * The composition root: one process that serves some or all queues of a pipeline until it is told to stop. SIGTERM and
 * SIGINT drain: every stream finishes its batch, and another worker goes on at once. SIGKILL costs the heartbeat timeout.
 */
import { GracefulShutdownPeriodExpiredError, NativeConnection, type Worker } from '@temporalio/worker';
import { applyActivities } from '../activities/apply.js';
import { captureActivities } from '../activities/capture.js';
import { ingestActivities } from '../activities/ingest.js';
import { installActivities } from '../activities/install.js';
import { lookActivities } from '../activities/look.js';
import { snapshotActivities } from '../activities/snapshot.js';
import { sweepActivities } from '../activities/sweep.js';
import { verifyActivities } from '../activities/verify.js';
import { witnessActivities } from '../activities/witness.js';
import type { Config } from '../core/config.js';
import { contentCheck } from '../core/ingestContent.js';
import { pipelineIdentity } from '../core/pipelineIdentity.js';
import { queueNames, type QueueName } from '../core/workflowNames.js';
import { definitionOf } from '../stages/ingestTable.js';
import { Pace } from '../stages/pace.js';
import { readChunks } from '../stores/files/readChunks.js';
import { openReader } from '../stores/kafka/reader.js';
import { builtBundle } from './bundle.js';
import { openClients, openStore, type Clients } from './clients.js';
import { withRoomToLoad } from './heap.js';
import { installRuntime } from './log.js';
import { createWorkers, type QueueActivities } from './queues.js';
import { temporalAddress, temporalFailure } from './temporal.js';
import { version } from './version.js';

export interface WorkerRunOptions {
  /** Drains like SIGTERM. */
  readonly signal?: AbortSignal;
  /** Where Prometheus finds metrics, such as `127.0.0.1:9464`; `LOCKSTEP_METRICS` by default. */
  readonly metricsAddress?: string;
  /** Called once every queue is polled. */
  readonly onReady?: () => void;
}

export async function runWorker(
  config: Config,
  queues: readonly QueueName[] = queueNames,
  options: WorkerRunOptions = {},
): Promise<void> {
  const startedAt = performance.now();
  const bundle = builtBundle();
  const metricsAddress = options.metricsAddress ?? process.env['LOCKSTEP_METRICS'];
  installRuntime({
    level: process.env['LOCKSTEP_LOG'] === 'debug' ? 'DEBUG' : 'WARN',
    ...(metricsAddress === undefined || metricsAddress === '' ? {} : { metricsAddress }),
  });
  const stop = stopSignal(options.signal);
  const clients = openClients(config);
  try {
    const connection = await NativeConnection.connect(temporalAddress(config.temporal));
    try {
      const { namespace } = config.temporal;
      const activities = activitiesOf(config, clients, stop.signal);
      const setup = { connection, namespace, pipeline: config.pipeline, activities, bundle };
      const workers = await createWorkers(setup, queues);
      const ended = runAll(workers, stop.signal);
      say('worker is ready', { pipeline: config.pipeline, queues, ms: Math.round(performance.now() - startedAt) });
      options.onReady?.();
      await ended;
    } finally {
      await connection.close();
    }
  } catch (error) {
    throw temporalFailure(error, config.temporal);
  } finally {
    stop.release();
    await clients.close();
  }
  say('worker has drained', { pipeline: config.pipeline });
}

/** Of one answer: what verify holds in memory at a time. */
const verifyReadsBytes = 4 * 1024 * 1024;

function activitiesOf(config: Config, { mysql, reader, stores }: Clients, draining: AbortSignal): QueueActivities {
  const identity = pipelineIdentity(config);
  const common = { config, identity, mysql };
  const ingest = ingestActivities({
    ...common,
    stores,
    readChunks,
    contentOf: contentCheck,
    definitionOf: definitionOf(config, mysql),
  });
  const apply = applyActivities({
    ...common,
    draining,
    openStore: (store) => openStore(config, store),
    openReader: (store) => openReader(config.kafka, { clientId: `lockstep-${config.pipeline}-${store}` }),
  });
  const stream = {
    ...apply,
    ...verifyActivities({
      ...common,
      draining,
      openStore: (store) => openStore(config, store),
      openReader: (store) =>
        openReader(config.kafka, {
          clientId: `lockstep-${config.pipeline}-verify-${store}`,
          maxBytes: verifyReadsBytes,
        }),
    }),
  };
  return {
    control: { ...installActivities({ ...common, stores }), ...lookActivities({ ...common, reader, stores }) },
    capture: {
      ...captureActivities({ ...common, version: version(), draining }),
      ...witnessActivities({ ...common, draining }),
    },
    mongo: stream,
    redis: stream,
    ingest: {
      ...snapshotActivities({ ...common, stores }),
      ...ingest,
      loadIngest: (request) => withRoomToLoad(() => ingest.loadIngest(request)),
    },
    sweep: sweepActivities({
      ...common,
      stores,
      pace: new Pace(config.validate),
      openReader: () => openReader(config.kafka, { clientId: `lockstep-${config.pipeline}-sweep`, maxWaitMs: 50 }),
    }),
  };
}

/** Until all have drained. One that fails takes the others with it: half a worker would look like a whole one. */
async function runAll(workers: readonly Worker[], stop: AbortSignal): Promise<void> {
  const drain = (): void => {
    for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
  };
  stop.addEventListener('abort', drain, { once: true });
  const results = await Promise.allSettled(workers.map((worker) => worker.run().finally(drain)));
  for (const result of results) {
    if (result.status === 'fulfilled') continue;
    const reason: unknown = result.reason;
    if (!(reason instanceof GracefulShutdownPeriodExpiredError)) throw reason;
    say('a stream did not end in time; its successor fences it', {});
  }
}

/** Aborts at the first SIGTERM or SIGINT, or with the caller's signal. A second one ends the process. */
function stopSignal(outer: AbortSignal | undefined): { signal: AbortSignal; release: () => void } {
  const controller = new AbortController();
  const stop = (): void => controller.abort();
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
  outer?.addEventListener('abort', stop, { once: true });
  return {
    signal: controller.signal,
    release: () => {
      process.removeListener('SIGTERM', stop);
      process.removeListener('SIGINT', stop);
      outer?.removeEventListener('abort', stop);
    },
  };
}

function say(message: string, facts: Readonly<Record<string, unknown>>): void {
  process.stderr.write(`${JSON.stringify({ at: new Date().toISOString(), level: 'INFO', message, ...facts })}\n`);
}
