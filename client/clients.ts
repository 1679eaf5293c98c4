/** The application's own clients, as far as waiting needs them: by what they can do, not by whose they are. */
import { LockstepError } from '../core/errors.js';
import type { ShardState } from '../core/store.js';
import type { WaitDeps } from '../stages/wait.js';
import type { Row } from '../stores/mysql/cell.js';
import type { Queries } from '../stores/mysql/connection.js';
import { positionId, stateOf as mongoState, type PositionDocument } from '../stores/mongo/shardState.js';
import { stateKey, stateOf as redisState } from '../stores/redis/shardState.js';

/** A pool or connection of mysql2/promise, or of mysql2 by its `.promise()`. */
export interface MysqlLike {
  query(sql: string, values?: unknown): Promise<readonly [unknown, ...unknown[]]>;
}

/** A MongoClient. */
export interface MongoLike {
  db(name: string): {
    collection(name: string): { findOne(filter: object, options?: object): Promise<unknown> };
  };
}

/** A client of ioredis or of node-redis. */
export type RedisLike =
  { hgetall(key: string): Promise<Record<string, string>> } | { hGetAll(key: string): Promise<Record<string, string>> };

export function queriesOver(mysql: MysqlLike): Queries {
  const ask = async (sql: string, values: readonly unknown[] = []): Promise<unknown> =>
    (await mysql.query(sql, [...values]))[0];
  return {
    async rows(sql, values) {
      const rows = await ask(sql, values);
      if (!Array.isArray(rows)) throw new LockstepError('LS-USAGE', 'the MySQL client gave no rows');
      return (rows as readonly unknown[]).map(cells);
    },
    async run(sql, values) {
      const { affectedRows = 0, insertId = 0 } = (await ask(sql, values)) as {
        affectedRows?: number;
        insertId?: number;
      };
      return { affectedRows, insertId };
    },
  };
}

/** Rows come as objects or as arrays, and JSON parsed or not, as the application has set it. */
function cells(row: unknown): Row {
  const values: readonly unknown[] = Array.isArray(row) ? row : Object.values(row as object);
  return values.map((value) => {
    if (value === null || typeof value === 'string' || typeof value === 'number' || Buffer.isBuffer(value))
      return value;
    return JSON.stringify(value);
  });
}

type State = (ShardState & { readonly epoch: number }) | null;

export function mongoPositions(client: MongoLike, stateDatabase: string, pipeline: string): WaitDeps['stores'][number] {
  const positions = client.db(stateDatabase).collection('positions');
  return {
    name: 'mongo',
    async readState(shard): Promise<State> {
      // What a majority has, every reader of the primary sees, whatever the read concern, and no failover takes it back.
      const found = await positions.findOne(
        { _id: positionId(pipeline, shard) },
        { readPreference: 'primary', readConcern: { level: 'majority' } },
      );
      const document = found as PositionDocument | null;
      return document === null ? null : { ...mongoState(document), epoch: document.epoch };
    },
  };
}

export function redisPositions(client: RedisLike, keyPrefix: string): WaitDeps['stores'][number] {
  return {
    name: 'redis',
    async readState(shard): Promise<State> {
      const key = stateKey(keyPrefix, shard);
      const fields = 'hgetall' in client ? await client.hgetall(key) : await client.hGetAll(key);
      return fields['epoch'] === undefined ? null : redisState(new Map(Object.entries(fields)));
    },
  };
}
