/**
 * Tables of the randomized workload: every kind of key (generated, composite, text under a ci collation, bytes, dates)
 * and most column types, small key spaces so that connections meet on the same rows.
 */
import type { Random } from './random.js';

export interface WorkloadTable {
  readonly name: string;
  readonly ddl: string;
  readonly key: readonly string[];
  readonly values: readonly string[];
  /** A key out of a small space, so that statements meet rows that exist. */
  randomKey(random: Random): unknown[];
  randomValues(random: Random): unknown[];
}

export const workloadTables: readonly WorkloadTable[] = [
  {
    name: 'accounts',
    ddl: `CREATE TABLE accounts (
      id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, owner VARCHAR(60) NOT NULL, balance DECIMAL(18,4) NOT NULL,
      state ENUM('open','frozen','closed') NOT NULL, flags SET('vip','debt','new') NOT NULL, opened DATE NULL,
      touched DATETIME(6) NULL, seen TIMESTAMP(3) NULL, doc JSON NULL, note TEXT NULL, ratio DOUBLE NULL, score FLOAT NULL,
      big BIGINT UNSIGNED NULL, bits BIT(12) NULL, active BIT(1) NOT NULL DEFAULT b'1', shift TIME(2) NULL,
      doubled DECIMAL(19,4) GENERATED ALWAYS AS (balance * 2) STORED)`,
    key: ['id'],
    values: [
      'owner',
      'balance',
      'state',
      'flags',
      'opened',
      'touched',
      'seen',
      'doc',
      'note',
      'ratio',
      'score',
      'big',
      'bits',
      'active',
      'shift',
    ],
    randomKey: (r) => [1 + r.below(400)],
    randomValues: (r) => [
      randomText(r, 30),
      `${r.below(2) === 0 ? '-' : ''}${r.below(1e9)}.${String(r.below(10_000)).padStart(4, '0')}`,
      r.pick(['open', 'frozen', 'closed']),
      r.pick(['', 'vip', 'debt,new', 'vip,debt,new']),
      orNull(r, `20${10 + r.below(80)}-0${1 + r.below(9)}-${10 + r.below(18)}`),
      orNull(
        r,
        `2024-0${1 + r.below(9)}-1${r.below(10)} 0${r.below(10)}:1${r.below(10)}:2${r.below(10)}.${randomDigits(r, 6)}`,
      ),
      orNull(
        r,
        `2025-0${1 + r.below(9)}-1${r.below(10)} 1${r.below(10)}:1${r.below(10)}:2${r.below(10)}.${randomDigits(r, 3)}`,
      ),
      orNull(r, randomDocument(r)),
      orNull(r, randomText(r, 200)),
      orNull(r, (r.next() - 0.5) * 10 ** (r.below(40) - 20)),
      orNull(r, Math.fround((r.next() - 0.5) * 10 ** r.below(20))),
      orNull(r, r.pick(['0', '9007199254740993', '9223372036854775808', '18446744073709551615'])),
      orNull(r, r.below(4096)),
      r.below(2),
      orNull(r, `${r.pick(['', '-'])}${r.below(838)}:${10 + r.below(50)}:${10 + r.below(50)}.${randomDigits(r, 2)}`),
    ],
  },
  {
    name: 'stock',
    ddl: `CREATE TABLE stock (
      warehouse SMALLINT UNSIGNED NOT NULL, sku VARCHAR(24) NOT NULL, quantity INT NOT NULL, reserved INT UNSIGNED NOT NULL,
      counted DATETIME NULL, PRIMARY KEY (warehouse, sku))`,
    key: ['warehouse', 'sku'],
    values: ['quantity', 'reserved', 'counted'],
    randomKey: (r) => [1 + r.below(5), `SKU:${r.below(60)}%`],
    randomValues: (r) => [r.below(2e9) - 1e9, r.below(4e9), orNull(r, `2024-02-29 12:0${r.below(10)}:00`)],
  },
  {
    name: 'codes',
    ddl: `CREATE TABLE codes (
      code VARCHAR(20) COLLATE utf8mb4_0900_ai_ci NOT NULL PRIMARY KEY, label VARCHAR(100) NULL, uses INT NOT NULL)`,
    key: ['code'],
    values: ['label', 'uses'],
    randomKey: (r) => [
      r.pick(['Ä', 'ä', 'code', 'CODE', 'Code', 'größe', '鍵', '😀', '"quoted"', 'back\\slash']) + r.below(30),
    ],
    randomValues: (r) => [orNull(r, randomText(r, 60)), r.below(1000)],
  },
  {
    name: 'members',
    ddl: `CREATE TABLE members (
      id INT NOT NULL PRIMARY KEY, email VARCHAR(80) NOT NULL UNIQUE, \`full.name $\` VARCHAR(80) NULL, born YEAR NULL)`,
    key: ['id'],
    values: ['email', 'full.name $', 'born'],
    randomKey: (r) => [1 + r.below(150)],
    randomValues: (r) => [`m${r.below(120)}@example.org`, orNull(r, randomText(r, 20)), orNull(r, 1950 + r.below(60))],
  },
  {
    name: 'tokens',
    ddl: `CREATE TABLE tokens (token BINARY(4) NOT NULL PRIMARY KEY, payload VARBINARY(300) NULL, blobs MEDIUMBLOB NULL)`,
    key: ['token'],
    values: ['payload', 'blobs'],
    randomKey: (r) => [Buffer.from([0, r.below(2) * 255, 0, r.below(100)])],
    randomValues: (r) => [orNull(r, r.bytes(r.below(300))), orNull(r, r.bytes(r.below(900)))],
  },
  {
    name: 'readings',
    ddl: `CREATE TABLE readings (
      day DATE NOT NULL, at DATETIME(6) NOT NULL, sensor INT UNSIGNED NOT NULL, value DOUBLE NOT NULL, extra JSON NULL,
      PRIMARY KEY (day, at, sensor))`,
    key: ['day', 'at', 'sensor'],
    values: ['value', 'extra'],
    randomKey: (r) => ['2024-03-1' + r.below(3), `2024-03-10 0${r.below(10)}:00:00.00000${r.below(3)}`, r.below(8)],
    randomValues: (r) => [r.next() * 1e6, orNull(r, randomDocument(r))],
  },
];

function orNull(random: Random, value: unknown): unknown {
  return random.chance(0.15) ? null : value;
}

function randomDigits(random: Random, count: number): string {
  return Array.from({ length: count }, () => random.below(10)).join('');
}

function randomText(random: Random, limit: number): string {
  const parts = ['plain', ' ', 'ünï', '"', '\\', '\n', '\u0001', '漢字', '😀', "'", '%', ':', '\u2028', '</x>', '\t'];
  const text = Array.from({ length: 1 + random.below(8) }, () => random.pick(parts)).join('');
  return Array.from(text).slice(0, limit).join('');
}

/** JSON text with what is easily rounded, reordered or mangled on the way. */
function randomDocument(random: Random): string {
  return random.pick([
    '{"b":1,"aa":[1,2.5,null,true],"9":"nine","10":"ten"}',
    '{"long":9007199254740993,"neg":-9223372036854775808,"ulong":18446744073709551615}',
    '{"nested":{"$set":{"a.b":1}},"empty":{},"list":[]}',
    '"just text"',
    '[{"x":1e-7},{"x":0.1}]',
    `{"n":${random.below(1000)},"text":${JSON.stringify(randomText(random, 30))}}`,
    'null',
    '17',
  ]);
}
