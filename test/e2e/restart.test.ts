/** A worker that is killed costs seconds, never a change: another one continues where the stores say. */
import { Redis } from 'ioredis';
import { MongoClient } from 'mongodb';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { compareStores, differencesOf } from '../support/compare.js';
import { createPipeline } from '../support/pipeline.js';
import type { Pipeline } from '../support/pipeline.js';
import { until } from '../support/processes.js';

const stack = inject('stack');
/** The figure itself is measured in bench/; here it only must not be a matter of time-outs that add up. */
const generousMs = 15_000;
let pipeline: Pipeline;
let redis: Redis;
let mongo: MongoClient;

beforeAll(async () => {
  pipeline = await createPipeline(stack, { label: 'restart' });
  redis = new Redis(stack.redis.uri);
  mongo = await MongoClient.connect(stack.mongo.uri);
  await pipeline.root.query('CREATE TABLE t (id INT PRIMARY KEY, text VARCHAR(50))');
  await pipeline.root.query("INSERT INTO t VALUES (1, 'copied')");
  pipeline.worker();
  await pipeline.run('start', '--wait');
});

afterAll(async () => {
  redis.disconnect();
  await mongo.close();
  await pipeline.remove();
});

async function arrives(id: number): Promise<boolean> {
  await until(`row ${id} in both stores`, async () => await isThere(id), { timeoutMs: generousMs, everyMs: 10 });
  return true;
}

async function isThere(id: number): Promise<boolean> {
  const document = await mongo
    .db(pipeline.database)
    .collection('t')
    .findOne({ _id: id as never });
  return document !== null && (await redis.exists(`${pipeline.name}:t:${id}`)) === 1;
}

async function insert(id: number): Promise<void> {
  await pipeline.root.query('INSERT INTO t VALUES (?, ?)', [id, `row ${id}`]);
}

test('kill -9 at rest: the next worker takes over', async () => {
  await pipeline.workers.at(-1)?.kill();
  pipeline.worker();
  await insert(2);
  expect(await arrives(2)).toBe(true);
});

test('kill -9 with a second worker waiting: it takes over by itself', async () => {
  pipeline.worker();
  await insert(3);
  expect(await arrives(3)).toBe(true);
  await pipeline.workers.at(-2)?.kill();
  await insert(4);
  expect(await arrives(4)).toBe(true);
});

test('a worker that is frozen is replaced, and does no harm when it thaws', async () => {
  const frozen = pipeline.workers.at(-1);
  frozen?.freeze();
  pipeline.worker();
  await insert(5);
  await pipeline.root.query("UPDATE t SET text = 'newer' WHERE id = 1");
  expect(await arrives(5)).toBe(true);
  frozen?.thaw();
  await pipeline.root.query("UPDATE t SET text = 'newest' WHERE id = 1");
  await insert(6);
  expect(await arrives(6)).toBe(true);
  await pipeline.run('wait', '--timeout', '30s');
  expect(differencesOf(await compareStores(pipeline.targets()))).toEqual([]);
});

test('SIGTERM drains: exit code 0, and what was written before is in the stores afterwards', async () => {
  for (const worker of pipeline.workers.filter((w) => w.running())) expect(await worker.stop()).toBe(0);
  await insert(7);
  expect(await isThere(7)).toBe(false);
  pipeline.worker();
  expect(await arrives(7)).toBe(true);
});
