/** What applications import: tokens and waits, with the application's own clients and no more rights than the docs say. */
import { randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';
import { MongoClient } from 'mongodb';
import { createPool, type Pool } from 'mysql2/promise';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { lockstep, type Lockstep } from '../../client/index.js';
import { runApply } from '../../stages/apply.js';
import type { Store } from '../../core/store.js';
import { openReader } from '../../stores/kafka/reader.js';
import { openMongoStore } from '../../stores/mongo/store.js';
import { recordInitialised, wasInitialised } from '../../stores/mysql/initialised.js';
import { openRedisStore } from '../../stores/redis/store.js';
import { createCaptureRig, type CaptureRig, type CaptureRun } from '../support/captureRig.js';

const stack = inject('stack');
const user = `app_${randomBytes(3).toString('hex')}`;
const password = randomBytes(9).toString('hex');
let rig: CaptureRig;
let capture: CaptureRun;
let pool: Pool;
let redis: Redis;
let mongo: MongoClient;
let stores: Store[];
let ls: Lockstep;
const abort = new AbortController();
const applying: Promise<unknown>[] = [];

beforeAll(async () => {
  rig = await createCaptureRig(stack, 'client', [
    'CREATE TABLE a (id INT PRIMARY KEY, v VARCHAR(40))',
    'CREATE TABLE b (id INT PRIMARY KEY, v VARCHAR(40))',
  ]);
  await rig.install();
  capture = rig.capture();
  const { config, mysql, stateDatabase } = rig;
  const { pipeline } = config;
  // As docs/waiting.md says.
  await rig.root.query(`CREATE USER '${user}'@'%' IDENTIFIED BY '${password}'`);
  await rig.root.query(`GRANT SELECT, INSERT, UPDATE ON \`${config.mysql.database}\`.* TO '${user}'@'%'`);
  await rig.root.query(
    `GRANT INSERT (identity, table_id, op, \`key\`, definition) ON \`${stateDatabase}\`.change_log TO '${user}'@'%'`,
  );
  await rig.root.query(`GRANT SELECT ON \`${stateDatabase}\`.markers TO '${user}'@'%'`);
  const uri = new URL(stack.mysql.uri);
  pool = createPool({
    host: uri.hostname,
    port: Number(uri.port),
    user,
    password,
    database: config.mysql.database,
    connectionLimit: 3,
  });
  redis = new Redis(stack.redis.uri);
  mongo = await MongoClient.connect(stack.mongo.uri);
  stores = [
    openMongoStore({ uri: stack.mongo.uri, database: pipeline, stateDatabase: 'lockstep', tls: null }, pipeline),
    openRedisStore({ uri: stack.redis.uri, keyPrefix: pipeline, tls: null }, pipeline),
  ];
  for (const store of stores) {
    const deps = {
      config,
      store,
      openReader: () => openReader(config.kafka, { maxWaitMs: 100 }),
      wasInitialised: (shard: number) => wasInitialised(mysql, stateDatabase, store.name, shard),
      recordInitialised: (shard: number) => recordInitialised(mysql, stateDatabase, store.name, shard, 1),
      wantDefinition: () => Promise.resolve(true),
      requestCopies: () => Promise.resolve(),
    };
    const request = { shard: 0, pausedTables: store.name === 'redis' ? ['b'] : [] };
    applying.push(runApply(deps, request, abort.signal, { beat: () => undefined }));
  }
  ls = lockstep({ pipeline, mysql: pool, mongo, redis, stateDatabase });
});

afterAll(async () => {
  abort.abort();
  await Promise.allSettled(applying);
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
  await pool.end();
  await rig.root.query(`DROP USER '${user}'@'%'`);
  await rig.remove();
});

const inRedis = (id: number): Promise<string | null> => redis.get(`${rig.config.pipeline}:a:${id}`);
const inMongo = (id: number) =>
  mongo.db(rig.config.pipeline).collection<{ _id: number; v: string }>('a').findOne({ _id: id });

test('what a transaction wrote is read in both stores behind its token', async () => {
  for (let id = 1; id <= 20; id++) {
    const connection = await pool.getConnection();
    await connection.beginTransaction();
    await connection.query('INSERT INTO a VALUES (?, ?)', [id, 'mine']);
    const token = await ls.token(connection);
    await connection.commit();
    connection.release();
    expect(await ls.waitFor(token, 'redis', { timeout: 20_000, tables: ['a'] })).toBeGreaterThanOrEqual(0);
    expect(await inRedis(id)).toBe(`{"id":${id},"v":"mine"}`);
    await ls.waitFor(token, 'mongo', { timeout: 20_000 });
    expect((await inMongo(id))?.v).toBe('mine');
  }
});

test('a token without a transaction stands for all that is committed', async () => {
  await pool.query("INSERT INTO a VALUES (100, 'x')");
  await ls.waitFor(await ls.token(), 'mongo', { timeout: 20_000 });
  expect((await inMongo(100))?.v).toBe('x');
});

test('a token that was rolled back is never reached, and says so', async () => {
  const connection = await pool.getConnection();
  await connection.beginTransaction();
  const token = await ls.token(connection);
  await connection.rollback();
  connection.release();
  await expect(ls.waitFor(token, 'mongo', { timeout: 300 })).rejects.toMatchObject({ code: 'LS-WAIT-TIMEOUT' });
});

test('a paused table holds up only those who wait for it', async () => {
  await pool.query("INSERT INTO b VALUES (1, 'x')");
  const token = await ls.token();
  await ls.waitFor(token, 'redis', { timeout: 20_000, tables: ['a'] });
  await expect(ls.waitFor(token, 'redis', { timeout: 300 })).rejects.toThrow(/redis is \d+ events behind in .*\.b$/);
});

test('an abort ends the wait', async () => {
  await pool.query("INSERT INTO b VALUES (2, 'x')");
  const token = await ls.token();
  const waiting = ls.waitFor(token, 'redis', { timeout: 60_000, signal: AbortSignal.timeout(50) });
  await expect(waiting).rejects.toMatchObject({ code: 'LS-WAIT-STOPPED' });
});

test('works with a client that gives rows as arrays and JSON as text', async () => {
  const { host, port } = { host: new URL(stack.mysql.uri).hostname, port: Number(new URL(stack.mysql.uri).port) };
  const other = createPool({ host, port, user, password, rowsAsArray: true, jsonStrings: true, dateStrings: true });
  try {
    const { pipeline } = rig.config;
    const also = lockstep({ pipeline, mysql: other, mongo, stateDatabase: rig.stateDatabase });
    await also.waitFor(await also.token(), 'mongo', { timeout: 20_000 });
    await expect(also.waitFor('x', 'redis')).rejects.toMatchObject({ code: 'LS-USAGE' });
  } finally {
    await other.end();
  }
});
