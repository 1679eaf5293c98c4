/** An ingest of rows that a test makes up, through the real stages and servers, without Temporal. */
import { randomBytes } from 'node:crypto';
import { MongoClient } from 'mongodb';
import { Redis } from 'ioredis';
import { inject } from 'vitest';
import type { Config } from '../../core/config.js';
import type { IngestOptions, IngestPlan } from '../../core/ingest.js';
import type { IngestProgress } from '../../core/ingestReport.js';
import type { LoadOutcome } from '../../core/outcome.js';
import type { Store } from '../../core/store.js';
import { registerIngest, type Registered } from '../../stages/ingestBegin.js';
import { loadFiles, type IngestDeps } from '../../stages/ingest.js';
import { definitionOf } from '../../stages/ingestTable.js';
import { openMongoStore } from '../../stores/mongo/store.js';
import { openRedisStore } from '../../stores/redis/store.js';
import { chunksOf, contentOf, planOf, type Given } from './ingestFiles.js';
import { createRig, type Rig } from '../store/mysqlRig.js';

export interface IngestRig extends Rig {
  readonly stores: readonly Store[];
  readonly mongo: MongoClient;
  readonly redis: Redis;
  readonly name: string;
  plan(table: string, given: Given): Promise<IngestPlan>;
  deps(given: Given): IngestDeps;
  register(table: string, given: Given, options?: Partial<IngestOptions>): Promise<Registered>;
  load(name: string, given: Given, more?: Partial<LoadMore>): Promise<LoadOutcome>;
  remove(): Promise<void>;
}

export interface LoadMore {
  readonly signal: AbortSignal;
  readonly readOn: boolean;
  readonly deps: Partial<IngestDeps>;
  readonly progress: (progress: IngestProgress) => void;
}

export const defaultOptions: IngestOptions = {
  mode: 'insert',
  maxRejects: null,
  again: false,
  throughLog: false,
  asEvents: false,
};

export async function createIngestRig(): Promise<IngestRig> {
  const stack = inject('stack');
  const name = `roads-${randomBytes(3).toString('hex')}`;
  const database = name.replaceAll('-', '_');
  const rig = await createRig({
    pipeline: name,
    mongo: { uri: stack.mongo.uri, database, stateDatabase: `${database}_state`, tls: null },
    redis: { uri: stack.redis.uri, keyPrefix: name, tls: null },
  } as Partial<Config>);
  const stores = [openMongoStore(rig.config.mongo!, name), openRedisStore(rig.config.redis!, name)];
  const mongo = await MongoClient.connect(stack.mongo.uri);
  const redis = new Redis(stack.redis.uri);
  const definition = definitionOf(rig.config, rig.mysql);

  async function plan(table: string, given: Given): Promise<IngestPlan> {
    return planOf(await definition(table), await autoIncrementOf(rig, table), given);
  }
  function deps(given: Given): IngestDeps {
    return {
      config: rig.config,
      mysql: rig.mysql,
      stores,
      readChunks: (of, from) => chunksOf(of, given, from),
      contentOf: contentOf(given),
      definitionOf: definition,
    };
  }
  return {
    ...rig,
    stores,
    mongo,
    redis,
    name,
    plan,
    deps,
    register: async (table, given, options = {}) =>
      registerIngest(rig, await plan(table, given), { ...defaultOptions, ...options }),
    load: (ingest, given, more = {}) =>
      loadFiles(
        { ...deps(given), ...more.deps },
        ingest,
        { readOn: more.readOn ?? true, sliceMs: 600_000 },
        more.signal ?? new AbortController().signal,
        { beat: () => undefined, trouble: () => undefined, progress: more.progress ?? (() => undefined) },
      ),
    async remove() {
      for (const store of stores) await store.close();
      await mongo.db(database).dropDatabase();
      await mongo.db(`${database}_state`).dropDatabase();
      await mongo.close();
      const keys = await redis.keys(`${name}:*`);
      if (keys.length > 0) await redis.unlink(keys);
      redis.disconnect();
      await rig.drop();
    },
  };
}

async function autoIncrementOf(rig: Rig, table: string): Promise<string | null> {
  const [row] = await rig.mysql.rows(
    `SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? AND EXTRA LIKE '%auto_increment%'`,
    [rig.source, table],
  );
  return row === undefined ? null : String(row[0]);
}
