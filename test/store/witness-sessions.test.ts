/**
 * What escaped is known exactly, whatever the session: its row images, compressed transactions, JSON that is logged as a
 * difference, XA, statements of many events. Each runs the same changes, of which two levels of cascades escape.
 */
import { createConnection, type Connection } from 'mysql2/promise';
import { afterEach, beforeEach, expect, inject, test } from 'vitest';
import { runWitness, type WitnessHooks } from '../../stages/witness.js';
import { until } from '../support/processes.js';
import { createRig, type Rig } from './mysqlRig.js';

type Escaped = Parameters<WitnessHooks['escaped']>[0];

let rig: Rig;
let app: Connection;
let abort: AbortController;
let escaped: Escaped[];
let watching: Promise<unknown>;

const tables = [
  'CREATE TABLE {src}.parent (id INT PRIMARY KEY, v VARCHAR(20))',
  `CREATE TABLE {src}.child (a VARCHAR(20), b INT, parent_id INT, doc JSON, large LONGTEXT, PRIMARY KEY (a, b), UNIQUE (b),
     FOREIGN KEY (parent_id) REFERENCES {src}.parent (id) ON DELETE CASCADE)`,
  `CREATE TABLE {src}.grandchild (id INT PRIMARY KEY, child_b INT, doc JSON, n INT,
     FOREIGN KEY (child_b) REFERENCES {src}.child (b) ON DELETE SET NULL ON UPDATE CASCADE)`,
];

beforeEach(async () => {
  rig = await createRig();
  await rig.run(...tables);
  await rig.install();
  app = await createConnection({ uri: inject('stack').mysql.uri, database: rig.source, multipleStatements: true });
  abort = new AbortController();
  escaped = [];
  const nothing = (): void => undefined;
  watching = runWitness({ config: rig.config, mysql: rig.mysql }, abort.signal, {
    beat: nothing,
    lookNow: nothing,
    escaped: (escape) => void escaped.push(escape),
    witnessed: nothing,
  });
  watching.catch(nothing);
});

afterEach(async () => {
  abort.abort();
  await watching;
  await app.end();
  await rig.drop();
});

/** Changes that are all logged, among them updates that print nothing new; then 12 children and 12 grandchildren escape. */
async function change(): Promise<void> {
  const rows = (values: (i: number) => string): string => Array.from({ length: 60 }, (_, i) => values(i)).join(', ');
  const long = JSON.stringify('x'.repeat(300));
  await app.query(`INSERT INTO parent VALUES (1, 'one'), (2, 'two'), (3, 'three');
    INSERT INTO child VALUES ${rows((i) => `('c${i}', ${i}, ${1 + (i % 5 === 0 ? 0 : 1)}, '{"a":${long},"n":1}', REPEAT('l', 20000))`)};
    INSERT INTO grandchild VALUES ${rows((i) => `(${i}, ${i}, NULL, 0)`)};
    UPDATE child SET doc = JSON_SET(doc, '$.n', b) WHERE b > 0;
    UPDATE child SET doc = JSON_SET(doc, '$.n', b) WHERE b > 50;
    UPDATE grandchild SET doc = 'null';
    UPDATE grandchild SET doc = NULL, n = n WHERE id > 30;
    UPDATE child SET a = UPPER(a), large = 'short' WHERE b % 7 = 0;
    REPLACE INTO child SELECT a, b, parent_id, doc, NULL FROM child WHERE b % 5 <> 0 AND b > 55;
    INSERT INTO child SELECT a, b, parent_id, doc, large FROM child WHERE b < 3 ON DUPLICATE KEY UPDATE large = VALUES(large);
    START TRANSACTION; UPDATE grandchild SET n = 1; SAVEPOINT s; UPDATE grandchild SET n = 2; DELETE FROM grandchild WHERE id = 59;
    ROLLBACK TO s; COMMIT;
    UPDATE grandchild SET n = n + 1 WHERE id < 5; DELETE FROM parent WHERE id = 3`);
}

/** `table cause: keys`, once there are so many of them. */
async function seen(atLeast: number): Promise<readonly string[]> {
  const lines = (): readonly string[] => {
    const keys = new Map<string, number>();
    for (const { table, cause, keys: n } of escaped) {
      const of = `${table} ${cause}`;
      keys.set(of, (keys.get(of) ?? 0) + (n ?? Number.NaN));
    }
    return [...keys].map(([of, n]) => `${of}: ${n}`).toSorted();
  };
  await until('what escapes is seen', () => lines().length >= atLeast);
  return lines();
}

const both = ['child foreign-key: 12', 'grandchild foreign-key: 12'];

test.each([
  ['as it comes', 'DO 0'],
  ['MINIMAL', "SET SESSION binlog_row_image = 'MINIMAL'"],
  ['NOBLOB', "SET SESSION binlog_row_image = 'NOBLOB'"],
  ['PARTIAL_JSON', "SET SESSION binlog_row_value_options = 'PARTIAL_JSON'"],
  [
    'all of it',
    "SET SESSION binlog_row_image = 'MINIMAL', SESSION binlog_row_value_options = 'PARTIAL_JSON', SESSION binlog_transaction_compression = ON",
  ],
])('%s', async (_, setting) => {
  await app.query(setting);
  await change();
  await app.query('DELETE FROM parent WHERE id = 1');
  expect(await seen(2)).toEqual(both);
});

test('XA: in one phase and in two, and what was rolled back not at all', async () => {
  await change();
  const id = `'${rig.source}'`;
  await app.query(`XA START ${id}; DELETE FROM parent WHERE id = 2; XA END ${id}; XA PREPARE ${id}; XA ROLLBACK ${id}`);
  await app.query(
    `XA START ${id}; UPDATE child SET doc = NULL WHERE b = 1; XA END ${id}; XA PREPARE ${id}; XA COMMIT ${id}`,
  );
  await app.query(`XA START ${id}; DELETE FROM parent WHERE id = 1; XA END ${id}; XA COMMIT ${id} ONE PHASE`);
  expect(await seen(2)).toEqual(both);
});

test('a table that is new, all of whose transactions are compressed', async () => {
  await rig.run(
    'CREATE TABLE {src}.late (id INT PRIMARY KEY, parent_id INT, FOREIGN KEY (parent_id) REFERENCES {src}.parent (id) ON DELETE CASCADE)',
  );
  await rig.install();
  await app.query(`SET SESSION binlog_transaction_compression = ON; INSERT INTO parent VALUES (1, 'one'); INSERT INTO late VALUES (1, 1), (2, 1);
    ALTER TABLE late ADD COLUMN n INT FIRST`);
  await rig.install();
  await app.query('UPDATE late SET n = 7; DELETE FROM parent');
  expect(await seen(1)).toEqual(['late foreign-key: 2']);
});

test('a trigger that is dropped and put back at once, under the same name', async () => {
  await app.query("INSERT INTO parent VALUES (1, 'one'), (2, 'two')");
  const [triggers] = await app.query('SHOW TRIGGERS LIKE "parent"');
  const made: string[] = [];
  for (const { Trigger: name } of triggers as { Trigger: string }[]) {
    const [shown] = await app.query(`SHOW CREATE TRIGGER \`${name}\``);
    made.push((shown as { 'SQL Original Statement': string }[])[0]?.['SQL Original Statement'] ?? '');
  }
  const names = (triggers as { Trigger: string }[]).map(({ Trigger: name }) => name);
  await app.query(
    `${names.map((name) => `DROP TRIGGER \`${name}\``).join('; ')}; UPDATE parent SET v = 'unseen' WHERE id = 1`,
  );
  await app.query("SET SESSION sql_mode = 'ANSI_QUOTES'");
  for (const statement of made) await app.query(statement);
  await app.query("UPDATE parent SET v = 'seen'");
  await until('it is seen', () => escaped.length > 0);
  // The look may have come before they were back.
  expect(['trigger-silent', 'trigger-missing']).toContain(escaped[0]?.cause);
  expect(escaped).toMatchObject([{ table: 'parent', keys: 1 }]);
});

test.each([
  ['gbk', 'GBK_CHINESE_CI', '表'],
  ['latin1', 'LATIN1_SWEDISH_CI', 'größe'],
])('statements in the character set of a client: %s', async (_, charset, table) => {
  await rig.run(`CREATE TABLE {src}.\`${table}\` (id INT PRIMARY KEY)`, `INSERT INTO {src}.\`${table}\` VALUES (1)`);
  await rig.install();
  const client = await createConnection({ uri: inject('stack').mysql.uri, database: rig.source, charset });
  try {
    await client.query("SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES'");
    await client.query(`TRUNCATE TABLE \`${table}\``);
  } finally {
    await client.end();
  }
  // The first that the log shows of this table.
  await until('it is seen', () => escaped.length > 0);
  expect(escaped).toEqual([{ table, cause: 'truncate', keys: null }]);
});
