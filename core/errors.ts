/**
 * The one error class and the registry of its codes. A code names a cause; its entry tells the operator what to do.
 * docs/errors.md is generated from this registry, so an entry here is the whole manual of its code.
 */
export interface ErrorEntry {
  /** Whether the same call can succeed later without anyone doing anything. */
  readonly retryable: boolean;
  /** What it means and what to do, for the person on call. */
  readonly help: string;
}

export const errorCodes = {
  'LS-CONFIG-INVALID': {
    retryable: false,
    help: 'The configuration has mistakes; each is listed with its path and what is allowed. Correct the file.',
  },
  'LS-CONFIG-UNREADABLE': {
    retryable: false,
    help: 'The configuration file, or a secret it names, cannot be read. Check the path and its permissions.',
  },
  'LS-USAGE': { retryable: false, help: 'The command was called wrongly. `--help` shows an example.' },
  'LS-INTERNAL': {
    retryable: false,
    help: 'A rule of lockstep itself was broken. Nothing was acknowledged. Report it with the message and stack.',
  },
  'LS-STACK-START': {
    retryable: false,
    help: 'A local server did not start. The message holds the last lines of its log.',
  },
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof errorCodes;

/** Facts beside the message. Never row values, never secrets. */
export type ErrorDetails = Readonly<Record<string, string | number | boolean | readonly string[]>>;

export class LockstepError extends Error {
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; details?: ErrorDetails } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'LockstepError';
    this.code = code;
    this.details = options.details ?? {};
  }

  get retryable(): boolean {
    return errorCodes[this.code].retryable;
  }
}

/** The code of any thrown value, or undefined for one that is not ours. */
export function codeOf(error: unknown): ErrorCode | undefined {
  return error instanceof LockstepError ? error.code : undefined;
}

/** A short text for any thrown value: code first when it is ours. */
export function describeError(error: unknown): string {
  if (error instanceof LockstepError) return `${error.code}: ${error.message}`;
  return error instanceof Error ? error.message : String(error);
}
