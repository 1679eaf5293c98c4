/** One Temporal worker a task queue, all in this process, tuned to be quiet when nothing happens. */
import { Worker, type NativeConnection, type WorkerOptions, type WorkflowBundleOption } from '@temporalio/worker';
import type {
  ApplyActivities,
  CaptureActivities,
  ControlActivities,
  SnapshotActivities,
} from '../activities/contract.js';
import { taskQueue, type QueueName } from '../core/workflowNames.js';

/** What each queue's worker can do. `sweep` has nothing to do yet. */
export interface QueueActivities {
  readonly control: ControlActivities;
  readonly capture: CaptureActivities;
  readonly mongo: ApplyActivities;
  readonly redis: ApplyActivities;
  readonly ingest: SnapshotActivities;
  readonly sweep: Record<string, never>;
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

/** Whatever has not ended by then is left to the next worker, which fences it. */
const drainWithin = '8 seconds';

export async function createWorkers(setup: QueueSetup, queues: readonly QueueName[]): Promise<readonly Worker[]> {
  const active = queues.filter((queue) => queue !== 'sweep');
  return Promise.all(active.map((queue) => Worker.create(optionsOf(setup, queue))));
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
    // A cluster has four partitions a task queue: with fewer pollers a task may wait for one to come by.
    activityTaskPollerBehavior: { type: 'simple-maximum', maximum: 4 },
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
