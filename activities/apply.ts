/** Apply: the log → one shard of one store, until told to end. Each attempt has connections of its own. */
import { randomUUID } from 'node:crypto';
import { Context } from '@temporalio/activity';
import type { Config } from '../core/config.js';
import { describeError } from '../core/errors.js';
import type { PipelineIdentity } from '../core/pipelineIdentity.js';
import type { Store, StoreName } from '../core/store.js';
import { runApply, type ApplyDeps } from '../stages/apply.js';
import { openReader } from '../stores/kafka/reader.js';
import type { Mysql } from '../stores/mysql/connection.js';
import { requestCopiesOf } from '../stores/mysql/incarnation.js';
import { recordInitialised, wasInitialised } from '../stores/mysql/initialised.js';
import type { ApplyActivities } from './contract.js';
import { refuseAnotherPipeline, runStage } from './run.js';

export interface ApplyActivityDeps {
  readonly config: Config;
  readonly identity: PipelineIdentity;
  readonly mysql: Mysql;
  readonly openStore: (store: StoreName) => Store;
}

export function applyActivities(deps: ApplyActivityDeps): ApplyActivities {
  return {
    runApply: ({ scope, store: name, shard, pausedTables }) =>
      runStage(async ({ signal, beat }) => {
        refuseAnotherPipeline(scope.identity, deps.identity);
        const { log } = Context.current();
        const store = deps.openStore(name);
        let troubled = false;
        try {
          return await runApply(stageDeps(deps, store), { shard, pausedTables }, signal, {
            beat,
            trouble: (error) => {
              if (error !== null && !troubled) log.warn(describeError(error), { store: name, shard });
              troubled = error !== null;
            },
            parked: (keys) => {
              for (const { table, reason } of keys) log.warn('a key was parked', { store: name, table, reason });
            },
          });
        } finally {
          await store.close();
        }
      }),
  };
}

function stageDeps({ config, mysql }: ApplyActivityDeps, store: Store): ApplyDeps {
  const { stateDatabase } = config.mysql;
  return {
    config,
    store,
    openReader: () => openReader(config.kafka, { clientId: `lockstep-${config.pipeline}-${store.name}` }),
    wasInitialised: (shard) => wasInitialised(mysql, stateDatabase, store.name, shard),
    recordInitialised: (shard) => recordInitialised(mysql, stateDatabase, store.name, shard),
    requestCopies: (tables) =>
      requestCopiesOf(mysql, tables === null ? null : new Set(tables), { reason: 'loss', newRun: randomUUID }),
  };
}
