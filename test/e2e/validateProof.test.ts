/**
 * Nothing false, nothing missed: sweeps under constant heavy writes, hot keys, copies and DDL report nothing; then drift of
 * every kind is injected at random while writes go on, and exactly that is reported, with its cause; then it is repaired.
 * What would mend it by itself is switched off.
 */
import { Redis } from 'ioredis';
import { Int32, MongoClient, type Db } from 'mongodb';
import { createConnection, type RowDataPacket } from 'mysql2/promise';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { SweepReport } from '../../stages/sweepReport.js';
import { compareStores, differencesOf } from '../support/compare.js';
import { createPipeline } from '../support/pipeline.js';
import type { Pipeline } from '../support/pipeline.js';
import { seededRandom, testSeed, type Random } from '../support/random.js';

const stack = inject('stack');
/** Collections have validators: whoever edits past lockstep may pass them by as well. */
const past = { bypassDocumentValidation: true };
const seed = testSeed();
const rows = Number(process.env['PROOF_ROWS'] ?? 2_000);
const rounds = Number(process.env['PROOF_ROUNDS'] ?? 3);
let pipeline: Pipeline;
let redis: Redis;
let mongo: MongoClient;
let db: Db;
let random: Random;
const stop = new AbortController();
let writing: Promise<unknown> = Promise.resolve();

beforeAll(async () => {
  random = seededRandom(seed);
  pipeline = await createPipeline(stack, {
    label: 'proof',
    overrides: { profiles: { redis: { layout: 'hash' } }, sessions: { redis: { ttl: '1h' } } },
    settings: { resync: { automatic: false }, witness: 'off', verify: 'off', validate: { rowsPerSecondBusy: 20_000 } },
  });
  redis = new Redis(stack.redis.uri);
  mongo = await MongoClient.connect(stack.mongo.uri);
  db = mongo.db(pipeline.database);
  await pipeline.root.query(`
    CREATE TABLE busy (a VARCHAR(20), b INT, v VARCHAR(60), PRIMARY KEY (a, b));
    CREATE TABLE hot (id INT PRIMARY KEY, n INT, note VARCHAR(50));
    CREATE TABLE items (id INT PRIMARY KEY, name VARCHAR(50), price DECIMAL(10,2));
    CREATE TABLE pairs (a VARCHAR(20), b BIGINT, v INT, PRIMARY KEY (a, b));
    CREATE TABLE profiles (id INT PRIMARY KEY, name VARCHAR(50), town VARCHAR(50));
    CREATE TABLE sessions (id INT PRIMARY KEY, token VARCHAR(50));
    CREATE TABLE owners (id INT PRIMARY KEY, code INT NOT NULL UNIQUE);
    CREATE TABLE owned (id INT PRIMARY KEY, owner INT NOT NULL, code INT NULL, v VARCHAR(20),
      FOREIGN KEY (owner) REFERENCES owners (id) ON DELETE CASCADE,
      FOREIGN KEY (code) REFERENCES owners (code) ON DELETE SET NULL ON UPDATE CASCADE)`);
  await fill('hot', 20, (i) => `(${i}, 0, 'h')`);
  await fill('items', rows, (i) => `(${i}, 'item ${i}', ${i}.25)`);
  await fill('pairs', rows, (i) => `('${i % 7 === 0 ? 'x:y%' : 'k'}', ${i}, ${i})`);
  await fill('profiles', rows, (i) => `(${i}, 'name ${i}', 'town ${i}')`);
  await fill('sessions', 200, (i) => `(${i}, 'token ${i}')`);
  await fill('owners', 400, (i) => `(${i}, ${i + 1000})`);
  await fill('owned', 400, (i) => `(${i}, ${i}, ${i + 1000}, 'v')`);
  pipeline.worker();
  await pipeline.run('start', '--wait');
  await pipeline.run('wait');
}, 180_000);

afterAll(async () => {
  stop.abort();
  await writing;
  redis.disconnect();
  await mongo.close();
  await pipeline.remove();
});

async function fill(table: string, count: number, row: (i: number) => string): Promise<void> {
  for (let from = 1; from <= count; from += 1000) {
    const size = Math.min(1000, count - from + 1);
    await pipeline.root.query(
      `INSERT INTO ${table} VALUES ${Array.from({ length: size }, (_, i) => row(from + i)).join()}`,
    );
  }
}

/** A few rows, each changed hundreds of times a second. */
async function heat(): Promise<void> {
  const connection = await createConnection({ uri: stack.mysql.uri, database: pipeline.database });
  const { database } = pipeline;
  try {
    for (let n = 0; !stop.signal.aborted; n++) {
      const id = 1 + (n % 3);
      if (n % 50 === 49) {
        await connection.query(`DELETE FROM \`${database}\`.hot WHERE id = ${id}`);
        await connection.query(`INSERT IGNORE INTO \`${database}\`.hot (id, n, note) VALUES (${id}, ${n}, 'again')`);
      } else await connection.query(`UPDATE \`${database}\`.hot SET n = ${n} WHERE id = ${id}`);
    }
  } finally {
    await connection.end();
  }
}

/** Keys that come, change, move and go, a few at a time, rolled back now and then. */
async function bustle(connection: number): Promise<void> {
  const own = seededRandom(seed + connection);
  const session = await createConnection({ uri: stack.mysql.uri, database: pipeline.database });
  const key = (): [string, number] => [own.pick(['x', 'y:z', '%', 'ä']), own.below(200)];
  try {
    while (!stop.signal.aborted) {
      await session.beginTransaction();
      for (let n = 0; n < 3; n++) {
        const text = 'v'.repeat(own.below(60));
        const [statement, values] = own.pick<[string, unknown[]]>([
          ['REPLACE INTO busy VALUES (?, ?, ?)', [...key(), text]],
          ['UPDATE busy SET v = ? WHERE a = ? AND b = ?', [text, ...key()]],
          ['DELETE FROM busy WHERE a = ? AND b = ?', key()],
          ['UPDATE IGNORE busy SET b = b + 1 WHERE a = ? AND b = ?', key()],
          ['INSERT IGNORE INTO busy VALUES (?, ?, ?)', [...key(), text]],
        ]);
        await session.query(statement, values).catch(isContention);
      }
      if (own.chance(0.1)) await session.rollback();
      else await session.commit();
    }
  } finally {
    await session.end();
  }
}

function isContention(error: Error & { readonly errno?: number }): void {
  if (error.errno !== 1213 && error.errno !== 1205) throw error;
}

async function validate(...args: string[]): Promise<SweepReport & { readonly code: number }> {
  const { code, stdout, stderr } = await pipeline.cli('validate', '--json', ...args);
  if (stdout === '') {
    throw new Error(`validate ended with ${code}: ${stderr}\n${pipeline.workers.map((w) => w.log()).join('\n')}`);
  }
  return { ...(JSON.parse(stdout) as SweepReport), code };
}

function found(report: SweepReport): string[] {
  return report.keys.map((k) => `${k.store} ${k.table} ${k.key} ${k.kind} ${k.cause}`).toSorted();
}

async function drift(): Promise<string[]> {
  const [list] = await pipeline.root.query<RowDataPacket[]>(
    `SELECT store, name, \`key\`, kind, cause FROM ${pipeline.stateDatabase}.drift WHERE open = 1`,
  );
  return list.map((d) => `${d['store']} ${d['name']} ${d['key']} ${d['kind']} ${d['cause']}`).toSorted();
}

test('under constant writes, hot keys, copies and DDL nothing is reported', async () => {
  writing = Promise.all([bustle(1), bustle(2), heat(), heat()]);
  for (let round = 0; round < rounds; round++) {
    const asides: Promise<unknown>[] = [];
    if (round === 1) asides.push(pipeline.run('resync', 'hot'));
    if (round === 2) asides.push(pipeline.root.query('ALTER TABLE hot ADD COLUMN more INT NULL'));
    const report = await validate();
    await Promise.all(asides);
    expect({ round, found: found(report) }).toEqual({ round, found: [] });
    expect(report.tables.find(({ table }) => table === 'items')?.rows).toBe(rows);
  }
}, 240_000);

/** Injects one drift a key; what a sweep must say of it. */
async function inject1(id: number, expected: Set<string>): Promise<void> {
  const items = db.collection<{ _id: number }>('items');
  const pairs = db.collection<{ _id: object }>('pairs');
  const name = (table: string, ...parts: (string | number)[]): string => [pipeline.name, table, ...parts].join(':');
  const a = id % 7 === 0 ? 'x:y%' : 'k';
  const pair = `{"a":"${a}","b":${id}}`;
  const add = (store: string, table: string, key: string, kind: string, cause = 'out-of-band-edit'): void =>
    void expected.add(`${store} ${table} ${key} ${kind} ${cause}`);
  const key = `{"id":${id}}`;
  switch (random.below(14)) {
    case 0:
      await items.updateOne({ _id: id }, { $set: { name: 'edited' } }, past);
      return add('mongo', 'items', key, 'different');
    case 1:
      await items.updateOne({ _id: id }, { $set: { price: new Int32(id) } }, past);
      return add('mongo', 'items', key, 'different');
    case 2:
      await items.updateOne({ _id: id }, { $set: { added: 1 } }, past);
      return add('mongo', 'items', key, 'different');
    case 3:
      await items.updateOne({ _id: id }, { $unset: { name: '' } }, past);
      return add('mongo', 'items', key, 'different');
    case 4:
      await items.deleteOne({ _id: id });
      return add('mongo', 'items', key, 'missing');
    case 5:
      await items.insertOne({ _id: id + 1_000_000 }, past);
      return add('mongo', 'items', `{"id":${id + 1_000_000}}`, 'extra', 'orphan');
    case 6:
      await pairs.deleteOne({ _id: { a, b: id } });
      return add('mongo', 'pairs', pair, 'missing');
    case 7:
      await redis.del(name('items', id));
      return add('redis', 'items', key, 'missing');
    case 8:
      await redis.set(name('items', id), `{"id":${id},"name":"stale","price":"0.00"}`);
      return add('redis', 'items', key, 'different');
    case 9:
      await redis.expire(name('items', id), 3_600);
      return add('redis', 'items', key, 'different');
    case 10:
      await redis.hdel(name('profiles', id), 'town');
      return add('redis', 'profiles', key, 'different');
    case 11:
      await redis.set(name('pairs', 'z', id), '{}');
      return add('redis', 'pairs', `{"a":"z","b":${id}}`, 'extra', 'orphan');
    case 12:
      await redis.del(name('profiles', id));
      await redis.set(name('profiles', id), 'x');
      return add('redis', 'profiles', key, 'different');
    default:
      await redis.hset(name('profiles', id), 'name', 'x', 'more', 'y');
      return add('redis', 'profiles', key, 'different');
  }
}

test('drift of every kind is reported exactly, with its cause, and repaired', async () => {
  const expected = new Set<string>();
  for (let id = 1; id <= rows; id++) if (random.chance(0.6)) await inject1(id, expected);
  // Past the triggers: rows that a foreign key changes or removes.
  for (let id = 1; id <= 200; id++) {
    if (id % 2 === 0) {
      await pipeline.root.query(`DELETE FROM owners WHERE id = ${id}`);
      for (const store of ['mongo', 'redis']) expected.add(`${store} owned {"id":${id}} extra missed-capture`);
    } else {
      await pipeline.root.query(`UPDATE owners SET code = ${id + 5000} WHERE id = ${id}`);
      for (const store of ['mongo', 'redis']) expected.add(`${store} owned {"id":${id}} different missed-capture`);
    }
  }
  // An expired key is no drift.
  await redis.del(`${pipeline.name}:sessions:1`);
  expect(expected.size).toBeGreaterThan(rows / 2);
  const report = await validate();
  const seen = await drift();
  expect(seen).toEqual([...expected].toSorted());
  expect(report).toMatchObject({ code: 3, drift: expected.size, left: expected.size });

  const mended = await validate('--repair');
  expect(mended).toMatchObject({ code: 0, drift: expected.size, repaired: expected.size, left: 0 });
  expect(await drift()).toEqual([]);
  stop.abort();
  await writing;
  expect(found(await validate())).toEqual([]);
  await pipeline.run('wait');
  const independent = differencesOf(await compareStores(pipeline.targets()));
  expect(independent.filter((line) => !/sessions/.test(line))).toEqual([]);
}, 240_000);
