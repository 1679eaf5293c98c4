/**
 * For applications: read your own writes in MongoDB and Redis. A token marks a moment of MySQL; waiting for it returns once
 * everything that was committed before, the transaction that made it included, is in the store. Works with the clients that
 * the application has: no driver is loaded here, and nothing of the pipeline's configuration is needed but names.
 */
import { LockstepError } from '../core/errors.js';
import { topicPart } from '../core/names.js';
import type { StoreName } from '../core/store.js';
import { awaitMarker, writeMarker, type Behind, type WaitDeps } from '../stages/wait.js';
import type { Queries } from '../stores/mysql/connection.js';
import {
  mongoPositions,
  redisPositions,
  queriesOver,
  type MongoLike,
  type MysqlLike,
  type RedisLike,
} from './clients.js';

export type { MongoLike, MysqlLike, RedisLike } from './clients.js';
export { LockstepError } from '../core/errors.js';

export interface LockstepOptions {
  /** `pipeline` of lockstep.yaml. */
  readonly pipeline: string;
  /** A pool, or a connection that is not in a transaction. Only asked whether a token was published. */
  readonly mysql: MysqlLike;
  readonly mongo?: MongoLike;
  readonly redis?: RedisLike;
  /** `mysql.stateDatabase` and `mongo.stateDatabase`, where they are not `lockstep`. */
  readonly stateDatabase?: string;
  readonly mongoStateDatabase?: string;
  /** `redis.keyPrefix`, where it is not the pipeline's name. */
  readonly keyPrefix?: string;
  /** `apply.shards`, where it is not 1. */
  readonly shards?: number;
}

export interface WaitForOptions {
  /** Milliseconds; 5,000 by default. */
  readonly timeout?: number;
  /** Wait for these alone: a paused table, or one that is far behind, then holds nobody up. All by default. */
  readonly tables?: readonly string[];
  readonly signal?: AbortSignal;
}

export interface Lockstep {
  /**
   * Marks this moment. With the connection of a transaction that is under way, the token is valid from its commit on, and
   * stands for that transaction; without, for everything that is committed now.
   */
  token(connection?: MysqlLike): Promise<string>;
  /**
   * Returns the milliseconds it took until the store held everything before the token. Throws a LockstepError: with the
   * code LS-WAIT-TIMEOUT when it takes longer, LS-WAIT-STOPPED when the signal aborts.
   */
  waitFor(token: string, store: StoreName, options?: WaitForOptions): Promise<number>;
}

const defaultTimeoutMs = 5_000;
const never = new AbortController().signal;

export function lockstep(options: LockstepOptions): Lockstep {
  const { pipeline, mysql, mongo, redis, stateDatabase = 'lockstep', shards = 1 } = options;
  const stores: Partial<Record<StoreName, WaitDeps['stores'][number]>> = {
    ...(mongo === undefined
      ? {}
      : { mongo: mongoPositions(mongo, options.mongoStateDatabase ?? 'lockstep', pipeline) }),
    ...(redis === undefined ? {} : { redis: redisPositions(redis, options.keyPrefix ?? pipeline) }),
  };
  const queries: Queries = queriesOver(mysql);

  return {
    token: (connection) =>
      writeMarker({ queries: connection === undefined ? queries : queriesOver(connection), stateDatabase }),

    async waitFor(token, name, { timeout = defaultTimeoutMs, tables, signal = never } = {}) {
      const store = stores[name];
      if (store === undefined) throw new LockstepError('LS-USAGE', `lockstep() was given no ${name} client`);
      const deps = { queries, stateDatabase, stores: [store], shards, ...(tables && { only: topicsOf(tables) }) };
      const outcome = await awaitMarker(deps, token, timeout, signal);
      switch (outcome.kind) {
        case 'passed':
          return outcome.ms;
        case 'stopped':
          throw new LockstepError('LS-WAIT-STOPPED', 'waiting was aborted');
        case 'timed-out':
          throw new LockstepError(
            'LS-WAIT-TIMEOUT',
            `after ${Math.round(outcome.ms)} ms ${outcome.behind.map(behindText).join('; ')}`,
          );
      }
    },
  };
}

/** A pipeline has one source database, so the table's part names its topic. */
function topicsOf(tables: readonly string[]): (topic: string) => boolean {
  const ends = new Set(tables.map(topicPart));
  return (topic) => ends.has(topic.slice(topic.lastIndexOf('.') + 1));
}

function behindText(behind: Behind): string {
  if (behind.who === 'capture')
    return 'the token is not published: capture is behind, or its transaction was not committed';
  return `${behind.who} is ${behind.events} events behind in ${behind.topics.join(', ')}`;
}
