/**
 * Sweeps while things break: workers killed and frozen, a store that goes away, tables altered and dropped under them, the
 * pipeline stopped. Each time it goes on behind the last finished chunk or ends with a reason, and no verdict is wrong.
 */
import { Redis } from 'ioredis';
import { MongoClient, type Db } from 'mongodb';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { startBreakingProxy, type BreakingProxy } from '../support/breakingProxy.js';
import { createPipeline, type Pipeline } from '../support/pipeline.js';
import type { CommandResult } from '../support/processes.js';
import { until } from '../support/processes.js';
import { found, openDrift, past, state, validate, type Validated } from '../support/sweeps.js';

const stack = inject('stack');
/** Five chunks, two and a half seconds. */
const rows = 20_000;
/** Of the smaller tables. */
const others = 6_000;
let pipeline: Pipeline;
let redis: Redis;
let proxy: BreakingProxy;
let mongo: MongoClient;
let db: Db;

beforeAll(async () => {
  const url = new URL(stack.redis.uri);
  proxy = await startBreakingProxy({ host: url.hostname, port: Number(url.port) });
  url.host = `127.0.0.1:${proxy.port}`;
  pipeline = await createPipeline(stack, {
    label: 'swfault',
    redisUri: url.href,
    settings: {
      verify: 'off',
      witness: 'off',
      resync: { automatic: false },
      // Slow enough to be met in the middle; one chunk after the other.
      validate: { parallel: 1, rowsPerSecond: 8_000, rowsPerSecondBusy: 8_000 },
    },
  });
  redis = new Redis(stack.redis.uri);
  mongo = await MongoClient.connect(stack.mongo.uri);
  db = mongo.db(pipeline.database);
  for (const [table, count] of Object.entries({ big: rows, altered: others, dropped: others })) {
    await pipeline.root.query(`
      CREATE TABLE ${table} (id INT PRIMARY KEY, v VARCHAR(20));
      SET SESSION cte_max_recursion_depth = 200000;
      INSERT INTO ${table} WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count})
        SELECT i, CONCAT('v', i) FROM n`);
  }
  pipeline.worker();
  await pipeline.run('start', '--wait');
  await pipeline.run('wait');
}, 180_000);

afterAll(async () => {
  redis.disconnect();
  await mongo.close();
  proxy.mend();
  await pipeline.remove();
  await proxy.close();
});

/** An edit at the beginning, in the middle and at the end of each store; what a sweep must say of them. */
async function inject6(): Promise<string[]> {
  const big = db.collection<{ _id: number }>('big');
  const expected: string[] = [];
  for (const id of [10, 11_000, 19_000]) {
    await big.updateOne({ _id: id }, { $set: { v: 'edited' } }, past);
    await redis.del(`${pipeline.name}:big:${id + 1}`);
    expected.push(`mongo big {"id":${id}} different out-of-band-edit`);
    expected.push(`redis big {"id":${id + 1}} missing out-of-band-edit`);
  }
  return expected.toSorted();
}

interface Chunk {
  readonly sweep: string;
  readonly number: number;
  readonly finishedAt: string;
}

/** Finished chunks of rows, of the sweep that began last. */
async function chunks(): Promise<readonly Chunk[]> {
  const list = await state(
    pipeline,
    `SELECT c.sweep, c.number, CAST(c.finished_at AS CHAR) AS finished_at FROM {db}.sweep_chunks c
      WHERE c.pass = 'rows' AND c.finished_at IS NOT NULL
        AND c.sweep = (SELECT id FROM {db}.sweeps ORDER BY started_at DESC LIMIT 1) ORDER BY c.number`,
  );
  return list.map((row) => ({
    sweep: String(row['sweep']),
    number: Number(row['number']),
    finishedAt: String(row['finished_at']),
  }));
}

async function sweepsBegun(): Promise<number> {
  return Number((await state(pipeline, 'SELECT COUNT(*) AS n FROM {db}.sweeps'))[0]?.['n']);
}

interface Begun {
  readonly report: Promise<Validated>;
  readonly first: Chunk;
}

/** A sweep of `big`, met behind its first finished chunk. */
async function inTheMiddle(...args: string[]): Promise<Begun> {
  const before = await sweepsBegun();
  const report = validate(pipeline, '--table', 'big', ...args);
  report.catch(() => undefined);
  let first: Chunk | undefined;
  await until(
    'the first chunk',
    async () => {
      if ((await sweepsBegun()) > before) [first] = await chunks();
      return first !== undefined;
    },
    { timeoutMs: 60_000, everyMs: 20 },
  );
  if (first === undefined) throw new Error('no chunk');
  expect((await chunks()).length).toBeLessThan(4);
  return { report, first };
}

function without(lines: readonly string[]): string[] {
  return lines.map((line) => line.split(' ').slice(0, 5).join(' ')).toSorted();
}

test('kill -9: another worker goes on behind the last finished chunk, with the same verdict', async () => {
  const expected = await inject6();
  const { report, first } = await inTheMiddle();
  await Promise.all(pipeline.workers.map((worker) => worker.kill()));
  pipeline.worker();
  const swept = await report;
  expect(without(found(swept))).toEqual(expected);
  expect(swept).toMatchObject({ code: 3, sweep: first.sweep, drift: 6, left: 6, tables: [{ table: 'big', rows }] });
  // What had been finished before the kill was not done again.
  expect((await chunks())[0]).toEqual(first);
});

test('a frozen worker is replaced; what it brings when it thaws is nobody’s any more', async () => {
  const { report } = await inTheMiddle('--repair');
  const [frozen] = pipeline.workers.filter((worker) => worker.running());
  frozen?.freeze();
  pipeline.worker();
  const swept = await report;
  expect(swept).toMatchObject({ code: 0, drift: 6, repaired: 6, left: 0, tables: [{ rows }] });
  expect(await openDrift(pipeline)).toEqual([]);
  const before = await chunks();
  frozen?.thaw();
  // It goes on where it hung, and ends when it learns that it was replaced.
  await frozen?.stop();
  expect(await openDrift(pipeline)).toEqual([]);
  expect(await chunks()).toEqual(before);
  const again = await validate(pipeline, '--table', 'big');
  expect(again).toMatchObject({ code: 0, drift: 0, tables: [{ rows }] });
});

test('a store that goes away and comes back is waited for', async () => {
  const expected = await inject6();
  const { report, first } = await inTheMiddle();
  proxy.cut();
  await until('it is missed', () => Promise.resolve(proxy.refused >= 10));
  proxy.mend();
  const swept = await report;
  expect(without(found(swept))).toEqual(expected);
  expect(swept).toMatchObject({ code: 3, sweep: first.sweep, drift: 6, tables: [{ rows }] });
  expect(await validate(pipeline, '--table', 'big', '--repair')).toMatchObject({ code: 0, left: 0 });
});

test('stop ends a running sweep; started again, the next call goes on where it was', async () => {
  const { report, first } = await inTheMiddle();
  const stopping = pipeline.run('stop', '--json');
  await expect(report).rejects.toThrow(/LS-SWEEP-STOPPED.*the pipeline was stopped/s);
  expect(JSON.parse((await stopping).stdout)).toMatchObject({ stopped: true, stillDraining: [] });
  const [ended] = await state(pipeline, 'SELECT state FROM {db}.sweeps WHERE id = ?', [first.sweep]);
  expect(ended?.['state']).toBe('ended');
  const refused = await pipeline.cli('validate', '--table', 'big');
  expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('LS-PIPELINE-NOT-RUNNING') as string]);
  await pipeline.run('start', '--wait');
  const swept = await validate(pipeline, '--table', 'big');
  expect(swept).toMatchObject({ code: 0, sweep: first.sweep, drift: 0, tables: [{ rows }] });
  expect((await chunks())[0]).toEqual(first);
});

/** A sweep of one table, met when it begins to read its rows. */
async function atItsBeginning(table: string): Promise<{ readonly ended: Promise<CommandResult> }> {
  const before = await sweepsBegun();
  const ended = pipeline.cli('validate', '--table', table, '--json');
  await until(
    'it is begun',
    async () => {
      if ((await sweepsBegun()) === before) return false;
      const [row] = await state(
        pipeline,
        `SELECT began_at FROM {db}.sweep_tables WHERE name = ? AND sweep =
           (SELECT id FROM {db}.sweeps ORDER BY started_at DESC LIMIT 1)`,
        [table],
      );
      return row !== undefined && row['began_at'] !== null;
    },
    { everyMs: 10 },
  );
  return { ended };
}

test('a table that is altered under the sweep is swept anew, as it is now', async () => {
  const { ended } = await atItsBeginning('altered');
  await pipeline.root.query('ALTER TABLE altered ADD COLUMN more INT NOT NULL DEFAULT 7, DROP COLUMN v');
  const { code, stdout, stderr } = await ended;
  expect([code, stderr]).toEqual([0, expect.not.stringContaining('LS-') as string]);
  const report = JSON.parse(stdout) as Validated;
  // It waited for the copy that carries the new column.
  expect(report).toMatchObject({ drift: 0, state: 'done', tables: [{ table: 'altered', rows: others }] });
  expect(report.tables[0]?.leftOut).toBeUndefined();
  expect(await db.collection('altered').countDocuments({ more: 7, v: { $exists: false } })).toBe(others);
});

test('a table that is dropped under the sweep is left out by name, without a verdict', async () => {
  const { ended } = await atItsBeginning('dropped');
  await pipeline.root.query('DROP TABLE dropped');
  const { code, stdout } = await ended;
  const report = JSON.parse(stdout) as Validated;
  expect(code).toBe(0);
  expect(report).toMatchObject({ drift: 0, state: 'done', tables: [{ table: 'dropped', leftOut: 'dropped' }] });
  // Its rows leave the stores from now on: none of them is an orphan while it is on its way.
  await until('it is let go', async () => {
    const [row] = await state(pipeline, "SELECT removed_at FROM {db}.tables WHERE name = 'dropped'");
    return row !== undefined && row['removed_at'] !== null;
  });
  const met = await db.collection('dropped').estimatedDocumentCount();
  const whole = await validate(pipeline, '--store', 'mongo');
  expect(whole).toMatchObject({ code: 0, drift: 0 });
  if (met > 0) console.log(`${met} documents were on their way out`);
  await until('they are gone', async () => (await db.collection('dropped').countDocuments()) === 0);
  // What somebody puts there afterwards is.
  await db.collection<{ _id: number }>('dropped').insertOne({ _id: 7 }, past);
  expect(found(await validate(pipeline))).toEqual(['mongo dropped {"id":7} extra orphan']);
});
