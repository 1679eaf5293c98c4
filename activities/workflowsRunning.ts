/**
 * What Temporal knows of a pipeline's workflows: which run, and which cannot get on. A stream that fails and is retried by
 * the server, or whose queue nobody polls, tells its workflow nothing; its pending activity shows it.
 */
import { Context } from '@temporalio/activity';
import type { WorkflowExecutionDescription } from '@temporalio/client';
import { errorCodes, type ErrorCode } from '../core/errors.js';
import { warning, type Problem } from '../core/problem.js';

export interface RunningWorkflow {
  readonly id: string;
  readonly problem: Problem | null;
}

export async function findRunning(ids: readonly string[]): Promise<readonly RunningWorkflow[]> {
  const { client } = Context.current();
  const found = await Promise.all(
    ids.map(async (id): Promise<RunningWorkflow | null> => {
      try {
        const description = await client.workflow.getHandle(id).describe();
        if (description.status.name !== 'RUNNING') return null;
        return { id, problem: problemOf(id, pendingOf(description), Date.now()) };
      } catch (error) {
        if (error instanceof Error && error.name === 'WorkflowNotFoundError') return null;
        throw error;
      }
    }),
  );
  return found.filter((workflow) => workflow !== null);
}

/** An activity that did not end yet. Times in milliseconds since 1970. */
export interface Pending {
  /** Waits for a worker, or for its next attempt. */
  readonly waits: boolean;
  readonly attempt: number;
  readonly scheduledAt: number;
  readonly startedAt: number;
  readonly failure: { readonly type: string; readonly message: string } | null;
}

/** A few attempts are what a restart costs; more of them in quick succession are trouble. */
const attemptsAtRest = 3;
const youngMs = 3_000;
const unansweredMs = 5_000;

export function problemOf(id: string, pending: Pending | null, now: number): Problem | null {
  if (pending === null) return null;
  const { waits, attempt, scheduledAt, startedAt, failure } = pending;
  if (waits && attempt === 1 && now - scheduledAt > unansweredMs) {
    return warning('LS-PIPELINE-NO-WORKER', `no worker takes up ${id}`);
  }
  const failing = attempt >= attemptsAtRest && (waits || now - startedAt < youngMs);
  if (!failing || failure === null) return null;
  const code: ErrorCode = isErrorCode(failure.type) ? failure.type : 'LS-TEMPORAL-ACTIVITY';
  return warning(code, `${id} is tried again (attempt ${attempt}): ${failure.message}`);
}

function isErrorCode(type: string): type is ErrorCode {
  return Object.hasOwn(errorCodes, type);
}

/** temporal.api.enums.v1.PendingActivityState */
const scheduled = 1;

function pendingOf({ raw }: WorkflowExecutionDescription): Pending | null {
  const activity = raw.pendingActivities?.[0];
  if (activity === undefined) return null;
  const failure = activity.lastFailure ?? null;
  return {
    waits: activity.state === scheduled,
    attempt: activity.attempt ?? 1,
    scheduledAt: millis(activity.scheduledTime),
    startedAt: millis(activity.lastStartedTime),
    failure:
      failure === null
        ? null
        : { type: failure.applicationFailureInfo?.type ?? '', message: failure.message ?? 'failed' },
  };
}

interface Timestamp {
  readonly seconds?: { toNumber(): number } | number | string | null;
  readonly nanos?: number | null;
}

function millis(time: Timestamp | null | undefined): number {
  const seconds = time?.seconds ?? 0;
  const whole = typeof seconds === 'object' ? seconds.toNumber() : Number(seconds);
  return whole * 1000 + (time?.nanos ?? 0) / 1e6;
}
