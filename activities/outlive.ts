/**
 * A stream goes on while Temporal is away, so that changes keep arriving in the stores. That is safe because a successor
 * fences it, in the store or in Kafka. The SDK tells an activity whose heartbeats do not get through that it timed out;
 * a stream takes that as a question instead: it asks the server, and ends when the server answers without naming it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Context } from '@temporalio/activity';
import type { WorkflowExecutionDescription } from '@temporalio/client';

export interface End {
  readonly signal: AbortSignal;
  readonly release: () => void;
}

const askEveryMs = 1_000;
const answerWithinMs = 3_000;

export function outlivingTemporal(context: Context, draining: AbortSignal): End {
  const controller = new AbortController();
  const end = (): void => controller.abort();
  const toldByTemporal = (): void => {
    if (context.cancellationDetails?.timedOut !== true) return end();
    void askUntilReplaced(context, controller.signal).then(end);
  };
  context.cancellationSignal.addEventListener('abort', toldByTemporal);
  draining.addEventListener('abort', end);
  if (draining.aborted) end();
  if (context.cancellationSignal.aborted) toldByTemporal();
  return {
    signal: controller.signal,
    release: () => {
      context.cancellationSignal.removeEventListener('abort', toldByTemporal);
      draining.removeEventListener('abort', end);
      end();
    },
  };
}

/** Resolves once the server answers and this attempt is not the one it waits for; or when nobody asks any more. */
async function askUntilReplaced({ client, info }: Context, ended: AbortSignal): Promise<void> {
  const { workflowExecution, activityId, attempt } = info;
  if (workflowExecution === undefined) return;
  const workflow = client.workflow.getHandle(workflowExecution.workflowId, workflowExecution.runId);
  while (!ended.aborted) {
    try {
      const description = await client.connection.withDeadline(Date.now() + answerWithinMs, () => workflow.describe());
      if (!isCurrent(description, activityId, attempt)) return;
    } catch (error) {
      if (error instanceof Error && error.name === 'WorkflowNotFoundError') return;
    }
    await sleep(askEveryMs, undefined, { signal: ended }).catch(() => undefined);
  }
}

function isCurrent({ status, raw }: WorkflowExecutionDescription, activityId: string, attempt: number): boolean {
  if (status.name !== 'RUNNING') return false;
  return (raw.pendingActivities ?? []).some(
    (activity) => activity.activityId === activityId && activity.attempt === attempt,
  );
}
