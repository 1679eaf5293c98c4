/**
 * A store's log is divided among `apply.shards` appliers, each with a position of its own. Another number divides it anew,
 * and what the old positions say fits none of the new ones: read from the log's beginning, stores would live through old
 * states again. So the store begins at the log's end and every table is copied, as after a loss.
 */
import type { Config } from '../core/config.js';
import type { Store, StoreName } from '../core/store.js';
import type { Mysql } from '../stores/mysql/connection.js';
import { readShards, recordInitialised, recordShards } from '../stores/mysql/initialised.js';

export interface ShardsDeps {
  readonly config: Config;
  readonly mysql: Mysql;
  readonly stores: readonly Store[];
}

/** Before the streams begin; safe to repeat. Returns the stores that begin anew. */
export async function settleShards({ config, mysql, stores }: ShardsDeps): Promise<readonly StoreName[]> {
  const { stateDatabase } = config.mysql;
  const { shards } = config.apply;
  const anew: StoreName[] = [];
  for (const store of stores) {
    const before = await readShards(mysql, stateDatabase, store.name);
    if (before === null || before === shards) continue;
    // First that every new shard counts as one that has lost its position, then that it has: a crash in between repeats both.
    for (let shard = 0; shard < shards; shard++) {
      await recordInitialised(mysql, stateDatabase, store.name, shard, before);
    }
    await store.forget();
    await mysql.transaction((queries) => recordShards(queries, stateDatabase, store.name, shards));
    anew.push(store.name);
  }
  return anew;
}
