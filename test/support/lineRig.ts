/**
 * The whole line in this process, on real servers and without workflows: triggers, capture, the log, both stores' apply,
 * copies and `wait`. For tests of what arrives, not of who restarts whom.
 */
import { Redis } from 'ioredis';
import { MongoClient } from 'mongodb';
import type { Config } from '../../core/config.js';
import type { Store } from '../../core/store.js';
import { runApply } from '../../stages/apply.js';
import { install } from '../../stages/install.js';
import { copyTable } from '../../stages/snapshot.js';
import { wait } from '../../stages/wait.js';
import { watchTriggers } from '../../stages/watch.js';
import { openMongoStore } from '../../stores/mongo/store.js';
import { openReader } from '../../stores/kafka/reader.js';
import { readDueCopies } from '../../stores/mysql/dueCopies.js';
import { recordInitialised, wasInitialised } from '../../stores/mysql/initialised.js';
import { wantDefinition } from '../../stores/mysql/schemaHistory.js';
import { openRedisStore } from '../../stores/redis/store.js';
import type { Stack } from '../../temporal-compose/stack.js';
import { createCaptureRig, type CaptureRig } from './captureRig.js';
import type { CompareTargets } from './compare.js';

export interface LineRig {
  readonly rig: CaptureRig;
  readonly config: Config;
  readonly database: string;
  readonly stores: readonly Store[];
  readonly mongo: MongoClient;
  readonly redis: Redis;
  /** Capture and both stores' apply, until `stop`. */
  run(): void;
  /** Ends them; their failures, were there any. */
  stop(): Promise<readonly string[]>;
  /** As workers that are started with another configuration do: triggers follow, copies become due. */
  reconfigure(changes: Partial<Pick<Config, 'overrides' | 'forms'>>): Promise<void>;
  /** Carries out every copy that is due. */
  copyAll(): Promise<void>;
  /** Until everything committed in MySQL before the call is in both stores. */
  wait(timeoutMs?: number): Promise<void>;
  targets(): CompareTargets;
  remove(): Promise<void>;
}

export async function createLineRig(
  stack: Stack,
  label: string,
  more: Partial<Pick<Config, 'overrides' | 'forms'>> = {},
): Promise<LineRig> {
  const rig = await createCaptureRig(stack, label, [], { partitions: 1 });
  const { mysql, stateDatabase } = rig;
  const { pipeline } = rig.config;
  const { database } = rig.config.mysql;
  let config: Config = {
    ...rig.config,
    ...more,
    mongo: { uri: stack.mongo.uri, database, stateDatabase, tls: null },
    redis: { uri: stack.redis.uri, keyPrefix: pipeline, tls: null },
  };
  const line: CaptureRig = { ...rig, config, install: async () => void (await install({ config, mysql })) };
  const stores = [
    openMongoStore({ uri: stack.mongo.uri, database, stateDatabase, tls: null }, pipeline),
    openRedisStore({ uri: stack.redis.uri, keyPrefix: pipeline, tls: null }, pipeline),
  ];
  const mongo = await MongoClient.connect(stack.mongo.uri);
  const redis = new Redis(stack.redis.uri);
  const failures: string[] = [];
  let stops: (() => Promise<unknown>)[] = [];

  function applyInto(store: Store): () => Promise<unknown> {
    const abort = new AbortController();
    const deps = {
      config,
      store,
      openReader: () => openReader(config.kafka, { maxWaitMs: 100 }),
      wasInitialised: (shard: number) => wasInitialised(mysql, stateDatabase, store.name, shard),
      recordInitialised: (shard: number) => recordInitialised(mysql, stateDatabase, store.name, shard, 1),
      wantDefinition: (hash: string) => wantDefinition(mysql, stateDatabase, hash),
      requestCopies: () => Promise.reject(new Error(`${store.name} asks for a copy`)),
    };
    const done = runApply(deps, { shard: 0, pausedTables: [] }, abort.signal, { beat: () => undefined }).catch(
      (error: unknown) => failures.push(`${store.name}: ${String(error)}`),
    );
    return async () => {
      abort.abort();
      await done;
    };
  }

  return {
    rig: line,
    config,
    database,
    stores,
    mongo,
    redis,
    run() {
      const capture = rig.keepCapturing();
      stops = [
        async () => {
          await capture.stop();
          // A topic that was just made is not everywhere yet: the next start finds it.
          const told = capture.failures.filter((text) => !text.includes('does not host this topic-partition'));
          failures.push(...told.map((text) => `capture: ${text}`));
        },
        ...stores.map(applyInto),
      ];
    },
    async stop() {
      await Promise.all(stops.map(async (stop) => await stop()));
      stops = [];
      return failures;
    },
    async reconfigure(changes) {
      config = { ...config, ...changes };
      await watchTriggers({ config, mysql });
    },
    async copyAll() {
      for (;;) {
        const due = await readDueCopies(mysql, 500);
        if (due.length === 0) return;
        for (const { table, run } of due) {
          const outcome = await copyTable({ config, mysql, stores }, { table, run }, new AbortController().signal, {
            beat: () => undefined,
          });
          if (outcome.kind !== 'copied') throw new Error(`the copy of ${table} ended as ${outcome.kind}`);
        }
      }
    },
    async wait(timeoutMs = 60_000) {
      const signal = new AbortController().signal;
      const outcome = await wait({ queries: mysql, stateDatabase, stores, shards: 1 }, timeoutMs, signal);
      if (outcome.kind !== 'passed') throw new Error(`${JSON.stringify(outcome)}\n${failures.join('\n')}`);
    },
    targets: () => ({
      mysql: { uri: stack.mysql.uri, database },
      mongo: { uri: stack.mongo.uri, database },
      redis: { uri: stack.redis.uri, keyPrefix: pipeline, hashTables: hashTablesOf(config) },
      forms: Object.fromEntries(Object.entries(config.overrides).map(([t, { columns }]) => [t, columns ?? {}])),
    }),
    async remove() {
      await Promise.all(stops.map(async (stop) => await stop()));
      for (const store of stores) {
        await store.forget();
        await store.close();
      }
      for (const name of [database, stateDatabase]) await mongo.db(name).dropDatabase();
      await mongo.close();
      for await (const keys of redis.scanStream({ match: `${pipeline}:*`, count: 5_000 })) {
        if ((keys as string[]).length > 0) await redis.unlink(keys as string[]);
      }
      redis.disconnect();
      await rig.remove();
    },
  };
}

function hashTablesOf(config: Config): string[] {
  return Object.entries(config.overrides).flatMap(([table, { redis }]) => (redis?.layout === 'hash' ? [table] : []));
}
