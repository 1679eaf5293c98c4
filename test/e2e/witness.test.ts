/**
 * Whatever escapes the triggers is named with its cause and brought into both stores unasked: each way that MySQL has of
 * changing rows without firing a trigger, also while the worker is dead or killed in the middle of healing.
 */
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { createConnection } from 'mysql2/promise';
import type { RowDataPacket } from 'mysql2/promise';
import type { PipelineStatus } from '../../core/status.js';
import type { Escape, EscapeCause } from '../../core/witness.js';
import { compareStores, differencesOf } from '../support/compare.js';
import { differencesWithin } from '../support/convergence.js';
import { createPipeline, type Pipeline } from '../support/pipeline.js';
import { until } from '../support/processes.js';

const stack = inject('stack');
let pipeline: Pipeline;

const tables = `
CREATE TABLE parent (id INT PRIMARY KEY, v VARCHAR(20));
CREATE TABLE child (id INT PRIMARY KEY, parent_id INT, v VARCHAR(20),
  FOREIGN KEY (parent_id) REFERENCES parent (id) ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE orphaned (a VARCHAR(10), b DECIMAL(6,2), parent_id INT, PRIMARY KEY (a, b),
  FOREIGN KEY (parent_id) REFERENCES parent (id) ON DELETE SET NULL);
CREATE TABLE emptied (id INT PRIMARY KEY, v VARCHAR(20));
CREATE TABLE parts (id INT PRIMARY KEY, v VARCHAR(20)) PARTITION BY RANGE (id)
  (PARTITION p0 VALUES LESS THAN (100), PARTITION p1 VALUES LESS THAN (200), PARTITION p2 VALUES LESS THAN (300));
CREATE TABLE beside (id INT PRIMARY KEY, v VARCHAR(20));
CREATE TABLE swapped (id INT PRIMARY KEY, v VARCHAR(20));
CREATE TABLE bare (id INT PRIMARY KEY, v VARCHAR(20));
CREATE TABLE silenced (id INT PRIMARY KEY, v VARCHAR(20));
CREATE TABLE mute (id INT PRIMARY KEY, v VARCHAR(20));`;

beforeAll(async () => {
  pipeline = await createPipeline(stack, { label: 'witness' });
  const { root } = pipeline;
  await root.query(tables);
  await root.query(
    "INSERT INTO parent SELECT n, CONCAT('p', n) FROM (WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 60) SELECT n FROM s) x",
  );
  await root.query(
    "INSERT INTO child SELECT n, 1 + n % 60, 'c' FROM (WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 600) SELECT n FROM s) x",
  );
  await root.query(
    "INSERT INTO orphaned SELECT CONCAT('k', n), n / 4, 1 + n % 40 FROM (WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 120) SELECT n FROM s) x",
  );
  for (const table of ['emptied', 'swapped', 'bare', 'silenced', 'mute']) {
    await root.query(`INSERT INTO ${table} VALUES (1, 'one'), (2, 'two'), (3, 'three')`);
  }
  await root.query("INSERT INTO parts VALUES (1, 'a'), (2, 'b'), (101, 'c'), (102, 'd'), (201, 'e')");
  await root.query("INSERT INTO beside VALUES (150, 'x'), (151, 'y')");
  pipeline.worker();
  await pipeline.run('start', '--wait');
  await until('the witness watches', async () => (await status()).witness?.state === 'watching');
});

afterAll(async () => {
  await pipeline.remove();
});

async function status(): Promise<PipelineStatus> {
  return JSON.parse((await pipeline.run('status', '--json')).stdout) as PipelineStatus;
}

/** What is left when both stores hold what MySQL does, with nobody asking for anything: nothing. */
async function differences(withinMs = 40_000): Promise<string[]> {
  const left = await differencesWithin(pipeline.targets(), withinMs);
  if (left.length > 0) return left;
  await pipeline.run('wait', '--timeout', '30s');
  return differencesOf(await compareStores(pipeline.targets()));
}

/** The escape is named, and healed. */
async function named(table: string, ...causes: readonly EscapeCause[]): Promise<Escape> {
  let found: Escape | undefined;
  await until(
    `${table}: ${causes.join(' or ')} is named and healed`,
    async () => {
      const escapes = (await status()).witness?.escapes ?? [];
      found = escapes.find((escape) => escape.table === table && causes.includes(escape.cause));
      return found !== undefined && found.healedAt !== null;
    },
    { timeoutMs: 40_000, everyMs: 300 },
  );
  return found as Escape;
}

test('rows that foreign keys delete, set to NULL or give another key', async () => {
  await pipeline.root.query('DELETE FROM parent WHERE id BETWEEN 1 AND 5');
  await pipeline.root.query('UPDATE parent SET id = id + 1000 WHERE id BETWEEN 50 AND 52');
  expect(await differences()).toEqual([]);
  const cascaded = await named('child', 'foreign-key');
  expect(cascaded).toMatchObject({ keys: 80, healing: 'rows' });
  expect(await named('orphaned', 'foreign-key')).toMatchObject({ keys: 15, healing: 'rows' });
});

test('TRUNCATE', async () => {
  await pipeline.root.query('TRUNCATE TABLE emptied');
  await pipeline.root.query("INSERT INTO emptied VALUES (7, 'after')");
  expect(await differences()).toEqual([]);
  expect(await named('emptied', 'truncate')).toMatchObject({ keys: null, healing: 'copy' });
});

test('partitions that are dropped, truncated and exchanged', async () => {
  await pipeline.root.query('ALTER TABLE parts EXCHANGE PARTITION p1 WITH TABLE beside');
  expect(await differences()).toEqual([]);
  await named('parts', 'partition');
  await named('beside', 'partition');
  await pipeline.root.query('ALTER TABLE parts TRUNCATE PARTITION p0');
  await pipeline.root.query('ALTER TABLE parts DROP PARTITION p2');
  expect(await differences()).toEqual([]);
});

test('a table that is swapped in, as gh-ost does', async () => {
  await pipeline.root.query('CREATE TABLE _swapped_gho LIKE swapped');
  await pipeline.root.query("INSERT INTO _swapped_gho VALUES (2, 'two'), (3, 'changed'), (4, 'four')");
  await pipeline.root.query('RENAME TABLE swapped TO _swapped_del, _swapped_gho TO swapped');
  await pipeline.root.query("INSERT INTO swapped VALUES (5, 'at once')");
  await pipeline.root.query('DROP TABLE _swapped_del');
  expect(await differences()).toEqual([]);
  await named('swapped', 'renamed-in');
});

test('triggers that are dropped', async () => {
  await dropTriggers('bare');
  await pipeline.root.query("UPDATE bare SET v = 'unseen' WHERE id = 1");
  await pipeline.root.query('DELETE FROM bare WHERE id = 2');
  expect(await differences()).toEqual([]);
  // The look may have put them back before the witness came to see: then they stand, and had logged nothing.
  await named('bare', 'trigger-missing', 'trigger-silent');
});

test('a trigger that is replaced by one that does nothing', async () => {
  const [rows] = await pipeline.root.query<RowDataPacket[]>(
    "SELECT TRIGGER_NAME n FROM information_schema.TRIGGERS WHERE EVENT_OBJECT_SCHEMA = ? AND EVENT_OBJECT_TABLE = 'silenced' AND EVENT_MANIPULATION = 'UPDATE'",
    [pipeline.database],
  );
  const name = String(rows[0]?.['n']);
  await pipeline.root.query(
    `DROP TRIGGER \`${name}\`; CREATE TRIGGER \`${name}\` AFTER UPDATE ON silenced FOR EACH ROW BEGIN END`,
  );
  await pipeline.root.query("UPDATE silenced SET v = 'unseen' WHERE id = 3");
  expect(await differences()).toEqual([]);
  await named('silenced', 'trigger-altered', 'trigger-missing', 'trigger-silent');
});

test('an account that may not write the change log for a while', async () => {
  const state = pipeline.stateDatabase.replaceAll('_', String.raw`\_`);
  await pipeline.root.query(`REVOKE INSERT ON \`${state}\`.* FROM '${pipeline.database}'@'%'`);
  await pipeline.root.query("INSERT INTO mute VALUES (10, 'unseen')");
  await pipeline.root.query("UPDATE mute SET v = 'unseen' WHERE id = 1");
  await pipeline.root.query(`GRANT INSERT ON \`${state}\`.* TO '${pipeline.database}'@'%'`);
  expect(await differences()).toEqual([]);
  await named('mute', 'definer');
});

test('XA: what is prepared counts at its commit, and not at all at its rollback', async () => {
  const xa = await createConnection({ uri: stack.mysql.uri, database: pipeline.database });
  try {
    for (const [id, parent] of [
      ['kept', 20],
      ['undone', 21],
    ] as const) {
      await xa.query(`XA START '${id}-${pipeline.name}'`);
      await xa.query('DELETE FROM parent WHERE id = ?', [parent]);
      await xa.query(`XA END '${id}-${pipeline.name}'`);
      await xa.query(`XA PREPARE '${id}-${pipeline.name}'`);
    }
  } finally {
    await xa.end();
  }
  await pipeline.root.query(`XA ROLLBACK 'undone-${pipeline.name}'`);
  await pipeline.root.query(`XA COMMIT 'kept-${pipeline.name}'`);
  expect(await differences()).toEqual([]);
});

test('what happens while no worker runs is found at the witness’s own position', { timeout: 240_000 }, async () => {
  await Promise.all(pipeline.workers.map((worker) => worker.kill()));
  await pipeline.root.query('DELETE FROM parent WHERE id BETWEEN 6 AND 8');
  await pipeline.root.query('TRUNCATE TABLE emptied');
  await pipeline.root.query("UPDATE child SET v = 'seen' WHERE id > 500");
  pipeline.worker();
  expect(await differences(120_000)).toEqual([]);
  await named('emptied', 'truncate');
});

test('killed again and again in the middle of healing', { timeout: 240_000 }, async () => {
  await pipeline.root.query("INSERT INTO parent VALUES (5000, 'big')");
  await pipeline.root.query(
    "INSERT INTO child SELECT n + 10000, 5000, 'b' FROM (WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 900) SELECT n FROM s) x",
  );
  await pipeline.root.query('INSERT INTO child SELECT id + 1000, parent_id, v FROM child WHERE id > 10000');
  await pipeline.run('wait', '--timeout', '30s');
  await pipeline.root.query('DELETE FROM parent WHERE id = 5000');
  for (const pause of [300, 900, 1_500]) {
    await new Promise((resolve) => setTimeout(resolve, pause));
    await Promise.all(pipeline.workers.map((worker) => worker.kill()));
    pipeline.worker();
  }
  expect(await differences(120_000)).toEqual([]);
  await named('child', 'foreign-key');
});

async function dropTriggers(table: string): Promise<void> {
  const [rows] = await pipeline.root.query<RowDataPacket[]>(
    'SELECT TRIGGER_NAME n FROM information_schema.TRIGGERS WHERE EVENT_OBJECT_SCHEMA = ? AND EVENT_OBJECT_TABLE = ?',
    [pipeline.database, table],
  );
  await pipeline.root.query(rows.map((row) => `DROP TRIGGER \`${String(row['n'])}\``).join('; '));
}
