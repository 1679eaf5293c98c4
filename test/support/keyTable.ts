/**
 * Keys of every kind, by hand: SQL literals of the key columns, the Kafka key, the part of the Redis key behind the table,
 * and `_id` (in the notation of rawBson.ts). Within a kind all are different keys to MySQL.
 */
import type { FormSettings } from '../../core/forms.js';

export interface KeyKind {
  readonly name: string;
  /** Key columns by name, in key order. */
  readonly columns: readonly (readonly [name: string, type: string])[];
  /** PRIMARY KEY's content where it is not just the columns. */
  readonly primary?: string;
  readonly forms?: FormSettings;
  readonly keys: readonly KeyCase[];
  /** Changes of key: from the n-th key above to these, which are not among them. */
  readonly changes?: readonly (readonly [from: number, to: KeyCase])[];
}

/** Literals; Kafka key; Redis suffix; `_id`. */
export type KeyCase = readonly [literals: readonly string[], kafka: string, redis: string, id: string];

const one = (literal: string, json: string, redis: string, id: string): KeyCase => [
  [literal],
  `{"k":${json}}`,
  redis,
  id,
];
/** A string key: the same text everywhere, percent-encoded in Redis. */
const word = (literal: string, shown: string, redis = shown): KeyCase =>
  one(literal, JSON.stringify(shown), redis, JSON.stringify(shown));
const utf8 = (shown: string): string => `_utf8mb4 X'${Buffer.from(shown).toString('hex')}'`;
const said = (shown: string, redis = shown): KeyCase => word(utf8(shown), shown, redis);
const number = (type: string, n: string): KeyCase => one(n, n, n, `${type} ${n}`);
const pair = (a: string, b: string, redis: string): KeyCase => [
  [utf8(a), utf8(b)],
  `{"a":${JSON.stringify(a)},"b":${JSON.stringify(b)}}`,
  redis,
  `{"a":${JSON.stringify(a)},"b":${JSON.stringify(b)}}`,
];
const binary = (hex: string): KeyCase => {
  const text = Buffer.from(hex, 'hex').toString('base64');
  return one(hex === '' ? "''" : `X'${hex}'`, `"${text}"`, text, `binary/0 ${text}`);
};

export const keyKinds: readonly KeyKind[] = [
  {
    name: 'text, case- and accent-insensitive',
    columns: [['k', 'VARCHAR(20) COLLATE utf8mb4_0900_ai_ci']],
    keys: ['a', 'b', 'café', 'strasse', 'x', 'x '].map((text) => said(text)),
    // The same values to MySQL.
    changes: [
      [0, said('A')],
      [1, said('B')],
      [2, said('CAFE')],
      [3, said('straße')],
    ],
  },
  {
    name: 'text whose trailing blanks do not count',
    columns: [['k', 'VARCHAR(20) COLLATE utf8mb4_general_ci']],
    keys: [said('x'), said('y ')],
    changes: [
      [0, said('x  ')],
      [1, said('y')],
    ],
  },
  {
    name: 'text by its bytes',
    columns: [['k', 'VARCHAR(40) COLLATE utf8mb4_0900_bin']],
    keys: [
      ...[
        'a',
        'A',
        'ä',
        'a\u0308',
        '',
        ' ',
        '  ',
        '$a',
        'a.b',
        '"',
        '\\',
        '\0',
        '\n',
        '😀',
        'null',
        '1',
        '01',
        '1.0',
      ].map((text) => said(text)),
      said('{"k":1}', '{"k"%3A1}'),
      said('a:b', 'a%3Ab'),
      said('a%3Ab', 'a%253Ab'),
      said('a%253Ab', 'a%25253Ab'),
      said('%', '%25'),
      said(':', '%3A'),
    ],
  },
  {
    name: 'two texts',
    columns: [
      ['a', 'VARCHAR(20) COLLATE utf8mb4_bin'],
      ['b', 'VARCHAR(20) COLLATE utf8mb4_bin'],
    ],
    keys: [
      pair('a:b', 'c', 'a%3Ab:c'),
      pair('a', 'b:c', 'a:b%3Ac'),
      pair('a:b:c', '', 'a%3Ab%3Ac:'),
      pair('', 'a:b:c', ':a%3Ab%3Ac'),
      pair('', '', ':'),
      pair('a%3Ab', 'c', 'a%253Ab:c'),
      pair('a","b":"c', 'd', 'a","b"%3A"c:d'),
      pair('a', 'c","x":"d', 'a:c","x"%3A"d'),
    ],
    changes: [[4, pair(':', '%', '%3A:%25')]],
  },
  {
    name: 'names that are numbers, operators and paths',
    columns: [
      ['2', 'INT'],
      ['1', 'INT'],
      ['$set', 'INT'],
      ['a.b', 'INT'],
      ['x`"y', 'INT'],
    ],
    keys: [
      [
        ['1', '2', '3', '4', '5'],
        '{"2":1,"1":2,"$set":3,"a.b":4,"x`\\"y":5}',
        '1:2:3:4:5',
        '{"2":int 1,"1":int 2,"-0024set":int 3,"a.b":int 4,"x`\\"y":int 5}',
      ],
      [
        ['2', '1', '3', '4', '5'],
        '{"2":2,"1":1,"$set":3,"a.b":4,"x`\\"y":5}',
        '2:1:3:4:5',
        '{"2":int 2,"1":int 1,"-0024set":int 3,"a.b":int 4,"x`\\"y":int 5}',
      ],
    ],
  },
  {
    name: 'bytes',
    columns: [['k', 'VARBINARY(20)']],
    keys: ['', '00', '0000', '20', '2020', 'FF', 'C3A4', '3A', '25'].map(binary),
    changes: [[1, binary('000000')]],
  },
  {
    name: 'bytes of one length',
    columns: [['k', 'BINARY(3)']],
    keys: ['000000', '000001', '202020', 'FFFFFF'].map(binary),
  },
  {
    name: 'DATE',
    columns: [['k', 'DATE']],
    keys: [
      one("'2024-02-29'", '"2024-02-29"', '2024-02-29', 'date 2024-02-29T00:00:00.000Z'),
      one("'0001-01-01'", '"0001-01-01"', '0001-01-01', 'date 0001-01-01T00:00:00.000Z'),
      word("'0000-00-00'", '0000-00-00'),
      word("'2024-02-00'", '2024-02-00'),
      word("'2024-02-31'", '2024-02-31'),
      word("'0000-12-31'", '0000-12-31'),
    ],
  },
  {
    name: 'DATETIME',
    columns: [['k', 'DATETIME']],
    keys: [
      one("'2024-02-29 23:59:59'", '"2024-02-29T23:59:59"', '2024-02-29T23%3A59%3A59', 'date 2024-02-29T23:59:59.000Z'),
      word("'0000-00-00 00:00:00'", '0000-00-00 00:00:00', '0000-00-00 00%3A00%3A00'),
      word("'2024-02-30 00:00:00'", '2024-02-30 00:00:00', '2024-02-30 00%3A00%3A00'),
    ],
  },
  {
    name: 'DATETIME(6), a microsecond apart',
    columns: [['k', 'DATETIME(6)']],
    keys: ['000000', '000001', '000999', '001000'].map((us) =>
      one(
        `'2024-01-01 00:00:00.${us}'`,
        `"2024-01-01T00:00:00.${us}"`,
        `2024-01-01T00%3A00%3A00.${us}`,
        `"2024-01-01T00:00:00.${us}"`,
      ),
    ),
  },
  {
    name: 'TIMESTAMP(3), the hour that comes twice',
    columns: [['k', 'TIMESTAMP(3)']],
    keys: [
      one(
        "'2024-10-27 02:30:00.5+02:00'",
        '"2024-10-27T00:30:00.500Z"',
        '2024-10-27T00%3A30%3A00.500Z',
        'date 2024-10-27T00:30:00.500Z',
      ),
      one(
        "'2024-10-27 02:30:00.5+01:00'",
        '"2024-10-27T01:30:00.500Z"',
        '2024-10-27T01%3A30%3A00.500Z',
        'date 2024-10-27T01:30:00.500Z',
      ),
      word("'0000-00-00 00:00:00'", '0000-00-00 00:00:00.000', '0000-00-00 00%3A00%3A00.000'),
    ],
  },
  {
    name: 'TIME(6)',
    columns: [['k', 'TIME(6)']],
    keys: ['-838:59:59.000000', '838:59:59.000000', '-00:00:00.000001', '00:00:00.000001', '00:00:00.000000'].map((t) =>
      word(`'${t}'`, t, t.replaceAll(':', '%3A')),
    ),
  },
  {
    name: 'YEAR',
    columns: [['k', 'YEAR']],
    keys: [
      one("'0000'", '0', '0', 'int 0'),
      one("'1901'", '1901', '1901', 'int 1901'),
      one("'2000'", '2000', '2000', 'int 2000'),
      one("'2155'", '2155', '2155', 'int 2155'),
    ],
    changes: [[0, one("'2069'", '2069', '2069', 'int 2069')]],
  },
  {
    name: 'DECIMAL',
    columns: [['k', 'DECIMAL(20,10)']],
    keys: [
      one('1.5', '"1.5000000000"', '1.5000000000', 'decimal 1.5000000000'),
      one('-1.5', '"-1.5000000000"', '-1.5000000000', 'decimal -1.5000000000'),
      one('0.0000000001', '"0.0000000001"', '0.0000000001', 'decimal 1E-10'),
      one('0', '"0.0000000000"', '0.0000000000', 'decimal 0E-10'),
      one('9999999999.9999999999', '"9999999999.9999999999"', '9999999999.9999999999', 'decimal 9999999999.9999999999'),
    ],
  },
  {
    name: 'DECIMAL beyond 34 digits',
    columns: [['k', 'DECIMAL(65,0)']],
    keys: [word('9'.repeat(65), '9'.repeat(65)), word(`${'9'.repeat(64)}8`, `${'9'.repeat(64)}8`), word('-1', '-1')],
  },
  {
    name: 'BIGINT UNSIGNED',
    columns: [['k', 'BIGINT UNSIGNED']],
    keys: [
      ...['0', '9007199254740992', '9007199254740993', '9223372036854775807'].map((n) => number('long', n)),
      ...['9223372036854775808', '18446744073709551614', '18446744073709551615'].map((n) => number('decimal', n)),
    ],
    changes: [[0, number('long', '1')]],
  },
  {
    name: 'BIGINT as strings',
    columns: [['k', 'BIGINT']],
    forms: { int64: 'string' },
    keys: ['9007199254740992', '9007199254740993', '-9223372036854775808', '0', '10', '9'].map((n) =>
      one(n, `"${n}"`, n, `"${n}"`),
    ),
    changes: [[3, one('11', '"11"', '11', '"11"')]],
  },
  { name: 'INT', columns: [['k', 'INT']], keys: ['-2147483648', '-1', '0', '2147483647'].map((n) => number('int', n)) },
  {
    name: 'ENUM',
    columns: [['k', "ENUM('a','b:','%')"]],
    keys: [word("'a'", 'a'), word("'b:'", 'b:', 'b%3A'), word("'%'", '%', '%25'), word("'none'", '')],
  },
  {
    name: 'SET',
    columns: [['k', "SET('a','b')"]],
    keys: [word('0', ''), word('1', 'a'), word('2', 'b'), word('3', 'a,b')],
  },
  {
    name: 'SET beside another',
    columns: [
      ['k', "SET('a','b')"],
      ['n', 'INT'],
    ],
    keys: [
      [['0', '1'], '{"k":"","n":1}', ':1', '{"k":[],"n":int 1}'],
      [['1', '1'], '{"k":"a","n":1}', 'a:1', '{"k":["a"],"n":int 1}'],
      [['3', '1'], '{"k":"a,b","n":1}', 'a,b:1', '{"k":["a","b"],"n":int 1}'],
    ],
  },
  {
    name: 'BIT(1)',
    columns: [['k', 'BIT(1)']],
    keys: [one('0', 'false', 'false', 'false'), one('1', 'true', 'true', 'true')],
  },
  {
    name: 'BIT(64)',
    columns: [['k', 'BIT(64)']],
    keys: [
      one('0', '0', '0', 'long 0'),
      one("X'20000000000001'", '9007199254740993', '9007199254740993', 'long 9007199254740993'),
      one("X'FFFFFFFFFFFFFFFF'", '18446744073709551615', '18446744073709551615', 'decimal 18446744073709551615'),
      one("X'FFFFFFFFFFFFFFFE'", '18446744073709551614', '18446744073709551614', 'decimal 18446744073709551614'),
    ],
  },
  {
    name: 'FLOAT',
    columns: [['k', 'FLOAT']],
    keys: [
      one('0.1', '0.10000000149011612', '0.10000000149011612', 'double 0.10000000149011612'),
      one('-0e0', '0.0', '0.0', 'double 0'),
      one('16777216', '16777216.0', '16777216.0', 'double 16777216'),
      one('16777218', '16777218.0', '16777218.0', 'double 16777218'),
      one('1.401298464324817e-45', '1.401298464324817e-45', '1.401298464324817e-45', 'double 1.401298464324817e-45'),
    ],
  },
  {
    name: 'DOUBLE',
    columns: [['k', 'DOUBLE']],
    keys: [
      one('0.1e0', '0.1', '0.1', 'double 0.1'),
      one('0.1e0+0.2e0', '0.30000000000000004', '0.30000000000000004', 'double 0.30000000000000004'),
      one('-0e0', '0', '0', 'double 0'),
      one('5e-324', '5e-324', '5e-324', 'double 5e-324'),
      one('1e300', '1e300', '1e300', 'double 1e+300'),
      one('1e15', '1e15', '1e15', 'double 1000000000000000'),
    ],
  },
  {
    name: 'CHAR in UTF-16',
    columns: [['k', 'CHAR(10) CHARACTER SET utf16 COLLATE utf16_bin']],
    keys: [word("_utf16 X'D83DDE00'", '😀'), word("_utf16 X'0041'", 'A'), word("_utf16 X'0061'", 'a')],
  },
  {
    name: 'VARCHAR in latin1',
    columns: [['k', 'VARCHAR(10) CHARACTER SET latin1 COLLATE latin1_bin']],
    keys: [
      word("_latin1 X'E4'", 'ä'),
      word("_latin1 X'80'", '€'),
      word("_latin1 X'81'", '\x81'),
      word("_latin1 X''", ''),
    ],
  },
  {
    name: 'VARCHAR in sjis',
    columns: [['k', 'VARCHAR(10) CHARACTER SET sjis']],
    keys: [word("_sjis X'955C'", '表'), word("_sjis X'835C'", 'ソ')],
  },
  {
    name: 'the first letters of a TEXT',
    columns: [['k', 'TEXT COLLATE utf8mb4_bin']],
    primary: 'k(4)',
    keys: [said('abcd'), said('abce and more'), said(''), said('x'.repeat(3000))],
    changes: [[0, said('abcd, and so on')]],
  },
  {
    name: 'the first bytes of a BLOB',
    columns: [['k', 'BLOB']],
    primary: 'k(2)',
    keys: ['0001', '000200', 'FF'].map(binary),
    changes: [[0, binary('000103')]],
  },
  {
    name: 'a date, a number and a text',
    columns: [
      ['d', 'DATE'],
      ['n', 'DECIMAL(6,2)'],
      ['t', 'VARCHAR(9)'],
    ],
    keys: [
      [
        ["'2024-01-01'", '1', "'a:'"],
        '{"d":"2024-01-01","n":"1.00","t":"a:"}',
        '2024-01-01:1.00:a%3A',
        '{"d":date 2024-01-01T00:00:00.000Z,"n":decimal 1.00,"t":"a:"}',
      ],
      [
        ["'0000-00-00'", '-1', "''"],
        '{"d":"0000-00-00","n":"-1.00","t":""}',
        '0000-00-00:-1.00:',
        '{"d":"0000-00-00","n":decimal -1.00,"t":""}',
      ],
    ],
  },
];
