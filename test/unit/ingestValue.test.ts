/** What a file writes and what is bound for it, type by type; what MySQL would change is a fault. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Column } from '../../core/definition.js';
import { Fault } from '../../core/ingestFault.js';
import { canonicalJson } from '../../core/ingestJson.js';
import { valueRule } from '../../core/ingestValue.js';

function column(type: string, changes: Partial<Column> = {}): Column {
  return {
    name: 'c',
    type,
    columnType: type,
    nullable: true,
    unsigned: false,
    zerofill: false,
    length: null,
    precision: null,
    scale: null,
    fsp: null,
    charset: null,
    collation: null,
    generated: false,
    invisible: false,
    members: [],
    ...changes,
  };
}

const read = { binary: 'auto', round: false } as const;

function taken(
  of: Column,
  text: string,
  reading: Partial<{ binary: 'auto' | 'base64' | 'hex'; round: boolean }> = {},
): unknown {
  const value = valueRule(of, { ...read, ...reading }, false).ofText(text);
  return value instanceof Fault ? value.reason : value;
}

const utf8 = { charset: 'utf8mb4', collation: 'utf8mb4_0900_ai_ci' };
const unsigned = { unsigned: true };
const cents = column('decimal', { precision: 5, scale: 2 });
const micros = column('datetime', { fsp: 6 });
const seconds = column('datetime', { fsp: 0 });
const stamp = column('timestamp', { fsp: 3 });
const bytes8 = column('varbinary', { length: 8 });
const sizes = column('enum', { members: ['small', 'Large', '10'], ...utf8 });
const flags = column('set', { members: ['x', 'Y', 'z'], ...utf8 });

const cases: readonly (readonly [string, Column, string, unknown])[] = [
  ['an integer', column('int'), '-42', -42],
  ['with blanks and a plus', column('int'), ' +7 ', 7],
  ['as R writes it', column('int'), '1e+05', 100_000],
  ['with a zero fraction', column('int'), '12.0', 12],
  ['with a fraction', column('int'), '12.5', 'type'],
  ['too large', column('int'), '2147483648', 'range'],
  ['the largest', column('int'), '2147483647', 2_147_483_647],
  ['negative unsigned', column('int', unsigned), '-1', 'range'],
  ['the largest BIGINT UNSIGNED', column('bigint', unsigned), '18446744073709551615', 18_446_744_073_709_551_615n],
  ['one more', column('bigint', unsigned), '18446744073709551616', 'range'],
  ['an endless exponent', column('bigint'), '1e999999999', 'range'],
  ['MEDIUMINT', column('mediumint'), '-8388609', 'range'],
  ['a truth value', column('tinyint'), 'TRUE', 1],
  ['a truth value elsewhere', column('int'), 'true', 'type'],
  ['no number', column('int'), '0x10', 'type'],
  ['just a minus', column('int'), '-', 'type'],
  ['just a point', column('int'), '.', 'type'],
  ['minus zero', column('int'), '-0', 0],
  ['YEAR', column('year'), '2024', '2024'],
  ['a short year', column('year'), '24', 'range'],
  ['year zero', column('year'), '0', '0000'],
  ['BIT(1)', column('bit', { precision: 1 }), 'false', 0],
  ['BIT(64)', column('bit', { precision: 64 }), '18446744073709551615', 18_446_744_073_709_551_615n],
  ['BIT too large', column('bit', { precision: 3 }), '8', 'range'],
  ['DECIMAL', cents, '1.5', '1.50'],
  ['DECIMAL with zeros', cents, '001.500', '1.50'],
  ['DECIMAL by exponent', cents, '1.234e2', '123.40'],
  ['small DECIMAL', cents, '-.05', '-0.05'],
  ['DECIMAL minus zero', cents, '-0.00', '0.00'],
  ['DECIMAL too precise', cents, '1.005', 'precision'],
  ['DECIMAL too large', cents, '1000', 'range'],
  ['DECIMAL of one digit', column('decimal', { precision: 1, scale: 1 }), '0.5', '0.5'],
  ['DECIMAL without decimals', column('decimal', { precision: 3, scale: 0 }), '1e2', '100'],
  ['FLOAT', column('float'), '0.1', '0.1'],
  ['FLOAT too large', column('float'), '1e39', 'range'],
  ['DOUBLE', column('double'), '-0', '-0'],
  ['DOUBLE NaN', column('double'), 'NaN', 'type'],
  ['DOUBLE with many digits', column('double'), '0.1000000000000000055511151231257827', '0.1'],
  ['DOUBLE(5,2)', column('double', { precision: 5, scale: 2 }), '1.234', 'precision'],
  ['DATE', column('date'), '2024-02-29', '2024-02-29'],
  ['DATE at midnight', column('date'), '2024-02-29T00:00:00Z', '2024-02-29'],
  ['DATE at noon', column('date'), '2024-02-29T12:00:00', 'precision'],
  ['no such DATE', column('date'), '2023-02-29', 'range'],
  ['zero DATE', column('date'), '0000-00-00', '0000-00-00'],
  ['DATE without a day', column('date'), '2024-02-00', '2024-02-00'],
  ['American DATE', column('date'), '2/29/2024', 'type'],
  ['DATETIME', seconds, '2024-01-02T03:04:05', '2024-01-02 03:04:05'],
  ['DATETIME in UTC', seconds, '2024-01-02T03:04:05.000Z', '2024-01-02 03:04:05'],
  ['DATETIME with an offset', seconds, '2024-01-01T01:30:00+02:00', '2023-12-31 23:30:00'],
  ['DATETIME with a short offset', seconds, '2024-12-31 23:30:00-0330', '2025-01-01 03:00:00'],
  ['DATETIME as a date', seconds, '2024-01-02', '2024-01-02 00:00:00'],
  ['DATETIME too precise', seconds, '2024-01-02 03:04:05.5', 'precision'],
  ['DATETIME(6)', micros, '2024-01-02 03:04:05.5', '2024-01-02 03:04:05.500000'],
  ['DATETIME(6) of nanoseconds', micros, '2024-01-02 03:04:05.123456000', '2024-01-02 03:04:05.123456'],
  ['DATETIME before the years', seconds, '0001-01-01T00:00:00+01:00', 'range'],
  ['zero DATETIME', micros, '0000-00-00 00:00:00', '0000-00-00 00:00:00.000000'],
  ['DATETIME at 25 o’clock', seconds, '2024-01-02 25:00:00', 'type'],
  ['TIMESTAMP', stamp, '2024-01-02T03:04:05.123Z', '2024-01-02 03:04:05.123'],
  ['TIMESTAMP too early', stamp, '1970-01-01T00:00:00Z', 'range'],
  ['TIMESTAMP too late', stamp, '2038-01-19T03:14:08Z', 'range'],
  ['TIME', column('time', { fsp: 0 }), '-838:59:59', '-838:59:59'],
  ['TIME in minutes', column('time', { fsp: 0 }), '5:07', '05:07:00'],
  ['TIME too long', column('time', { fsp: 0 }), '839:00:00', 'range'],
  ['VARCHAR', column('varchar', { length: 3, ...utf8 }), 'äöü', 'äöü'],
  ['VARCHAR of emoji', column('varchar', { length: 2, ...utf8 }), '😀😀', '😀😀'],
  ['VARCHAR too long', column('varchar', { length: 2, ...utf8 }), 'abc', 'length'],
  ['VARCHAR with a blank too many', column('varchar', { length: 2, ...utf8 }), 'ab ', 'length'],
  ['CHAR with blanks behind', column('char', { length: 2, ...utf8 }), 'ab  ', 'ab  '],
  ['emoji in utf8mb3', column('varchar', { length: 9, charset: 'utf8mb3' }), '😀', 'encoding'],
  ['umlaut in ascii', column('varchar', { length: 9, charset: 'ascii' }), 'ä', 'encoding'],
  ['TINYTEXT', column('tinytext', { length: 255, ...utf8 }), 'ä'.repeat(128), 'length'],
  ['ENUM', sizes, 'small', 'small'],
  ['ENUM in another case', sizes, 'LARGE', 'Large'],
  ['ENUM is no number', sizes, '1', 'member'],
  ['ENUM that looks like one', sizes, '10', '10'],
  ['ENUM under a binary collation', { ...sizes, collation: 'utf8mb4_bin' }, 'LARGE', 'member'],
  ['SET', flags, 'z,x,z', 'x,z'],
  ['empty SET', flags, '', ''],
  ['SET in another case', flags, 'y', 'Y'],
  ['SET with a stranger', flags, 'x,w', 'member'],
  ['base64', bytes8, 'AAEC', Buffer.from([0, 1, 2])],
  ['hex', bytes8, '\\x0001', Buffer.from([0, 1])],
  ['hex that is no base64', bytes8, '0xDEADBEEF', Buffer.from('deadbeef', 'hex')],
  ['either', bytes8, '0xDEADBE', 'ambiguous'],
  ['bad base64', bytes8, 'AAE', 'type'],
  ['base64 with loose bits', bytes8, 'AB==', 'type'],
  ['too many bytes', bytes8, 'AAECAwQFBgcI', 'length'],
  ['JSON', column('json'), '{"a": [1.10]}', '{"a": [1.10]}'],
  ['no JSON', column('json'), "{'a':1}", 'type'],
  ['JSON integer of 64 bits', column('json'), '[18446744073709551615]', '[18446744073709551615]'],
  ['JSON integer beyond', column('json'), '[18446744073709551617]', 'range'],
  ['JSON digits in a text', column('json'), '"18446744073709551617"', '"18446744073709551617"'],
  ['JSON beyond doubles', column('json'), '1e400', 'range'],
  ['JSON fraction beyond a double', column('json'), '[9007199254740993.0]', 'range'],
  ['JSON with too many decimals', column('json'), '{"a":0.12345678901234567890}', 'range'],
  ['JSON too small for a double', column('json'), '1e-400', 'range'],
  ['JSON too small by zeros', column('json'), `0.${'0'.repeat(400)}1`, 'range'],
  ['JSON that a denormal rounds', column('json'), '3e-324', 'range'],
  ['JSON with more digits than any double', column('json'), `0.1${'3'.repeat(150)}`, 'range'],
  ['JSON of a shortest double', column('json'), '[0.30000000000000004]', '[0.30000000000000004]'],
  ['JSON as printf has it', column('json'), '[0.10000000000000001]', '[0.10000000000000001]'],
  ['JSON with zeros behind', column('json'), '-1.50000000000000000000', '-1.50000000000000000000'],
  ['JSON of a large whole double', column('json'), '[9007199254740992.0,1e+0022]', '[9007199254740992.0,1e+0022]'],
  [
    'JSON at the ends of a double',
    column('json'),
    '[5e-324,1.7976931348623157E+308]',
    '[5e-324,1.7976931348623157E+308]',
  ],
  ['JSON zeros', column('json'), '[-0.0000000000000000,0e-999]', '[-0.0000000000000000,0e-999]'],
  ['JSON with half a pair', column('json'), '"\\ud800"', 'encoding'],
  ['VECTOR', column('vector', { length: 8 }), '[1,-2.5]', Buffer.from('0000803f000020c0', 'hex')],
  ['VECTOR too long', column('vector', { length: 4 }), '[1,2]', 'length'],
  ['GEOMETRY', column('point'), '{"srid":1,"wkb":"AQEAAAA="}', Buffer.from('010000000101000000', 'hex')],
];

test.each(cases)('%s', (_, of, text, expected) => {
  expect(taken(of, text)).toEqual(expected);
});

describe('--round', () => {
  const rounded: readonly (readonly [Column, string, unknown])[] = [
    [cents, '1.005', '1.01'],
    [cents, '-1.005', '-1.01'],
    [cents, '999.995', 'range'],
    [cents, '0.0049', '0.00'],
    [cents, '-0.001', '0.00'],
    [cents, '1e-400', '0.00'],
    [seconds, '2024-12-31T23:59:59.5Z', '2025-01-01 00:00:00'],
    [seconds, '2024-12-31T23:59:59.49999999', '2024-12-31 23:59:59'],
    [stamp, '2024-01-01 00:00:00.9995', '2024-01-01 00:00:01.000'],
    [column('time', { fsp: 1 }), '-00:00:00.04', '00:00:00.0'],
    [column('time', { fsp: 0 }), '838:59:59.5', 'range'],
  ];
  test.each(rounded)('%o: %s', (of, text, expected) => {
    expect(taken(of, text, { round: true })).toEqual(expected);
  });
});

test('NULL is taken where the column takes it, or numbers itself', () => {
  const strict = column('int', { nullable: false });
  expect(valueRule(column('int'), read, false).ofNull()).toBeNull();
  expect(valueRule(strict, read, true).ofNull()).toBeNull();
  expect(valueRule(strict, read, false).ofNull()).toEqual(new Fault('null'));
});

test('every 64-bit integer and every decimal keeps its digits', () => {
  const big = valueRule(column('bigint'), read, false);
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (n) => {
      const value = big.ofText(String(n));
      expect(typeof value === 'number' || typeof value === 'bigint' ? BigInt(value) : value).toBe(n);
    }),
  );
  const decimal = valueRule(column('decimal', { precision: 30, scale: 10 }), read, false);
  fc.assert(
    fc.property(fc.bigInt({ min: -(10n ** 30n) + 1n, max: 10n ** 30n - 1n }), (n) => {
      const digits = String(n < 0n ? -n : n).padStart(11, '0');
      const text = `${n < 0n ? '-' : ''}${digits.slice(0, -10)}.${digits.slice(-10)}`;
      expect(decimal.ofText(text)).toBe(text);
    }),
  );
});

test('JSON takes every double, as its shortest text and as printf writes it', () => {
  const json = valueRule(column('json'), read, false);
  const double = fc.double({ noNaN: true, noDefaultInfinity: true });
  fc.assert(
    fc.property(double, fc.integer({ min: 17, max: 60 }), (value, digits) => {
      for (const text of [value.toExponential(), value.toExponential(digits - 1), value.toPrecision(digits)]) {
        expect(json.ofText(text)).toBe(text);
      }
    }),
  );
});

test('a moment is the same with any offset', () => {
  const rule = valueRule(column('datetime', { fsp: 3 }), read, false);
  const moments = fc.date({
    min: new Date('0002-01-01T00:00:00Z'),
    max: new Date('9998-01-01T00:00:00Z'),
    noInvalidDate: true,
  });
  fc.assert(
    fc.property(moments, fc.integer({ min: -840, max: 840 }), (moment, offset) => {
      const local = new Date(moment.getTime() + offset * 60_000).toISOString().slice(0, -1);
      const [hours, minutes] = [Math.floor(Math.abs(offset) / 60), Math.abs(offset) % 60];
      const zone = `${offset < 0 ? '-' : '+'}${String(hours).padStart(2, '0')}:${String(minutes).padStart(2, '0')}`;
      expect(rule.ofText(local + zone)).toBe(moment.toISOString().slice(0, -1).replace('T', ' '));
    }),
  );
});

test('canonical JSON does not see order, spacing or the form of a number', () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      const value: unknown = JSON.parse(text);
      return canonicalJson(text) === canonicalJson(JSON.stringify(value, null, 2));
    }),
  );
  expect(canonicalJson('{"b":1.0,"a":{"y":1e2,"x":null}}')).toBe(canonicalJson('{"a":{"x":null,"y":100},"b":1}'));
  expect(canonicalJson('[9007199254740993]')).toBe('[9007199254740993]');
  expect(canonicalJson('[9007199254740993]')).not.toBe(canonicalJson('[9007199254740992]'));
  expect(canonicalJson('[-0.0, 1e22]')).toBe('[0,10000000000000000000000]');
});
