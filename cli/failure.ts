/** How a failure reaches the user: code, message and what to do on stderr; the stack only with LOCKSTEP_DEBUG=1. */
import { CommanderError } from 'commander';
import { errorCodes, LockstepError, type ErrorCode } from '../core/errors.js';

/** 0 done, 1 failed, 2 wrong usage or configuration, 3 drift found and left. */
export type ExitCode = 0 | 1 | 2 | 3;

const wrongUse: ReadonlySet<ErrorCode> = new Set(['LS-CONFIG-INVALID', 'LS-CONFIG-UNREADABLE', 'LS-USAGE']);

export function exitCodeOf(error: unknown): ExitCode {
  // Commander ends --help and --version this way too, with 0.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  return error instanceof LockstepError && wrongUse.has(error.code) ? 2 : 1;
}

/** Empty for what commander has printed already. */
export function failureText(error: unknown, debug: boolean): string {
  if (error instanceof CommanderError) return '';
  const code = error instanceof LockstepError ? error.code : 'LS-INTERNAL';
  const message = error instanceof Error ? error.message : String(error);
  const stack = debug && error instanceof Error ? `\n${stackOf(error)}` : '';
  // An error made of problems holds the fix of each already.
  const help = message.includes('\n  → ') ? '' : `\n  → ${errorCodes[code].help}`;
  return `${code}: ${message}${help}${stack}\n`;
}

function stackOf(error: Error): string {
  const cause = error.cause instanceof Error ? `\ncaused by ${stackOf(error.cause)}` : '';
  return `${error.stack ?? error.message}${cause}`;
}
