/** Connections to MySQL, the log and the stores for the length of one command. Each connects at its first use. */
import type { Config } from '../core/config.js';
import type { Store } from '../core/store.js';
import { openReader, type Reader } from '../stores/kafka/reader.js';
import { openMongoStore } from '../stores/mongo/store.js';
import { openMysql, type Mysql } from '../stores/mysql/connection.js';
import { openRedisStore } from '../stores/redis/store.js';

export interface Clients {
  readonly config: Config;
  readonly mysql: Mysql;
  readonly reader: Reader;
  readonly stores: readonly Store[];
}

export async function withClients<T>(config: Config, work: (clients: Clients) => Promise<T>): Promise<T> {
  const { pipeline, mongo, redis } = config;
  const mysql = openMysql(config.mysql, { connections: 3 });
  const reader = openReader(config.kafka, { clientId: 'lockstep-command' });
  const stores = [
    ...(mongo === null ? [] : [openMongoStore(mongo, pipeline)]),
    ...(redis === null ? [] : [openRedisStore(redis, pipeline)]),
  ];
  try {
    return await work({ config, mysql, reader, stores });
  } finally {
    // What cannot be closed is gone already; the result or the failure of the work counts.
    await Promise.allSettled([mysql.close(), reader.close(), ...stores.map((store) => store.close())]);
  }
}
