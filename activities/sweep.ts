/** Sweeps: each part is one activity, which says that it lives as long as its process does. */
import { Context } from '@temporalio/activity';
import type { PipelineIdentity } from '../core/pipelineIdentity.js';
import { pipelineId } from '../core/workflowNames.js';
import { beginSweep, endSweep, finishSweep, leaveOut, takeAgain } from '../stages/sweep.js';
import type { Circumstances, SweepDeps, SweepRun } from '../stages/sweepContext.js';
import { sweepEntries } from '../stages/sweepEntries.js';
import { recheckSweep, repairSweep } from '../stages/sweepRepair.js';
import { sweepRows } from '../stages/sweepRows.js';
import { stateQuery } from '../workflows/messages.js';
import type { PipelineScope } from '../workflows/messages.js';
import type { SweepActivities } from './contract.js';
import { beatEveryMs, failingCleanly, refuseAnotherPipeline, runStage } from './run.js';

export interface SweepActivityDeps extends Omit<SweepDeps, 'circumstances'> {
  readonly identity: PipelineIdentity;
}

const answerWithinMs = 3_000;

export function sweepActivities(own: SweepActivityDeps): SweepActivities {
  const deps: SweepDeps = { ...own, circumstances: () => circumstancesOf(own.config.pipeline) };
  return {
    beginSweep: ({ scope, sweep, tables, stores, askedBy }) =>
      short(own, scope, () => {
        const { workflowId = '', runId = '' } = Context.current().info.workflowExecution ?? {};
        const carrier = { workflow: workflowId, run: runId };
        return beginSweep(deps, { sweep, scope: { tables, stores }, askedBy, carrier }, Date.now());
      }),
    sweepRows: ({ scope, ...chunk }) => long(own, scope, (run) => sweepRows(deps, chunk, run)),
    sweepEntries: ({ scope, ...chunk }) => long(own, scope, (run) => sweepEntries(deps, chunk, run)),
    takeAgain: ({ scope, sweep, table }) => short(own, scope, () => takeAgain(deps, sweep, table)),
    leaveOut: ({ scope, sweep, table, reason }) => short(own, scope, () => leaveOut(deps, sweep, table, reason)),
    finishSweep: ({ scope, sweep, tables, stores }) =>
      short(own, scope, () => finishSweep(deps, sweep, { tables, stores })),
    repairSweep: ({ scope, sweep, stores, limits }) =>
      long(own, scope, (run) => repairSweep(deps, { sweep, stores, limits }, run)),
    recheckSweep: ({ scope, sweep, stores }) =>
      long(own, scope, (run) => recheckSweep(deps, { sweep, stores, limits: null }, run)),
    endSweep: ({ scope, sweep }) => short(own, scope, () => endSweep(deps, sweep)),
  };
}

/** Parts that stop when told to. */
function long<T extends { readonly kind: string }>(
  { identity }: SweepActivityDeps,
  scope: PipelineScope,
  work: (run: SweepRun) => Promise<T>,
): Promise<T> {
  return alive(() =>
    runStage(({ signal }) => {
      refuseAnotherPipeline(scope.identity, identity);
      return work({ signal, beat: () => undefined });
    }, null),
  );
}

function short<T>({ identity }: SweepActivityDeps, scope: PipelineScope, work: () => Promise<T>): Promise<T> {
  return alive(() =>
    failingCleanly(() => {
      refuseAnotherPipeline(scope.identity, identity);
      return work();
    }),
  );
}

async function alive<T>(work: () => Promise<T>): Promise<T> {
  const context = Context.current();
  const beating = setInterval(() => context.heartbeat(), beatEveryMs(context));
  try {
    return await work();
  } finally {
    clearInterval(beating);
  }
}

/** A pipeline whose worker is silent just now is not paused for that. */
async function circumstancesOf(pipeline: string): Promise<Circumstances> {
  const { client } = Context.current();
  const handle = client.workflow.getHandle(pipelineId(pipeline));
  const within = <T>(work: () => Promise<T>): Promise<T> =>
    client.connection.withDeadline(Date.now() + answerWithinMs, work);
  try {
    const { status } = await within(() => handle.describe());
    if (status.name !== 'RUNNING') return { running: false, paused: false, pausedTables: [] };
  } catch (error) {
    if (error instanceof Error && error.name === 'WorkflowNotFoundError') {
      return { running: false, paused: false, pausedTables: [] };
    }
    throw error;
  }
  try {
    const { paused, pausedTables } = await within(() => handle.query(stateQuery));
    return { running: true, paused, pausedTables };
  } catch {
    return { running: true, paused: false, pausedTables: [] };
  }
}
