/** The comparator is the judge of every end-to-end test, so it is judged here: it finds each kind of difference. */
import { Redis } from 'ioredis';
import { Binary, Decimal128, Double, Int32, Long, MongoClient } from 'mongodb';
import { createConnection } from 'mysql2/promise';
import type { Connection } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { compareStores, differencesOf } from '../support/compare.js';
import type { CompareTargets } from '../support/compare.js';
import { createWorkloadTables, fillWorkloadTables, ownErrors, runWorkload } from '../support/workload.js';

const stack = inject('stack');
const name = `proof_${Math.random().toString(36).slice(2, 8)}`;
const targets: CompareTargets = {
  mysql: { uri: stack.mysql.uri, database: name },
  mongo: { uri: stack.mongo.uri, database: name },
  redis: { uri: stack.redis.uri, keyPrefix: name, hashTables: ['h'] },
};
let mysql: Connection;
let mongo: MongoClient;
let redis: Redis;

beforeAll(async () => {
  mysql = await createConnection({ uri: stack.mysql.uri });
  mongo = await MongoClient.connect(stack.mongo.uri);
  redis = new Redis(stack.redis.uri);
  await mysql.query(`CREATE DATABASE ${name}`);
  await mysql.query(`USE ${name}`);
});

afterAll(async () => {
  await mysql.query(`DROP DATABASE IF EXISTS ${name}`);
  await mongo.db(name).dropDatabase();
  const keys = await redis.keys(`${name}:*`);
  if (keys.length > 0) await redis.del(keys);
  await mysql.end();
  await mongo.close();
  redis.disconnect();
});

const document = {
  _id: { k: 'a:b', n: new Int32(7) },
  n: new Int32(7),
  k: 'a:b',
  price: Decimal128.fromString('10.50'),
  big: Long.fromString('9007199254740993'),
  f: new Double(Math.fround(0.1)),
  at: '2024-02-29T01:02:03.000004',
  day: new Date('2024-02-29T00:00:00Z'),
  doc: { aa: Long.fromString('9007199254740993'), b: new Double(1.5) },
  raw: new Binary(Buffer.from([0, 255]), 0),
  tags: ['x', 'y'],
  zero: '0000-00-00',
  none: null,
};
const rowJson =
  '{"n":7,"k":"a:b","price":"10.50","big":9007199254740993,"f":0.10000000149011612,"at":"2024-02-29T01:02:03.000004",' +
  '"day":"2024-02-29","doc":{"aa": 9007199254740993, "b": 1.50},"raw":"AP8=","tags":"x,y","zero":"0000-00-00","none":null}';
const hash = {
  n: '7',
  k: 'a:b',
  price: '10.50',
  big: '9007199254740993',
  f: '0.10000000149011612',
  at: '2024-02-29T01:02:03.000004',
  day: '2024-02-29',
  doc: '{"b":1.5,"aa":9007199254740993}',
  raw: 'AP8=',
  tags: 'x,y',
  zero: '0000-00-00',
};

describe('comparator', () => {
  beforeAll(async () => {
    await mysql.query("SET sql_mode = ''");
    for (const table of ['t', 'h']) {
      await mysql.query(`CREATE TABLE ${table} (n INT, k VARCHAR(9), price DECIMAL(9,2), big BIGINT, f FLOAT, at DATETIME(6),
        day DATE, doc JSON, raw BLOB, tags SET('x','y'), zero DATE, none INT, PRIMARY KEY (k, n))`);
      await mysql.query(
        `INSERT INTO ${table} VALUES (7, 'a:b', 10.50, 9007199254740993, 0.1, '2024-02-29 01:02:03.000004', '2024-02-29',
          '{"b":1.5,"aa":9007199254740993}', x'00ff', 'x,y', '0000-00-00', NULL)`,
      );
    }
  });

  async function land(): Promise<void> {
    for (const table of ['t', 'h']) {
      await mongo.db(name).collection(table).deleteMany({});
      await mongo
        .db(name)
        .collection(table)
        .insertOne(document as never);
    }
    await redis.set(`${name}:t:a%3Ab:7`, rowJson);
    await redis.del(`${name}:h:a%3Ab:7`, `${name}:t:other`);
    await redis.hset(`${name}:h:a%3Ab:7`, hash);
  }

  async function found(): Promise<string[]> {
    return differencesOf(await compareStores(targets));
  }

  test('equal stores are equal', async () => {
    await land();
    expect(await found()).toEqual([]);
  });

  const t = (): ReturnType<ReturnType<MongoClient['db']>['collection']> => mongo.db(name).collection('t');
  const mistakes: [string, () => Promise<unknown>, RegExp][] = [
    ['a missing document', () => t().deleteMany({}), /^mongo t .*: missing/],
    ['an extra document', () => t().insertOne({ _id: 'x' as never }), /^mongo t "x": extra/],
    [
      'a Double for an Int32',
      () => t().updateOne({}, { $set: { n: new Double(7) } }),
      / n: expected int 7, found double 7/,
    ],
    ['a rounded Long', () => t().updateOne({}, { $set: { big: Long.fromString('9007199254740992') } }), / big: /],
    ['a lost scale', () => t().updateOne({}, { $set: { price: Decimal128.fromString('10.5') } }), / price: /],
    ['a rounded JSON integer', () => t().updateOne({}, { $set: { 'doc.aa': new Double(9007199254740992) } }), / doc: /],
    ['a field too many', () => t().updateOne({}, { $set: { extra: 1 } }), / extra: expected absent/],
    ['a missing null', () => t().updateOne({}, { $unset: { none: 1 } }), / none: expected null, found absent/],
    ['a missing key', () => redis.del(`${name}:t:a%3Ab:7`), /^redis t .*: missing/],
    ['an extra key', () => redis.set(`${name}:t:other`, '{}'), /^redis \(no row\) .*other: extra/],
    ['a changed value', () => redis.set(`${name}:t:a%3Ab:7`, rowJson.replace('10.50', '10.5')), /^redis t .* price: /],
    [
      'another order',
      () => redis.set(`${name}:t:a%3Ab:7`, rowJson.replace('"n":7,"k":"a:b"', '"k":"a:b","n":7')),
      /order/,
    ],
    [
      'a hash field too many',
      () => redis.hset(`${name}:h:a%3Ab:7`, 'none', 'null'),
      /^redis h .* none: expected absent/,
    ],
    [
      'a value of another kind',
      () => redis.del(`${name}:h:a%3Ab:7`).then(() => redis.set(`${name}:h:a%3Ab:7`, 'x')),
      /WRONGTYPE/,
    ],
  ];
  test.each(mistakes)('finds %s', async (_, make, shown) => {
    await land();
    await make();
    const lines = await found();
    expect(lines.length).toBeGreaterThan(0);
    expect(lines.join('\n')).toMatch(shown);
  });
});

test('the randomized workload meets no error but its own', async () => {
  const database = `${name}_w`;
  await mysql.query(`CREATE DATABASE ${database}`);
  try {
    await mysql.query(`USE ${database}`);
    await createWorkloadTables(mysql);
    await fillWorkloadTables(mysql, 1, 200);
    const report = await runWorkload({ uri: stack.mysql.uri, database, seed: 1, transactions: 400 });
    expect(
      Object.keys(report.errors)
        .map(Number)
        .filter((errno) => !ownErrors.includes(errno)),
    ).toEqual([]);
    expect(report.committed).toBeGreaterThan(250);
    expect(report.rolledBack).toBeGreaterThan(10);
  } finally {
    await mysql.query(`DROP DATABASE ${database}`);
  }
});
