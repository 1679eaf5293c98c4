/** What a failed activity tells a workflow: a code of ours where there is one; never a stack, never a value. */
import { ActivityFailure, ApplicationFailure } from '@temporalio/workflow';
import { errorCodes, type ErrorCode } from '../core/errors.js';
import { problem } from '../core/problem.js';
import type { OpenProblem } from '../core/status.js';

export function problemFrom(error: unknown): OpenProblem {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  if (cause instanceof ApplicationFailure && isErrorCode(cause.type)) return problem(cause.type, cause.message);
  const text = cause instanceof Error ? cause.message : String(cause);
  const activity = error instanceof ActivityFailure ? ` (activity ${error.activityType})` : '';
  return problem('LS-TEMPORAL-ACTIVITY', `${text}${activity}`);
}

function isErrorCode(type: string | null | undefined): type is ErrorCode {
  return typeof type === 'string' && Object.hasOwn(errorCodes, type);
}
