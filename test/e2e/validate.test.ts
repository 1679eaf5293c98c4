/** Validate as its users see it: what it finds, why, how it mends it, and what it says when it cannot go on. */
import { Redis } from 'ioredis';
import { Int32, MongoClient, type Db } from 'mongodb';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { SweepReport } from '../../stages/sweepReport.js';
import { compareStores, differencesOf } from '../support/compare.js';
import { createPipeline } from '../support/pipeline.js';
import type { Pipeline } from '../support/pipeline.js';

const stack = inject('stack');
/** Collections have validators: whoever edits past lockstep may pass them by as well. */
const past = { bypassDocumentValidation: true };
let pipeline: Pipeline;
let redis: Redis;
let mongo: MongoClient;
let db: Db;

beforeAll(async () => {
  pipeline = await createPipeline(stack, {
    label: 'sweep',
    overrides: { profiles: { redis: { layout: 'hash' } }, sessions: { redis: { ttl: '1h' } } },
  });
  redis = new Redis(stack.redis.uri);
  mongo = await MongoClient.connect(stack.mongo.uri);
  db = mongo.db(pipeline.database);
  await pipeline.root.query(`
    CREATE TABLE items (id INT PRIMARY KEY, name VARCHAR(50), price DECIMAL(10,2));
    CREATE TABLE pairs (a VARCHAR(20), b BIGINT, v INT, PRIMARY KEY (a, b));
    CREATE TABLE profiles (id INT PRIMARY KEY, name VARCHAR(50), town VARCHAR(50));
    CREATE TABLE sessions (id INT PRIMARY KEY, token VARCHAR(50))`);
  for (const table of ['items', 'profiles', 'sessions']) {
    const values = Array.from({ length: 50 }, (_, i) => `(${i + 1}, 'n${i}'${table === 'sessions' ? '' : `, ${i}`})`);
    await pipeline.root.query(`INSERT INTO ${table} VALUES ${values.join()}`);
  }
  await pipeline.root.query("INSERT INTO pairs VALUES ('x:y', 1, 1), ('x:y', 2, 2), ('%', 3, 3)");
  pipeline.worker();
  await pipeline.run('start', '--wait');
  await pipeline.run('wait');
});

afterAll(async () => {
  redis.disconnect();
  await mongo.close();
  await pipeline.remove();
});

async function validate(...args: string[]): Promise<SweepReport & { readonly code: number }> {
  const { code, stdout, stderr } = await pipeline.cli('validate', '--json', ...args);
  if (stdout === '')
    throw new Error(`validate ended with ${code}: ${stderr}\n${pipeline.workers.map((w) => w.log()).join('\n')}`);
  return { ...(JSON.parse(stdout) as SweepReport), code };
}

function found(report: SweepReport): string[] {
  return report.keys
    .map(
      (k) =>
        `${k.store} ${k.table} ${k.key} ${k.kind} ${k.cause}${k.fields === undefined ? '' : ` ${k.fields.join()}`}`,
    )
    .toSorted();
}

const key = (table: string, ...parts: (string | number)[]): string => [pipeline.name, table, ...parts].join(':');

test('stores that are equal have no drift', async () => {
  const report = await validate();
  expect(found(report)).toEqual([]);
  expect(report).toMatchObject({ code: 0, drift: 0, left: 0, state: 'done' });
  expect(report.tables.map((t) => [t.table, t.rows, t.mongo, t.redis])).toEqual(
    [
      ['items', 50],
      ['pairs', 3],
      ['profiles', 50],
      ['sessions', 50],
    ].map(([table, rows]) => [
      table,
      rows,
      { missing: 0, extra: 0, different: 0 },
      { missing: 0, extra: 0, different: 0 },
    ]),
  );
  for (const { verifiedThrough } of report.tables) expect(verifiedThrough).toMatch(/Z$/);
});

test('every kind of edit in a store is found, named, and mended', async () => {
  const items = db.collection<{ _id: number; name: unknown }>('items');
  await items.updateOne({ _id: 1 }, { $set: { name: 'edited' } }, past);
  await items.updateOne({ _id: 2 }, { $set: { name: new Int32(7) } }, past);
  await items.updateOne({ _id: 3 }, { $set: { added: 1 } as object }, past);
  await items.updateOne({ _id: 4 }, { $unset: { name: '' } }, past);
  await items.deleteOne({ _id: 5 });
  await items.insertOne({ _id: 900, name: 'orphan' }, past);
  await db.collection<{ _id: object }>('pairs').deleteOne({ _id: { a: 'x:y', b: 2 } });
  await redis.set(key('items', 6), '{"id":6,"name":"edited","price":"5.00"}');
  await redis.del(key('items', 7));
  await redis.set(key('items', 901), '{}');
  await redis.expire(key('items', 8), 3600);
  await redis.hdel(key('profiles', 9), 'town');
  await redis.hset(key('profiles', 10), 'extra', '1');
  await redis.del(key('profiles', 11));
  await redis.set(key('profiles', 12), 'a string');
  await redis.persist(key('sessions', 13));
  await redis.del(key('sessions', 14));
  await redis.set(key('pairs', 'x%3Ay', 99), '{}');
  const expected = [
    'mongo items {"id":1} different out-of-band-edit name',
    'mongo items {"id":2} different out-of-band-edit name',
    'mongo items {"id":3} different out-of-band-edit added',
    'mongo items {"id":4} different out-of-band-edit name',
    'mongo items {"id":5} missing out-of-band-edit',
    'mongo items {"id":900} extra orphan',
    'mongo pairs {"a":"x:y","b":2} missing out-of-band-edit',
    'redis items {"id":6} different out-of-band-edit name',
    'redis items {"id":7} missing out-of-band-edit',
    'redis items {"id":8} different out-of-band-edit (expiry)',
    'redis items {"id":901} extra orphan',
    'redis pairs {"a":"x:y","b":99} extra orphan',
    'redis profiles {"id":10} different out-of-band-edit extra',
    'redis profiles {"id":11} missing out-of-band-edit',
    'redis profiles {"id":12} different out-of-band-edit (type of the key)',
    'redis profiles {"id":9} different out-of-band-edit town',
    'redis sessions {"id":13} different out-of-band-edit (expiry)',
  ].toSorted();
  const seen = await validate();
  expect(found(seen)).toEqual(expected);
  expect(seen).toMatchObject({ code: 3, left: expected.length });
  expect(seen.tables.find(({ table }) => table === 'sessions')?.expired).toBe(1);

  const mended = await validate('--repair');
  expect(found(mended)).toEqual(expected);
  expect(mended).toMatchObject({ code: 0, drift: expected.length, repaired: expected.length, left: 0 });
  expect(found(await validate())).toEqual([]);
  await pipeline.run('wait');
  await redis.del(key('sessions', 14));
  const independent = differencesOf(await compareStores(pipeline.targets())).filter(
    (line) => !/sessions.*14/.test(line),
  );
  expect(independent).toEqual([]);
});
