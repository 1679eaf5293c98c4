/**
 * Streams and snapshots as their pipeline reaches them: by workflow id, never by a handle, because they outlive its
 * runs. Starting one that runs finds it; telling one that is not there does nothing, and the next look starts it.
 */
import {
  getExternalWorkflowHandle,
  isCancellation,
  sleep,
  startChild,
  type ExternalWorkflowHandle,
} from '@temporalio/workflow';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { snapshotId, streamId, streamsOf, streamStage, streamSummary, type Stream } from '../core/workflowNames.js';
import { apply } from './apply.js';
import { capture } from './capture.js';
import { drainSignal, steerSignal, type PipelineResult, type PipelineScope, type Steering } from './messages.js';
import { childOptions } from './options.js';
import type { DueCopy, PipelineState } from './pipelineState.js';
import { snapshot } from './snapshot.js';
import { verify } from './verify.js';
import { witness } from './witness.js';

/** maxHistoryEvents: as for the pipeline itself. */
export async function startStream(
  scope: PipelineScope,
  stream: Stream,
  steering: Steering,
  maxHistoryEvents: number | undefined,
): Promise<void> {
  const options = childOptions(scope.pipeline, {
    id: streamId(scope.pipeline, stream, scope.shards),
    stage: streamStage(stream),
    summary: streamSummary(stream),
  });
  const input = { ...scope, stream, steering, ...(maxHistoryEvents === undefined ? {} : { maxHistoryEvents }) };
  try {
    await startChild(workflowOf(stream), { ...options, args: [input] });
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    await steer(scope, stream, steering);
  }
}

function workflowOf(stream: Stream): typeof capture {
  switch (stream.kind) {
    case 'capture':
      return capture;
    case 'witness':
      return witness;
    case 'apply':
      return apply;
    case 'verify':
      return verify;
  }
}

export async function startCopy(scope: PipelineScope, { table, run }: DueCopy): Promise<void> {
  const options = childOptions(scope.pipeline, {
    id: snapshotId(scope.pipeline, table),
    stage: 'snapshot',
    summary: `copy of ${table}`,
    table,
  });
  try {
    await startChild(snapshot, { ...options, args: [{ ...scope, table, run }] });
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
  }
}

export async function drainCopy(scope: PipelineScope, table: string): Promise<void> {
  await tell(snapshotId(scope.pipeline, table), (workflow) => workflow.signal(drainSignal));
}

export async function steerStreams(scope: PipelineScope, steering: Steering): Promise<void> {
  for (const stream of streamsOf(scope)) await steer(scope, stream, steering);
}

const drainPollMs = 200;

/**
 * Ends every sweep, copy and stream, and returns when they have ended. One whose queue no worker polls is named after
 * `patienceMs`; it has been told, and ends when a worker comes.
 */
export async function drainAll(
  scope: PipelineScope,
  { copying, sweeps = [] }: Pick<PipelineState, 'copying' | 'sweeps'>,
  running: (ids: readonly string[]) => Promise<readonly string[]>,
  patienceMs: number,
): Promise<PipelineResult> {
  const streams = streamsOf(scope).map((stream) => streamId(scope.pipeline, stream, scope.shards));
  const copies = Object.keys(copying).map((table) => snapshotId(scope.pipeline, table));
  let left: readonly string[] = [...sweeps, ...copies, ...streams];
  for (const id of left) await tell(id, (workflow) => workflow.signal(drainSignal));
  // Rounds, not a clock: what a replay decides must stand in the history.
  for (let round = 0; ; round++) {
    left = await running(left);
    if (left.length === 0 || round * drainPollMs >= patienceMs) return { kind: 'stopped', stillDraining: left };
    await sleep(drainPollMs);
  }
}

async function steer(scope: PipelineScope, stream: Stream, steering: Steering): Promise<void> {
  await tell(streamId(scope.pipeline, stream, scope.shards), (workflow) => workflow.signal(steerSignal, steering));
}

async function tell(id: string, send: (workflow: ExternalWorkflowHandle) => Promise<void>): Promise<void> {
  try {
    await send(getExternalWorkflowHandle(id));
  } catch (error) {
    if (isCancellation(error)) throw error;
  }
}
