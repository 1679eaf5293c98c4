/**
 * Verify as a user meets it: a worker that is killed while changes flow skips nothing and counts nothing twice; what is
 * damaged in a store is told with its key, mended and closed; status and metrics say until when all of it is true.
 */
import { Redis } from 'ioredis';
import { MongoClient } from 'mongodb';
import type { RowDataPacket } from 'mysql2/promise';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { PipelineStatus } from '../../core/status.js';
import { createPipeline, type Pipeline } from '../support/pipeline.js';
import { freePort } from '../support/ports.js';
import { until } from '../support/processes.js';

const stack = inject('stack');
let pipeline: Pipeline;
let redis: Redis;
let mongo: MongoClient;

beforeAll(async () => {
  pipeline = await createPipeline(stack, { label: 'verify', overrides: { hashed: { redis: { layout: 'hash' } } } });
  for (const table of ['plain', 'hashed']) {
    await pipeline.root.query(`CREATE TABLE ${table} (id INT PRIMARY KEY, v VARCHAR(40), n INT)`);
  }
  redis = new Redis(stack.redis.uri);
  mongo = await MongoClient.connect(stack.mongo.uri);
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

async function drift(): Promise<RowDataPacket[]> {
  const [rows] = await pipeline.root.query<RowDataPacket[]>(
    `SELECT name, store, \`key\`, kind, cause, evidence, repaired_at, healed_at FROM \`${pipeline.stateDatabase}\`.drift`,
  );
  return rows;
}

async function verified(): Promise<{ store: string; events: number; differences: number; unverified: number }[]> {
  const [rows] = await pipeline.root.query<RowDataPacket[]>(
    `SELECT store, events, differences, unverified FROM \`${pipeline.stateDatabase}\`.verified ORDER BY store`,
  );
  return rows.map((row) => ({
    store: String(row['store']),
    events: Number(row['events']),
    differences: Number(row['differences']),
    unverified: Number(row['unverified']),
  }));
}

test('a worker that is killed again and again skips nothing and counts nothing twice', async () => {
  const writes = 3_000;
  let written = 0;
  const writing = (async () => {
    while (written < writes) {
      written += 10;
      const rows = Array.from({ length: 10 }, (_, i) => [written - i, `v${written}`, i]);
      await pipeline.root.query('INSERT INTO plain VALUES ?', [rows]);
      await pipeline.root.query(`INSERT INTO hashed VALUES (1,'x',${written}) ON DUPLICATE KEY UPDATE n=${written}`);
    }
  })();
  for (let kills = 0; kills < 3; kills++) {
    const killAt = ((kills + 1) * writes) / 4;
    await until('enough is written', () => written >= killAt, { timeoutMs: 60_000 });
    await Promise.all(pipeline.workers.map(async (worker) => await worker.kill()));
    pipeline.worker();
  }
  await writing;
  await pipeline.run('wait', '--timeout', '60s');
  const applied = (await status()).stores.map((store) => store.applied);
  const counted = async (): Promise<boolean> => (await verified()).every((v, i) => v.events === applied[i]);
  await until('everything is verified', counted, { timeoutMs: 20_000 }).catch(async (error: unknown) => {
    throw new Error(`applied ${applied.join()}, verified ${JSON.stringify(await verified())}`, { cause: error });
  });
  expect(await verified()).toEqual([
    { store: 'mongo', events: applied[0], differences: 0, unverified: 0 },
    { store: 'redis', events: applied[1], differences: 0, unverified: 0 },
  ]);
  expect(await drift()).toEqual([]);
});

test('what is damaged is told with its key and place, mended and closed', async () => {
  const plain = mongo.db(pipeline.database).collection<{ _id: number }>('plain');
  const prefix = pipeline.name;
  await pipeline.root.query("INSERT INTO plain VALUES (100001,'x',1),(100002,'x',1)");
  await pipeline.root.query("INSERT INTO hashed VALUES (100003,'x',1)");
  // The moment it is there, it is gone again: verify has not looked yet, or it looks at what somebody has done.
  await until('lost in MongoDB', async () => (await plain.deleteOne({ _id: 100_001 })).deletedCount === 1, {
    everyMs: 1,
  });
  await until('changed in Redis', async () => (await redis.getset(`${prefix}:plain:100002`, '{}')) !== null, {
    everyMs: 1,
  });
  await until('a field less', async () => (await redis.hdel(`${prefix}:hashed:100003`, 'v')) === 1, { everyMs: 1 });
  const keys = ['{"id":100001}', '{"id":100002}', '{"id":100003}'];
  let told: RowDataPacket[] = [];
  await until(
    'all are told and closed',
    async () => {
      told = (await drift()).filter((d) => keys.includes(String(d['key'])));
      return told.length === 3 && told.every((d) => d['healed_at'] !== null);
    },
    { timeoutMs: 60_000 },
  );
  expect(told.map((d) => `${String(d['key'])} ${String(d['store'])} ${String(d['kind'])}`).toSorted()).toEqual([
    '{"id":100001} mongo missing',
    '{"id":100002} redis different',
    '{"id":100003} redis different',
  ]);
  for (const { evidence } of told) {
    const { event } = (typeof evidence === 'string' ? JSON.parse(evidence) : evidence) as { event: object };
    expect(event).toMatchObject({
      partition: expect.stringContaining(prefix) as string,
      offset: expect.any(Number) as number,
    });
  }
  expect(await plain.findOne({ _id: 100_001 })).not.toBeNull();
  expect(await redis.get(`${prefix}:plain:100002`)).toBe('{"id":100002,"v":"x","n":1}');
  expect(await redis.hget(`${prefix}:hashed:100003`, 'v')).toBe('x');
});

test('status says until when each table is verified; metrics say the same', async () => {
  const asked = Date.now();
  let now = await status();
  await until('it is verified until after the question', async () => {
    now = await status();
    return now.stores.every(({ verify }) => Date.parse(verify?.through ?? '1970-01-01') >= asked);
  });
  expect(now.tables.map(({ table }) => table)).toEqual(['hashed', 'plain']);
  for (const { verifiedThrough } of now.tables) {
    for (const through of Object.values(verifiedThrough))
      expect(Date.parse(through ?? '')).toBeGreaterThanOrEqual(asked);
  }
  const address = `127.0.0.1:${await freePort()}`;
  const worker = pipeline.worker('--queues', 'control', '--metrics', address);
  await pipeline.workers[pipeline.workers.length - 2]?.stop();
  let text = '';
  await until(
    'metrics are served',
    async () => {
      if (!worker.running()) throw new Error(`the worker ended: ${worker.log()}`);
      const response = await fetch(`http://${address}/metrics`).catch(() => null);
      text = (await response?.text()) ?? '';
      return text.includes('lockstep_verified_through_seconds');
    },
    { timeoutMs: 60_000 },
  );
  const tags = `pipeline="${pipeline.name}"`;
  expect(text).toMatch(
    new RegExp(`lockstep_table_verified_through_seconds\\{[^}]*${tags}[^}]*table="plain"[^}]*\\} 1\\d{9}`),
  );
  expect(text).toMatch(/lockstep_lag_ms_bucket\{[^}]*le="\+Inf"/);
  expect(text).toMatch(/lockstep_verify_differences\{[^}]*store="redis"[^}]*\} 2\b/);

  const second = await pipeline.cli('worker', '--metrics', address);
  expect(second.code).not.toBe(0);
  expect(second.stderr).toContain(`LS-METRICS-ADDRESS: metrics cannot be served at ${address}: `);
});
