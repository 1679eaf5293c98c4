/** What a file writes ends in MySQL exactly as written, for every type; what cannot is refused before MySQL could change it. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Column, Definition } from '../../core/definition.js';
import { contentCheck } from '../../core/ingestContent.js';
import { Fault } from '../../core/ingestFault.js';
import type { InputValue } from '../../core/ingest.js';
import { valueRule } from '../../core/ingestValue.js';
import { finishRowJson } from '../../core/rowJson.js';
import { asBytes } from '../../stores/mysql/cell.js';
import type { Session } from '../../stores/mysql/connection.js';
import { readTables } from '../../stores/mysql/definitions.js';
import { quoteName } from '../../stores/mysql/quote.js';
import { rowJson } from '../../stores/mysql/rowJson.js';
import { createRig, type Rig } from './mysqlRig.js';

/** Column type and texts that it takes as they are. */
const types: readonly (readonly [string, readonly string[]])[] = [
  ['TINYINT', ['-128', '127', 'true', ' 7 ']],
  ['TINYINT UNSIGNED', ['255']],
  ['SMALLINT', ['-32768', '1e3']],
  ['MEDIUMINT UNSIGNED', ['16777215']],
  ['INT ZEROFILL', ['42']],
  ['BIGINT', ['-9223372036854775808', '9223372036854775807']],
  ['BIGINT UNSIGNED', ['18446744073709551615']],
  ['YEAR', ['0', '1901', '2155']],
  ['DECIMAL(65,30)', ['-12345678901234567890123456789012345.123456789012345678901234567890', '0', '-0.0', '1e-30']],
  ['DECIMAL(10,2) UNSIGNED', ['99999999.99', '.5']],
  ['FLOAT', ['0.1', '-0', '3.4028234e38', '1e-45', '16777217', '1.17549435e-38']],
  [
    'DOUBLE',
    ['0.1', '-0', '1e300', '5e-324', '1.7976931348623157e308', '123456789012345678', '2.2250738585072014e-308'],
  ],
  ['DOUBLE(10,3)', ['1.005', '-0.125', '999999.999']],
  ['FLOAT(7,3)', ['1.005', '1234.567']],
  ['BIT(1)', ['1', 'false']],
  ['BIT(9)', ['511', '5']],
  ['BIT(64)', ['18446744073709551615', '0']],
  ['CHAR(5)', ['ab', 'ab   ', '', 'ä😀']],
  ['CHAR(5) CHARACTER SET latin1', ['äß€']],
  ['VARCHAR(9)', ['', ' a ', '\0\b\n\r\t\u001a', `\\'"%_`, '😀😀', '\u2028', '\u007f']],
  ['VARCHAR(9) CHARACTER SET sjis', ['表ソ']],
  ['VARCHAR(9) CHARACTER SET gbk', ['这\\']],
  ['VARCHAR(9) CHARACTER SET utf16', ['😀']],
  ['TINYTEXT', ['x'.repeat(255), 'ä'.repeat(127)]],
  ['TEXT', ['NULL', 'null', 'x'.repeat(65535)]],
  ['MEDIUMTEXT', ['m']],
  ['LONGTEXT', ['l']],
  ["ENUM('a','B','3','')", ['a', 'b', '3', '']],
  ["ENUM('a','b') CHARACTER SET binary", ['a']],
  ["SET('x','y','z')", ['z,x', '', 'X', 'y,y']],
  ['BINARY(4)', ['AAE=', 'AAAAAA==', '']],
  ['VARBINARY(300)', ['', '/w==', '\\x00ff']],
  ['BLOB', ['3q2+7w==']],
  ['TINYBLOB', ['AA==']],
  ['DATE', ['0001-01-01', '9999-12-31', '0000-00-00', '2024-00-00', '2024-02-00']],
  [
    'DATETIME',
    ['2024-02-29T23:59:59Z', '2024-02-29 23:59:59+05:30', '0000-00-00 00:00:00', '2024-00-00 01:02:03', '0001-01-01'],
  ],
  ['DATETIME(6)', ['9999-12-31 23:59:59.000001', '1000-01-01T00:00:00.5']],
  [
    'TIMESTAMP(3)',
    ['1970-01-01 00:00:01', '2038-01-19T03:14:07.999Z', '0000-00-00 00:00:00', '2024-10-27T02:30:00+02:00'],
  ],
  ['TIME(6)', ['-838:59:59', '838:59:59.000000', '00:00:00.000001', '12:30']],
  [
    'JSON',
    [
      '{"b":1,"a":[1.10,18446744073709551615,null,"x",1e2,-0.0]}',
      'null',
      '"s"',
      '{"a":1,"a":2}',
      '[1e22, 12345678901234567890]',
      '[0.30000000000000004,0.10000000000000001,0.1000000000000000055511151231257827,-1.50000000000000000000]',
      '[9007199254740992.0,5e-324,4.9406564584124654e-324,2.2250738585072014E-308,1.7976931348623157E+308]',
    ],
  ],
  ['POINT SRID 4326', ['{"srid":4326,"wkb":"AQEAAAAAAAAAAAAkQAAAAAAAADRA"}']],
  ['GEOMETRY', ['{"srid":0,"wkb":"AQIAAAACAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAPA/AAAAAAAA8D8="}']],
  ['VECTOR(2)', ['[1,-2.5]', '[0.1]']],
];

const runs = Number(process.env['LOCKSTEP_FUZZ_RUNS'] ?? 300);

let rig: Rig;
let session: Session;
let definition: Definition;

beforeAll(async () => {
  rig = await createRig();
  const columns = types.map(([type], i) => `c${i} ${type} NULL`);
  await rig.run(`CREATE TABLE {src}.every_type (id INT AUTO_INCREMENT PRIMARY KEY, ${columns.join(', ')})`);
  const [facts] = await readTables(rig.mysql, rig.source, 'every_type');
  definition = facts!.definition;
  session = await rig.mysql.session({ sqlMode: 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO' });
});

afterAll(async () => {
  await session.close();
  await rig.drop();
});

function columnOf(name: string): Column {
  return definition.columns.find((column) => column.name === name)!;
}

function checked(column: Column, text: string): InputValue {
  const value = valueRule(column, { binary: 'auto', round: false }, false).ofText(text);
  if (value instanceof Fault) throw new Error(`${column.columnType} refuses ${text}: ${value.reason}`);
  return value;
}

/** Row JSON of the rows that hold these values in one column. */
async function stored(column: Column, values: readonly InputValue[]): Promise<readonly Buffer[]> {
  const name = quoteName(column.name);
  const table = `${rig.source}.every_type`;
  await session.run(`DELETE FROM ${table}`);
  await session.run(`INSERT INTO ${table} (id, ${name}) VALUES ?`, [values.map((value, i) => [i + 1, value ?? null])]);
  const rows = await session.rows(`SELECT CAST(${rowJson(definition, 't')} AS BINARY) FROM ${table} t ORDER BY id`);
  return rows.map((row) => finishRowJson(definition, asBytes(row[0])));
}

async function differences(column: Column, texts: readonly string[]): Promise<readonly string[]> {
  const check = contentCheck({ definition, columns: [{ name: column.name, field: column.name }], autoIncrement: 'id' });
  const values = texts.map((text) => checked(column, text));
  const rows = await stored(column, values);
  return rows.flatMap((row, i) => {
    const expected = check.expected({ line: i + 1, values: [values[i]] });
    return check.difference(expected, row) === null ? [] : [`${texts[i]}: ${expected.join()} became ${row.toString()}`];
  });
}

test.each(types.map(([type, texts], i) => [type, `c${i}`, texts] as const))('%s', async (_, name, texts) => {
  expect(await differences(columnOf(name), texts)).toEqual([]);
});

test('a difference is seen', async () => {
  const check = contentCheck({ definition, columns: [{ name: 'c0', field: 'c0' }], autoIncrement: 'id' });
  const [row] = await stored(columnOf('c0'), [7]);
  const difference = (value: InputValue): string | null =>
    check.difference(check.expected({ line: 1, values: [value] }), row!);
  expect(difference(7)).toBeNull();
  expect(difference(8)).toBe('c0');
  expect(difference(null)).toBe('c0');
  expect(difference(undefined)).toBeNull();
});

describe('random values', () => {
  const column = (type: string): Column => columnOf(`c${types.findIndex(([name]) => name === type)}`);
  const double = fc.double({ noNaN: true, noDefaultInfinity: true }).map((n) => (Object.is(n, -0) ? '-0' : String(n)));
  const float = fc.float({ noNaN: true, noDefaultInfinity: true }).map((n) => (Object.is(n, -0) ? '-0' : String(n)));
  const random: readonly (readonly [string, fc.Arbitrary<string>])[] = [
    ['DOUBLE', double],
    [
      'FLOAT',
      fc.oneof(
        float,
        double.filter((text) => Math.abs(Number(text)) < 3.4e38),
      ),
    ],
    ['FLOAT(7,3)', fc.integer({ min: -9_999_999, max: 9_999_999 }).map((n) => (n / 1000).toFixed(3))],
    ['DOUBLE(10,3)', fc.integer({ min: -999_999_999, max: 999_999_999 }).map((n) => (n / 1000).toFixed(3))],
    ['JSON', fc.json({ noUnicodeString: false }).filter((text) => !/\p{Surrogate}/u.test(text))],
    ['JSON', double.map((text) => `[${text}]`)],
    [
      'JSON',
      fc
        .tuple(double, fc.integer({ min: 17, max: 60 }))
        .map(([text, digits]) => `[${Number(text).toPrecision(digits)}]`),
    ],
    ['TEXT', fc.string({ unit: 'binary', maxLength: 40 })],
    ['VARBINARY(300)', fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes).toString('base64'))],
    ['VECTOR(2)', fc.tuple(float, float).map((pair) => `[${pair.join(',')}]`)],
  ];
  test.each(random)('%s', async (type, texts) => {
    const samples = fc.sample(texts, { numRuns: runs, seed: 5 });
    const takes = samples.filter(
      (text) => !(valueRule(column(type), { binary: 'auto', round: false }, false).ofText(text) instanceof Fault),
    );
    expect(takes.length).toBeGreaterThan(samples.length / 2);
    expect((await differences(column(type), takes)).slice(0, 5)).toEqual([]);
  });
});
