/** A store that loses what it held, under load or at rest, is noticed and rebuilt without anybody asking. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { MongoClient } from 'mongodb';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { down, up } from '../../temporal-compose/stack.js';
import type { Stack } from '../../temporal-compose/stack.js';
import { compareStores, differencesOf } from '../support/compare.js';
import { differencesWithin } from '../support/convergence.js';
import { createPipeline } from '../support/pipeline.js';
import type { Pipeline } from '../support/pipeline.js';
import { testSeed } from '../support/random.js';
import { createWorkloadTables, fillWorkloadTables, runWorkload } from '../support/workload.js';

const stack = inject('stack');
const seed = testSeed();
/** Stores of this file's own, because it destroys them. */
let stores: Stack;
let folder: string;
let pipeline: Pipeline;
let redis: Redis;
let mongo: MongoClient;

beforeAll(async () => {
  console.log(`seed ${seed}`);
  folder = await mkdtemp(join(tmpdir(), 'lockstep-stores-'));
  stores = await up({ root: folder, ports: 'free', only: ['redis', 'mongo'] });
  redis = new Redis(stores.redis.uri);
  // It goes away on purpose.
  redis.on('error', () => undefined);
  mongo = await MongoClient.connect(stores.mongo.uri);
  pipeline = await createPipeline(stack, { label: 'loss', mongoUri: stores.mongo.uri, redisUri: stores.redis.uri });
  await createWorkloadTables(pipeline.root);
  await fillWorkloadTables(pipeline.root, seed, 300);
  pipeline.worker();
  await pipeline.run('start', '--wait');
});

afterAll(async () => {
  await pipeline.remove();
  redis.disconnect();
  await mongo.close();
  await down({ root: folder, wipe: true });
  await rm(folder, { recursive: true, force: true });
});

/** Writes while the loss happens, then rests; the differences that stayed. */
async function lossUnderLoad(lose: () => Promise<unknown>): Promise<string[]> {
  const stop = new AbortController();
  const { database } = pipeline;
  const writing = runWorkload({ uri: stack.mysql.uri, database, seed, pauseMs: 10, signal: stop.signal });
  await new Promise((resolve) => setTimeout(resolve, 1000));
  await lose();
  await new Promise((resolve) => setTimeout(resolve, 2000));
  stop.abort();
  await writing;
  return await differencesWithin(pipeline.targets(), 45_000);
}

test('Redis flushed under load', async () => {
  expect(await lossUnderLoad(async () => await redis.flushall())).toEqual([]);
});

test('Redis flushed at rest', async () => {
  await redis.flushall();
  expect(await differencesWithin(pipeline.targets(), 45_000)).toEqual([]);
});

test('wait does not return before what a store has lost is there again', async () => {
  await redis.flushall();
  await pipeline.run('wait', '--timeout', '45s');
  expect(differencesOf(await compareStores(pipeline.targets()))).toEqual([]);
});

test('MongoDB loses data and position under load', async () => {
  const lose = async (): Promise<void> => {
    await mongo.db(pipeline.stateDatabase).dropDatabase();
    await mongo.db(pipeline.database).dropDatabase();
  };
  expect(await lossUnderLoad(lose)).toEqual([]);
});

test('MongoDB loses its position at rest', async () => {
  await mongo.db(pipeline.stateDatabase).dropDatabase();
  await mongo.db(pipeline.database).collection('stock').drop();
  expect(await differencesWithin(pipeline.targets(), 45_000)).toEqual([]);
});

test('a store that was away for a while catches up', async () => {
  await down({ root: folder });
  await fillWorkloadTables(pipeline.root, seed + 1, 200);
  await pipeline.root.query('UPDATE stock SET quantity = 7 WHERE warehouse = 2');
  await up({ root: folder, ports: 'free', only: ['redis', 'mongo'] });
  expect(await differencesWithin(pipeline.targets(), 60_000)).toEqual([]);
});
