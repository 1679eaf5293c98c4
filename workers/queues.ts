/** One Temporal worker a task queue, all in this process, tuned to be quiet when nothing happens. */
import { Worker, type NativeConnection, type WorkerOptions, type WorkflowBundleOption } from '@temporalio/worker';
import type {
  ApplyActivities,
  CaptureActivities,
  ControlActivities,
  IngestActivities,
  SnapshotActivities,
  SweepActivities,
  VerifyActivities,
} from '../activities/contract.js';
import { taskQueue, type QueueName } from '../core/workflowNames.js';

/** What each queue's worker can do. */
export interface QueueActivities {
  readonly control: ControlActivities;
  readonly capture: CaptureActivities;
  readonly mongo: ApplyActivities & VerifyActivities;
  readonly redis: ApplyActivities & VerifyActivities;
  readonly ingest: SnapshotActivities & IngestActivities;
  readonly sweep: SweepActivities;
}

export interface QueueSetup {
  readonly connection: NativeConnection;
  readonly namespace: string;
  readonly pipeline: string;
  readonly activities: QueueActivities;
  readonly bundle: WorkflowBundleOption;
  /** Told apart in the Temporal UI. */
  readonly identity?: string;
}

/** How many activities of a queue one worker runs at a time. */
const slots: Readonly<Record<QueueName, number>> = {
  control: 16,
  capture: 4,
  mongo: 32,
  redis: 32,
  ingest: 32,
  sweep: 8,
};

/**
 * A cluster has four partitions a task queue: with fewer pollers a task may wait for one to come by. Where that does no
 * harm there are fewer, since each costs something at rest.
 */
const pollers: Readonly<Record<QueueName, number>> = {
  control: 4,
  capture: 4,
  mongo: 4,
  redis: 4,
  ingest: 4,
  sweep: 2,
};

/** Whatever has not ended by then is left to the next worker, which fences it. */
const drainWithin = '8 seconds';

export async function createWorkers(setup: QueueSetup, queues: readonly QueueName[]): Promise<readonly Worker[]> {
  return Promise.all(queues.map((queue) => Worker.create(optionsOf(setup, queue))));
}

function optionsOf(setup: QueueSetup, queue: QueueName): WorkerOptions {
  const { connection, namespace, pipeline, identity } = setup;
  return {
    connection,
    namespace,
    taskQueue: taskQueue(pipeline, queue),
    // The interface has no index signature, which `object` does not ask for.
    activities: setup.activities[queue],
    ...(identity === undefined ? {} : { identity }),
    ...(queue === 'control' ? workflowOptions(setup) : {}),
    maxConcurrentActivityTaskExecutions: slots[queue],
    activityTaskPollerBehavior: { type: 'simple-maximum', maximum: pollers[queue] },
    // The server must hear of a stream at least four times in its heartbeat timeout of 2 s.
    maxHeartbeatThrottleInterval: '400 milliseconds',
    shutdownGraceTime: 0,
    shutdownForceTime: drainWithin,
  };
}

/** A handful of workflows a pipeline: a small cache holds them all, and one V8 context runs them. */
function workflowOptions({ bundle }: QueueSetup): Partial<WorkerOptions> {
  return {
    workflowBundle: bundle,
    reuseV8Context: true,
    maxCachedWorkflows: 100,
    maxConcurrentWorkflowTaskExecutions: 8,
    workflowTaskPollerBehavior: { type: 'simple-maximum', maximum: 2 },
    // Tasks of a worker that was killed wait this long for it before any other may take them; the default is 10 s.
    stickyQueueScheduleToStartTimeout: '1 second',
  };
}
