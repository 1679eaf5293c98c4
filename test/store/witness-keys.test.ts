/** A key read from a row event is, byte for byte, the key that the triggers' SQL prints: for every type that a key can have. */
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { hasFloatKey, asRead, keyReader } from '../../stores/mysql/binlogKey.js';
import { eventType } from '../../stores/mysql/binlogEvents.js';
import { asText } from '../../stores/mysql/cell.js';
import { readTables } from '../../stores/mysql/definitions.js';
import { quoteTable } from '../../stores/mysql/quote.js';
import { keyJson } from '../../stores/mysql/rowJson.js';
import { binlogEnd, readRowsSince } from '../support/binlogTail.js';
import { createRig, type Rig } from './mysqlRig.js';

/** Column type and values as SQL; other columns stand before, between and behind, some of them NULL. */
const kinds: readonly (readonly [type: string, values: readonly string[]])[] = [
  ['TINYINT', ['-128', '127', '0']],
  ['TINYINT UNSIGNED', ['255']],
  ['SMALLINT', ['-32768', '32767']],
  ['MEDIUMINT', ['-8388608', '8388607']],
  ['MEDIUMINT UNSIGNED', ['16777215']],
  ['INT', ['-2147483648', '2147483647']],
  ['INT UNSIGNED ZEROFILL', ['7', '4294967295']],
  ['BIGINT', ['-9223372036854775808', '9223372036854775807', '9007199254740993', '-9007199254740993', '-1', '0']],
  ['BIGINT UNSIGNED', ['18446744073709551615', '9007199254740991', '9007199254740992', '4294967296']],
  ['YEAR', ["'0000'", '1901', '2155']],
  [
    'DECIMAL(65,30)',
    [
      "'-0.000000000000000000000000000001'",
      "'99999999999999999999999999999999999.999999999999999999999999999999'",
      '0',
    ],
  ],
  ['DECIMAL(5,2)', ['4.21', '-999.99', '0']],
  ['DECIMAL(18,0)', ['-123456789012345678', '7']],
  ['DECIMAL(10,10)', ['0.0000000001', '-0.9999999999']],
  ['DECIMAL(7,2) UNSIGNED ZEROFILL', ['1.5']],
  ['FLOAT', ['0.1', '-0.0', '3', '1e30', '16777217']],
  ['DOUBLE', ['0.1', '1e300', '-5e-324', '1e15', '123456789.125']],
  ['BIT(1)', ["b'0'", "b'1'"]],
  ['BIT(13)', ["b'1010101010101'"]],
  ['BIT(64)', ["b'1111111111111111111111111111111111111111111111111111111111111111'", "b'0'"]],
  ['DATE', ["'0000-00-00'", "'9999-12-31'", "'2024-02-29'", "'2023-02-00'"]],
  ['TIME', ["'-838:59:59'", "'838:59:59'", "'00:00:00'"]],
  ['TIME(1)', ["'-01:02:03.4'", "'01:02:03.4'"]],
  ['TIME(3)', ["'-00:00:00.001'", "'12:00:00.120'"]],
  ['TIME(6)', ["'-838:59:58.999999'", "'00:00:00.000001'"]],
  [
    'DATETIME',
    [
      "'0000-00-00 00:00:00'",
      "'2023-02-31 01:02:03'",
      "'0000-12-31 00:00:00'",
      "'0001-01-01 00:00:00'",
      "'9999-12-31 23:59:59'",
    ],
  ],
  ['DATETIME(3)', ["'2024-01-02 03:04:05.060'"]],
  ['DATETIME(6)', ["'2024-01-02 03:04:05.000001'"]],
  ['TIMESTAMP', ["'0000-00-00 00:00:00'", "'1970-01-01 00:00:01'", "'2038-01-19 03:14:07'"]],
  ['TIMESTAMP(5)', ["'2024-01-02 03:04:05.00001'"]],
  ['CHAR(10)', ["'a  '", "'ä€😀'", "''"]],
  ['CHAR(255)', ["REPEAT('€', 255)"]],
  ['VARCHAR(40)', ["'a  '", `'quote " backslash \\\\ line\\n tab\\t'`, 'CHAR(1,8,12,127 USING utf8mb4)']],
  ['VARCHAR(300)', ["REPEAT('x', 300)"]],
  ['VARCHAR(40) CHARACTER SET latin1', ['_latin1 0xE4F680819D', "'abc'"]],
  ['VARCHAR(40) CHARACTER SET utf16', ["'aä€😀'"]],
  ['VARCHAR(40) CHARACTER SET utf16le', ["'aä€😀'"]],
  ['VARCHAR(40) CHARACTER SET utf32', ["'aä€😀'"]],
  ['VARCHAR(40) CHARACTER SET ucs2', ["'aä€'", "_ucs2 x'0041d800'", "_ucs2 x'd83dde00'"]],
  ['VARCHAR(40) CHARACTER SET cp1251', ["'Привет'", "_cp1251 x'6198'"]],
  ['VARCHAR(40) CHARACTER SET koi8r', ["'Привет'"]],
  ['VARCHAR(40) CHARACTER SET latin2', ["'Łódź'"]],
  ['VARCHAR(40) CHARACTER SET cp1250', ["'Łódź'", "_cp1250 x'61'", "_cp1250 x'81'", "_cp1250 x'3f98'"]],
  ['BINARY(6)', ["x'010000000000'", "x'000000000000'", "x'ff20'"]],
  ['VARBINARY(40)', ["x'0000'", "x''", "x'ff00ff'"]],
  ['VARBINARY(300)', ["REPEAT(x'fe', 300)"]],
  ["ENUM('a','b''c','€')", ["'a'", "'b''c'", "'€'"]],
  ["SET('x','y','z')", ["''", "'x,z'", "'x,y,z'"]],
  ["SET('','x','y')", ['0', '4', '5', '6']],
];

let rig: Rig;
beforeAll(async () => {
  rig = await createRig();
});
afterAll(async () => {
  await rig.drop();
});

test('keys of every type, alone and together', async () => {
  const session = await rig.mysql.session({ sqlMode: 'ALLOW_INVALID_DATES' });
  const from = await binlogEnd(rig.mysql);
  try {
    for (const [i, [type, values]] of kinds.entries()) {
      await rig.run(
        `CREATE TABLE {src}.k${i} (a VARCHAR(300) NULL, k ${type} NOT NULL, b BLOB NULL, n INT NULL, j JSON NULL, PRIMARY KEY (k))`,
        `CREATE TABLE {src}.m${i} (id INT, k ${type} NOT NULL, note VARCHAR(10), PRIMARY KEY (k, id))`,
      );
      for (const [row, value] of values.entries()) {
        const others = row % 2 === 0 ? "NULL, NULL, 7, '[1]'" : "'text', 'blob', NULL, NULL";
        const [a, rest] = [others.slice(0, others.indexOf(',')), others.slice(others.indexOf(',') + 1)];
        await session.run(
          `INSERT INTO ${quoteTable(rig.source, `k${i}`)} (a, k, b, n, j) VALUES (${a}, ${value},${rest})`,
        );
        await session.run(`INSERT INTO ${quoteTable(rig.source, `m${i}`)} VALUES (${row}, ${value}, 'n')`);
      }
    }
    await rig.run('CREATE TABLE {src}.last (id INT PRIMARY KEY)', 'INSERT INTO {src}.last VALUES (1)');
  } finally {
    session.destroy();
  }
  const facts = new Map(
    (await readTables(rig.mysql, rig.source)).map(({ definition }) => [definition.table, definition]),
  );
  const seen = new Map<string, string[]>();
  await readRowsSince(rig.config.mysql, from, 'last', (_, map, buffer, spots) => {
    const definition = facts.get(map.table);
    const read = definition === undefined ? null : keyReader(definition, map);
    seen.set(map.table, [...(seen.get(map.table) ?? []), String(read?.(buffer, spots))]);
  });
  for (const [table, definition] of facts) {
    const printed = await rig.mysql.rows(
      `SELECT CAST(${keyJson(definition, 't')} AS BINARY) FROM ${quoteTable(rig.source, table)} t`,
    );
    const texts = printed
      .map((row) => asText(row[0]))
      .map((key) => (hasFloatKey(definition) ? asRead(definition, key) : key));
    expect(new Set(seen.get(table)), `${table}: ${kinds[Number(table.slice(1))]?.[0]}`).toEqual(new Set(texts));
  }
});

test('rows are walked whatever stands beside the key', async () => {
  const from = await binlogEnd(rig.mysql);
  await rig.run(
    `CREATE TABLE {src}.wide (t TIME(6), ts TIMESTAMP(3) NULL, y YEAR, d DECIMAL(30,7), e ENUM('a','b'), s SET('a','b','c','d','e','f','g','h','i'),
       g GEOMETRY, v VECTOR(3), tb TINYBLOB, mb MEDIUMTEXT, lb LONGBLOB, bits BIT(13), c CHAR(200), f FLOAT, gen INT AS (id + 1) VIRTUAL,
       st INT AS (id + 2) STORED, inv INT INVISIBLE DEFAULT 5, id INT PRIMARY KEY, tail VARCHAR(500))`,
    `INSERT INTO {src}.wide (t, ts, y, d, e, s, g, v, tb, mb, lb, bits, c, f, id, tail) VALUES
       ('-10:11:12.5', '2024-01-02 03:04:05.678', 2024, -1.5, 'b', 'a,i', ST_GeomFromText('POINT(1 2)'), STRING_TO_VECTOR('[1,2,3]'), 'tb',
        REPEAT('m', 70000), REPEAT('l', 200000), b'101', 'c', 1.5, 1, REPEAT('t', 400)),
       (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 2, NULL)`,
    'UPDATE {src}.wide SET id = id + 10, mb = NULL ORDER BY id DESC',
    'DELETE FROM {src}.wide WHERE id = 11',
    'INSERT INTO {src}.last VALUES (2)',
  );
  const [facts] = await readTables(rig.mysql, rig.source, 'wide');
  const seen: string[] = [];
  await readRowsSince(rig.config.mysql, from, 'last', (type, map, buffer, first, second) => {
    if (map.table !== 'wide' || facts === undefined) return;
    const read = keyReader(facts.definition, map);
    const after = type === eventType.updateRows ? ` ${read?.(buffer, second)}` : '';
    seen.push(`${type} ${read?.(buffer, first)}${after}`);
  });
  expect(seen).toEqual([
    '30 {"id":1}',
    '30 {"id":2}',
    '31 {"id":2} {"id":12}',
    '31 {"id":1} {"id":11}',
    '32 {"id":11}',
  ]);
  expect(inject('stack').mysql.uri).not.toBe('');
});
