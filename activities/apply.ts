/** Apply: log → one shard of one store, until told to end. Each run has connections of its own. */
import { randomUUID } from 'node:crypto';
import type { Config } from '../core/config.js';
import type { PipelineIdentity } from '../core/pipelineIdentity.js';
import type { Store, StoreName } from '../core/store.js';
import { runApply, type ApplyDeps } from '../stages/apply.js';
import type { Reader } from '../stores/kafka/reader.js';
import type { Mysql } from '../stores/mysql/connection.js';
import { requestCopiesOf } from '../stores/mysql/incarnation.js';
import { recordInitialised, wasInitialised } from '../stores/mysql/initialised.js';
import { wantDefinition } from '../stores/mysql/schemaHistory.js';
import { readCapturedTables } from '../stores/mysql/state.js';
import type { ApplyActivities } from './contract.js';
import { refuseAnotherPipeline, runStage } from './run.js';

export interface ApplyActivityDeps {
  readonly config: Config;
  readonly identity: PipelineIdentity;
  readonly mysql: Mysql;
  readonly openStore: (store: StoreName) => Store;
  readonly openReader: (store: StoreName) => Reader;
  /** Aborts when this process is to end. */
  readonly draining: AbortSignal;
}

export function applyActivities(deps: ApplyActivityDeps): ApplyActivities {
  return {
    runApply: ({ scope, store: name, shard, pausedTables }) =>
      runStage(async ({ signal, beat, trouble }) => {
        refuseAnotherPipeline(scope.identity, deps.identity);
        const store = deps.openStore(name);
        try {
          return await runApply(stageDeps(deps, store), { shard, pausedTables }, signal, { beat, trouble });
        } finally {
          await store.close();
        }
      }, deps.draining),
  };
}

function stageDeps({ config, mysql, openReader }: ApplyActivityDeps, store: Store): ApplyDeps {
  const { stateDatabase } = config.mysql;
  return {
    config,
    store,
    openReader: () => openReader(store.name),
    wasInitialised: (shard) => wasInitialised(mysql, stateDatabase, store.name, shard),
    recordInitialised: (shard) => recordInitialised(mysql, stateDatabase, store.name, shard, config.apply.shards),
    wantDefinition: (hash) => wantDefinition(mysql, stateDatabase, hash),
    requestCopies: (tables) => requestCopies(mysql, tables),
  };
}

async function requestCopies(mysql: Mysql, tables: readonly string[] | null): Promise<void> {
  const names = tables ?? (await readCapturedTables(mysql, mysql.config.stateDatabase)).map(({ name }) => name);
  await requestCopiesOf(mysql, new Set(names), { reason: 'loss', newRun: randomUUID });
}
