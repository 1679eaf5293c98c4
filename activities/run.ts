/**
 * What every activity has in common: it heartbeats, hears that it is to end, and fails with a code and a message that
 * hold no row, no key value and no secret, because both enter the history.
 */
import { Context } from '@temporalio/activity';
import { ApplicationFailure, CancelledFailure, type ApplicationFailureOptions } from '@temporalio/common';
import { LockstepError } from '../core/errors.js';
import { outlivingTemporal } from './outlive.js';
import { identityDifferences, type PipelineIdentity } from '../core/pipelineIdentity.js';

export interface Run {
  /** Aborts when the workflow cancels, the worker drains, or the server knows of a successor. */
  readonly signal: AbortSignal;
  readonly beat: () => void;
  /** What stands in the way for now; null once it is gone. Shown with the pending activity in the Temporal UI. */
  readonly trouble: (error: LockstepError | null) => void;
}

/** Why a stage's run ended that another worker goes on with. */
export const draining = 'the worker drains';

/** Each beat is a write of the server's, and one lost beat must be no alarm: so many of them are due in the timeout. */
const beatsATimeout = 5;

export function beatEveryMs({ info }: Context): number {
  return (info.heartbeatTimeoutMs ?? 0) / beatsATimeout;
}

/**
 * Runs a stage until it ends by itself or is told to. A stage that stopped because its worker drains did not end for the
 * workflow: the attempt fails, and another worker goes on.
 * `outlive`, for a stream: it does not end because Temporal cannot be reached (activities/outlive.ts); this signal is then
 * how it hears that its worker drains.
 */
export async function runStage<T extends { readonly kind: string }>(
  work: (run: Run) => Promise<T>,
  outlive: AbortSignal | null,
): Promise<T> {
  const context = Context.current();
  const everyMs = beatEveryMs(context);
  let beaten = 0;
  let standing: LockstepError | null = null;
  const beat = (): void => {
    const now = performance.now();
    if (now - beaten < everyMs) return;
    beaten = now;
    if (standing === null) context.heartbeat();
    else context.heartbeat(`${standing.code}: ${standing.message}`);
  };
  const trouble = (error: LockstepError | null): void => {
    standing = error;
  };
  const end = outlive === null ? { signal: context.cancellationSignal, release } : outlivingTemporal(context, outlive);
  const began = performance.now();
  const outcome = await work({ signal: end.signal, beat, trouble })
    .catch((error: unknown) => {
      throw failureOf(error, retryDelay(performance.now() - began));
    })
    .finally(end.release);
  const asked = context.cancellationDetails?.cancelRequested === true;
  if (outcome.kind === 'stopped' && end.signal.aborted && !asked) throw new CancelledFailure(draining);
  return outcome;
}

/** Nothing is held. */
function release(): void {
  return undefined;
}

/**
 * A stream that ran for a while goes on at once: something passed. One that fails as soon as it begins waits for somebody
 * to mend it, a second at most after it is mended.
 */
function retryDelay(ranMs: number): RetryDelay {
  return ranMs > 5_000 ? '100 milliseconds' : '1 second';
}

type RetryDelay = '100 milliseconds' | '1 second';

/** Short work: errors mapped, nothing else. */
export async function failingCleanly<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw failureOf(error);
  }
}

/** Errors of others may quote a row: only their class crosses; the worker's log has the rest. */
export function failureOf(error: unknown, nextRetryDelay?: RetryDelay): ApplicationFailure | CancelledFailure {
  if (error instanceof ApplicationFailure || error instanceof CancelledFailure) return error;
  if (error instanceof LockstepError) {
    const { code, message, retryable } = error;
    return withoutStack({ type: code, message, nonRetryable: !retryable, ...after(nextRetryDelay) });
  }
  Context.current().log.error('an activity failed in a way that lockstep does not know', { error: describe(error) });
  const name = error instanceof Error ? error.name : typeof error;
  return withoutStack({ type: name, message: `${name}; the worker's log holds the rest`, ...after(nextRetryDelay) });
}

function after(nextRetryDelay: RetryDelay | undefined): { nextRetryDelay?: RetryDelay } {
  return nextRetryDelay === undefined ? {} : { nextRetryDelay };
}

/** A stack names files of this machine and helps nobody who reads a history. */
function withoutStack(options: ApplicationFailureOptions): ApplicationFailure {
  const failure = ApplicationFailure.create(options);
  failure.stack = '';
  return failure;
}

function describe(error: unknown): string {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return text.replaceAll(/\/\/[^/\s@]*@/g, '//').slice(0, 4000);
}

/** A worker that was started with another pipeline's configuration writes nothing. */
export function refuseAnotherPipeline(asked: PipelineIdentity, here: PipelineIdentity): void {
  const differences = identityDifferences(asked, here);
  if (differences.length === 0) return;
  throw withoutStack({
    type: 'LS-WORKER-OTHER',
    message: `this worker has another configuration: ${differences.join('; ')}`,
  });
}
