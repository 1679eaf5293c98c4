/** Apply: Kafka → one shard of one store. It rests while the pipeline is paused; a paused table alone is left out. */
import { ApplicationFailure, proxyActivities } from '@temporalio/workflow';
import type { ApplyActivities } from '../activities/contract.js';
import { streamSummary } from '../core/workflowNames.js';
import { scopeOf, type StreamInput } from './messages.js';
import { streamOptions } from './options.js';
import { keepRunning } from './stream.js';
import { afterApply } from './verdicts.js';

export async function apply(input: StreamInput): Promise<void> {
  const { stream } = input;
  if (stream.kind !== 'apply')
    throw ApplicationFailure.nonRetryable('apply was started without a store', 'LS-INTERNAL');
  const { store, shard } = stream;
  const { runApply } = proxyActivities<ApplyActivities>(streamOptions(input.pipeline, store, streamSummary(stream)));
  await keepRunning(input, {
    concern: ({ paused, pausedTables }) => (paused ? null : pausedTables.join('\n')),
    run: async ({ pausedTables }) =>
      afterApply(stream, await runApply({ scope: scopeOf(input), store, shard, pausedTables })),
  });
}
