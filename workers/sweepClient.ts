/** Sweeps as commands reach them: begun, or joined where the same one runs already; their Schedules. */
import { setTimeout as sleep } from 'node:timers/promises';
import { WorkflowExecutionAlreadyStartedError, type Connection } from '@temporalio/client';
import { configuredStores, type Config } from '../core/config.js';
import { LockstepError } from '../core/errors.js';
import { pipelineIdentity } from '../core/pipelineIdentity.js';
import type { StoreName } from '../core/store.js';
import type { SweepResult } from '../core/sweep.js';
import { taskQueue, validateId } from '../core/workflowNames.js';
import type { ValidateInput } from '../workflows/messages.js';
import { workflowTaskTimeout } from '../workflows/options.js';
import { searchAttributes } from '../workflows/searchAttributes.js';
import type { validate } from '../workflows/validate.js';
import { attributesMissing } from './searchAttributes.js';
import { connectClient, temporalFailure } from './temporal.js';

export interface SweepWish {
  readonly table: string | null;
  readonly stores: readonly StoreName[];
  readonly repair: boolean;
}

export interface RunningSweep {
  /** `joined`: it ran already. */
  readonly how: 'started' | 'joined';
  readonly workflowId: string;
  /** Until it has ended. */
  result(signal: AbortSignal): Promise<SweepResult>;
  close(): Promise<void>;
}

const answerMs = 15_000;
const askEveryMs = 50;

export function validateInput(config: Config, wish: SweepWish, by: ValidateInput['askedBy']): ValidateInput {
  return {
    pipeline: config.pipeline,
    identity: pipelineIdentity(config),
    stores: configuredStores(config),
    shards: config.apply.shards,
    tables: wish.table === null ? null : [wish.table],
    sweepStores: wish.stores,
    repair: wish.repair,
    limits: null,
    askedBy: by,
    parallel: config.validate.parallel,
  };
}

/** Throws LS-SWEEP-RUNNING when another one of the same tables is under way. */
export async function startSweep(config: Config, wish: SweepWish): Promise<RunningSweep> {
  const client = await connectClient(config.temporal);
  const connection = client.connection as Connection;
  const within = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await connection.withDeadline(Date.now() + answerMs, work);
    } catch (error) {
      throw attributesMissing(error) ?? temporalFailure(error, config.temporal);
    }
  };
  const workflowId = validateId(config.pipeline, wish.table);
  const input = validateInput(config, wish, 'command');
  const memo = { wish: `${wish.stores.toSorted().join()} ${wish.repair ? 'repair' : 'look'}` };
  try {
    const how = await within(async () => {
      try {
        await client.workflow.start<typeof validate>('validate', {
          workflowId,
          taskQueue: taskQueue(config.pipeline, 'control'),
          args: [input],
          memo,
          workflowTaskTimeout,
          typedSearchAttributes: searchAttributes(config.pipeline, 'validate', wish.table ?? undefined),
          staticSummary: `sweep of ${wish.table ?? 'all tables'} in ${wish.stores.join(' and ')}`,
        });
        return 'started' as const;
      } catch (error) {
        if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
        const running = await client.workflow.getHandle(workflowId).describe();
        if (running.memo?.['wish'] === memo.wish) return 'joined' as const;
        throw new LockstepError(
          'LS-SWEEP-RUNNING',
          `${workflowId} runs with other options: ${String(running.memo?.['wish'])}`,
        );
      }
    });
    const handle = client.workflow.getHandle<typeof validate>(workflowId);
    return {
      how,
      workflowId,
      async result(signal) {
        // A long poll would hold the command for its own length after an interrupt.
        for (let pause = askEveryMs; ; pause = Math.min(1_000, pause * 1.2)) {
          const { status } = await within(() => handle.describe());
          if (status.name !== 'RUNNING' && status.name !== 'CONTINUED_AS_NEW') return within(() => handle.result());
          if (signal.aborted)
            throw new LockstepError('LS-SWEEP-STOPPED', `not waited for any longer: ${workflowId} goes on`);
          await sleep(pause);
        }
      },
      close: () => connection.close(),
    };
  } catch (error) {
    await connection.close();
    throw error;
  }
}
