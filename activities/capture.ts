/** Capture: change log → Kafka, until told to end; beside it, an eye on the tables' definitions. */
import { Context } from '@temporalio/activity';
import type { PipelineIdentity } from '../core/pipelineIdentity.js';
import { problemOf } from '../core/problem.js';
import { runCapture, type CaptureDeps } from '../stages/capture.js';
import { nothingSeen, watchDefinitions } from '../stages/definitionWatch.js';
import { askForLook } from './askForLook.js';
import type { CaptureActivities } from './contract.js';
import { refuseAnotherPipeline, runStage } from './run.js';

export interface CaptureActivityDeps extends CaptureDeps {
  readonly identity: PipelineIdentity;
  /** Aborts when this process is to end. */
  readonly draining: AbortSignal;
}

export function captureActivities(deps: CaptureActivityDeps): Pick<CaptureActivities, 'runCapture'> {
  // Outlives a run: what was seen before a restart of the stream is no news after it.
  const seen = nothingSeen();
  return {
    runCapture: (scope) =>
      runStage(async ({ signal, beat }) => {
        refuseAnotherPipeline(scope.identity, deps.identity);
        const ended = new AbortController();
        const { log } = Context.current();
        const watching = watchDefinitions(deps, seen, AbortSignal.any([signal, ended.signal]), {
          changed: () => askForLook(scope.pipeline),
          failed: (error) => {
            const { code, message } = problemOf(error);
            log.warn('the definitions of the tables could not be watched', { code, message });
          },
        });
        try {
          return await runCapture(deps, signal, { beat });
        } finally {
          ended.abort();
          await watching;
        }
      }, deps.draining),
  };
}
