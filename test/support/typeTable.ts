/**
 * The type table of the contract at its boundary values, written down by hand: an SQL literal, the text that row JSON must
 * hold for it, byte for byte, and the BSON value with its type (in the notation of rawBson.ts). No line of the product had
 * a part in the expected values.
 */
import type { FormSettings } from '../../core/forms.js';

export interface TypeColumn {
  /** As in CREATE TABLE. */
  readonly type: string;
  readonly forms?: FormSettings;
  readonly values: readonly TypeValue[];
}

export type TypeValue = readonly [sql: string, json: string, bson: string];

const base64 = (hex: string): string => Buffer.from(hex, 'hex').toString('base64');

/** One text for both: a number whose row JSON is its own text. */
const numbers = (type: string, ...texts: readonly string[]): TypeValue[] => texts.map((n) => [n, n, `${type} ${n}`]);

/** Bytes in hex: base64 in row JSON, Binary in BSON. */
const binaries = (...hexes: readonly string[]): TypeValue[] =>
  hexes.map((hex) => [hex === '' ? "''" : `X'${hex}'`, `"${base64(hex)}"`, `binary/0 ${base64(hex)}`]);

/** Text given by its bytes in a character set, expected as it reads. */
const text = (charset: string, hex: string, shown: string): TypeValue => [
  `_${charset} X'${hex}'`,
  JSON.stringify(shown),
  JSON.stringify(shown),
];

/** A literal that every text of a date or time keeps as it is. */
const asPrinted = (...texts: readonly string[]): TypeValue[] => texts.map((t) => [`'${t}'`, `"${t}"`, `"${t}"`]);

const nines = (count: number): string => '9'.repeat(count);
const members = Array.from({ length: 64 }, (_, i) => `m${i + 1}`);

const integers: readonly TypeColumn[] = [
  { type: 'TINYINT', values: numbers('int', '-128', '-1', '0', '127') },
  { type: 'TINYINT(1)', values: numbers('int', '0', '1', '2', '-128') },
  { type: 'TINYINT UNSIGNED', values: numbers('int', '0', '255') },
  { type: 'SMALLINT', values: numbers('int', '-32768', '32767') },
  { type: 'SMALLINT UNSIGNED', values: numbers('int', '65535') },
  { type: 'MEDIUMINT', values: numbers('int', '-8388608', '8388607') },
  { type: 'MEDIUMINT UNSIGNED', values: numbers('int', '16777215') },
  { type: 'INT', values: numbers('int', '-2147483648', '2147483647') },
  { type: 'INT(10) ZEROFILL', values: [['42', '42', 'long 42']] },
  { type: 'INT UNSIGNED', values: numbers('long', '0', '2147483648', '4294967295') },
  {
    type: 'BIGINT',
    values: numbers(
      'long',
      '9007199254740991',
      '9007199254740992',
      '9007199254740993',
      '-9007199254740993',
      '9223372036854775806',
      '9223372036854775807',
      '-9223372036854775807',
      '-9223372036854775808',
      '-1',
      '0',
    ),
  },
  {
    type: 'BIGINT UNSIGNED',
    values: [
      ...numbers('long', '0', '9007199254740993', '9223372036854775806', '9223372036854775807'),
      ...numbers(
        'decimal',
        '9223372036854775808',
        '9223372036854775809',
        '18446744073709551614',
        '18446744073709551615',
      ),
    ],
  },
  { type: 'BIGINT(20) UNSIGNED ZEROFILL', values: [['7', '7', 'long 7']] },
  {
    type: 'YEAR',
    values: [
      ["'0000'", '0', 'int 0'],
      ["'1901'", '1901', 'int 1901'],
      ["'2155'", '2155', 'int 2155'],
    ],
  },
];

const decimals: readonly TypeColumn[] = [
  {
    type: 'DECIMAL(65,30)',
    values: [
      [`${nines(35)}.${nines(30)}`, `"${nines(35)}.${nines(30)}"`, `"${nines(35)}.${nines(30)}"`],
      [`-${nines(35)}.${nines(30)}`, `"-${nines(35)}.${nines(30)}"`, `"-${nines(35)}.${nines(30)}"`],
      [`0.${'0'.repeat(29)}1`, `"0.${'0'.repeat(29)}1"`, `"0.${'0'.repeat(29)}1"`],
      ['0', `"0.${'0'.repeat(30)}"`, `"0.${'0'.repeat(30)}"`],
      ['-0.0', `"0.${'0'.repeat(30)}"`, `"0.${'0'.repeat(30)}"`],
    ],
  },
  { type: 'DECIMAL(65,0)', values: [[nines(65), `"${nines(65)}"`, `"${nines(65)}"`]] },
  { type: 'DECIMAL(35,0)', values: [['1', '"1"', '"1"']] },
  {
    type: 'DECIMAL(34,0)',
    values: [
      [nines(34), `"${nines(34)}"`, `decimal ${nines(34)}`],
      [`-${nines(34)}`, `"-${nines(34)}"`, `decimal -${nines(34)}`],
    ],
  },
  {
    type: 'DECIMAL(34,30)',
    values: [
      [`${nines(4)}.${nines(30)}`, `"${nines(4)}.${nines(30)}"`, `decimal ${nines(4)}.${nines(30)}`],
      [`0.${'0'.repeat(29)}1`, `"0.${'0'.repeat(29)}1"`, 'decimal 1E-30'],
      ['0', `"0.${'0'.repeat(30)}"`, 'decimal 0E-30'],
    ],
  },
  {
    type: 'DECIMAL(10,2)',
    values: [
      ['1.5', '"1.50"', 'decimal 1.50'],
      ['-0.5', '"-0.50"', 'decimal -0.50'],
      ['0', '"0.00"', 'decimal 0.00'],
      ['99999999.99', '"99999999.99"', 'decimal 99999999.99'],
    ],
  },
  { type: 'DECIMAL(10,2) ZEROFILL', values: [['1.5', '"1.50"', 'decimal 1.50']] },
];

const floats: readonly TypeColumn[] = [
  {
    type: 'FLOAT',
    values: [
      ['0.1', '0.10000000149011612', 'double 0.10000000149011612'],
      // Printed with six digits: 1.67772e7, 1.23457e8, 3.40282e38.
      ['16777217', '16777216.0', 'double 16777216'],
      ['123456789', '123456792.0', 'double 123456792'],
      ['3.4028234663852886e38', '3.4028234663852886e38', 'double 3.4028234663852886e+38'],
      ['-1.1754943508222875e-38', '-1.1754943508222875e-38', 'double -1.1754943508222875e-38'],
      // The least denormal.
      ['1.401298464324817e-45', '1.401298464324817e-45', 'double 1.401298464324817e-45'],
      ['-0e0', '-0.0', 'double -0'],
      ['0', '0.0', 'double 0'],
    ],
  },
  { type: 'FLOAT(10,3)', values: [['1.1005', '1.1009999513626099', 'double 1.1009999513626099']] },
  {
    type: 'DOUBLE',
    values: [
      ['0.1e0', '0.1', 'double 0.1'],
      ['0.1e0+0.2e0', '0.30000000000000004', 'double 0.30000000000000004'],
      ['1e300', '1e300', 'double 1e+300'],
      ['-1.7976931348623157e308', '-1.7976931348623157e308', 'double -1.7976931348623157e+308'],
      ['2.2250738585072014e-308', '2.2250738585072014e-308', 'double 2.2250738585072014e-308'],
      ['2.225073858507201e-308', '2.225073858507201e-308', 'double 2.225073858507201e-308'],
      ['5e-324', '5e-324', 'double 5e-324'],
      ['9007199254740993', '9.007199254740992e15', 'double 9007199254740992'],
      ['123456789012345680', '1.2345678901234568e17', 'double 123456789012345680'],
      ['-0e0', '-0', 'double -0'],
      ['0', '0', 'double 0'],
    ],
  },
  { type: 'DOUBLE(20,4)', values: [['1.23456', '1.2346', 'double 1.2346']] },
];

const bits: readonly TypeColumn[] = [
  {
    type: 'BIT(1)',
    values: [
      ["b'1'", 'true', 'true'],
      ["b'0'", 'false', 'false'],
    ],
  },
  { type: 'BIT(2)', values: [["b'11'", '3', 'long 3']] },
  { type: 'BIT(9)', values: [["b'100000000'", '256', 'long 256']] },
  { type: 'BIT(53)', values: [["X'1FFFFFFFFFFFFF'", '9007199254740991', 'long 9007199254740991']] },
  { type: 'BIT(54)', values: [["X'20000000000001'", '9007199254740993', 'long 9007199254740993']] },
  { type: 'BIT(63)', values: [["X'7FFFFFFFFFFFFFFF'", '9223372036854775807', 'long 9223372036854775807']] },
  {
    type: 'BIT(64)',
    values: [
      ["X'8000000000000000'", '9223372036854775808', 'decimal 9223372036854775808'],
      ["X'FFFFFFFFFFFFFFFF'", '18446744073709551615', 'decimal 18446744073709551615'],
      ["b'0'", '0', 'long 0'],
    ],
  },
];

const texts: readonly TypeColumn[] = [
  {
    type: 'CHAR(10)',
    values: [
      ["''", '""', '""'],
      ["'a  '", '"a"', '"a"'],
      ["'  a'", '"  a"', '"  a"'],
    ],
  },
  {
    type: 'VARCHAR(40)',
    values: [
      ["'a  '", '"a  "', '"a  "'],
      text('utf8mb4', 'F09F9880F09F91A9E2808DF09F92BB', '😀👩‍💻'),
      text('utf8mb4', 'F48FBFBFEFBFBFEFBBBF', '\u{10ffff}\uffff\ufeff'),
      text('utf8mb4', 'E280A8E280A97F', '\u2028\u2029\x7f'),
      ["X'0001081F'", '"\\u0000\\u0001\\b\\u001f"', '"\\u0000\\u0001\\b\\u001f"'],
      ["X'225C2F090A0C0D'", '"\\"\\\\/\\t\\n\\f\\r"', '"\\"\\\\/\\t\\n\\f\\r"'],
      text('utf8mb4', '65CC81', 'e\u0301'),
      ["'null'", '"null"', '"null"'],
      ["'1e5'", '"1e5"', '"1e5"'],
      ['\'{"a":1}\'', '"{\\"a\\":1}"', '"{\\"a\\":1}"'],
    ],
  },
  {
    type: 'VARCHAR(20) CHARACTER SET latin1',
    values: [text('latin1', '80E4DFFF', '€äßÿ'), text('latin1', '81', '\x81')],
  },
  { type: 'VARCHAR(20) CHARACTER SET ascii', values: [text('ascii', '7E20', '~ ')] },
  { type: 'VARCHAR(20) CHARACTER SET utf8mb3', values: [text('utf8mb3', 'E8A1A8', '表')] },
  { type: 'VARCHAR(20) CHARACTER SET ucs2', values: [text('ucs2', '886830BD0022', '表ソ"')] },
  { type: 'VARCHAR(20) CHARACTER SET utf16', values: [text('utf16', 'D83DDE000000', '😀\0')] },
  { type: 'VARCHAR(20) CHARACTER SET utf16le', values: [text('utf16le', '3DD800DE', '😀')] },
  { type: 'VARCHAR(20) CHARACTER SET utf32', values: [text('utf32', '0001F6000000005C', '😀\\')] },
  { type: 'VARCHAR(20) CHARACTER SET sjis', values: [text('sjis', '955C835C', '表ソ')] },
  { type: 'VARCHAR(20) CHARACTER SET cp932', values: [text('cp932', '955C8740', '表①')] },
  { type: 'VARCHAR(20) CHARACTER SET ujis', values: [text('ujis', 'B4C1BBFA', '漢字')] },
  { type: 'VARCHAR(20) CHARACTER SET eucjpms', values: [text('eucjpms', 'B4C1ADA1', '漢①')] },
  { type: 'VARCHAR(20) CHARACTER SET gbk', values: [text('gbk', 'D5E2815C', '这乗')] },
  { type: 'VARCHAR(20) CHARACTER SET gb2312', values: [text('gb2312', 'D6D0', '中')] },
  { type: 'VARCHAR(20) CHARACTER SET gb18030', values: [text('gb18030', '9439FC36', '😀')] },
  { type: 'VARCHAR(20) CHARACTER SET big5', values: [text('big5', 'A4A4A55C', '中功')] },
  { type: 'VARCHAR(20) CHARACTER SET euckr', values: [text('euckr', 'C7D1', '한')] },
  { type: 'VARCHAR(20) CHARACTER SET koi8r', values: [text('koi8r', 'F6', 'Ж')] },
  { type: 'VARCHAR(20) CHARACTER SET cp1251', values: [text('cp1251', 'C6', 'Ж')] },
  { type: 'VARCHAR(20) CHARACTER SET greek', values: [text('greek', 'D9', 'Ω')] },
  { type: 'VARCHAR(20) CHARACTER SET hebrew', values: [text('hebrew', 'E0', 'א')] },
  { type: 'VARCHAR(20) CHARACTER SET tis620', values: [text('tis620', 'A1', 'ก')] },
  { type: 'CHAR(5) COLLATE utf8mb4_bin', values: [text('utf8mb4', 'C3A42009', 'ä \t')] },
  { type: 'TINYTEXT', values: [["'t'", '"t"', '"t"']] },
  {
    type: 'TEXT',
    values: [
      ["''", '""', '""'],
      ["REPEAT(_utf8mb4 X'F09F9880',4000)", JSON.stringify('😀'.repeat(4000)), JSON.stringify('😀'.repeat(4000))],
    ],
  },
  { type: 'MEDIUMTEXT', values: [["REPEAT('\"',300)", `"${'\\"'.repeat(300)}"`, JSON.stringify('"'.repeat(300))]] },
  { type: 'LONGTEXT CHARACTER SET utf16', values: [text('utf16', '0001', '\x01')] },
  {
    type: `ENUM('a','b''c','d\\\\e','ü"','x,y')`,
    values: [
      ["'a'", '"a"', '"a"'],
      ["'b''c'", '"b\'c"', '"b\'c"'],
      ["'d\\\\e'", '"d\\\\e"', '"d\\\\e"'],
      ['4', '"ü\\""', '"ü\\""'],
      ["'x,y'", '"x,y"', '"x,y"'],
      // No member: the error value, index 0.
      ["'none'", '""', '""'],
    ],
  },
  { type: "ENUM('ja','表') CHARACTER SET sjis", values: [['2', '"表"', '"表"']] },
  { type: "ENUM('a','b') CHARACTER SET binary", values: [["'b'", '"b"', '"b"']] },
  {
    type: "SET('x','y z','ü')",
    values: [
      ["'ü,x'", '"x,ü"', '["x","ü"]'],
      ["'y z'", '"y z"', '["y z"]'],
      ["''", '""', '[]'],
    ],
  },
  {
    type: `SET(${members.map((m) => `'${m}'`).join(',')})`,
    values: [
      ['18446744073709551615', `"${members.join(',')}"`, `[${members.map((m) => `"${m}"`).join(',')}]`],
      ['9223372036854775808', '"m64"', '["m64"]'],
    ],
  },
];

const bytes: readonly TypeColumn[] = [
  {
    type: 'BINARY(4)',
    values: [
      ["''", '"AAAAAA=="', 'binary/0 AAAAAA=='],
      ["X'0001'", '"AAEAAA=="', 'binary/0 AAEAAA=='],
      ["X'FFFFFFFF'", '"/////w=="', 'binary/0 /////w=='],
    ],
  },
  // 57 bytes are one line of 76 base64 characters, 58 begin a second one.
  {
    type: 'VARBINARY(200)',
    values: binaries('', '00', '000000', 'DEADBEEF', 'FF'.repeat(57), 'FF'.repeat(58), '00'.repeat(200), '2061200A'),
  },
  { type: 'TINYBLOB', values: binaries('', '0A0D') },
  { type: 'BLOB', values: binaries('00', 'C3A4', '5C27') },
  { type: 'MEDIUMBLOB', values: binaries('00FF00') },
  { type: 'LONGBLOB', values: binaries('', '00'.repeat(300)) },
];

const dates: readonly TypeColumn[] = [
  {
    type: 'DATE',
    values: [
      ["'1000-01-01'", '"1000-01-01"', 'date 1000-01-01T00:00:00.000Z'],
      ["'0001-01-01'", '"0001-01-01"', 'date 0001-01-01T00:00:00.000Z'],
      ["'0099-12-31'", '"0099-12-31"', 'date 0099-12-31T00:00:00.000Z'],
      ["'1582-10-10'", '"1582-10-10"', 'date 1582-10-10T00:00:00.000Z'],
      ["'2000-02-29'", '"2000-02-29"', 'date 2000-02-29T00:00:00.000Z'],
      ["'9999-12-31'", '"9999-12-31"', 'date 9999-12-31T00:00:00.000Z'],
      // Zero, partial, impossible, and of a year that no calendar has.
      ...asPrinted('0000-00-00', '2024-00-00', '2024-02-00', '1900-02-29', '2023-02-31', '0000-01-01', '0000-12-31'),
    ],
  },
  {
    type: 'DATETIME',
    values: [
      ["'1000-01-01 00:00:00'", '"1000-01-01T00:00:00"', 'date 1000-01-01T00:00:00.000Z'],
      ["'0001-01-01 00:00:00'", '"0001-01-01T00:00:00"', 'date 0001-01-01T00:00:00.000Z'],
      ["'1969-12-31 23:59:59'", '"1969-12-31T23:59:59"', 'date 1969-12-31T23:59:59.000Z'],
      ["'2024-02-29 12:00:00'", '"2024-02-29T12:00:00"', 'date 2024-02-29T12:00:00.000Z'],
      ["'9999-12-31 23:59:59'", '"9999-12-31T23:59:59"', 'date 9999-12-31T23:59:59.000Z'],
      ...asPrinted('0000-00-00 00:00:00', '2024-00-10 00:00:00', '2024-02-30 12:00:00', '0000-06-15 01:02:03'),
    ],
  },
  {
    type: 'DATETIME(1)',
    values: [["'1969-12-31 23:59:59.9'", '"1969-12-31T23:59:59.9"', 'date 1969-12-31T23:59:59.900Z']],
  },
  {
    type: 'DATETIME(2)',
    values: [["'2024-01-01 00:00:00.05'", '"2024-01-01T00:00:00.05"', 'date 2024-01-01T00:00:00.050Z']],
  },
  {
    type: 'DATETIME(3)',
    values: [
      ["'9999-12-31 23:59:59.999'", '"9999-12-31T23:59:59.999"', 'date 9999-12-31T23:59:59.999Z'],
      ...asPrinted('0000-00-00 00:00:00.000'),
    ],
  },
  {
    type: 'DATETIME(4)',
    values: [["'2024-01-01 00:00:00.0001'", '"2024-01-01T00:00:00.0001"', '"2024-01-01T00:00:00.0001"']],
  },
  {
    type: 'DATETIME(5)',
    values: [["'2024-01-01 00:00:00.5'", '"2024-01-01T00:00:00.50000"', '"2024-01-01T00:00:00.50000"']],
  },
  {
    type: 'DATETIME(6)',
    values: [
      ["'9999-12-31 23:59:59.999999'", '"9999-12-31T23:59:59.999999"', '"9999-12-31T23:59:59.999999"'],
      ["'0001-01-01 00:00:00.000001'", '"0001-01-01T00:00:00.000001"', '"0001-01-01T00:00:00.000001"'],
      ...asPrinted('0000-00-00 00:00:00.000000', '2024-02-30 00:00:00.000001'),
    ],
  },
  {
    type: 'TIMESTAMP',
    values: [
      ["'1970-01-01 00:00:01+00:00'", '"1970-01-01T00:00:01Z"', 'date 1970-01-01T00:00:01.000Z'],
      ["'2038-01-19 03:14:07+00:00'", '"2038-01-19T03:14:07Z"', 'date 2038-01-19T03:14:07.000Z'],
      // The hour that Berlin has twice, once each way.
      ["'2024-10-27 02:30:00+02:00'", '"2024-10-27T00:30:00Z"', 'date 2024-10-27T00:30:00.000Z'],
      ["'2024-10-27 02:30:00+01:00'", '"2024-10-27T01:30:00Z"', 'date 2024-10-27T01:30:00.000Z'],
      ["'2024-02-29 23:00:00-05:45'", '"2024-03-01T04:45:00Z"', 'date 2024-03-01T04:45:00.000Z'],
      ...asPrinted('0000-00-00 00:00:00'),
    ],
  },
  {
    type: 'TIMESTAMP(3)',
    values: [["'2024-03-31 03:00:00.001+02:00'", '"2024-03-31T01:00:00.001Z"', 'date 2024-03-31T01:00:00.001Z']],
  },
  {
    type: 'TIMESTAMP(4)',
    values: [["'1970-01-01 00:00:01.0001+00:00'", '"1970-01-01T00:00:01.0001Z"', '"1970-01-01T00:00:01.0001Z"']],
  },
  {
    type: 'TIMESTAMP(6)',
    values: [
      ["'2038-01-19 03:14:07.999999+00:00'", '"2038-01-19T03:14:07.999999Z"', '"2038-01-19T03:14:07.999999Z"'],
      ...asPrinted('0000-00-00 00:00:00.000000'),
    ],
  },
  {
    type: 'TIME',
    values: asPrinted('838:59:59', '-838:59:59', '00:00:00', '-00:00:01', '23:59:60'.replace('60', '59')),
  },
  { type: 'TIME(3)', values: asPrinted('-838:59:59.000', '100:00:00.500') },
  {
    type: 'TIME(6)',
    values: asPrinted('838:59:58.999999', '-838:59:59.000000', '-00:00:00.000001', '24:00:00.000000'),
  },
];

const deep = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);

const documents: readonly TypeColumn[] = [
  {
    type: 'JSON',
    values: [
      ["'null'", 'null', 'null'],
      ["'true'", 'true', 'true'],
      ['\'""\'', '""', '""'],
      ["'{}'", '{}', '{}'],
      ["'[]'", '[]', '[]'],
      [
        "'[9007199254740993, -9223372036854775808, 9223372036854775808, 18446744073709551615, 2147483648, -2147483648]'",
        '[9007199254740993, -9223372036854775808, 9223372036854775808, 18446744073709551615, 2147483648, -2147483648]',
        '[long 9007199254740993,long -9223372036854775808,decimal 9223372036854775808,decimal 18446744073709551615,long 2147483648,int -2147483648]',
      ],
      // One more than BIGINT UNSIGNED holds: MySQL itself makes a double of it.
      ["'18446744073709551616'", '1.8446744073709552e19', 'double 18446744073709552000'],
      [
        "'[1e300, -0.0, 0.1, 5e-324, 1E2, 3.0]'",
        '[1e300, -0.0, 0.1, 5e-324, 100.0, 3.0]',
        '[double 1e+300,double -0,double 0.1,double 5e-324,double 100,double 3]',
      ],
      [
        `JSON_ARRAY(1234567890.0123456789, 1.50, ${nines(35)}, -0.30)`,
        `[1234567890.0123456789, 1.50, ${nines(35)}, -0.30]`,
        `[decimal 1234567890.0123456789,double 1.5,"${nines(35)}",double -0.3]`,
      ],
      // Of names given twice the last one counts; others only look alike. MySQL sorts names by length, then bytes.
      [
        `'{"a": 1, "a": 2, "A": 3, "a ": 4, "\u00e4": 5, "a\\\\u0308": 6, "\\\\u0061": 7}'`,
        `{"A": 3, "a": 7, "a ": 4, "\u00e4": 5, "a\u0308": 6}`,
        `{"A":int 3,"a":int 7,"a ":int 4,"\u00e4":int 5,"a\u0308":int 6}`,
      ],
      [
        `'{"": 1, "$": 2, "10": 3, "9": 4, "a.b": {"$set": 5, ".": 6}, "$where": 7, "__proto__": 8, "constructor": 9}'`,
        '{"": 1, "$": 2, "9": 4, "10": 3, "a.b": {".": 6, "$set": 5}, "$where": 7, "__proto__": 8, "constructor": 9}',
        '{"":int 1,"$":int 2,"9":int 4,"10":int 3,"a.b":{".":int 6,"$set":int 5},"$where":int 7,"__proto__":int 8,"constructor":int 9}',
      ],
      [
        `'"\\\\u0000\\\\u001f\\\\ud83d\\\\ude00\\\\u2028\\\\/\\\\\\\\\\\\""'`,
        '"\\u0000\\u001f😀\u2028/\\\\\\""',
        '"\\u0000\\u001f😀\u2028/\\\\\\""',
      ],
      [`CAST('${deep(100)}' AS JSON)`, deep(100), deep(100)],
      [
        "JSON_ARRAY(DATE'2020-01-02', TIME'-10:11:12', TIMESTAMP'2020-01-02 03:04:05', X'00FF')",
        '["2020-01-02", "-10:11:12.000000", "2020-01-02 03:04:05.000000", "base64:type15:AP8="]',
        '["2020-01-02","-10:11:12.000000","2020-01-02 03:04:05.000000","base64:type15:AP8="]',
      ],
    ],
  },
];

/** Well-known binary, little-endian, written by hand: byte order, type, content. */
const u32 = (n: number): string => {
  const b = Buffer.alloc(4);
  b.writeUInt32LE(n);
  return b.toString('hex');
};
const f64 = (...numbers: readonly number[]): string => {
  const b = Buffer.alloc(8 * numbers.length);
  numbers.forEach((n, i) => b.writeDoubleLE(n, 8 * i));
  return b.toString('hex');
};
const wkb = (type: number, ...parts: readonly string[]): string => `01${u32(type)}${parts.join('')}`;
const ring = (...xy: readonly number[]): string => u32(xy.length / 2) + f64(...xy);
const geometry = (sql: string, srid: number, hex: string): TypeValue => [
  sql,
  `{"srid":${srid},"wkb":"${base64(hex)}"}`,
  `{"srid":int ${srid},"wkb":binary/0 ${base64(hex)}}`,
];
const point = (x: number, y: number): string => wkb(1, f64(x, y));
const line = wkb(2, ring(0, 0, 1, 1, 2, 0));
const square = wkb(3, u32(2), ring(0, 0, 9, 0, 9, 9, 0, 9, 0, 0), ring(1, 1, 1, 2, 2, 2, 2, 1, 1, 1));
const squareText = '((0 0,9 0,9 9,0 9,0 0),(1 1,1 2,2 2,2 1,1 1))';

const geometries: readonly TypeColumn[] = [
  {
    type: 'GEOMETRY',
    values: [
      geometry("ST_GeomFromText('POINT(1 2)')", 0, point(1, 2)),
      geometry("ST_GeomFromText('POINT(1e300 -0.5)')", 0, point(1e300, -0.5)),
      geometry("ST_GeomFromText('LINESTRING(0 0,1 1,2 0)')", 0, line),
      geometry(`ST_GeomFromText('POLYGON${squareText}')`, 0, square),
      geometry("ST_GeomFromText('MULTIPOINT((0 0),(1 2))')", 0, wkb(4, u32(2), point(0, 0), point(1, 2))),
      geometry("ST_GeomFromText('MULTILINESTRING((0 0,1 1,2 0))')", 0, wkb(5, u32(1), line)),
      geometry(`ST_GeomFromText('MULTIPOLYGON(${squareText})')`, 0, wkb(6, u32(1), square)),
      geometry(
        "ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 2),LINESTRING(0 0,1 1,2 0))')",
        0,
        wkb(7, u32(2), point(1, 2), line),
      ),
      geometry("ST_GeomFromText('GEOMETRYCOLLECTION EMPTY')", 0, wkb(7, u32(0))),
      geometry("ST_GeomFromText('POINT(10 20)',4326,'axis-order=long-lat')", 4326, point(10, 20)),
      geometry("ST_GeomFromText('POINT(10 20)',4326,'axis-order=lat-long')", 4326, point(20, 10)),
      geometry("ST_GeomFromText('POINT(10 20)',3857)", 3857, point(10, 20)),
    ],
  },
  { type: 'POINT SRID 4326', values: [geometry('ST_SRID(POINT(13.4, 52.5), 4326)', 4326, point(13.4, 52.5))] },
  { type: 'LINESTRING', values: [geometry("ST_GeomFromText('LINESTRING(0 0,1 1,2 0)')", 0, line)] },
  { type: 'POLYGON', values: [geometry(`ST_GeomFromText('POLYGON${squareText}')`, 0, square)] },
  { type: 'MULTIPOINT', values: [geometry("ST_GeomFromText('MULTIPOINT((3 4))')", 0, wkb(4, u32(1), point(3, 4)))] },
  {
    type: 'MULTILINESTRING',
    values: [geometry("ST_GeomFromText('MULTILINESTRING((0 0,1 1,2 0))')", 0, wkb(5, u32(1), line))],
  },
  {
    type: 'MULTIPOLYGON',
    values: [geometry(`ST_GeomFromText('MULTIPOLYGON(${squareText})')`, 0, wkb(6, u32(1), square))],
  },
  { type: 'GEOMETRYCOLLECTION', values: [geometry("ST_GeomFromText('GEOMETRYCOLLECTION EMPTY')", 0, wkb(7, u32(0)))] },
];

const vectors: readonly TypeColumn[] = [
  {
    type: 'VECTOR(4)',
    values: [
      [
        "TO_VECTOR('[0.1,-2.5,3.4028235e38,0]')",
        '[0.10000000149011612,-2.5,3.4028234663852886e+38,0]',
        '[double 0.10000000149011612,double -2.5,double 3.4028234663852886e+38,double 0]',
      ],
      // −0 and the least denormal, as bytes; three numbers in a column for four.
      [
        "X'000000800100000000000040'",
        '[-0,1.401298464324817e-45,2]',
        '[double -0,double 1.401298464324817e-45,double 2]',
      ],
    ],
  },
];

/** The settings of the contract, each on the columns that it is for. */
const forms: readonly TypeColumn[] = [
  {
    type: 'BIGINT UNSIGNED',
    forms: { int64: 'string' },
    values: [
      ['18446744073709551615', '"18446744073709551615"', '"18446744073709551615"'],
      ['0', '"0"', '"0"'],
    ],
  },
  {
    type: 'BIGINT',
    forms: { int64: 'string' },
    values: [['-9223372036854775808', '"-9223372036854775808"', '"-9223372036854775808"']],
  },
  {
    type: 'BIT(64)',
    forms: { int64: 'string' },
    values: [["X'FFFFFFFFFFFFFFFF'", '"18446744073709551615"', '"18446744073709551615"']],
  },
  {
    type: 'JSON',
    forms: { json: 'string' },
    values: [
      [
        `'{"b": [1.50, "x\\\\ny"], "a": null}'`,
        '"{\\"a\\": null, \\"b\\": [1.5, \\"x\\\\ny\\"]}"',
        '"{\\"a\\": null, \\"b\\": [1.5, \\"x\\\\ny\\"]}"',
      ],
      ["'null'", '"null"', '"null"'],
      [`'"s"'`, '"\\"s\\""', '"\\"s\\""'],
    ],
  },
  {
    type: 'DATETIME(6)',
    forms: { datetime: 'date' },
    values: [
      ["'2024-01-02 03:04:05.678999'", '"2024-01-02T03:04:05.678999"', 'date 2024-01-02T03:04:05.678Z'],
      ["'1969-12-31 23:59:59.999999'", '"1969-12-31T23:59:59.999999"', 'date 1969-12-31T23:59:59.999Z'],
      ...asPrinted('0000-00-00 00:00:00.000000'),
    ],
  },
  {
    type: 'TIMESTAMP(4)',
    forms: { datetime: 'date' },
    values: [["'2024-01-02 03:04:05.6789+00:00'", '"2024-01-02T03:04:05.6789Z"', 'date 2024-01-02T03:04:05.678Z']],
  },
  {
    type: 'TINYINT(1)',
    forms: { boolean: 'tinyint1' },
    values: [
      ['1', 'true', 'true'],
      ['0', 'false', 'false'],
      ['2', '2', 'int 2'],
      ['-1', '-1', 'int -1'],
    ],
  },
];

export const typeTable: readonly TypeColumn[] = [
  ...integers,
  ...decimals,
  ...floats,
  ...bits,
  ...texts,
  ...bytes,
  ...dates,
  ...documents,
  ...geometries,
  ...vectors,
  ...forms,
];
