/** Snapshot and resync: one copy of one table, through the change log. */
import type { PipelineIdentity } from '../core/pipelineIdentity.js';
import type { SnapshotDeps } from '../stages/copyState.js';
import { copyTable } from '../stages/snapshot.js';
import type { SnapshotActivities } from './contract.js';
import { refuseAnotherPipeline, runStage } from './run.js';

export function snapshotActivities(deps: SnapshotDeps & { readonly identity: PipelineIdentity }): SnapshotActivities {
  return {
    copyTable: ({ scope, table, run }) =>
      runStage(async ({ signal, beat }) => {
        refuseAnotherPipeline(scope.identity, deps.identity);
        return await copyTable(deps, { table, run }, signal, { beat });
      }, null),
  };
}
