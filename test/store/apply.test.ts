/**
 * The apply stage on real Kafka and real stores: what it does when the store, the log or a rival does something.
 */
import { Kafka, logLevel } from 'kafkajs';
import { Redis } from 'ioredis';
import { MongoClient } from 'mongodb';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import { tableTopic } from '../../core/names.js';
import type { ApplyStageOutcome } from '../../core/outcome.js';
import type { Store } from '../../core/store.js';
import { runApply } from '../../stages/apply.js';
import { openReader } from '../../stores/kafka/reader.js';
import { openMongoStore } from '../../stores/mongo/store.js';
import { recordInitialised, wasInitialised } from '../../stores/mysql/initialised.js';
import { openRedisStore } from '../../stores/redis/store.js';
import { createCaptureRig, type CaptureRig, type CaptureRun } from '../support/captureRig.js';

const ddl = [
  'CREATE TABLE a (id INT PRIMARY KEY, v VARCHAR(40))',
  'CREATE TABLE b (id INT PRIMARY KEY, v VARCHAR(40))',
];

interface Applying {
  readonly done: Promise<ApplyStageOutcome>;
  stop(): Promise<ApplyStageOutcome>;
}

let rig: CaptureRig;
let capture: CaptureRun;
let stores: Store[];
let redis: Redis;
let mongo: MongoClient;
let asked: (readonly string[] | null)[];
const stack = inject('stack');

beforeEach(async () => {
  rig = await createCaptureRig(stack, 'apply', ddl);
  await rig.install();
  capture = rig.capture();
  stores = [];
  asked = [];
  redis = new Redis(stack.redis.uri);
  mongo = new MongoClient(stack.mongo.uri);
});

afterEach(async () => {
  await capture.stop().catch(() => undefined);
  for (const store of stores) {
    await store.forget();
    await store.close();
  }
  const keys = await redis.keys(`${rig.config.pipeline}:*`);
  if (keys.length > 0) await redis.del(keys);
  await mongo.db(rig.config.pipeline).dropDatabase();
  redis.disconnect();
  await mongo.close();
  await rig.remove();
});

function openStore(name: 'mongo' | 'redis'): Store {
  const { pipeline } = rig.config;
  const store =
    name === 'mongo'
      ? openMongoStore({ uri: stack.mongo.uri, database: pipeline, stateDatabase: 'lockstep', tls: null }, pipeline)
      : openRedisStore({ uri: stack.redis.uri, keyPrefix: pipeline, tls: null }, pipeline);
  stores.push(store);
  return store;
}

function apply(store: Store, pausedTables: readonly string[] = []): Applying {
  const abort = new AbortController();
  const { config, mysql, stateDatabase } = rig;
  const done = runApply(
    {
      config,
      store,
      openReader: () => openReader(config.kafka, { maxWaitMs: 100 }),
      wasInitialised: (shard) => wasInitialised(mysql, stateDatabase, store.name, shard),
      recordInitialised: (shard) => recordInitialised(mysql, stateDatabase, store.name, shard, 1),
      wantDefinition: () => Promise.resolve(true),
      requestCopies: async (tables) => void asked.push(tables),
    },
    { shard: 0, pausedTables },
    abort.signal,
    { beat: () => undefined },
  );
  done.catch(() => undefined);
  return {
    done,
    stop: async () => {
      abort.abort();
      return await done;
    },
  };
}

/** Polls until the text is what it should be. */
async function becomes(read: () => Promise<string | null>, wanted: string | null): Promise<void> {
  const deadline = Date.now() + 20_000;
  for (;;) {
    const found = await read();
    if (found === wanted) return;
    if (Date.now() > deadline) throw new Error(`found ${found}, wanted ${wanted}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const inRedis =
  (table: string, id: number): (() => Promise<string | null>) =>
  () =>
    redis.get(`${rig.config.pipeline}:${table}:${id}`);

const inMongo =
  (table: string, id: number): (() => Promise<string | null>) =>
  async () => {
    const found = await mongo
      .db(rig.config.pipeline)
      .collection<{ _id: number; v: string }>(table)
      .findOne({ _id: id });
    return found === null ? null : found.v;
  };

describe.each(['mongo', 'redis'] as const)('%s', (name) => {
  const reads = (table: string, id: number): (() => Promise<string | null>) =>
    name === 'mongo' ? inMongo(table, id) : inRedis(table, id);
  const shown = (id: number, v: string): string => (name === 'mongo' ? v : JSON.stringify({ id, v }));

  test('changes arrive, positions survive a stop, and progress counts each once', async () => {
    const store = openStore(name);
    const first = apply(store);
    await rig.root.query(
      "INSERT INTO a VALUES (1,'x'),(2,'y'); UPDATE a SET v='z' WHERE id=1; DELETE FROM a WHERE id=2",
    );
    await becomes(reads('a', 1), shown(1, 'z'));
    await becomes(reads('a', 2), null);
    expect(await first.stop()).toEqual({ kind: 'stopped' });
    await rig.root.query("INSERT INTO a VALUES (3,'after')");
    const second = apply(openStore(name));
    await becomes(reads('a', 3), shown(3, 'after'));
    await second.stop();
    const state = await store.readState(0);
    expect(state?.progress.applied).toBe(5);
    expect(state?.progress.lag.reduce((x, y) => x + y, 0)).toBe(5);
    expect(asked).toEqual([]);
  });

  test('a rival that takes over fences the one before', async () => {
    const first = apply(openStore(name));
    await rig.root.query("INSERT INTO a VALUES (1,'x')");
    await becomes(reads('a', 1), shown(1, 'x'));
    const second = apply(openStore(name));
    expect(await first.done).toEqual({ kind: 'fenced' });
    await rig.root.query("UPDATE a SET v='y'");
    await becomes(reads('a', 1), shown(1, 'y'));
    await second.stop();
  });

  test('a paused table waits in the log; the others go on', async () => {
    const store = openStore(name);
    await rig.root.query("INSERT INTO a VALUES (1,'x'); INSERT INTO b VALUES (1,'x')");
    const first = apply(store, ['a']);
    await becomes(reads('b', 1), shown(1, 'x'));
    expect(await reads('a', 1)()).toBeNull();
    await first.stop();
    const second = apply(store);
    await becomes(reads('a', 1), shown(1, 'x'));
    await second.stop();
    expect(asked).toEqual([]);
  });

  test('a store that forgot everything is noticed at rest, and every table is asked for', async () => {
    const store = openStore(name);
    const first = apply(store);
    await rig.root.query("INSERT INTO a VALUES (1,'x')");
    await becomes(reads('a', 1), shown(1, 'x'));
    await store.forget();
    expect(await first.done).toEqual({ kind: 'store-lost', store: name });
    expect(asked).toEqual([null]);
    await rig.root.query("INSERT INTO a VALUES (2,'y')");
    const second = apply(store);
    await becomes(reads('a', 2), shown(2, 'y'));
    await second.stop();
    expect((await store.readState(0))?.gaps).toEqual([]);
  });

  test('events that the log dropped before they were applied cost their table a copy', async () => {
    const store = openStore(name);
    const first = apply(store, ['a']);
    await rig.root.query("INSERT INTO b VALUES (1,'x')");
    await becomes(reads('b', 1), shown(1, 'x'));
    await first.stop();
    await rig.root.query("INSERT INTO a VALUES (1,'x'),(2,'x'),(3,'x'),(4,'x'),(5,'x'),(6,'x')");
    await rig.drained();
    const { kafka, mysql } = rig.config;
    const topic = tableTopic(kafka.topicPrefix, mysql.database, 'a');
    const admin = new Kafka({ brokers: [...stack.kafka.brokers], logLevel: logLevel.NOTHING }).admin();
    await admin.connect();
    const partitions = (await admin.fetchTopicOffsets(topic)).map(({ partition, high }) => ({
      partition,
      offset: high,
    }));
    await admin.deleteTopicRecords({ topic, partitions });
    await admin.disconnect();
    const second = apply(store);
    expect(await second.done).toEqual({ kind: 'log-gap', store: name, tables: ['a'] });
    expect(asked).toEqual([['a']]);
    await rig.root.query("UPDATE a SET v='y' WHERE id=2");
    const third = apply(store);
    await becomes(reads('a', 2), shown(2, 'y'));
    await third.stop();
    expect(asked).toEqual([['a']]);
  });
});

test('a store that fell back to an older state of its own between two looks catches up at rest', async () => {
  const store = openStore('redis');
  const first = apply(store);
  const { pipeline } = rig.config;
  const row = `${pipeline}:a:1`;
  await rig.root.query("INSERT INTO a VALUES (1,'x')");
  await becomes(inRedis('a', 1), '{"id":1,"v":"x"}');
  const [stateKey] = await redis.keys(`${pipeline}:*apply:0`);
  // As a quick restart from a snapshot does: the same epoch, earlier positions, earlier rows.
  const then = await redis.dumpBuffer(stateKey!);
  await rig.root.query("UPDATE a SET v='y'");
  await becomes(inRedis('a', 1), '{"id":1,"v":"y"}');
  await redis.multi().restore(stateKey!, 0, then, 'REPLACE').set(row, '{"id":1,"v":"x"}').exec();
  await becomes(inRedis('a', 1), '{"id":1,"v":"y"}');
  await first.stop();
  expect(asked).toEqual([]);
});

test('a store that comes late to a log which was cut is given copies of everything', async () => {
  await rig.root.query("INSERT INTO a VALUES (1,'x'),(2,'x'),(3,'x'),(4,'x')");
  await rig.drained();
  const { kafka, mysql } = rig.config;
  const topic = tableTopic(kafka.topicPrefix, mysql.database, 'a');
  const admin = new Kafka({ brokers: [...stack.kafka.brokers], logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  const partitions = (await admin.fetchTopicOffsets(topic)).map(({ partition, high }) => ({ partition, offset: high }));
  await admin.deleteTopicRecords({ topic, partitions });
  await admin.disconnect();
  const first = apply(openStore('redis'));
  expect(await first.done).toEqual({ kind: 'store-lost', store: 'redis' });
  expect(asked).toEqual([null]);
});
