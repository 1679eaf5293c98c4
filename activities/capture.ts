/** Capture: change log → Kafka, until told to end. */
import type { PipelineIdentity } from '../core/pipelineIdentity.js';
import { runCapture, type CaptureDeps } from '../stages/capture.js';
import type { CaptureActivities } from './contract.js';
import { refuseAnotherPipeline, runStage } from './run.js';

export function captureActivities(deps: CaptureDeps & { readonly identity: PipelineIdentity }): CaptureActivities {
  return {
    runCapture: (scope) =>
      runStage(async ({ signal, beat }) => {
        refuseAnotherPipeline(scope.identity, deps.identity);
        return await runCapture(deps, signal, { beat });
      }),
  };
}
