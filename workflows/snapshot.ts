/** Snapshot: one copy of one table, from its first chunk to the pass for keys without a row. Resumes where its run stands in MySQL. */
import {
  CancellationScope,
  getExternalWorkflowHandle,
  isCancellation,
  proxyActivities,
  setCurrentDetails,
  setHandler,
} from '@temporalio/workflow';
import type { SnapshotActivities } from '../activities/contract.js';
import { pipelineId } from '../core/workflowNames.js';
import { problemFrom } from './failure.js';
import { copyReportSignal, drainSignal, scopeOf, type CopyReport, type SnapshotInput } from './messages.js';
import { streamOptions } from './options.js';

export async function snapshot(input: SnapshotInput): Promise<CopyReport['outcome']> {
  const { copyTable } = proxyActivities<SnapshotActivities>(
    streamOptions(input.pipeline, 'ingest', `copy of ${input.table}`),
  );
  const { table, run } = input;
  const copying = new CancellationScope();
  setHandler(drainSignal, () => copying.cancel());

  show('Copying.');
  const outcome = await copying
    .run(() => copyTable({ scope: scopeOf(input), table, run }))
    .catch((error: unknown): CopyReport['outcome'] => {
      if (isCancellation(error) || copying.consideredCancelled) return { kind: 'stopped' };
      return { kind: 'failed', problem: { ...problemFrom(error), table } };
    });
  show(lineOf(outcome));
  await CancellationScope.nonCancellable(() => report({ table, run, outcome }));
  return outcome;

  function show(line: string): void {
    setCurrentDetails(
      `${line} Percentage, rows/s and time left of every copy: workflow \`${pipelineId(input.pipeline)}\`.`,
    );
  }

  /** A pipeline that is not there finds the copy's state in MySQL when it comes. */
  async function report(copy: CopyReport): Promise<void> {
    try {
      await getExternalWorkflowHandle(pipelineId(input.pipeline)).signal(copyReportSignal, copy);
    } catch (error) {
      if (isCancellation(error)) throw error;
    }
  }
}

function lineOf(outcome: CopyReport['outcome']): string {
  switch (outcome.kind) {
    case 'copied':
      return `Copied: ${outcome.rows} rows, ${outcome.orphans} keys without a row deleted.`;
    case 'stopped':
      return 'Stopped: paused, or a newer copy of the table takes over. It goes on where it stands.';
    case 'table-gone':
      return 'The table is gone, and what the stores held of it.';
    case 'failed':
      return `**error** \`${outcome.problem.code}\`: ${outcome.problem.message}. ${outcome.problem.fix}`;
  }
}
