/** Writers run while triggers are exchanged and columns go: no statement fails, every change is logged. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { asCount } from '../../stores/mysql/cell.js';
import type { Mysql } from '../../stores/mysql/connection.js';
import { removeTrigger, triggerSession } from '../../stores/mysql/triggerInstall.js';
import { watchTriggers } from '../../stages/watch.js';
import { createRig, type Rig } from './mysqlRig.js';

let rig: Rig;

beforeEach(async () => {
  rig = await createRig();
});

afterEach(() => rig.drop());

interface Traffic {
  readonly failures: string[];
  readonly inserted: Set<number>;
  readonly slowestMs: () => number;
  stop(): Promise<void>;
}

/** Each writer inserts rows with ids of its own and updates or deletes some of them, one statement a transaction. */
function write(mysql: Mysql, table: string, writers: number): Traffic {
  const failures: string[] = [];
  const inserted = new Set<number>();
  let slowest = 0;
  let running = true;
  const timed = async (sql: string, id: number): Promise<void> => {
    const start = performance.now();
    await mysql.run(sql, [id]).catch((error: unknown) => failures.push(String(error)));
    slowest = Math.max(slowest, performance.now() - start);
  };
  const one = async (writer: number): Promise<void> => {
    for (let id = writer; running; id += writers) {
      await timed(`INSERT INTO ${table} (id) VALUES (?)`, id);
      inserted.add(id);
      if (id % 3 === 0) await timed(`UPDATE ${table} SET n = 1 WHERE id = ?`, id);
      if (id % 7 === 0) await timed(`DELETE FROM ${table} WHERE id = ?`, id);
    }
  };
  const all = Array.from({ length: writers }, (_, writer) => one(writer));
  return {
    failures,
    inserted,
    slowestMs: () => slowest,
    async stop() {
      running = false;
      await Promise.all(all);
    },
  };
}

/** Ids whose first logged op is not their creation, or that were not logged at all; `?` counts, capture reads it again. */
async function unlogged(inserted: ReadonlySet<number>): Promise<number[]> {
  const first = new Map<number, string>();
  for (const row of await rig.log()) {
    const id = Number(/"id":(\d+)/.exec(row.key ?? '')?.[1]);
    if (!first.has(id)) first.set(id, row.op);
  }
  return [...inserted].filter((id) => !['c', '?'].includes(first.get(id) ?? 'nothing'));
}

async function deletesAreLogged(table: string): Promise<void> {
  const log = await rig.log();
  const last = new Map(log.map((row) => [row.key, row.op]));
  const rows = await rig.mysql.rows(`SELECT id FROM ${table}`);
  const present = new Set(rows.map((row) => `{"id":${asCount(row[0])}}`));
  const wrong = [...last].filter(([key, op]) => op !== '?' && (op === 'd') === present.has(key ?? ''));
  expect(wrong).toEqual([]);
}

test('triggers are exchanged under fire: nothing fails, nothing is lost', async () => {
  const table = `${rig.source}.t`;
  await rig.run('CREATE TABLE {src}.t (id INT PRIMARY KEY, n INT)');
  await rig.install();
  const traffic = write(rig.mysql, table, 6);
  for (let round = 0; round < 5; round++) {
    await rig.run(`ALTER TABLE {src}.t ADD x${round} INT DEFAULT ${round}, ALGORITHM=INSTANT`);
    const report = await watchTriggers({ config: rig.config, mysql: rig.mysql });
    expect(report.problems).toEqual([]);
    expect(report.copies).toEqual([{ table: 't', reason: 'columns-changed' }]);
  }
  await traffic.stop();
  expect(traffic.failures).toEqual([]);
  expect(traffic.inserted.size).toBeGreaterThan(50);
  expect(await unlogged(traffic.inserted)).toEqual([]);
  await deletesAreLogged(table);
  expect(traffic.slowestMs()).toBeLessThan(2_000);
});

test('a column that an application drops or renames fails none of its statements, and each change is logged', async () => {
  const table = `${rig.source}.t`;
  await rig.run('CREATE TABLE {src}.t (id INT PRIMARY KEY, n INT, gone VARCHAR(9), `renamed` TEXT)');
  await rig.install();
  const traffic = write(rig.mysql, table, 4);
  await rig.run('ALTER TABLE {src}.t DROP COLUMN gone');
  await rig.run('ALTER TABLE {src}.t RENAME COLUMN `renamed` TO other');
  const before = traffic.inserted.size;
  await expect.poll(() => traffic.inserted.size).toBeGreaterThan(before + 20);
  await watchTriggers({ config: rig.config, mysql: rig.mysql });
  const after = traffic.inserted.size;
  await expect.poll(() => traffic.inserted.size).toBeGreaterThan(after + 20);
  await traffic.stop();
  expect(traffic.failures).toEqual([]);
  expect(await unlogged(traffic.inserted)).toEqual([]);
  const ops = new Set((await rig.log()).map((row) => row.op));
  expect(ops.has('?')).toBe(true);
  expect((await rig.log()).at(-1)?.op).not.toBe('?');
});

test('no trigger is dropped beside an ALTER of its table, which would lose all its work to it', async () => {
  await rig.run('CREATE TABLE {src}.t (id INT PRIMARY KEY, n INT)');
  await rig.install();
  const triggers = async (): Promise<readonly string[]> =>
    (
      await rig.mysql.rows('SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = ?', [
        rig.source,
      ])
    ).map((row) => String(row[0]));
  const names = await triggers();
  const [name = ''] = names;
  const reader = await rig.mysql.session();
  await reader.run('START TRANSACTION');
  await reader.rows(`SELECT * FROM ${rig.source}.t`);
  const alter = rig.mysql.run(`/* from a tool */ ALTER TABLE ${rig.source}.t ADD x INT, ALGORITHM=COPY`);
  const isWaiting = async (): Promise<boolean> =>
    (await rig.mysql.rows('SHOW FULL PROCESSLIST')).some((row) => String(row[7]).startsWith('/* from a tool */'));
  await expect.poll(isWaiting).toBe(true);
  const session = await triggerSession(rig.mysql);
  const remove = (): Promise<void> => removeTrigger(rig.mysql, session, name, Date.now() + 500);
  await expect(remove()).rejects.toThrow(/table t is being altered/);
  expect(await triggers()).toEqual(names);
  await reader.run('COMMIT');
  await alter;
  await remove();
  await remove();
  expect(await triggers()).toEqual(names.filter((each) => each !== name));
  await Promise.all([session.close(), reader.close()]);
});

test('a column of another type breaks no image in the moment before its triggers are exchanged', async () => {
  const types = [
    'INT',
    'BIGINT UNSIGNED',
    'YEAR',
    'DECIMAL(9,2)',
    'FLOAT',
    'DOUBLE',
    'BIT(1)',
    'BIT(9)',
    'DATE',
    'TIME',
    'DATETIME',
    'TIMESTAMP',
    'JSON',
  ];
  await rig.run(
    `CREATE TABLE {src}.t (id INT PRIMARY KEY, ${types.map((type, i) => `c${i} ${type} NULL`).join(', ')})`,
  );
  await rig.install();
  await rig.run(`ALTER TABLE {src}.t ${types.map((_, i) => `MODIFY c${i} VARCHAR(20)`).join(', ')}`);
  await rig.run(`INSERT INTO {src}.t VALUES (1, ${types.map(() => `'a"\\\\b'`).join(', ')})`);
  await rig.run(`INSERT INTO {src}.t (id, c0, c3, c8) VALUES (2, 'x"', 'y"', 'z"')`);
  const log = await rig.log();
  expect(log.map((row) => row.key)).toEqual(['{"id":1}', '{"id":2}']);
  for (const { op, after } of log) expect(op === '?' || typeof JSON.parse(after ?? '') === 'object').toBe(true);
});

test('a row too large for an image is logged by its key; neither it nor its neighbours fail', async () => {
  await rig.run('CREATE TABLE {src}.big (id INT PRIMARY KEY, b LONGBLOB, t LONGTEXT, j JSON)');
  await rig.install();
  await rig.run(
    "INSERT INTO {src}.big VALUES (1,REPEAT('x',13000000),NULL,NULL)",
    "INSERT INTO {src}.big VALUES (2,NULL,REPEAT('x',13000000),NULL),(3,'small','small','{}')",
    `INSERT INTO {src}.big VALUES (4,NULL,NULL,CONCAT('"',REPEAT('x',13000000),'"'))`,
    'UPDATE {src}.big SET id = id + 10 WHERE id IN (1,3)',
    'DELETE FROM {src}.big WHERE id = 2',
  );
  const small = `"b":"${Buffer.from('small').toString('base64')}","t":"small","j":{}}`;
  expect((await rig.log()).map((row) => [row.op, row.key, row.before, row.after])).toEqual([
    ['c', '{"id":1}', null, null],
    ['c', '{"id":2}', null, null],
    ['c', '{"id":3}', null, `{"id":3,${small}`],
    ['c', '{"id":4}', null, null],
    ['d', '{"id":1}', null, null],
    ['c', '{"id":11}', null, null],
    ['d', '{"id":3}', `{"id":3,${small}`, null],
    ['c', '{"id":13}', null, `{"id":13,${small}`],
    ['d', '{"id":2}', null, null],
  ]);
});

test('an image above max_allowed_packet becomes a key as well, under a strict session', async () => {
  await rig.run('CREATE TABLE {src}.wide (id INT PRIMARY KEY, a MEDIUMTEXT, b MEDIUMTEXT)');
  await rig.install();
  const [[limit] = []] = await rig.mysql.rows('SELECT @@global.max_allowed_packet');
  await rig.mysql.run('SET GLOBAL max_allowed_packet = 1048576');
  const session = await rig.mysql.session({ sqlMode: 'TRADITIONAL' });
  await rig.mysql.run('SET GLOBAL max_allowed_packet = ?', [limit ?? 67_108_864]);
  await session.run(`INSERT INTO ${rig.source}.wide VALUES (1, REPEAT('x',800000), REPEAT('y',800000))`);
  await session.close();
  expect((await rig.log()).map((row) => [row.op, row.key, row.after])).toEqual([['c', '{"id":1}', null]]);
});

test('without the change log an application goes on all the same', async () => {
  await rig.run('CREATE TABLE {src}.t (id INT PRIMARY KEY, n INT)');
  await rig.install();
  await rig.mysql.run(`DROP TABLE ${rig.state}.change_log`);
  await rig.run(
    'INSERT INTO {src}.t VALUES (1,1),(2,2)',
    'UPDATE {src}.t SET n = 3',
    'DELETE FROM {src}.t WHERE id = 1',
  );
  expect(await rig.mysql.rows(`SELECT id, n FROM ${rig.source}.t`)).toEqual([[2, 3]]);
});
