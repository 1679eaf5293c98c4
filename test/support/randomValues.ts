/**
 * Column types at random, each with SQL literals for its values: boundary values as often as any, now and then one that does
 * not fit. Literals read the same in every sql_mode and character set: numbers, hex, and quotes without a backslash.
 */
import type { FormSettings } from '../../core/forms.js';
import type { Random } from './random.js';

export interface RandomType {
  /** As in CREATE TABLE. */
  readonly ddl: string;
  readonly literal: (random: Random) => string;
  /** How it stands in PRIMARY KEY; absent where it cannot. */
  readonly inKey?: 'whole' | 'prefix';
  /** Another form that it may be given. */
  readonly form?: FormSettings;
  /** Codes in hex that its character set leaves open, and that its literals hold now and then. */
  readonly openCodes?: readonly string[];
}

type Maker = (random: Random) => RandomType;

export function randomType(random: Random): RandomType {
  return random.pick(makers)(random);
}

export function randomKeyType(random: Random): RandomType {
  for (;;) {
    const type = randomType(random);
    if (type.inKey !== undefined) return type;
  }
}

const between = (r: Random, low: bigint, high: bigint): bigint => {
  const span = high - low + 1n;
  return low + (((BigInt(r.below(2 ** 30)) << 34n) | (BigInt(r.below(2 ** 30)) << 4n) | BigInt(r.below(16))) % span);
};

function integer(ddl: string, bits: bigint, unsigned: boolean, form?: FormSettings): Maker {
  const [low, high] = unsigned ? [0n, 2n ** bits - 1n] : [-(2n ** (bits - 1n)), 2n ** (bits - 1n) - 1n];
  const edges = [low, high, 0n, 1n, high - 1n, low + 1n, 2n ** 53n + 1n, 2n ** 31n, high + 1n];
  const fitting = edges.filter((n) => n >= low && n <= high + 1n);
  return () => ({
    ddl: unsigned ? `${ddl} UNSIGNED` : ddl,
    inKey: 'whole',
    ...(form === undefined ? {} : { form }),
    literal: (r) =>
      String(r.chance(0.4) ? r.pick(fitting) : r.chance(0.5) ? BigInt(r.below(20)) : between(r, low, high)),
  });
}

const digits = (r: Random, count: number): string => Array.from({ length: count }, () => r.below(10)).join('');

const decimal: Maker = (random) => {
  const precision = 1 + random.below(65);
  const scale = Math.min(30, random.below(precision + 1));
  return {
    ddl: `DECIMAL(${precision},${scale})`,
    inKey: 'whole',
    literal: (r) => {
      const whole = r.chance(0.2) ? '9'.repeat(precision - scale) : digits(r, r.below(precision - scale + 2));
      return `${r.pick(['', '-'])}${whole === '' ? '0' : whole}${scale === 0 ? '' : `.${digits(r, 1 + r.below(scale + 1))}`}`;
    },
  };
};

const floating =
  (ddl: string): Maker =>
  () => ({
    ddl,
    inKey: 'whole',
    literal: (r) =>
      r.chance(0.3)
        ? r.pick([
            '0e0',
            '-0e0',
            '1e300',
            '5e-324',
            '1.401298464324817e-45',
            '3.4028234663852886e38',
            '0.1',
            '16777217',
            '1e15',
            '1e16',
          ])
        : `${r.pick(['', '-'])}${digits(r, 1 + r.below(17))}e${r.below(60) - 45}`,
  });

const bit: Maker = (random) => {
  const width = random.pick([1, 1, 2, 9, 53, 54, 63, 64]);
  return {
    ddl: `BIT(${width})`,
    inKey: 'whole',
    ...(width > 53 ? { form: { int64: 'string' } } : {}),
    literal: (r) =>
      String(r.chance(0.3) ? r.pick([0n, 2n ** BigInt(width) - 1n]) : between(r, 0n, 2n ** BigInt(width) - 1n)),
  };
};

const fragments = [
  'a',
  'A',
  'ä',
  'Ä',
  'e\u0301',
  ' ',
  '',
  '"',
  '\\',
  '\n',
  '\0',
  '\x1f',
  '表',
  '€',
  '😀',
  "'",
  '%',
  ':',
  '$',
  '.',
  '\u2028',
  '/',
  '\ufeff',
  'ß',
  'null',
];

export function randomText(r: Random, most = 6): string {
  return Array.from({ length: r.below(most) }, () => r.pick(fragments)).join('');
}

const textLiteral = (r: Random, most = 6): string => `_utf8mb4 X'${Buffer.from(randomText(r, most)).toString('hex')}'`;

/** Collations that take other letters for the same, blanks for nothing, or bytes as they are. */
const collations = [
  'utf8mb4_0900_ai_ci',
  'utf8mb4_0900_as_cs',
  'utf8mb4_bin',
  'utf8mb4_0900_bin',
  'utf8mb4_general_ci',
  'utf8mb4_unicode_ci',
  'latin1_swedish_ci',
  'latin1_bin',
  'latin1_german2_ci',
  'utf16_general_ci',
  'utf16le_bin',
  'utf32_unicode_ci',
  'ucs2_bin',
  'sjis_japanese_ci',
  'cp932_bin',
  'gbk_chinese_ci',
  'gb18030_bin',
  'big5_chinese_ci',
  'euckr_bin',
  'koi8r_general_ci',
  'ascii_bin',
];

/** Of which Unicode has no character; in `cp932` also the second code of one, which a key cannot hold. */
const openCodes: Readonly<Record<string, readonly string[]>> = {
  ucs2: ['D80E', 'DC00'],
  sjis: ['83F0', '8759', '815F'],
  cp932: ['81AD', 'FA5B'],
  gbk: ['A140', 'A66B'],
  big5: ['A15A', 'C8E6'],
  euckr: ['AAF7', 'C6A0'],
};

function openLiteral(r: Random, charset: string, codes: readonly string[]): string {
  const letter = charset === 'ucs2' ? '0061' : '61';
  return `_${charset} X'${r.pick(['', letter])}${r.pick(codes)}${r.pick(['', letter])}'`;
}

const characters: Maker = (random) => {
  const collation = random.pick(collations);
  const collate = `COLLATE ${collation}`;
  const charset = collation.slice(0, collation.indexOf('_'));
  const codes = openCodes[charset];
  const type = random.pick(['CHAR(8)', 'VARCHAR(8)', 'VARCHAR(30)', 'TINYTEXT', 'TEXT', 'MEDIUMTEXT', 'LONGTEXT']);
  return {
    ddl: `${type} ${collate}`,
    inKey: type.endsWith('TEXT') ? 'prefix' : 'whole',
    ...(codes === undefined ? {} : { openCodes: codes }),
    literal: (r) => (codes !== undefined && r.chance(0.1) ? openLiteral(r, charset, codes) : textLiteral(r)),
  };
};

const bytes: Maker = (random) => {
  const type = random.pick([
    'BINARY(3)',
    'VARBINARY(6)',
    'VARBINARY(90)',
    'TINYBLOB',
    'BLOB',
    'MEDIUMBLOB',
    'LONGBLOB',
  ]);
  return {
    ddl: type,
    inKey: type.endsWith('BLOB') ? 'prefix' : 'whole',
    literal: (r) => {
      const hex = r.chance(0.3)
        ? r.pick(['', '00', '0000', 'FF', '2020', '20'])
        : r.bytes(r.below(r.chance(0.2) ? 80 : 5)).toString('hex');
      return hex === '' ? "''" : `X'${hex}'`;
    },
  };
};

const listed: Maker = (random) => {
  const members = ["'a'", "'B'", "'ü'", "'x y'", "'it''s'", "'\"'", "'表'"].slice(0, 2 + random.below(6));
  if (random.chance(0.5)) {
    return {
      ddl: `ENUM(${members.join(',')})`,
      inKey: 'whole',
      literal: (r) => (r.chance(0.2) ? "'none'" : String(1 + r.below(members.length))),
    };
  }
  return { ddl: `SET(${members.join(',')})`, inKey: 'whole', literal: (r) => String(r.below(2 ** members.length)) };
};

const two = (n: number): string => String(n).padStart(2, '0');
const day = (r: Random): string =>
  r.chance(0.3)
    ? r.pick([
        '0000-00-00',
        '2024-00-00',
        '2024-02-30',
        '2023-02-29',
        '9999-12-31',
        '0001-01-01',
        '0000-01-01',
        '1970-01-01',
      ])
    : `${1000 + r.below(9000)}-${two(1 + r.below(12))}-${two(1 + r.below(31))}`;
const clock = (r: Random): string =>
  `${two(r.below(24))}:${two(r.below(60))}:${two(r.below(60))}.${digits(r, r.below(7))}`.replace(/\.$/, '');

const moment: Maker = (random) => {
  const fsp = random.below(7);
  const type = random.pick(['DATE', 'DATETIME', 'TIMESTAMP', 'TIME', 'YEAR']);
  if (type === 'DATE') return { ddl: type, inKey: 'whole', literal: (r) => `'${day(r)}'` };
  if (type === 'YEAR')
    return {
      ddl: type,
      inKey: 'whole',
      literal: (r) => r.pick(["'0000'", "'1901'", "'2155'", `'${1901 + r.below(255)}'`]),
    };
  if (type === 'TIME') {
    const hours = (r: Random): string =>
      r.pick([
        '838:59:59',
        '-838:59:59',
        '-00:00:00.000001',
        '00:00:00',
        `${r.pick(['', '-'])}${r.below(838)}:${two(r.below(60))}:${two(r.below(60))}.${digits(r, 6)}`,
      ]);
    return { ddl: `TIME(${fsp})`, inKey: 'whole', literal: (r) => `'${hours(r)}'` };
  }
  const dated = (r: Random): string =>
    type === 'TIMESTAMP' && r.chance(0.7)
      ? `${1971 + r.below(66)}-${two(1 + r.below(12))}-${two(1 + r.below(28))}`
      : day(r);
  return {
    ddl: `${type}(${fsp})`,
    inKey: 'whole',
    ...(fsp > 3 ? { form: { datetime: 'date' } } : {}),
    literal: (r) => `'${dated(r)} ${clock(r)}'`,
  };
};

function document(r: Random, depth: number): string {
  const roll = r.below(depth > 3 ? 5 : 8);
  switch (roll) {
    case 0:
      return r.pick([
        'null',
        'true',
        'false',
        '0',
        '-0.0',
        '1e300',
        '5e-324',
        '0.1',
        '18446744073709551615',
        '-9223372036854775808',
        '9007199254740993',
      ]);
    case 1:
      return String(between(r, -(2n ** 63n), 2n ** 63n - 1n));
    case 2:
    case 3:
      return JSON.stringify(randomText(r));
    case 4:
      return `${r.pick(['', '-'])}${1 + r.below(9)}${digits(r, r.below(15))}.${digits(r, 1 + r.below(8))}`;
    case 5:
      return `[${Array.from({ length: r.below(4) }, () => document(r, depth + 1)).join(',')}]`;
    default:
      return `{${Array.from({ length: r.below(4) }, () => `${JSON.stringify(memberName(r))}:${document(r, depth + 1)}`).join(',')}}`;
  }
}

/** BSON ends names with a zero byte: such a document is parked, which has tests of its own. */
const memberName = (r: Random): string =>
  r.pick(['$set', 'a.b', '', '10', '2', '__proto__', 'constructor', '_id', randomText(r).replaceAll('\0', '')]);

const json: Maker = () => ({
  ddl: 'JSON',
  form: { json: 'string' },
  literal: (r) => `CAST(_utf8mb4 X'${Buffer.from(document(r, 0)).toString('hex')}' AS JSON)`,
});

const geometry: Maker = (random) => {
  const type = random.pick(['GEOMETRY', 'POINT', 'LINESTRING']);
  const number = (r: Random): string => `${r.below(180) - 90}.${digits(r, 5)}`;
  const line = (r: Random): string => `LINESTRING(${number(r)} ${number(r)},${number(r)} ${number(r)})`;
  return {
    ddl: type,
    literal: (r) => {
      const wkt =
        type === 'LINESTRING' || (type === 'GEOMETRY' && r.chance(0.5)) ? line(r) : `POINT(${number(r)} ${number(r)})`;
      return `ST_GeomFromText('${wkt}'${r.chance(0.3) ? ',4326' : ''})`;
    },
  };
};

const vector: Maker = (random) => {
  const dimensions = 1 + random.below(5);
  return {
    ddl: `VECTOR(${dimensions})`,
    literal: (r) => `X'${Array.from({ length: 1 + r.below(dimensions) }, () => float32(r)).join('')}'`,
  };
};

function float32(r: Random): string {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(r.pick([0, -0, 1.401298464324817e-45, 3.4028234663852886e38, (r.next() - 0.5) * 100]));
  return bytes.toString('hex');
}

const truth: Maker = () => ({
  ddl: 'TINYINT(1)',
  form: { boolean: 'tinyint1' },
  inKey: 'whole',
  literal: (r) => r.pick(['0', '1', '0', '1', '2', '-128']),
});

const makers: readonly Maker[] = [
  integer('TINYINT', 8n, false),
  integer('SMALLINT', 16n, true),
  integer('MEDIUMINT', 24n, false),
  integer('INT', 32n, false),
  integer('INT', 32n, true),
  integer('BIGINT', 64n, false, { int64: 'string' }),
  integer('BIGINT', 64n, true, { int64: 'string' }),
  truth,
  decimal,
  floating('FLOAT'),
  floating('DOUBLE'),
  bit,
  characters,
  characters,
  characters,
  bytes,
  bytes,
  listed,
  moment,
  moment,
  moment,
  json,
  json,
  geometry,
  vector,
];
