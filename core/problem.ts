/** What stands in the way of a pipeline before anything is installed. Every check of every store answers with these. */
import { errorCodes, LockstepError, type ErrorCode } from './errors.js';

export interface Problem {
  readonly code: ErrorCode;
  /** `warning`: the pipeline runs, with less than it could have. */
  readonly severity: 'error' | 'warning';
  /** What was found where, without secrets. */
  readonly message: string;
  /** What to do, in full. */
  readonly fix: string;
}

export function problem(code: ErrorCode, message: string, fix: string = errorCodes[code].help): Problem {
  return { code, severity: 'error', message, fix };
}

export function warning(code: ErrorCode, message: string, fix: string = errorCodes[code].help): Problem {
  return { code, severity: 'warning', message, fix };
}

/** For a check that could not even ask. */
export function problemOf(error: unknown): Problem {
  if (error instanceof LockstepError) return problem(error.code, error.message);
  return problem('LS-INTERNAL', error instanceof Error ? error.message : String(error));
}

export function errorsAmong(problems: readonly Problem[]): readonly Problem[] {
  return problems.filter((p) => p.severity === 'error');
}

/** One error for all of them: the first one's code, every message and fix. Undefined when there is none. */
export function problemsAsError(problems: readonly Problem[]): LockstepError | undefined {
  const errors = errorsAmong(problems);
  const first = errors[0];
  if (first === undefined) return undefined;
  const text = errors.map((p, i) => `${i === 0 ? '' : `${p.code}: `}${p.message}\n  → ${p.fix}`).join('\n');
  return new LockstepError(first.code, text, { details: { codes: errors.map((p) => p.code) } });
}
