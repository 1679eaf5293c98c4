/** Capture: change log → Kafka. One for a pipeline; it never pauses, because the log must hold what a store will need. */
import { proxyActivities } from '@temporalio/workflow';
import type { CaptureActivities } from '../activities/contract.js';
import { streamSummary } from '../core/workflowNames.js';
import { scopeOf, type StreamInput } from './messages.js';
import { streamOptions } from './options.js';
import { keepRunning } from './stream.js';
import { afterCapture } from './verdicts.js';

export async function capture(input: StreamInput): Promise<void> {
  const { runCapture } = proxyActivities<CaptureActivities>(
    streamOptions(input.pipeline, 'capture', streamSummary(input.stream)),
  );
  await keepRunning(input, {
    concern: () => '',
    run: async () => afterCapture(await runCapture(scopeOf(input))),
  });
}
