/** What an operator does while it runs: pause, resume, resync, add a table, stop, start again. */
import { readFile, writeFile } from 'node:fs/promises';
import { Redis } from 'ioredis';
import { MongoClient } from 'mongodb';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { PipelineStatus } from '../../core/status.js';
import { compareStores, differencesOf } from '../support/compare.js';
import { differencesWithin } from '../support/convergence.js';
import { createPipeline } from '../support/pipeline.js';
import type { Pipeline } from '../support/pipeline.js';
import { until } from '../support/processes.js';

const stack = inject('stack');
let pipeline: Pipeline;
let redis: Redis;
let mongo: MongoClient;

beforeAll(async () => {
  pipeline = await createPipeline(stack, { label: 'life' });
  redis = new Redis(stack.redis.uri);
  mongo = await MongoClient.connect(stack.mongo.uri);
  await pipeline.root.query('CREATE TABLE t (id INT PRIMARY KEY, text VARCHAR(50))');
  await pipeline.root.query('CREATE TABLE other (a INT, b VARCHAR(20), n INT, PRIMARY KEY (b, a))');
  await pipeline.root.query("INSERT INTO t VALUES (1, 'one'), (2, 'two'), (3, 'three')");
  await pipeline.root.query("INSERT INTO other VALUES (1, 'x', 1), (2, 'y', 2)");
  pipeline.worker();
  await pipeline.run('start', '--wait');
});

afterAll(async () => {
  redis.disconnect();
  await mongo.close();
  await pipeline.remove();
});

async function status(): Promise<PipelineStatus> {
  return JSON.parse((await pipeline.run('status', '--json')).stdout) as PipelineStatus;
}

async function expectEqual(): Promise<void> {
  await pipeline.run('wait', '--timeout', '30s');
  expect(differencesOf(await compareStores(pipeline.targets()))).toEqual([]);
}

test('status tells the stage, the tables and the stores', async () => {
  await expectEqual();
  const shown = await status();
  expect(shown.stage).toBe('streaming');
  expect(shown.tables.map((t) => [t.table, t.stage])).toEqual([
    ['other', 'streaming'],
    ['t', 'streaming'],
  ]);
  expect(shown.stores.map((s) => [s.store, s.state])).toEqual([
    ['mongo', 'ready'],
    ['redis', 'ready'],
  ]);
});

test('paused, nothing reaches the stores and wait names it; resumed, everything does', async () => {
  await pipeline.run('pause');
  await until('the stage is paused', async () => (await status()).stage === 'paused');
  await pipeline.root.query("INSERT INTO t VALUES (10, 'while paused')");
  const waited = await pipeline.cli('wait', '--timeout', '2s');
  expect(waited.code).toBe(1);
  expect(waited.stderr + waited.stdout).toMatch(/pause/i);
  expect(await redis.exists(`${pipeline.name}:t:10`)).toBe(0);
  await pipeline.run('resume');
  await expectEqual();
  expect(await redis.exists(`${pipeline.name}:t:10`)).toBe(1);
});

test('resync brings back what was edited, lost and added behind its back', async () => {
  const t = mongo.db(pipeline.database).collection('t');
  await t.deleteOne({ _id: 1 as never });
  await t.updateOne({ _id: 2 as never }, { $set: { text: 'edited' } });
  await t.insertOne({ _id: 99 as never, id: 99 }, { bypassDocumentValidation: true });
  await redis.del(`${pipeline.name}:t:2`);
  await redis.set(`${pipeline.name}:t:77`, '{"id":77,"text":"orphan"}');
  await pipeline.run('resync', 't');
  expect(await differencesWithin(pipeline.targets(), 30_000)).toEqual([]);
});

test('divided into more shards, the stores are copied anew and do not live through the log again', async () => {
  for (let n = 0; n < 300; n++) await pipeline.root.query('UPDATE t SET text = ? WHERE id = 1', [`state ${n}`]);
  await expectEqual();
  await pipeline.run('stop');
  for (const worker of pipeline.workers) if (worker.running()) await worker.stop();
  const text = await readFile(pipeline.configFile, 'utf8');
  await writeFile(pipeline.configFile, `${text}apply: { shards: 3 }\n`);
  pipeline.worker();
  await pipeline.run('start', '--wait');
  await expectEqual();
  const [counts] = await pipeline.root.query('SELECT (SELECT COUNT(*) FROM t) + (SELECT COUNT(*) FROM other) AS n');
  const rows = Number((counts as { n: number }[])[0]?.n);
  for (const { applied, epochs } of (await status()).stores) {
    expect(epochs).toHaveLength(3);
    expect(applied).toBeGreaterThanOrEqual(rows);
    expect(applied).toBeLessThan(300);
  }
});

test('a new table is captured and copied, a dropped one is forgotten', async () => {
  await pipeline.root.query('CREATE TABLE late (id INT PRIMARY KEY, v JSON)');
  await pipeline.root.query(`INSERT INTO late VALUES (1, '{"a":1}')`);
  await until('the new table is there', async () => (await redis.exists(`${pipeline.name}:late:1`)) === 1);
  await expectEqual();
  await pipeline.root.query('DROP TABLE other');
  await pipeline.root.query("UPDATE t SET text = 'still flowing' WHERE id = 1");
  await pipeline.run('wait', '--timeout', '30s');
  await until('status forgets it', async () => (await status()).tables.every((table) => table.table !== 'other'));
  expect((await status()).tables.map((table) => table.table)).toEqual(['late', 't']);
});

test('a worker of a later version goes on with what an earlier one installed', async () => {
  for (const worker of pipeline.workers) if (worker.running()) await worker.stop();
  const state = `\`${pipeline.stateDatabase}\``;
  await pipeline.root.query(`ALTER TABLE ${state}.copies DROP COLUMN last_key, DROP COLUMN last_run`);
  await pipeline.root.query(`DELETE FROM ${state}.migrations WHERE number >= 9`);
  pipeline.worker();
  await pipeline.root.query('CREATE TABLE later (id INT PRIMARY KEY)');
  await pipeline.root.query('INSERT INTO later VALUES (1)');
  await until('the new table is there', async () => (await redis.exists(`${pipeline.name}:later:1`)) === 1);
  await expectEqual();
  await pipeline.root.query('DROP TABLE later');
  await until('it has left', async () => (await redis.exists(`${pipeline.name}:later:1`)) === 0);
  expect((await status()).tables.map((table) => table.table)).toEqual(['late', 't']);
});

test('stopped, changes wait in MySQL; started again, they arrive', async () => {
  await pipeline.run('stop');
  await pipeline.root.query("INSERT INTO t VALUES (20, 'while stopped')");
  await pipeline.root.query('DELETE FROM t WHERE id = 3');
  expect((await status()).stage).toBe('stopped');
  await pipeline.run('start', '--wait');
  await until('it arrived', async () => (await redis.exists(`${pipeline.name}:t:20`)) === 1);
  expect(await redis.exists(`${pipeline.name}:t:3`)).toBe(0);
});

test('uninstall drops triggers and the change log, and leaves the data', async () => {
  await pipeline.run('stop');
  await pipeline.run('uninstall');
  const [triggers] = await pipeline.root.query(
    'SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = ?',
    [pipeline.database],
  );
  expect(triggers).toEqual([]);
  const [tables] = await pipeline.root.query(
    "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_NAME = 'change_log'",
    [pipeline.stateDatabase],
  );
  expect(tables).toEqual([]);
  expect(await redis.exists(`${pipeline.name}:t:20`)).toBe(1);
});
