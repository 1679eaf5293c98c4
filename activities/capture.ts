/** Capture: change log → Kafka, until told to end. */
import type { PipelineIdentity } from '../core/pipelineIdentity.js';
import { runCapture, type CaptureDeps } from '../stages/capture.js';
import type { CaptureActivities } from './contract.js';
import { refuseAnotherPipeline, runStage } from './run.js';

export interface CaptureActivityDeps extends CaptureDeps {
  readonly identity: PipelineIdentity;
  /** Aborts when this process is to end. */
  readonly draining: AbortSignal;
}

export function captureActivities(deps: CaptureActivityDeps): CaptureActivities {
  return {
    runCapture: (scope) =>
      runStage(async ({ signal, beat }) => {
        refuseAnotherPipeline(scope.identity, deps.identity);
        return await runCapture(deps, signal, { beat });
      }, deps.draining),
  };
}
