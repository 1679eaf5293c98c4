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
        // One look-up of many keys may take longer than a heartbeat on a busy server: a copy that begins again would not end.
        const beating = setInterval(beat, 300);
        try {
          return await copyTable(deps, { table, run }, signal, { beat });
        } finally {
          clearInterval(beating);
        }
      }, null),
  };
}
