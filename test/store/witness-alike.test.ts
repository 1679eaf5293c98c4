/**
 * An update's two images in the binary log: whether they print the same row JSON is told as the triggers' SQL prints them. So
 * no update that prints nothing new is taken for one that escaped, and none hides one that did.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { imagesComparison } from '../../stores/mysql/binlogAlike.js';
import { compareJson } from '../../stores/mysql/binlogJson.js';
import { eventType } from '../../stores/mysql/binlogEvents.js';
import { keyReader } from '../../stores/mysql/binlogKey.js';
import { asText } from '../../stores/mysql/cell.js';
import { readTables } from '../../stores/mysql/definitions.js';
import { quoteTable } from '../../stores/mysql/quote.js';
import { keyJson, rowJson } from '../../stores/mysql/rowJson.js';
import { binlogEnd, readRowsSince } from '../support/binlogTail.js';
import { createRig, type Rig } from './mysqlRig.js';

let rig: Rig;
beforeAll(async () => {
  rig = await createRig();
});
afterAll(async () => {
  await rig.drop();
});

/** Of SQL types that JSON has not: what prints like a string or a number may be unsure. */
const foreign = [
  `JSON_EXTRACT(JSON_ARRAY(1.0), '$[0]')`,
  `JSON_EXTRACT(JSON_ARRAY(1.00), '$[0]')`,
  `JSON_EXTRACT(JSON_ARRAY(CAST(1 AS DECIMAL(10,0))), '$[0]')`,
  `JSON_EXTRACT(JSON_ARRAY(CAST(1 AS DECIMAL(20,0))), '$[0]')`,
  `JSON_OBJECT('a', DATE'2024-01-01')`,
  `CAST(DATE'2024-01-01' AS JSON)`,
  `CAST(TIMESTAMP'2024-01-01 00:00:00' AS JSON)`,
  `CAST(TIME'10:00:00' AS JSON)`,
  `CAST(TIME'-10:00:00' AS JSON)`,
  `CAST(x'0102' AS JSON)`,
  `CAST(x'0103' AS JSON)`,
  `CAST(b'1' AS JSON)`,
];

const documents = [
  'NULL',
  `'null'`,
  `'true'`,
  `'false'`,
  `'0'`,
  `'-0.0'`,
  `'0.0'`,
  `'1'`,
  `'1.0'`,
  `'32767'`,
  `'32768'`,
  `'-2147483649'`,
  `'9223372036854775807'`,
  `'18446744073709551615'`,
  `'1e20'`,
  `'""'`,
  `'"2024-01-01"'`,
  `'"2024-01-01 00:00:00.000000"'`,
  `'[]'`,
  `'{}'`,
  `'[1,[2,[3]],{"a":null}]'`,
  `'[1,[2,[3]],{"a":1}]'`,
  `'[1,[2,[3]],{"a":1.0}]'`,
  `'{"a":1,"b":70000}'`,
  `'{"b":70000,"a":1}'`,
  `'{"a":1,"c":70000}'`,
  `JSON_OBJECT('a', 1, 'b', CAST(70000 AS UNSIGNED))`,
  `JSON_OBJECT('a', REPEAT('x', 70000), 'b', 70000)`,
  // Large containers whose reason is gone, and gaps that an update in place leaves.
  `JSON_REMOVE(JSON_OBJECT('a', REPEAT('x', 70000), 'b', 70000), '$.a')`,
  `'{"b":70000}'`,
  `'{"b":"short","long":1}'`,
  `'{"b":"something longer","long":1}'`,
  `JSON_ARRAY(REPEAT('ä', 200))`,
  `JSON_ARRAY(REPEAT('ä', 199))`,
  ...foreign,
];

interface Told {
  readonly id: string;
  /** Null: the binary log has no row event. */
  readonly seen: string | null;
  readonly printed: 'same' | 'different';
}

/** `UPDATE … SET x = y` of a table that holds every pair of the values. */
async function told(table: string, type: string, values: readonly string[]): Promise<readonly Told[]> {
  const name = quoteTable(rig.source, table);
  await rig.run(`CREATE TABLE ${name} (id INT PRIMARY KEY, x ${type}, y ${type})`);
  const session = await rig.mysql.session({ sqlMode: 'ALLOW_INVALID_DATES' });
  try {
    for (const [i, x] of values.entries()) {
      const rows = values.map((y, k) => `(${i * 1000 + k}, ${x}, ${y})`);
      await session.run(`INSERT IGNORE INTO ${name} VALUES ${rows.join(', ')}`);
    }
  } finally {
    session.destroy();
  }
  const [facts] = await readTables(rig.mysql, rig.source, table);
  if (facts === undefined) throw new Error(`${table} is not there`);
  const { definition } = facts;
  const texts = async (): Promise<ReadonlyMap<string, string>> => {
    const rows = await rig.mysql.rows(`SELECT ${keyJson(definition, 't')}, ${rowJson(definition, 't')} FROM ${name} t`);
    return new Map(rows.map((row) => [asText(row[0]), asText(row[1])]));
  };
  const before = await texts();
  const from = await binlogEnd(rig.mysql);
  await rig.run(
    `UPDATE ${name} SET x = y`,
    'CREATE TABLE IF NOT EXISTS {src}.last (id INT AUTO_INCREMENT PRIMARY KEY)',
    'INSERT INTO {src}.last VALUES ()',
  );
  const after = await texts();
  const seen = new Map<string, string>();
  await readRowsSince(rig.config.mysql, from, 'last', (event, map, buffer, first, second) => {
    if (map.table !== table || event !== eventType.updateRows) return;
    const key = keyReader(definition, map)?.(buffer, first) ?? '';
    seen.set(key, imagesComparison(definition, map)?.(buffer, first, second, false) ?? 'different');
  });
  expect(before.size).toBe(values.length ** 2);
  return [...before].map(([id, text]) => ({
    id,
    seen: seen.get(id) ?? null,
    printed: text === after.get(id) ? 'same' : 'different',
  }));
}

/** What was told wrong; unsure is wrong, too, where it need not be. */
function mistakes(all: readonly Told[], mayBeUnsure: (id: number) => boolean): readonly Told[] {
  return all.filter(({ id, seen, printed }) => {
    const number = Number(/\d+/.exec(id)?.[0]);
    return seen !== (seen === null ? null : printed) && !(seen === 'unknown' && mayBeUnsure(number));
  });
}

test('JSON in whatever form it is stored', async () => {
  await rig.run('CREATE TABLE {src}.stored (id INT PRIMARY KEY, x JSON NOT NULL, y JSON NOT NULL)');
  const from = await binlogEnd(rig.mysql);
  const values = documents.filter((document) => document !== 'NULL');
  for (const [i, x] of values.entries()) {
    const rows = values.map((y, k) => `(${i * 1000 + k}, ${x}, ${y})`);
    await rig.run(`INSERT INTO {src}.stored VALUES ${rows.join(', ')}`);
  }
  // In place: the longer text leaves a gap.
  await rig.run(
    `UPDATE {src}.stored SET x = JSON_SET(x, '$.b', 'short') WHERE JSON_EXTRACT(x, '$.b') = CAST('"something longer"' AS JSON)`,
    'CREATE TABLE IF NOT EXISTS {src}.last (id INT AUTO_INCREMENT PRIMARY KEY)',
    'INSERT INTO {src}.last VALUES ()',
  );
  const seen = new Map<number, string>();
  await readRowsSince(rig.config.mysql, from, 'last', (event, map, buffer, first, second) => {
    if (map.table !== 'stored') return;
    const spots = event === eventType.updateRows ? second : first;
    const [id = 0, x = 0, y = 0] = spots;
    const end = (at: number): number => at + 4 + buffer.readUInt32LE(at);
    seen.set(buffer.readInt32LE(id), compareJson(buffer, x + 4, end(x), y + 4, end(y)));
  });
  const printed = await rig.mysql.rows(
    `SELECT id, HEX(x) = HEX(y), JSON_STORAGE_FREE(x) > 0 FROM ${quoteTable(rig.source, 'stored')}`,
  );
  expect(seen.size).toBe(printed.length);
  expect(printed.filter(([, , gap]) => gap === 1).length).toBe(values.length);
  const isForeign = (index: number): boolean => index >= values.length - foreign.length;
  const wrong = printed.filter(([id, same]) => {
    const found = seen.get(Number(id));
    const unsure = isForeign(Math.floor(Number(id) / 1000)) || isForeign(Number(id) % 1000);
    return found !== (same === 1 ? 'same' : 'different') && !(found === 'unknown' && unsure);
  });
  expect(wrong).toEqual([]);
});

test('JSON that an update changes', async () => {
  const all = await told('documents', 'JSON', documents);
  const isForeign = (index: number): boolean => index >= documents.length - foreign.length;
  expect(mistakes(all, (id) => isForeign(Math.floor(id / 1000)) || isForeign(id % 1000))).toEqual([]);
  // SQL NULL and the JSON value null.
  expect(all.filter(({ seen }) => seen === 'same').length).toBe(2);
});

test.each<readonly [table: string, type: string, values: readonly string[], mayBeUnsure: boolean]>([
  ['members', "ENUM('', 'a', 'b')", ['NULL', '0', "''", "'a'", "'b'"], false],
  ['sets', "SET('', 'a', 'b')", ['NULL', '0', '1', '2', '3', '6'], false],
  ['doubles', 'DOUBLE', ['NULL', '0', '-0e0', '1', '1e300', '5e-324'], false],
  ['floats', 'FLOAT', ['NULL', '0', '-0e0', '0.1', '16777217'], false],
  ['decimals', 'DECIMAL(10,2)', ['NULL', '0', "'-0.00'", '-0.001', '1'], false],
  ['texts', 'VARCHAR(20)', ['NULL', "''", "'a'", "'A'", "'a '", "'ä'"], false],
  ['latin', 'VARCHAR(20) CHARACTER SET latin1', ['NULL', "''", "_latin1 x'81'", "'a'", "'ä'", "'?'"], false],
  ['fixed', 'CHAR(5)', ['NULL', "''", "'a'", "'a '"], false],
  ['japanese', 'VARCHAR(20) CHARACTER SET cp932', ['NULL', "'a'", "_cp932 x'81e6'", "_cp932 x'fa5b'", "'b'"], true],
  ['surrogates', 'VARCHAR(20) CHARACTER SET ucs2', ['NULL', "'a'", "_ucs2 x'd800'", "_ucs2 x'd801'", "'b'"], true],
  ['stamps', 'DATETIME(6)', ['NULL', "'0000-00-00'", "'2024-01-01'", "'2024-01-01 00:00:00.000001'"], false],
])('%s', async (table, type, values, mayBeUnsure) => {
  expect(mistakes(await told(table, type, values), () => mayBeUnsure)).toEqual([]);
});
