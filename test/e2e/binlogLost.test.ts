/**
 * A binary log that is taken away before the witness has read it: nobody can tell what escaped in it, so it says so, and
 * every table is copied; and one that no longer holds whole rows. On a MySQL of this file's own.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { createConnection, type RowDataPacket } from 'mysql2/promise';
import type { PipelineStatus } from '../../core/status.js';
import { down, up, type Stack } from '../../temporal-compose/stack.js';
import { differencesWithin } from '../support/convergence.js';
import { createPipeline, type Pipeline } from '../support/pipeline.js';
import { until } from '../support/processes.js';

let folder: string;
let own: Stack;
let pipeline: Pipeline;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lockstep-binlog-'));
  own = await up({ root: folder, ports: 'free', only: ['mysql'] });
  pipeline = await createPipeline({ ...inject('stack'), mysql: own.mysql }, { label: 'binlog' });
  await pipeline.root.query(`
    CREATE TABLE parent (id INT PRIMARY KEY, v VARCHAR(20));
    CREATE TABLE child (id INT PRIMARY KEY, parent_id INT, v VARCHAR(20),
      FOREIGN KEY (parent_id) REFERENCES parent (id) ON DELETE CASCADE);
    CREATE TABLE emptied (id INT PRIMARY KEY, v VARCHAR(20));
    INSERT INTO parent VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd');
    INSERT INTO child VALUES (11, 1, 'x'), (12, 1, 'y'), (21, 2, 'z'), (31, 3, 'z'), (41, 4, 'z');
    INSERT INTO emptied VALUES (1, 'a'), (2, 'b');`);
  pipeline.worker();
  await pipeline.run('start', '--wait');
  await until('the witness watches', async () => (await status()).witness?.state === 'watching');
});

afterAll(async () => {
  await pipeline.remove();
  await down({ root: folder, wipe: true });
  await rm(folder, { recursive: true, force: true });
});

async function status(): Promise<PipelineStatus> {
  return JSON.parse((await pipeline.run('status', '--json')).stdout) as PipelineStatus;
}

async function endOfLog(): Promise<{ readonly file: string; readonly offset: number }> {
  const [rows] = await pipeline.root.query<RowDataPacket[]>('SHOW BINARY LOG STATUS');
  return { file: String(rows[0]?.['File']), offset: Number(rows[0]?.['Position']) };
}

/** What escapes while nobody reads, and is gone when somebody does. */
async function unseen(id: number, ...lost: readonly string[]): Promise<void> {
  await Promise.all(pipeline.workers.map((worker) => worker.kill()));
  await pipeline.root.query(`DELETE FROM parent WHERE id = ${id}`);
  await pipeline.root.query(`TRUNCATE TABLE emptied`);
  await pipeline.root.query(`INSERT INTO emptied VALUES (${id}, 'after')`);
  for (const statement of lost) await pipeline.root.query(statement);
}

/** A worker that may read the log, and none that may copy: what it says stays to be read. */
async function said(): Promise<readonly string[]> {
  const witness = pipeline.worker('--queues', 'capture');
  let tables: readonly string[] = [];
  await until(
    'status says that the log is lost',
    async () => {
      const { problems } = await status();
      tables = problems.flatMap(({ code, table }) => (code === 'LS-WITNESS-BINLOG-LOST' ? [table ?? ''] : []));
      return tables.length > 0;
    },
    { timeoutMs: 60_000, everyMs: 300 },
  );
  await witness.kill();
  return tables;
}

async function healed(): Promise<void> {
  pipeline.worker();
  expect(await differencesWithin(pipeline.targets(), 60_000)).toEqual([]);
  await until('it is healed', async () => {
    const { witness, problems } = await status();
    const open = (witness?.escapes ?? []).filter(({ healedAt }) => healedAt === null);
    return open.length === 0 && problems.every(({ code }) => code !== 'LS-WITNESS-BINLOG-LOST');
  });
}

test('purged', async () => {
  await unseen(1, 'FLUSH BINARY LOGS', `PURGE BINARY LOGS TO '${await nextFile()}'`);
  expect([...(await said())].toSorted()).toEqual(['child', 'emptied', 'parent']);
  await healed();
  // And it watches from where it begins anew.
  await pipeline.root.query('DELETE FROM parent WHERE id = 2');
  expect(await differencesWithin(pipeline.targets(), 30_000)).toEqual([]);
  const { witness } = await status();
  expect(witness?.escapes.filter(({ cause }) => cause === 'foreign-key')).toMatchObject([{ table: 'child', keys: 1 }]);
});

test('reset: another file bears the name, and is longer than what was read', async () => {
  await unseen(3, 'RESET BINARY LOGS AND GTIDS');
  const [file = '', offset] = ((await status()).witness?.position ?? '').split(':');
  while ((await endOfLog()).file < file) await pipeline.root.query('FLUSH BINARY LOGS');
  expect((await endOfLog()).file).toBe(file);
  for (let from = 1000; (await endOfLog()).offset < Number(offset) + 10_000; from += 500) {
    await pipeline.root.query(`INSERT INTO emptied SELECT ${from} + n, REPEAT('e', 20) FROM
      (WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 500) SELECT n FROM s) x`);
  }
  expect(await said()).toHaveLength(3);
  await healed();
});

test('smaller row images: doctor and status say what they mean, and what to do', async () => {
  const warnings = async (): Promise<readonly string[]> => {
    const { stdout } = await pipeline.cli('doctor', '--json');
    const { problems } = JSON.parse(stdout) as { problems: readonly { code: string; message: string; fix: string }[] };
    return problems.map(({ code, message, fix }) => `${code}: ${message} → ${fix}`);
  };
  await pipeline.root.query('ALTER TABLE emptied ADD half INT AS (id DIV 2) VIRTUAL, ADD kept INT AS (id) STORED');
  expect(await warnings()).toEqual([]);
  await pipeline.root.query("SET GLOBAL binlog_row_image = 'MINIMAL'");
  const [stands, columns, ...more] = (await warnings()).toSorted().toReversed();
  expect(stands).toMatch(
    /^LS-WITNESS-STANDS-DOWN: .*sweeps alone: binlog_row_image is MINIMAL → SET PERSIST binlog_row_image = FULL;$/,
  );
  expect(columns).toMatch(
    /^LS-MYSQL-ROW-IMAGE: binlog_row_image is MINIMAL for new sessions: .*\(virtual columns emptied\.half\) → SET PERSIST/,
  );
  expect(more).toEqual([]);
  // The witness that watches goes on, by what such sessions leave in the log.
  const app = await createConnection({ uri: own.mysql.uri, database: pipeline.database });
  await app.query('DELETE FROM parent WHERE id = 4');
  expect(await differencesWithin(pipeline.targets(), 30_000)).toEqual([]);
  await app.end();
  await Promise.all(pipeline.workers.map((worker) => worker.kill()));
  pipeline.worker();
  await until('the next one stands down', async () => (await status()).witness?.state === 'standing-down', {
    everyMs: 300,
  });
  const { problems } = await status();
  const codes = problems.map(({ code }) => code);
  expect(codes).toContain('LS-MYSQL-ROW-IMAGE');
  expect(problems.find(({ code }) => code === 'LS-WITNESS-STANDS-DOWN')?.message).toContain(
    'SET PERSIST binlog_row_image = FULL',
  );
});

async function nextFile(): Promise<string> {
  const [stem = '', number = ''] = (await endOfLog()).file.split('.');
  return `${stem}.${String(Number(number) + 1).padStart(6, '0')}`;
}
