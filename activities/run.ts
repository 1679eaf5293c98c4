/**
 * What every activity has in common: it heartbeats, hears that it is to end, and fails with a code and a message that
 * hold no row, no key value and no secret, because both enter the history.
 */
import { Context } from '@temporalio/activity';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { LockstepError } from '../core/errors.js';
import { identityDifferences, type PipelineIdentity } from '../core/pipelineIdentity.js';

export interface Run {
  /** Aborts when the workflow cancels, the worker drains or the server has given the activity to another. */
  readonly signal: AbortSignal;
  readonly beat: () => void;
  /** What stands in the way for now; null once it is gone. Shown with the pending activity in the Temporal UI. */
  readonly trouble: (error: LockstepError | null) => void;
}

/** The server learns of a heartbeat at most every 500 ms; beats in between cost a crossing into the SDK's core. */
const beatEveryMs = 200;

/**
 * Runs a stage until it ends by itself or is told to. A stage that stopped because its worker drains, or because the
 * server believes it dead, did not end for the workflow: the attempt fails, and another worker goes on.
 */
export async function runStage<T extends { readonly kind: string }>(work: (run: Run) => Promise<T>): Promise<T> {
  const context = Context.current();
  let beaten = 0;
  let standing: LockstepError | null = null;
  const beat = (): void => {
    const now = performance.now();
    if (now - beaten < beatEveryMs) return;
    beaten = now;
    if (standing === null) context.heartbeat();
    else context.heartbeat(`${standing.code}: ${standing.message}`);
  };
  const trouble = (error: LockstepError | null): void => {
    standing = error;
  };
  const outcome = await failingCleanly(() => work({ signal: context.cancellationSignal, beat, trouble }));
  const asked = context.cancellationDetails?.cancelRequested === true;
  if (outcome.kind === 'stopped' && context.cancellationSignal.aborted && !asked) {
    throw new CancelledFailure('the worker drains');
  }
  return outcome;
}

/** Short work: errors mapped, nothing else. */
export async function failingCleanly<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw failureOf(error);
  }
}

/** Errors of others may quote a row: only their class crosses; the worker's log has the rest. */
export function failureOf(error: unknown): ApplicationFailure | CancelledFailure {
  if (error instanceof ApplicationFailure || error instanceof CancelledFailure) return error;
  if (error instanceof LockstepError) {
    return withoutStack({ type: error.code, message: error.message, nonRetryable: !error.retryable });
  }
  Context.current().log.error('an activity failed in a way that lockstep does not know', { error: describe(error) });
  const name = error instanceof Error ? error.name : typeof error;
  return withoutStack({ type: name, message: `${name}; the worker's log holds the rest` });
}

/** A stack names files of this machine and helps nobody who reads a history. */
function withoutStack(options: Parameters<typeof ApplicationFailure.create>[0]): ApplicationFailure {
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
