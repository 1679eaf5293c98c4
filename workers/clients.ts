/** Connections of one process. Nothing connects before its first use. */
import type { Config } from '../core/config.js';
import { configuredStores } from '../core/config.js';
import { LockstepError } from '../core/errors.js';
import type { Store, StoreName } from '../core/store.js';
import { openReader, type Reader } from '../stores/kafka/reader.js';
import { openMongoStore } from '../stores/mongo/store.js';
import { openMysql, type Mysql } from '../stores/mysql/connection.js';
import { upgraded } from '../stores/mysql/upgrade.js';
import { openRedisStore } from '../stores/redis/store.js';

export interface Clients {
  readonly mysql: Mysql;
  readonly reader: Reader;
  readonly stores: readonly Store[];
  close(): Promise<void>;
}

export function openClients(config: Config): Clients {
  const mysql = upgraded(openMysql(config.mysql));
  const reader = openReader(config.kafka, { clientId: `lockstep-${config.pipeline}` });
  const stores = configuredStores(config).map((store) => openStore(config, store));
  return {
    mysql,
    reader,
    stores,
    async close() {
      // What cannot be closed is gone already.
      await Promise.allSettled([mysql.close(), reader.close(), ...stores.map((store) => store.close())]);
    },
  };
}

/** With connections of its own: an apply that was believed dead and its successor share nothing. */
export function openStore(config: Config, store: StoreName): Store {
  const { mongo, redis, pipeline } = config;
  if (store === 'mongo' && mongo !== null) return openMongoStore(mongo, pipeline);
  if (store === 'redis' && redis !== null) return openRedisStore(redis, pipeline);
  throw new LockstepError('LS-WORKER-OTHER', `this worker's configuration has no ${store}`);
}
