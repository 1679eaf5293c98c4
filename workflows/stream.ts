/**
 * The loop that capture and apply share: one activity that runs until told otherwise, then what its outcome asks for.
 * The pipeline may steer or drain it at any moment; the activity then finishes its batch and returns.
 */
import {
  allHandlersFinished,
  CancellationScope,
  condition,
  continueAsNew,
  getExternalWorkflowHandle,
  isCancellation,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { OpenProblem } from '../core/status.js';
import { pipelineId } from '../core/workflowNames.js';
import { problemFrom } from './failure.js';
import { drainSignal, steerSignal, streamReportSignal, type Steering, type StreamInput } from './messages.js';

/** What follows from how a run of the activity ended. */
export interface Verdict {
  /** Before it runs again. */
  readonly afterMs: number;
  readonly problem: OpenProblem | null;
  /** Tables became due for a copy. */
  readonly copyNow: boolean;
}

function troubleLine({ severity, code, message, fix }: OpenProblem, afterMs: number): string {
  return `${severity === 'error' ? '**error**' : 'warning'} \`${code}\`: ${message}. ${fix} Next try in ${afterMs / 1000} s.`;
}

export const again: Verdict = { afterMs: 0, problem: null, copyNow: false };

/** A fault that only an operator can end is tried again at this pace, so that nobody has to tell lockstep when it is over. */
export const retryFaultMs = 10_000;
/** A stream that was in trouble is well again when it has run this long. */
const wellAfterMs = 5_000;

export interface StreamLoop {
  /** What of the steering matters to a run: it is begun anew when this changes. Null: nothing is to run. */
  concern(steering: Steering): string | null;
  /** One run of the activity. */
  run(steering: Steering): Promise<Verdict>;
}

export async function keepRunning(input: StreamInput, loop: StreamLoop): Promise<void> {
  let steering = input.steering;
  let draining = false;
  let current: CancellationScope | undefined;
  let troubled = false;

  setHandler(steerSignal, (to) => {
    const changed = loop.concern(to) !== loop.concern(steering);
    steering = to;
    if (changed) current?.cancel();
  });
  setHandler(drainSignal, () => {
    draining = true;
    current?.cancel();
  });

  while (!draining) {
    show(rests() ? 'Paused: the store is left alone.' : 'Running.');
    if (rests()) {
      await condition(() => draining || !rests());
      continue;
    }
    const verdict = await runOnce();
    if (verdict.problem !== null || verdict.copyNow) await report(verdict.problem, verdict.copyNow);
    if (verdict.afterMs > 0) {
      const held = steering;
      if (verdict.problem !== null) show(troubleLine(verdict.problem, verdict.afterMs));
      await condition(() => draining || steering !== held, verdict.afterMs);
    }
    if (historyIsLong() && !draining && allHandlersFinished()) await continueAsNew({ ...input, steering });
  }

  /** Short: the web UI shows no more of it than of the summary beside it. */
  function show(line: string): void {
    setCurrentDetails(`${line} Rates, lag and every open problem: workflow \`${pipelineId(input.pipeline)}\`.`);
  }

  function rests(): boolean {
    return loop.concern(steering) === null;
  }

  /** The activity, in a scope of its own, so that steering cancels the run and not the workflow. */
  async function runOnce(): Promise<Verdict> {
    const scope = new CancellationScope();
    current = scope;
    const wellAgain = troubled ? reportWhenWell(scope) : undefined;
    try {
      return await scope.run(() => loop.run(steering));
    } catch (error) {
      if (CancellationScope.current().consideredCancelled) throw error;
      if (isCancellation(error) || scope.consideredCancelled) return again;
      return { afterMs: retryFaultMs, problem: problemFrom(error), copyNow: false };
    } finally {
      current = undefined;
      scope.cancel();
      await wellAgain;
    }
  }

  async function reportWhenWell(scope: CancellationScope): Promise<void> {
    const ended = await condition(() => scope.consideredCancelled, wellAfterMs);
    if (!ended) await report(null, false);
  }

  /** A pipeline that is not there reads everything from MySQL and the stores when it comes. */
  async function report(problem: OpenProblem | null, copyNow: boolean): Promise<void> {
    troubled = problem !== null;
    try {
      const pipeline = getExternalWorkflowHandle(pipelineId(input.pipeline));
      await pipeline.signal(streamReportSignal, { stream: input.stream, problem, copyNow });
    } catch (error) {
      if (isCancellation(error)) throw error;
    }
  }

  function historyIsLong(): boolean {
    const { continueAsNewSuggested, historyLength } = workflowInfo();
    return continueAsNewSuggested || historyLength >= (input.maxHistoryEvents ?? Infinity);
  }
}
