/**
 * Rows at the limits, through the whole line: what a store or the log cannot take is parked by its key, with the reason;
 * everything else moves on, and the next change of the key that fits brings it back.
 */
import { Redis } from 'ioredis';
import { MongoClient, type Db } from 'mongodb';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { compareStores, differencesOf } from '../support/compare.js';
import { createPipeline } from '../support/pipeline.js';
import type { Pipeline } from '../support/pipeline.js';
import { until } from '../support/processes.js';

interface Parked {
  readonly table: string;
  readonly key: string;
  readonly by: string;
  readonly reason: string;
}

const stack = inject('stack');
let pipeline: Pipeline;
let redis: Redis;
let mongo: MongoClient;
let documents: Db;

/** Of `{_id: int, id: int, v: string}`, beside the bytes of v. */
const around = 30;
const largestDocument = 16 * 1024 * 1024;
/** Above it a trigger leaves the image to capture. */
const largestImage = 12 * 1024 * 1024;
const largestMessage = 18 * 1024 * 1024;

beforeAll(async () => {
  pipeline = await createPipeline(stack, {
    label: 'limits',
    settings: { kafka: { partitions: 2, maxMessageBytes: '18MB' } },
  });
  redis = new Redis(stack.redis.uri);
  mongo = await MongoClient.connect(stack.mongo.uri);
  documents = mongo.db(pipeline.database);
  await pipeline.root.query('CREATE TABLE big (id INT PRIMARY KEY, v LONGTEXT CHARACTER SET latin1)');
  await pipeline.root.query('CREATE TABLE odd (id INT PRIMARY KEY, name VARCHAR(20), doc JSON)');
  pipeline.worker();
  await pipeline.run('start', '--wait');
});

afterAll(async () => {
  redis.disconnect();
  await mongo.close();
  await pipeline.remove();
});

async function put(id: number, bytes: number, text = 'x'): Promise<void> {
  await pipeline.root.query('INSERT INTO big VALUES (?, REPEAT(?, ?)) AS newer ON DUPLICATE KEY UPDATE v = newer.v', [
    id,
    text,
    bytes,
  ]);
}

async function parked(): Promise<readonly Parked[]> {
  const { stdout } = await pipeline.run('status', '--json');
  const list = (JSON.parse(stdout) as { parked: readonly Parked[] }).parked;
  return list.toSorted((a, b) => a.key.localeCompare(b.key) || a.by.localeCompare(b.by));
}

function names(list: readonly Parked[]): string[] {
  return list.map(({ table, key, by }) => `${table} ${key} ${by}`);
}

/** Length of the value in each store; null where the key is not there. */
async function lengths(id: number): Promise<readonly (number | null)[]> {
  const document = await documents.collection<{ _id: number; v: string }>('big').findOne({ _id: id });
  const row = await redis.get(`${pipeline.name}:big:${id}`);
  return [document?.v.length ?? null, row === null ? null : (JSON.parse(row) as { v: string }).v.length];
}

async function passes(): Promise<void> {
  await pipeline.run('wait', '--timeout', '60s');
}

/** Ends with 1, naming tables with parked keys, after everything else has arrived. */
async function passesAllBut(table: string): Promise<void> {
  const { code, stderr } = await pipeline.cli('wait', '--timeout', '60s');
  expect(stderr).toContain(`with parked keys: ${table}`);
  expect(code).toBe(1);
}

test('a document of 16 MB: a byte less and to the byte it is stored, a byte more is parked', async () => {
  const fits = largestDocument - around;
  await put(1, fits - 1);
  await put(2, fits);
  await put(3, fits + 1);
  await put(4, 10);
  await passesAllBut('big');
  const found = await parked();
  expect(names(found)).toEqual(['big {"id":3} mongo']);
  expect(found[0]?.reason).toContain(`${largestDocument + 1} bytes; MongoDB stores at most ${largestDocument}`);
  expect(await Promise.all([1, 2, 3, 4].map(lengths))).toEqual([
    [fits - 1, fits - 1],
    [fits, fits],
    [null, fits + 1],
    [10, 10],
  ]);
  const { stdout } = await pipeline.run('status');
  expect(stdout).toMatch(/parked keys\n {2}big \{"id":3\} \(mongo\): the document has/);
});

test('kill -9 forgets no parked key; a change that fits takes it back', async () => {
  await pipeline.workers.at(-1)?.kill();
  pipeline.worker();
  await put(5, 20);
  await passesAllBut('big');
  expect(names(await parked())).toEqual(['big {"id":3} mongo']);
  await put(3, 30);
  await passes();
  expect(await parked()).toEqual([]);
  expect(await lengths(3)).toEqual([30, 30]);
});

test('a row around what a trigger writes: to the byte from the trigger, above it read again', async () => {
  await put(6, largestImage);
  await put(7, largestImage + 1);
  await passes();
  expect(await Promise.all([6, 7].map(lengths))).toEqual([
    [largestImage, largestImage],
    [largestImage + 1, largestImage + 1],
  ]);
});

test('more than a message may hold is parked before the log; the stores keep what they had, and a delete takes it back', async () => {
  await put(8, 40);
  await passes();
  // One as it is, the other six times as large once it is JSON.
  await put(8, largestMessage);
  await put(9, largestMessage / 4, '\u0001');
  await put(10, 50);
  await passesAllBut('big');
  const found = await parked();
  expect(names(found)).toEqual(['big {"id":8} capture', 'big {"id":9} capture']);
  for (const { reason } of found) expect(reason).toMatch(/larger than a message of topic .*max\.message\.bytes/);
  expect(await Promise.all([8, 9, 10].map(lengths))).toEqual([
    [40, 40],
    [null, null],
    [50, 50],
  ]);
  await pipeline.workers.at(-1)?.kill();
  pipeline.worker();
  await pipeline.root.query('DELETE FROM big WHERE id = 8');
  await put(9, 60);
  await passes();
  expect(await parked()).toEqual([]);
  expect(await Promise.all([8, 9].map(lengths))).toEqual([
    [null, null],
    [60, 60],
  ]);
});

test('what MongoDB alone cannot hold is parked there alone, as is what a rule of its own refuses', async () => {
  const collection = documents.collection<{ _id: number; name: string }>('odd');
  await collection.createIndex({ name: 1 }, { unique: true });
  const long = 'n'.repeat(3);
  await pipeline.root.query(`INSERT INTO odd VALUES (1, '${long}', '{"a":1}'), (2, '${long}', NULL), (3, 'c', '[]')`);
  await pipeline.root.query(String.raw`INSERT INTO odd VALUES (4, 'd', '{"nul\\u0000": 1}')`);
  await passesAllBut('odd');
  const found = await parked();
  expect(names(found)).toEqual(['odd {"id":2} mongo', 'odd {"id":4} mongo']);
  expect(found[0]?.reason).toContain('a unique index on name');
  expect(found[0]?.reason).not.toContain(long);
  expect(await collection.countDocuments()).toBe(2);
  expect(await redis.exists(...[1, 2, 3, 4].map((id) => `${pipeline.name}:odd:${id}`))).toBe(4);
  await pipeline.root.query("UPDATE odd SET name = CONCAT('n', id), doc = NULL WHERE id IN (2, 4)");
  await passes();
  expect(await parked()).toEqual([]);
  expect(await collection.countDocuments()).toBe(4);
});

test('more keys than one batch sees refused are parked all the same, and the rest goes on', async () => {
  await pipeline.root.query('DELETE FROM odd');
  // In one batch with their successors the deletes would fold away, and a refused successor keeps what was there.
  await passes();
  await pipeline.root.query('SET SESSION cte_max_recursion_depth = 5000');
  await pipeline.root.query(
    `INSERT INTO odd WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 220)
     SELECT i, IF(i <= 110, 'same', CONCAT('n', i)), NULL FROM n`,
  );
  await passesAllBut('odd');
  expect((await parked()).every(({ table, by }) => table === 'odd' && by === 'mongo')).toBe(true);
  expect(await parked()).toHaveLength(109);
  expect(await documents.collection('odd').countDocuments()).toBe(111);
  await pipeline.root.query("UPDATE odd SET name = CONCAT('n', id)");
  await passes();
  expect(await parked()).toEqual([]);
});

test('the store keeps the last good document; a key whose row went unseen is freed by a copy', async () => {
  await pipeline.root.query("INSERT INTO odd VALUES (1001, 'first', NULL)");
  await passes();
  await pipeline.root.query(String.raw`UPDATE odd SET name = 'bad', doc = '{"nul\\u0000": 1}' WHERE id = 1001`);
  await pipeline.root.query(String.raw`INSERT INTO odd VALUES (1002, 'new', '{"nul\\u0000": 1}')`);
  await passesAllBut('odd');
  expect(names(await parked())).toEqual(['odd {"id":1001} mongo', 'odd {"id":1002} mongo']);
  expect(await documents.collection<{ _id: number }>('odd').findOne({ _id: 1001 })).toMatchObject({ name: 'first' });
  await pipeline.root.query('TRUNCATE odd');
  await pipeline.run('resync', 'odd');
  await until('nothing is parked', async () => (await parked()).length === 0, { timeoutMs: 60_000, everyMs: 500 });
  await passes();
  expect(await documents.collection('odd').countDocuments()).toBe(0);
  expect(await redis.keys(`${pipeline.name}:odd:*`)).toEqual([]);
});

test('text that Unicode does not have is parked, from a copy, a trigger and in a key; the next whole value takes it back', async () => {
  await pipeline.root.query(`
    CREATE TABLE ucs (id INT PRIMARY KEY, u VARCHAR(9) CHARACTER SET ucs2, j VARCHAR(9) CHARACTER SET cp932);
    INSERT INTO ucs VALUES (1, _ucs2 X'0041D8000042', 'a'), (2, 'whole?', _cp932 X'FA5B');
    CREATE TABLE keyed (k VARCHAR(9) CHARACTER SET ucs2 PRIMARY KEY, n INT);
    INSERT INTO keyed VALUES (_ucs2 X'D800', 1), (_ucs2 X'D801', 2), ('plain', 3)`);
  await until('both tables are captured', async () => /\bkeyed\b/.test((await pipeline.run('schema')).stdout), {
    everyMs: 300,
  });
  await until('they are copied', async () => (await parked()).length === 3, { everyMs: 300 });
  // By triggers: what was whole before, what comes new, and a key that changes into one.
  await pipeline.root.query(`
    UPDATE ucs SET j = _cp932 X'3F81AD' WHERE id = 2;
    INSERT INTO ucs VALUES (3, _ucs2 X'DC00', NULL), (4, NULL, '?');
    UPDATE keyed SET k = _ucs2 X'DFFF' WHERE k = 'plain'`);
  await passesAllBut('keyed');
  const bytes = (hex: string): string => `keyed {"k":{"charset":"ucs2","hex":"${hex}"}} capture`;
  const found = await parked();
  expect(names(found).toSorted()).toEqual([
    ...['D800', 'D801', 'DFFF'].map(bytes),
    ...[1, 2, 3].map((id) => `ucs {"id":${id}} capture`),
  ]);
  expect(found.find(({ key }) => key === '{"id":2}')?.reason).toMatch(
    /^column j holds what Unicode has no character for \(cp932\)/,
  );
  const held = async (): Promise<unknown> => ({
    ucs: await documents.collection('ucs').find().sort({ _id: 1 }).toArray(),
    keyed: await documents.collection('keyed').find().toArray(),
    keys: (await redis.keys(`${pipeline.name}:keyed:*`)).length,
    redis: (await redis.mget([2, 4].map((id) => `${pipeline.name}:ucs:${id}`))).map(
      (text) => JSON.parse(text ?? 'null') as unknown,
    ),
  });
  const last = { id: 2, u: 'whole?', j: '∵' };
  const fourth = { id: 4, u: null, j: '?' };
  // The stores keep the last good content, and nothing that was cut or asked for.
  expect(await held()).toEqual({
    ucs: [
      { _id: 2, ...last },
      { _id: 4, ...fourth },
    ],
    keyed: [],
    keys: 0,
    redis: [last, fourth],
  });
  const explained = await pipeline.cli('explain', 'keyed', '{"k":{"charset":"ucs2","hex":"D801"}}', '--json');
  expect(JSON.parse(explained.stdout)).toMatchObject({
    row: '{"k":{"charset":"ucs2","hex":"D801"},"n":2}',
    parked: [{ where: 'capture', reason: expect.stringMatching(/^column k holds/) as string }],
    stores: [{ content: null }, { content: null }],
  });
  // A sweep knows them, and mends nothing.
  const swept = await pipeline.cli('validate', '--repair', '--json');
  expect([swept.code, (JSON.parse(swept.stdout) as { drift: number }).drift]).toEqual([0, 0]);
  expect(await parked()).toEqual(found);
  await pipeline.root.query(`
    DELETE FROM big; UPDATE ucs SET u = 'AB', j = 'b' WHERE id < 4; DELETE FROM ucs WHERE id = 3;
    UPDATE keyed SET k = 'again' WHERE k = _ucs2 X'D800'; DELETE FROM keyed WHERE k = _ucs2 X'D801';
    UPDATE keyed SET n = 4, k = 'plain' WHERE k = _ucs2 X'DFFF'`);
  await passes();
  expect(await parked()).toEqual([]);
  expect(differencesOf(await compareStores(pipeline.targets()))).toEqual([]);
});
