/** Witness: reads the binary log beside capture. It never pauses: what escapes must be found whatever the stores do. */
import { proxyActivities } from '@temporalio/workflow';
import type { CaptureActivities } from '../activities/contract.js';
import { streamSummary } from '../core/workflowNames.js';
import { scopeOf, type StreamInput } from './messages.js';
import { witnessOptions } from './options.js';
import { keepRunning } from './stream.js';
import { afterWitness } from './verdicts.js';

export async function witness(input: StreamInput): Promise<void> {
  const { runWitness } = proxyActivities<CaptureActivities>(
    witnessOptions(input.pipeline, streamSummary(input.stream)),
  );
  await keepRunning(input, {
    concern: () => '',
    run: async () => afterWitness(await runWitness(scopeOf(input))),
  });
}
