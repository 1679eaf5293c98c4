/** Verify: what was applied to one shard of a store, until told to end. Each run has connections of its own. */
import type { Config } from '../core/config.js';
import type { PipelineIdentity } from '../core/pipelineIdentity.js';
import type { Store, StoreName } from '../core/store.js';
import { repairKeys } from '../stages/repair.js';
import { runVerify, type VerifyDeps } from '../stages/verify.js';
import type { Reader } from '../stores/kafka/reader.js';
import type { Mysql } from '../stores/mysql/connection.js';
import { recordRepairs } from '../stores/mysql/repairs.js';
import { wantDefinition } from '../stores/mysql/schemaHistory.js';
import { openLedger } from '../stores/mysql/verifyLedger.js';
import type { VerifyActivities } from './contract.js';
import { refuseAnotherPipeline, runStage } from './run.js';

export interface VerifyActivityDeps {
  readonly config: Config;
  readonly identity: PipelineIdentity;
  readonly mysql: Mysql;
  readonly openStore: (store: StoreName) => Store;
  readonly openReader: (store: StoreName) => Reader;
  /** Aborts when this process is to end. */
  readonly draining: AbortSignal;
}

export function verifyActivities(deps: VerifyActivityDeps): VerifyActivities {
  return {
    runVerify: ({ scope, store: name, shard }) =>
      runStage(async ({ signal, beat, trouble }) => {
        refuseAnotherPipeline(scope.identity, deps.identity);
        const store = deps.openStore(name);
        try {
          return await runVerify(stageDeps(deps, store), { shard }, signal, { beat, trouble });
        } finally {
          await store.close();
        }
      }, deps.draining),
  };
}

function stageDeps({ config, mysql, openReader }: VerifyActivityDeps, store: Store): VerifyDeps {
  return {
    config,
    store,
    openReader: () => openReader(store.name),
    ledger: openLedger(mysql, store.name),
    wantDefinition: (hash) => wantDefinition(mysql, mysql.config.stateDatabase, hash),
    repair: async (table, keys, signal) => {
      const { done } = await repairKeys({ mysql }, table, keys, { signal });
      await recordRepairs(mysql, mysql.config.stateDatabase, table, done, { by: 'verify', sweep: null });
    },
  };
}
