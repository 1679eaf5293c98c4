/** What each kind of statement leaves in the change log, on a real server. */
import { Readable } from 'node:stream';
import { createConnection } from 'mysql2/promise';
import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import { createRig, type Rig } from './mysqlRig.js';

let rig: Rig;

beforeAll(async () => {
  rig = await createRig();
  await rig.run(
    'CREATE TABLE {src}.item (id INT PRIMARY KEY, name VARCHAR(50) UNIQUE, n INT)',
    `CREATE TABLE {src}.word (w VARCHAR(20) COLLATE utf8mb4_0900_ai_ci PRIMARY KEY, n INT)`,
    'CREATE TABLE {src}.line (a INT, b VARCHAR(9), n INT, PRIMARY KEY (b, a))',
    'CREATE TABLE {src}.measure (x DOUBLE PRIMARY KEY, n INT)',
    'CREATE TABLE {src}.audit (id INT AUTO_INCREMENT PRIMARY KEY, what VARCHAR(20))',
    'CREATE TRIGGER {src}.own_before BEFORE INSERT ON {src}.item FOR EACH ROW SET NEW.n = IFNULL(NEW.n, 7)',
    `CREATE TRIGGER {src}.own_after AFTER INSERT ON {src}.item FOR EACH ROW INSERT INTO {src}.audit (what) VALUES ('item')`,
  );
  await rig.install();
});

afterAll(() => rig.drop());

beforeEach(async () => {
  await rig.run(
    'DELETE FROM {src}.item',
    'DELETE FROM {src}.word',
    'DELETE FROM {src}.line',
    'DELETE FROM {src}.measure',
    'DELETE FROM {src}.audit',
  );
  await rig.clearLog();
});

/** `op key after` without the audit table. */
async function story(): Promise<string[]> {
  const log = await rig.log();
  return log.filter((row) => row.table !== 'audit').map((row) => `${row.op} ${row.key} ${row.after}`);
}

const image = (id: number, name: string | null, n: number | null): string =>
  `{"id":${id},"name":${JSON.stringify(name)},"n":${n}}`;

test('a multi-row INSERT logs each row, after the application’s own triggers have had their say', async () => {
  await rig.run("INSERT INTO {src}.item VALUES (1,'a',1),(2,'b',NULL)");
  expect(await story()).toEqual([`c {"id":1} ${image(1, 'a', 1)}`, `c {"id":2} ${image(2, 'b', 7)}`]);
  expect((await rig.log()).filter((row) => row.table === 'audit')).toHaveLength(2);
});

test('UPDATE logs both images, of changed and unchanged rows', async () => {
  await rig.run("INSERT INTO {src}.item VALUES (1,'a',1),(2,'b',2)");
  await rig.clearLog();
  await rig.run('UPDATE {src}.item SET n = 2');
  expect(await rig.log()).toEqual([
    { table: 'item', op: 'u', key: '{"id":1}', before: image(1, 'a', 1), after: image(1, 'a', 2) },
    // A row that did not change is logged with equal images; capture drops it.
    { table: 'item', op: 'u', key: '{"id":2}', before: image(2, 'b', 2), after: image(2, 'b', 2) },
  ]);
});

test('DELETE logs the image that was', async () => {
  await rig.run("INSERT INTO {src}.item VALUES (1,'a',1)");
  await rig.clearLog();
  await rig.run('DELETE FROM {src}.item');
  expect(await rig.log()).toEqual([{ table: 'item', op: 'd', key: '{"id":1}', before: image(1, 'a', 1), after: null }]);
});

test('INSERT … ON DUPLICATE KEY UPDATE is a u where the row was there and a c where not', async () => {
  await rig.run("INSERT INTO {src}.item VALUES (1,'a',1)");
  await rig.clearLog();
  await rig.run("INSERT INTO {src}.item VALUES (1,'x',5),(2,'b',6) AS new ON DUPLICATE KEY UPDATE n = new.n");
  expect(await story()).toEqual([`u {"id":1} ${image(1, 'a', 5)}`, `c {"id":2} ${image(2, 'b', 6)}`]);
});

test('REPLACE deletes what is in its way, also another key through a unique index', async () => {
  await rig.run("INSERT INTO {src}.item VALUES (1,'a',1),(2,'b',2)");
  await rig.clearLog();
  await rig.run("REPLACE INTO {src}.item VALUES (1,'b',3)");
  const ops = await story();
  expect(ops.filter((op) => op.startsWith('d')).toSorted()).toEqual(['d {"id":1} null', 'd {"id":2} null']);
  expect(ops.at(-1)).toBe(`c {"id":1} ${image(1, 'b', 3)}`);
  expect(ops).toHaveLength(3);
});

test('INSERT IGNORE logs only what was stored', async () => {
  await rig.run("INSERT INTO {src}.item VALUES (1,'a',1)");
  await rig.clearLog();
  await rig.run("INSERT IGNORE INTO {src}.item VALUES (1,'z',9),(3,'c',3)");
  expect(await story()).toEqual([`c {"id":3} ${image(3, 'c', 3)}`]);
});

test('LOAD DATA and LOAD DATA REPLACE log each row', async () => {
  const [[allowed] = []] = await rig.mysql.rows('SELECT @@global.local_infile');
  const loader = await createConnection({
    uri: inject('stack').mysql.uri,
    database: rig.source,
    infileStreamFactory: () => Readable.from([Buffer.from('1,one,1\n2,two,2\n')]),
  });
  try {
    await rig.mysql.run('SET GLOBAL local_infile = 1');
    await loader.query("LOAD DATA LOCAL INFILE 'rows' INTO TABLE item FIELDS TERMINATED BY ','");
    await loader.query(
      "LOAD DATA LOCAL INFILE 'rows' REPLACE INTO TABLE item FIELDS TERMINATED BY ',' (id, name, @n) SET n = 3",
    );
  } finally {
    await rig.mysql.run('SET GLOBAL local_infile = ?', [allowed ?? 0]);
    await loader.end();
  }
  expect(await story()).toEqual([
    `c {"id":1} ${image(1, 'one', 1)}`,
    `c {"id":2} ${image(2, 'two', 2)}`,
    'd {"id":1} null',
    `c {"id":1} ${image(1, 'one', 3)}`,
    'd {"id":2} null',
    `c {"id":2} ${image(2, 'two', 3)}`,
  ]);
});

test('a transaction over several tables is logged in its order; a rollback, or a rollback to a savepoint, leaves nothing', async () => {
  await rig.mysql.transaction(async (q) => {
    await q.run(`INSERT INTO ${rig.source}.item VALUES (1,'a',1)`);
    await q.run(`INSERT INTO ${rig.source}.word VALUES ('w',1)`);
    await q.run('SAVEPOINT s');
    await q.run(`INSERT INTO ${rig.source}.item VALUES (2,'b',1)`);
    await q.run('ROLLBACK TO s');
    await q.run(`UPDATE ${rig.source}.item SET n = 2`);
  });
  const aborted = rig.mysql.transaction(async (q) => {
    await q.run(`INSERT INTO ${rig.source}.item VALUES (9,'z',1)`);
    throw new Error('changed my mind');
  });
  await expect(aborted).rejects.toThrow('changed my mind');
  expect(await story()).toEqual([
    `c {"id":1} ${image(1, 'a', 1)}`,
    'c {"w":"w"} {"w":"w","n":1}',
    `u {"id":1} ${image(1, 'a', 2)}`,
  ]);
});

test('a statement that fails half-way leaves nothing', async () => {
  await rig.run("INSERT INTO {src}.item VALUES (5,'e',1)");
  await rig.clearLog();
  await expect(rig.run("INSERT INTO {src}.item VALUES (4,'d',1),(5,'dup',1)")).rejects.toThrow('ER_DUP_ENTRY');
  expect(await story()).toEqual([]);
});

test('a changed key is a delete of the old and a create of the new one', async () => {
  await rig.run("INSERT INTO {src}.item VALUES (1,'a',1)");
  await rig.clearLog();
  await rig.run('UPDATE {src}.item SET id = 10');
  expect(await rig.log()).toEqual([
    { table: 'item', op: 'd', key: '{"id":1}', before: image(1, 'a', 1), after: null },
    { table: 'item', op: 'c', key: '{"id":10}', before: null, after: image(10, 'a', 1) },
  ]);
});

test('keys compare as bytes: a change of case or of an accent alone is a changed key', async () => {
  await rig.run("INSERT INTO {src}.word VALUES ('straße',1)");
  await rig.clearLog();
  await rig.run("UPDATE {src}.word SET w = 'STRASSE'", "UPDATE {src}.word SET n = 2, w = 'STRASSE'");
  expect(await story()).toEqual([
    'd {"w":"straße"} null',
    'c {"w":"STRASSE"} {"w":"STRASSE","n":1}',
    'u {"w":"STRASSE"} {"w":"STRASSE","n":2}',
  ]);
});

test('−0 and 0 are one key', async () => {
  await rig.run('INSERT INTO {src}.measure VALUES (0e0,1)');
  await rig.clearLog();
  await rig.run('UPDATE {src}.measure SET x = -0e0, n = 2');
  expect(await story()).toEqual([expect.stringMatching(/^u \{"x":0\} \{"x":-?0,"n":2\}$/)]);
});

test('a composite key stands in key order, the row in column order', async () => {
  await rig.run("INSERT INTO {src}.line VALUES (1,'x',1)", 'UPDATE {src}.line SET a = 2');
  expect(await story()).toEqual([
    'c {"b":"x","a":1} {"a":1,"b":"x","n":1}',
    'd {"b":"x","a":1} null',
    'c {"b":"x","a":2} {"a":2,"b":"x","n":1}',
  ]);
});

test('multi-table UPDATE and DELETE log each row once', async () => {
  await rig.run("INSERT INTO {src}.item VALUES (1,'a',1)", "INSERT INTO {src}.line VALUES (1,'x',1),(1,'y',1)");
  await rig.clearLog();
  await rig.run('UPDATE {src}.item i JOIN {src}.line l ON l.a = i.id SET i.n = 5, l.n = 6');
  const session = await rig.mysql.session();
  await session.run(`USE ${rig.source}`);
  await session.run('DELETE i, l FROM item i JOIN line l ON l.a = i.id');
  await session.close();
  expect((await story()).toSorted()).toEqual(
    [
      `u {"id":1} ${image(1, 'a', 5)}`,
      'u {"b":"x","a":1} {"a":1,"b":"x","n":6}',
      'u {"b":"y","a":1} {"a":1,"b":"y","n":6}',
      'd {"id":1} null',
      'd {"b":"x","a":1} null',
      'd {"b":"y","a":1} null',
    ].toSorted(),
  );
});

test('what an application asks of its session after a statement is what it was without triggers', async () => {
  await rig.mysql.transaction(async (q) => {
    const done = await q.run(`INSERT INTO ${rig.source}.audit (what) VALUES ('x'),('y')`);
    expect(done.affectedRows).toBe(2);
    const [row] = await q.rows('SELECT LAST_INSERT_ID(), ROW_COUNT(), @@warning_count');
    expect(row?.[0]).toBe(done.insertId);
    const ids = await q.rows(`SELECT MIN(id) FROM ${rig.source}.audit WHERE what IN ('x','y')`);
    expect(ids[0]?.[0]).toBe(done.insertId);
  });
});
