/**
 * How activities and child workflows are called: every timeout and retry of the pipeline in one place. A `summary` stands beside
 * the activity's name in the web UI.
 */
import type { ActivityOptions, ChildWorkflowOptions } from '@temporalio/workflow';
import { ActivityCancellationType, ChildWorkflowCancellationType, ParentClosePolicy } from '@temporalio/workflow';
import { searchAttributes } from './searchAttributes.js';
import { taskQueue, type QueueName } from '../core/workflowNames.js';

/**
 * A loop that never ends by itself. The server knows of a killed worker by the missing heartbeat alone, 2 s after the
 * last one, and offers the activity to another worker 100 ms later, however often that happened before: so it runs again
 * within 3 s. A failure states its own, longer delay (activities/run.ts). A false alarm is harmless: the store's epoch and
 * the producer's fence decide.
 */
export function streamOptions(pipeline: string, queue: QueueName, summary: string): ActivityOptions {
  return {
    taskQueue: taskQueue(pipeline, queue),
    summary,
    startToCloseTimeout: '30 days',
    heartbeatTimeout: '2 seconds',
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry: { initialInterval: '100 milliseconds', backoffCoefficient: 1 },
  };
}

/** As a stream, but nobody waits for it: it is heard of less often, and taken over a little later. */
export function verifyOptions(pipeline: string, queue: QueueName, summary: string): ActivityOptions {
  return { ...streamOptions(pipeline, queue, summary), heartbeatTimeout: '5 seconds' };
}

/** What ends an ingest: it waits for triggers and stores as long as it takes. */
export function ingestOptions(pipeline: string, summary: string): ActivityOptions {
  return {
    taskQueue: taskQueue(pipeline, 'ingest'),
    summary,
    startToCloseTimeout: '30 days',
    heartbeatTimeout: '3 seconds',
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry: { initialInterval: '200 milliseconds', backoffCoefficient: 2, maximumInterval: '2 seconds' },
  };
}

/** The same for the witness: its healing must begin within ten seconds, this included. */
export function witnessOptions(pipeline: string, summary: string): ActivityOptions {
  return { ...streamOptions(pipeline, 'capture', summary), heartbeatTimeout: '5 seconds' };
}

/** Short work that is tried until it succeeds or turns out to be impossible. */
export function controlOptions(pipeline: string): ActivityOptions {
  return {
    taskQueue: taskQueue(pipeline, 'control'),
    startToCloseTimeout: '10 minutes',
    heartbeatTimeout: '10 seconds',
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry: { initialInterval: '200 milliseconds', backoffCoefficient: 2, maximumInterval: '5 seconds' },
  };
}

/** A look is not repeated: the next one is seconds away, and an old one is worth nothing. */
export function lookOptions(pipeline: string): ActivityOptions {
  return {
    taskQueue: taskQueue(pipeline, 'control'),
    startToCloseTimeout: '1 minute',
    scheduleToStartTimeout: '1 minute',
    heartbeatTimeout: '5 seconds',
    retry: { maximumAttempts: 1 },
  };
}

/**
 * A part of a sweep, seconds to minutes long. A server that is away is waited for about a minute; then the sweep ends, says
 * why, and can be taken up where it was.
 */
export function sweepOptions(pipeline: string, summary: string): ActivityOptions {
  return {
    taskQueue: taskQueue(pipeline, 'sweep'),
    summary,
    startToCloseTimeout: '6 hours',
    heartbeatTimeout: '5 seconds',
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry: {
      initialInterval: '500 milliseconds',
      backoffCoefficient: 2,
      maximumInterval: '10 seconds',
      maximumAttempts: 8,
    },
  };
}

/** What a child is started with, besides its arguments. */
export type ChildOptions = Pick<
  ChildWorkflowOptions,
  | 'workflowId'
  | 'taskQueue'
  | 'parentClosePolicy'
  | 'cancellationType'
  | 'workflowTaskTimeout'
  | 'typedSearchAttributes'
  | 'staticSummary'
>;

/** A worker that was killed while it held a workflow task delays the next one by this; the default is 10 s. */
export const workflowTaskTimeout = '3 seconds';

/**
 * Streams and copies outlive a run of their pipeline, which continues as new every few hours; a stream is not
 * interrupted for that. Stopping drains them explicitly.
 */
export function childOptions(
  pipeline: string,
  child: { readonly id: string; readonly stage: string; readonly summary: string; readonly table?: string },
): ChildOptions {
  return {
    workflowId: child.id,
    staticSummary: child.summary,
    taskQueue: taskQueue(pipeline, 'control'),
    parentClosePolicy: ParentClosePolicy.ABANDON,
    cancellationType: ChildWorkflowCancellationType.ABANDON,
    workflowTaskTimeout,
    typedSearchAttributes: searchAttributes(pipeline, child.stage, child.table),
  };
}
