/** Verify: holds what each applied event should have left against what one shard of a store holds. Reading only, it never rests. */
import { ApplicationFailure, proxyActivities } from '@temporalio/workflow';
import type { VerifyActivities } from '../activities/contract.js';
import { streamSummary } from '../core/workflowNames.js';
import { scopeOf, type StreamInput } from './messages.js';
import { verifyOptions } from './options.js';
import { keepRunning } from './stream.js';
import { afterVerify } from './verdicts.js';

export async function verify(input: StreamInput): Promise<void> {
  const { stream } = input;
  if (stream.kind !== 'verify')
    throw ApplicationFailure.nonRetryable('verify was started without a store', 'LS-INTERNAL');
  const { store, shard } = stream;
  const { runVerify } = proxyActivities<VerifyActivities>(verifyOptions(input.pipeline, store, streamSummary(stream)));
  await keepRunning(input, {
    concern: () => '',
    run: async () => afterVerify(stream, await runVerify({ scope: scopeOf(input), store, shard })),
  });
}
