/** `explain TABLE KEY`: what it tells of a key that is right, of one that drifts for each reason there is, and of every other state. */
import { Redis } from 'ioredis';
import { MongoClient, type Db } from 'mongodb';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { KeyStory } from '../../stages/explain.js';
import { createPipeline, type Pipeline } from '../support/pipeline.js';
import { found, past, validate } from '../support/sweeps.js';

const stack = inject('stack');
let pipeline: Pipeline;
let redis: Redis;
let mongo: MongoClient;
let db: Db;

beforeAll(async () => {
  pipeline = await createPipeline(stack, {
    label: 'explain',
    overrides: { profiles: { redis: { layout: 'hash' } }, sessions: { redis: { ttl: '1h' } } },
    // Nobody mends what is to be explained.
    settings: { verify: 'off', witness: 'off', resync: { automatic: false } },
  });
  redis = new Redis(stack.redis.uri);
  mongo = await MongoClient.connect(stack.mongo.uri);
  db = mongo.db(pipeline.database);
  await pipeline.root.query(`
    CREATE TABLE items (id INT PRIMARY KEY, name VARCHAR(50), doc JSON);
    CREATE TABLE pairs (a VARCHAR(20), b BIGINT, v INT, PRIMARY KEY (a, b));
    CREATE TABLE codes (code VARCHAR(20) COLLATE utf8mb4_0900_ai_ci PRIMARY KEY, v INT);
    CREATE TABLE prices (price DECIMAL(8,2), day DATE, PRIMARY KEY (price, day));
    CREATE TABLE profiles (id INT PRIMARY KEY, name VARCHAR(50));
    CREATE TABLE sessions (id INT PRIMARY KEY, token VARCHAR(50));
    CREATE TABLE owners (id INT PRIMARY KEY);
    CREATE TABLE owned (id INT PRIMARY KEY, owner INT NOT NULL,
      FOREIGN KEY (owner) REFERENCES owners (id) ON DELETE CASCADE)`);
  pipeline.worker();
  await pipeline.run('start', '--wait');
  await pipeline.root.query(`
    INSERT INTO items VALUES (1, 'one', NULL), (2, 'two', NULL), (3, 'three', NULL), (5, 'five', NULL);
    UPDATE items SET name = 'newer' WHERE id = 3;
    INSERT INTO pairs VALUES ('x:y', 7, 1), ('%', -3, 2);
    INSERT INTO codes VALUES ('Straße', 1), ('ab', 2);
    INSERT INTO prices VALUES (7, '2024-02-29');
    INSERT INTO profiles VALUES (1, 'p');
    INSERT INTO sessions VALUES (1, 's'), (2, 't');
    INSERT INTO owners VALUES (1), (2);
    INSERT INTO owned VALUES (11, 1), (12, 2)`);
  await pipeline.run('wait');
});

afterAll(async () => {
  redis.disconnect();
  await mongo.close();
  await pipeline.remove();
});

const redisKey = (table: string, ...parts: (string | number)[]): string => [pipeline.name, table, ...parts].join(':');

async function story(table: string, key: string): Promise<KeyStory> {
  return JSON.parse((await pipeline.run('explain', table, key, '--json')).stdout) as KeyStory;
}

/** Each store's verdict against the row, and whether it is as the log left it. */
function verdicts({ stores }: KeyStory): string[] {
  return stores.map(({ store, verdict, asTheLogSays }) => `${store} ${verdict.kind} ${String(asTheLogSays)}`);
}

test('a key that is right: its row, its events in order, both stores as they left it', async () => {
  const told = await story('items', '3');
  const row = '{"id":3,"name":"newer","doc":null}';
  expect(told).toMatchObject({ table: 'items', key: '{"id":3}', row, pending: [], parked: [], drift: [], repairs: [] });
  expect(told.log.cutOff).toBe(false);
  expect(told.log.events.map(({ op, after }) => [op, after])).toEqual([
    ['c', '{"id":3,"name":"three","doc":null}'],
    ['u', row],
  ]);
  expect(verdicts(told)).toEqual(['mongo equal true', 'redis equal true']);
  const last = told.log.events.at(-1);
  for (const { lastApplied, position, verifiedThrough } of told.stores) {
    expect(lastApplied).toEqual({ offset: last?.offset, seq: last?.seq });
    expect(position).toBeGreaterThan(last?.offset ?? Infinity);
    expect(verifiedThrough).toBeNull();
  }
  expect(told.stores.find(({ store }) => store === 'redis')?.content).toBe(row);
  const { stdout } = await pipeline.run('explain', 'items', '3');
  expect(stdout).toMatch(/^items \{"id":3\}\nmysql\n {2}\{"id":3/);
  expect(stdout).toContain('equal, held against the row');
  expect(stdout).toContain('never found to differ');
});

test('a key of several columns, however it is written', async () => {
  for (const given of ['["x:y",7]', '{"a":"x:y","b":7}', '{ "b": 7, "a": "x:y" }', '["x:y","7"]']) {
    expect(await story('pairs', given)).toMatchObject({ key: '{"a":"x:y","b":7}', row: '{"a":"x:y","b":7,"v":1}' });
  }
  expect((await story('pairs', '["%",-3]')).key).toBe('{"a":"%","b":-3}');
});

test('another spelling finds the row that MySQL finds, and says so; key text means its very bytes', async () => {
  const row = '{"code":"Straße","v":1}';
  const other = await story('codes', 'STRASSE');
  expect(other).toMatchObject({ key: '{"code":"Straße"}', asked: '{"code":"STRASSE"}', row });
  expect(verdicts(other)).toEqual(['mongo equal true', 'redis equal true']);
  expect(await story('codes', 'Straße')).toMatchObject({ key: '{"code":"Straße"}', asked: null, alike: null, row });
  const exact = await story('codes', '{"code":"strasse"}');
  expect(exact).toMatchObject({ key: '{"code":"strasse"}', asked: null, alike: '{"code":"Straße"}', row: null });
  expect(exact.log.events).toEqual([]);
  const price = { key: '{"price":"7.00","day":"2024-02-29"}', row: '{"price":"7.00","day":"2024-02-29"}' };
  for (const given of ['["007","2024-2-29"]', '{"day":"2024-02-29","price":7}']) {
    expect(await story('prices', given)).toMatchObject(price);
  }
  const said = await pipeline.run('explain', 'codes', 'AB');
  expect(said.stdout).toContain('{"code":"ab"}\nasked for as {"code":"AB"}: MySQL takes the two for one');
  expect((await pipeline.run('explain', 'codes', '{"code":"AB"}')).stdout).toContain('MySQL finds {"code":"ab"} under');
});

test('each cause of drift, found by a sweep, stands in the story with its evidence', async () => {
  const items = db.collection<{ _id: number }>('items');
  await items.updateOne({ _id: 1 }, { $set: { name: 'edited' } }, past);
  await redis.set(redisKey('items', 3), '{"id":3,"name":"three","doc":null}');
  await items.insertOne({ _id: 900 }, past);
  await redis.del(redisKey('profiles', 1));
  await redis.set(redisKey('profiles', 1), '{"id":1,"name":"p"}');
  await redis.del(redisKey('sessions', 1));
  await pipeline.root.query('DELETE FROM owners WHERE id = 1');
  await pipeline.run('wait');
  const report = await validate(pipeline);
  expect(found(report)).toEqual(
    [
      'mongo items {"id":1} different out-of-band-edit name',
      'redis items {"id":3} different lost-apply name',
      'mongo items {"id":900} extra orphan',
      'redis profiles {"id":1} different mapping-difference (type of the key)',
      'mongo owned {"id":11} extra missed-capture',
      'redis owned {"id":11} extra missed-capture',
    ].toSorted(),
  );
  expect(report.code).toBe(3);

  const edited = await story('items', '1');
  expect(verdicts(edited)).toEqual(['mongo different false', 'redis equal true']);
  expect(edited.drift).toMatchObject([
    { store: 'mongo', kind: 'different', cause: 'out-of-band-edit', evidence: { fields: ['name'] }, healedAt: null },
  ]);
  expect(edited.drift[0]?.evidence.event).toMatchObject({ offset: edited.log.events.at(-1)?.offset, op: 'c' });
  expect(edited.stores[0]?.content).toContain('edited');

  const stale = await story('items', '3');
  expect(verdicts(stale)).toEqual(['mongo equal true', 'redis different false']);
  expect(stale.drift).toMatchObject([{ store: 'redis', cause: 'lost-apply' }]);

  const orphan = await story('items', '900');
  expect(orphan).toMatchObject({ row: null, log: { events: [] }, drift: [{ store: 'mongo', cause: 'orphan' }] });
  expect(verdicts(orphan)).toEqual(['mongo extra null', 'redis equal null']);

  const mapped = await story('profiles', '1');
  expect(mapped.drift).toMatchObject([{ store: 'redis', cause: 'mapping-difference' }]);

  const unseen = await story('owned', '11');
  expect(unseen.row).toBeNull();
  expect(unseen.log.events.map(({ op }) => op)).toEqual(['c']);
  // The stores are what the log says, and the log is not what MySQL says.
  expect(verdicts(unseen)).toEqual(['mongo extra true', 'redis extra true']);
  expect(unseen.drift.map(({ cause }) => cause)).toEqual(['missed-capture', 'missed-capture']);

  // Absent under a TTL: no drift; and what is there tells when it goes.
  const expired = await story('sessions', '1');
  expect(verdicts(expired)).toEqual(['mongo equal true', 'redis expired true']);
  expect(expired.drift).toEqual([]);
  const living = (await story('sessions', '2')).stores.find(({ store }) => store === 'redis');
  expect(Date.parse(living?.expiresAt ?? '')).toBeGreaterThan(Date.now());

  expect(await validate(pipeline, '--repair')).toMatchObject({ code: 0, repaired: 6, left: 0 });
  const mended = await story('items', '1');
  expect(verdicts(mended)).toEqual(['mongo equal true', 'redis equal true']);
  expect(mended.repairs).toMatchObject([{ outcome: 'logged', by: 'sweep' }]);
  expect(mended.drift[0]?.healedAt).not.toBeNull();
  expect((await story('owned', '11')).repairs).toMatchObject([{ outcome: 'deleted' }]);
  expect((await pipeline.run('explain', 'items', '1')).stdout).toMatch(/by sweep; healed .*\n.*repair: logged/);
});

test('a parked key tells where, since when and why', async () => {
  await pipeline.root.query(String.raw`UPDATE items SET doc = '{"nul\\u0000": 1}' WHERE id = 2`);
  await pipeline.cli('wait');
  const told = await story('items', '2');
  expect(told.parked).toMatchObject([{ where: 'mongo' }]);
  expect(told.parked[0]?.reason).not.toBe('');
  expect(told.log.events.at(-1)?.seq).toBe(told.parked[0]?.seq);
  expect(verdicts(told)).toEqual(['mongo different false', 'redis equal true']);
  expect((await pipeline.run('explain', 'items', '2')).stdout).toMatch(/parked\n {2}in mongo at seq \d+: /);
  expect(found(await validate(pipeline))).toEqual([]);
  await pipeline.root.query('UPDATE items SET doc = NULL WHERE id = 2');
  await pipeline.run('wait');
  expect((await story('items', '2')).parked).toEqual([]);
});

test('unknown tables and keys: said so, with the exit codes of a failure, of wrong use, and of an answer', async () => {
  const table = await pipeline.cli('explain', 'nothing', '1', '--json');
  expect([table.code, table.stdout]).toEqual([1, '']);
  expect(table.stderr).toContain('LS-TABLE-UNKNOWN');
  for (const [name, key] of [
    ['items', 'one'],
    ['items', '[1,2]'],
    ['pairs', 'x'],
    ['pairs', '{"a":"x"}'],
    ['items', ''],
    ['prices', '[7,"yesterday"]'],
  ] as const) {
    const { code, stdout } = await pipeline.cli('explain', name, key);
    expect([name, key, code, stdout]).toEqual([name, key, 2, '']);
  }
  const none = await story('items', '4711');
  expect(none).toMatchObject({ row: null, pending: [], log: { events: [] }, drift: [], repairs: [], parked: [] });
  expect(verdicts(none)).toEqual(['mongo equal null', 'redis equal null']);
});

test('without any worker: what waits in the change log is told, and the stores are behind', async () => {
  for (const worker of pipeline.workers) await worker.kill();
  await pipeline.root.query("UPDATE items SET name = 'waits' WHERE id = 5; DELETE FROM items WHERE id = 5");
  const told = await story('items', '5');
  expect(told.pending.map(({ op }) => op)).toEqual(['u', 'd']);
  expect(told.row).toBeNull();
  expect(verdicts(told)).toEqual(['mongo extra true', 'redis extra true']);
  expect((await pipeline.run('explain', 'items', '5')).stdout).toMatch(/seq \d+: u, .*, not yet in the log/);
});
