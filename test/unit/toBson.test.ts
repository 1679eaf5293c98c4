import fc from 'fast-check';
import { BSON, Decimal128, type Document } from 'mongodb';
import { describe, expect, it } from 'vitest';
import type { Column, Definition } from '../../core/definition.js';
import { BsonWriter } from '../../stores/mongo/bsonWriter.js';
import { decimalText, writeDecimal128 } from '../../stores/mongo/decimal128.js';
import { elementsOf } from '../../stores/mongo/element.js';
import { toDouble, writeJsonNumber } from '../../stores/mongo/numbers.js';
import { documentShape, writeDocument } from '../../stores/mongo/toBson.js';
import { canonicalBson } from '../support/expected.js';
import { column, definition } from '../support/storeRig.js';

const typed = { promoteValues: false, promoteLongs: false, promoteBuffers: false };

function write(of: Definition, key: string, row: string): Document {
  const w = new BsonWriter(16);
  writeDocument(w, documentShape(of), Buffer.from(key), Buffer.from(row));
  return BSON.deserialize(w.since(0), typed);
}

/** One column's value beside a key, as the canonical text with its type. */
function stored(of: Column, json: string): string {
  const document = write(definition([column('id', 'int'), of]), '{"id":1}', `{"id":1,"${of.name}":${json}}`);
  return canonicalBson(document[of.name]);
}

const decimal = (precision: number, scale: number): Column => column('c', 'decimal', { precision, scale });
const unsigned = (type: string): Column => column('c', type, { unsigned: true });
const time = (type: string, fsp = 0): Column => column('c', type, { fsp });
const bits = (precision: number): Column => column('c', 'bit', { precision });
const of = (type: string): Column => column('c', type);
const forty = '1234567890'.repeat(4);

describe('the type table', () => {
  it.each<[string, Column, string, string]>([
    ['TINYINT', of('tinyint'), '-128', 'int -128'],
    ['TINYINT UNSIGNED', unsigned('tinyint'), '255', 'int 255'],
    ['SMALLINT', of('smallint'), '32767', 'int 32767'],
    ['MEDIUMINT UNSIGNED', unsigned('mediumint'), '16777215', 'int 16777215'],
    ['INT, least', of('int'), '-2147483648', 'int -2147483648'],
    ['INT, most', of('int'), '2147483647', 'int 2147483647'],
    ['INT UNSIGNED', unsigned('int'), '4294967295', 'long 4294967295'],
    ['INT UNSIGNED, small', unsigned('int'), '1', 'long 1'],
    ['YEAR', of('year'), '2155', 'int 2155'],
    ['BIGINT, least', of('bigint'), '-9223372036854775808', 'long -9223372036854775808'],
    ['BIGINT, most', of('bigint'), '9223372036854775807', 'long 9223372036854775807'],
    ['BIGINT, 2^53 + 1', of('bigint'), '9007199254740993', 'long 9007199254740993'],
    ['BIGINT, −1', of('bigint'), '-1', 'long -1'],
    ['BIGINT, −2^32', of('bigint'), '-4294967296', 'long -4294967296'],
    ['BIGINT UNSIGNED, 2^63 − 1', unsigned('bigint'), '9223372036854775807', 'long 9223372036854775807'],
    ['BIGINT UNSIGNED, 2^63', unsigned('bigint'), '9223372036854775808', 'decimal 9223372036854775808'],
    ['BIGINT UNSIGNED, most', unsigned('bigint'), '18446744073709551615', 'decimal 18446744073709551615'],
    ['DECIMAL', decimal(10, 2), '"-0.50"', 'decimal -0.50'],
    ['DECIMAL, 0', decimal(10, 2), '"0.00"', 'decimal 0.00'],
    ['DECIMAL(34)', decimal(34, 0), `"${'9'.repeat(34)}"`, `decimal ${'9'.repeat(34)}`],
    ['DECIMAL(34,30)', decimal(34, 30), `"-1234.${'9'.repeat(30)}"`, `decimal -1234.${'9'.repeat(30)}`],
    ['DECIMAL(35)', decimal(35, 0), '"1"', '"1"'],
    ['DECIMAL(65,30)', decimal(65, 30), `"${forty}.5"`, `"${forty}.5"`],
    ['FLOAT', of('float'), '0.10000000149011612', 'double 0.10000000149011612'],
    ['DOUBLE', of('double'), '1.7976931348623157e308', 'double 1.7976931348623157e+308'],
    ['DOUBLE, least', of('double'), '5e-324', 'double 5e-324'],
    ['DOUBLE, −0', of('double'), '-0', 'double -0'],
    ['DOUBLE, whole', of('double'), '3', 'double 3'],
    ['BIT(1)', bits(1), 'true', 'true'],
    ['BIT(1), 0', bits(1), 'false', 'false'],
    ['BIT(8)', bits(8), '255', 'long 255'],
    ['BIT(64), most', bits(64), '18446744073709551615', 'decimal 18446744073709551615'],
    ['CHAR', of('char'), '"a\\"b\\\\c\\u00e9\\ud83d\\ude00\\n"', JSON.stringify('a"b\\cé😀\n')],
    ['VARCHAR with NUL', of('varchar'), '"a\\u0000b"', '"a\\u0000b"'],
    ['TEXT', of('text'), '"ключ 😀"', '"ключ 😀"'],
    ['ENUM', of('enum'), '"small"', '"small"'],
    ['SET', of('set'), '"a,b c"', '["a","b c"]'],
    ['SET, empty', of('set'), '""', '[]'],
    ['BINARY', of('binary'), '"AAEC/w=="', 'binary/0 AAEC/w=='],
    ['BLOB, empty', of('blob'), '""', 'binary/0 '],
    ['VARBINARY', of('varbinary'), '"AAE="', 'binary/0 AAE='],
    ['DATE', time('date'), '"2024-02-29"', 'date 2024-02-29T00:00:00.000Z'],
    ['DATE, first', time('date'), '"1000-01-01"', 'date 1000-01-01T00:00:00.000Z'],
    ['DATE, last', time('date'), '"9999-12-31"', 'date 9999-12-31T00:00:00.000Z'],
    ['DATE, zero', time('date'), '"0000-00-00"', '"0000-00-00"'],
    ['DATE, zero day', time('date'), '"2024-05-00"', '"2024-05-00"'],
    ['DATE, impossible', time('date'), '"2023-02-29"', '"2023-02-29"'],
    ['DATE, year 0', time('date'), '"0000-01-01"', '"0000-01-01"'],
    ['DATETIME', time('datetime'), '"2024-12-31T23:59:59"', 'date 2024-12-31T23:59:59.000Z'],
    ['DATETIME(1)', time('datetime', 1), '"1969-12-31T23:59:59.9"', 'date 1969-12-31T23:59:59.900Z'],
    ['DATETIME(3)', time('datetime', 3), '"1001-02-03T04:05:06.789"', 'date 1001-02-03T04:05:06.789Z'],
    ['DATETIME(6)', time('datetime', 6), '"2024-01-02T03:04:05.678901"', '"2024-01-02T03:04:05.678901"'],
    ['DATETIME, zero', time('datetime'), '"0000-00-00 00:00:00"', '"0000-00-00 00:00:00"'],
    ['DATETIME, impossible', time('datetime'), '"2023-02-31 01:02:03"', '"2023-02-31 01:02:03"'],
    ['TIMESTAMP', time('timestamp'), '"2038-01-19T03:14:07Z"', 'date 2038-01-19T03:14:07.000Z'],
    ['TIMESTAMP(2)', time('timestamp', 2), '"1970-01-01T00:00:01.05Z"', 'date 1970-01-01T00:00:01.050Z'],
    ['TIMESTAMP(4)', time('timestamp', 4), '"1970-01-01T00:00:01.0500Z"', '"1970-01-01T00:00:01.0500Z"'],
    ['TIMESTAMP, zero', time('timestamp'), '"0000-00-00 00:00:00"', '"0000-00-00 00:00:00"'],
    ['TIME', time('time'), '"-838:59:59"', '"-838:59:59"'],
    [
      'JSON',
      of('json'),
      '{"a": [1, "x", null, true, {"b": {}}], "": []}',
      '{"a":[int 1,"x",null,true,{"b":{}}],"":[]}',
    ],
    ['JSON null', of('json'), 'null', 'null'],
    ['JSON text', of('json'), '"text"', '"text"'],
    ['JSON, −2^31', of('json'), '-2147483648', 'int -2147483648'],
    ['JSON, 2^31', of('json'), '2147483648', 'long 2147483648'],
    ['JSON, 2^53 + 1', of('json'), '9007199254740993', 'long 9007199254740993'],
    ['JSON, −2^63', of('json'), '-9223372036854775808', 'long -9223372036854775808'],
    ['JSON, 2^64 − 1', of('json'), '18446744073709551615', 'decimal 18446744073709551615'],
    ['JSON double', of('json'), '0.1', 'double 0.1'],
    ['JSON double, −0', of('json'), '-0.0', 'double -0'],
    ['JSON double, large', of('json'), '1e100', 'double 1e+100'],
    ['JSON double, small', of('json'), '-1.5e-7', 'double -1.5e-7'],
    ['JSON double, least', of('json'), '5e-324', 'double 5e-324'],
    ['JSON double, 17 digits', of('json'), '0.30000000000000004', 'double 0.30000000000000004'],
    ['JSON decimal, exact', of('json'), '1.50', 'double 1.5'],
    ['JSON decimal, 20 digits', of('json'), '1234567890.0123456789', 'decimal 1234567890.0123456789'],
    ['JSON decimal, 40 digits', of('json'), forty, `"${forty}"`],
    ['JSON decimal, 34 digits and zeros', of('json'), `${'9'.repeat(34)}000`, `decimal 9.${'9'.repeat(33)}E+36`],
    ['JSON decimal, 41 digits', of('json'), `${forty}.1`, `"${forty}.1"`],
    ['POINT', of('point'), '{"srid":4326,"wkb":"AAEC"}', '{"srid":int 4326,"wkb":binary/0 AAEC}'],
    [
      'GEOMETRY, SRID 2^32 − 1',
      of('geometry'),
      '{"srid":4294967295,"wkb":""}',
      '{"srid":long 4294967295,"wkb":binary/0 }',
    ],
    ['VECTOR', of('vector'), '[1,-0,0.10000000149011612]', '[double 1,double -0,double 0.10000000149011612]'],
    ['NULL', of('geometry'), 'null', 'null'],
    ['BIGINT, int64: string', column('c', 'bigint', { form: 'int64-string' }), '"-5"', '"-5"'],
    ['JSON, json: string', column('c', 'json', { form: 'json-string' }), '"{\\"a\\": 1}"', '"{\\"a\\": 1}"'],
    [
      'DATETIME(6), datetime: date',
      column('c', 'datetime', { fsp: 6, form: 'datetime-date' }),
      '"1969-12-31T23:59:59.999999"',
      'date 1969-12-31T23:59:59.999Z',
    ],
    [
      'DATETIME(6), datetime: date, zero',
      column('c', 'datetime', { fsp: 6, form: 'datetime-date' }),
      '"0000-00-00 00:00:00.000000"',
      '"0000-00-00 00:00:00.000000"',
    ],
    ['TINYINT(1), boolean: tinyint1', column('c', 'tinyint', { form: 'tinyint1-boolean' }), 'true', 'true'],
    ['TINYINT(1), boolean: tinyint1, 2', column('c', 'tinyint', { form: 'tinyint1-boolean' }), '2', 'int 2'],
  ])('%s', (_, type, json, expected) => {
    expect(stored(type, json)).toBe(expected);
  });

  it('refuses a type it does not know, by name', () => {
    expect(() => documentShape(definition([column('id', 'int'), column('c', 'hologram')]))).toThrow(/hologram/);
  });

  it.each([
    ['too few columns', '{"id":1}'],
    ['too many', '{"id":1,"c":1,"d":1}'],
    ['another name', '{"id":1,"d":1}'],
    ['another order', '{"c":1,"id":1}'],
    ['an end too early', '{"id":1,"c":"x'],
    ['no object', '[1]'],
    ['text after it', '{"id":1,"c":1}x'],
    ['nothing', ''],
  ])('refuses a row with %s', (_, row) => {
    expect(() => write(definition([column('id', 'int'), of('int')]), '{"id":1}', row)).toThrow(/row JSON/);
  });
});

describe('_id', () => {
  const id = (columns: readonly Column[], key: string): string => {
    const names = columns.map((c) => c.name);
    return canonicalBson(write(definition(columns, names), key, key)['_id']);
  };

  it.each<[string, Column[], string, string]>([
    ['a single column', [column('a', 'bigint')], '{"a":5}', 'long 5'],
    ['a date', [column('a', 'date')], '{"a":"2024-01-01"}', 'date 2024-01-01T00:00:00.000Z'],
    ['a SET alone', [column('a', 'set')], '{"a":"x,y"}', '"x,y"'],
    ['a SET among others', [column('a', 'set'), column('b', 'int')], '{"a":"x,y","b":1}', '{"a":["x","y"],"b":int 1}'],
    ['names with $', [column('$a', 'int'), column('b$', 'int')], '{"$a":1,"b$":2}', '{"-0024a":int 1,"b-0024":int 2}'],
  ])('%s', (_, columns, key, expected) => {
    expect(id(columns, key)).toBe(expected);
  });

  it('follows the order of the key, not of the table', () => {
    const swapped = definition([column('a', 'int'), column('b', 'int')], ['b', 'a']);
    expect(canonicalBson(write(swapped, '{"b":2,"a":1}', '{"a":1,"b":2}'))).toBe(
      '{"_id":{"b":int 2,"a":int 1},"a":int 1,"b":int 2}',
    );
  });

  it('of a key column named _id is that column', () => {
    const own = definition([column('v', 'int'), column('_id', 'int')], ['_id']);
    expect(canonicalBson(write(own, '{"_id":1}', '{"v":2,"_id":1}'))).toBe('{"_id":int 1,"v":int 2}');
  });
});

describe('properties', () => {
  it('JSON arrives as the value that it is', () => {
    const json = column('j', 'json');
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), fc.nat(2), (value, indent) => {
        const text = JSON.stringify(value, null, indent);
        const document = write(definition([column('id', 'int'), json]), '{"id":1}', `{"id":1,"j":${text}}`);
        expect(asJson(document['j'])).toEqual(JSON.parse(text));
      }),
      { numRuns: 500 },
    );
  });

  it('text arrives character by character', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 80 }), (text) => {
        expect(stored(of('varchar'), JSON.stringify(text))).toBe(JSON.stringify(text));
      }),
      { numRuns: 500 },
    );
  });

  it('doubles are the ones that JavaScript parses', () => {
    const short = fc.tuple(fc.integer({ min: -(10 ** 15), max: 10 ** 15 }), fc.nat(20)).map(([n, scale]) => {
      const digits = String(Math.abs(n)).padStart(scale + 1, '0');
      const text = scale === 0 ? digits : `${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
      return n < 0 ? `-${text}` : text;
    });
    const any = fc.double({ noNaN: true, noDefaultInfinity: true }).map((n) => (Object.is(n, -0) ? '-0' : String(n)));
    fc.assert(
      fc.property(fc.oneof(short, any), (text) => {
        const bytes = Buffer.from(`x${text}x`);
        expect(toDouble(bytes, 1, bytes.length - 1)).toBe(Number(text));
      }),
      { numRuns: 2_000 },
    );
  });

  it('decimals are those of the driver, or exact where it would round', () => {
    const digits = fc.string({
      unit: fc.constantFrom(...Array.from({ length: 10 }, (_, digit) => String(digit))),
      minLength: 1,
      maxLength: 34,
    });
    fc.assert(
      fc.property(digits, digits, fc.boolean(), (whole, fraction, negative) => {
        const text = `${negative ? '-' : ''}${whole}.${fraction}`;
        const w = new BsonWriter(16);
        const bytes = Buffer.from(text);
        const significant = (whole + fraction).replace(/^0+/, '');
        const fits = writeDecimal128(w, bytes, 0, bytes.length);
        expect(fits).toBe(significant.replace(/0+$/, '').length <= 34 || significant.length <= 34);
        if (!fits) return;
        // The driver refuses more than 34 digits even where zeros end them.
        const byDriver = significant.length <= 34 ? Decimal128.fromString(text) : new Decimal128(w.since(0));
        expect(new Decimal128(w.since(0)).toString()).toBe(byDriver.toString());
        expect(decimalText(w.since(0), fraction.length)).toBe(`${negative ? '-' : ''}${BigInt(whole)}.${fraction}`);
      }),
      { numRuns: 1_000 },
    );
  });

  it('a number inside JSON keeps its exact value whatever its type', () => {
    const number = fc
      .tuple(fc.bigInt({ min: -(10n ** 40n), max: 10n ** 40n }), fc.nat(30))
      .map(([n, scale]) => (scale === 0 ? String(n) : `${n}e-${scale}`));
    fc.assert(
      fc.property(number, (text) => {
        const w = new BsonWriter(16);
        const bytes = Buffer.from(text);
        const type = writeJsonNumber(w, bytes, 0, bytes.length);
        expect(exactValue(type, w.since(0))).toBe(rational(text));
      }),
      { numRuns: 1_000 },
    );
  });

  it('documents can be taken apart into the elements they were made of', () => {
    const columns = [column('id', 'int'), of('json')];
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const w = new BsonWriter(16);
        const row = JSON.stringify({ id: 1, c: value });
        writeDocument(w, documentShape(definition(columns)), Buffer.from('{"id":1}'), Buffer.from(row));
        const elements = elementsOf(w.since(0));
        expect(elements.map((e) => e.name)).toEqual(['_id', 'id', 'c']);
        expect(elements.reduce((sum, e) => sum + e.bytes.length, 5)).toBe(w.at);
      }),
    );
  });
});

/** Typed BSON back to what JSON.parse would have made of the text. */
function asJson(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(asJson);
  if (typeof value !== 'object' || value === null) return value;
  if ('_bsontype' in value) return Number((value as { toString(): string }).toString());
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, asJson(member)]));
}

function exactValue(type: number, bytes: Buffer): string {
  const frame = Buffer.alloc(4 + 3 + bytes.length + 1);
  frame.writeInt32LE(frame.length, 0);
  frame.set([type, 0x76, 0], 4);
  frame.set(bytes, 7);
  return rational(String(BSON.deserialize(frame, typed)['v']));
}

/** One text for one value: `15e-1` and `1.5` are the same. */
function rational(text: string): string {
  const match = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text)!;
  const digits = (match[2]! + (match[3] ?? '')).replace(/^0+/, '');
  const stripped = digits.replace(/0+$/, '');
  if (stripped === '') return '0';
  return `${match[1]}${stripped}e${Number(match[4] ?? 0) - (match[3] ?? '').length + digits.length - stripped.length}`;
}
