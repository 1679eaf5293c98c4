/** Statements and sessions at random, as applications of every kind send them. The same seed gives the same ones. */
import type { Random } from './random.js';
import { isPlain, quote, type RandomColumn, type RandomTable } from './randomTables.js';

/** Each `{db}` stands for the database. */
export type Transaction = readonly string[];

const modes = [
  'ANSI_QUOTES',
  'PIPES_AS_CONCAT',
  'IGNORE_SPACE',
  'NO_BACKSLASH_ESCAPES',
  'PAD_CHAR_TO_FULL_LENGTH',
  'REAL_AS_FLOAT',
  'STRICT_ALL_TABLES',
  'STRICT_TRANS_TABLES',
  'NO_ZERO_DATE',
  'NO_ZERO_IN_DATE',
  'ALLOW_INVALID_DATES',
  'NO_AUTO_VALUE_ON_ZERO',
  'ERROR_FOR_DIVISION_BY_ZERO',
  'TIME_TRUNCATE_FRACTIONAL',
  'HIGH_NOT_PRECEDENCE',
  'NO_UNSIGNED_SUBTRACTION',
  'TRADITIONAL',
];

const settings = [
  "lc_time_names = 'de_DE'",
  'timestamp = 1000000000.123456',
  'div_precision_increment = 0',
  'group_concat_max_len = 4',
  'sql_select_limit = 1',
  'unique_checks = 0',
  'foreign_key_checks = 0',
  'sql_auto_is_null = 1',
  'max_sort_length = 4',
  "transaction_isolation = 'READ-COMMITTED'",
  "transaction_isolation = 'SERIALIZABLE'",
  "transaction_isolation = 'READ-UNCOMMITTED'",
  'character_set_results = NULL',
  'sql_quote_show_create = 0',
  "block_encryption_mode = 'aes-256-cbc'",
  'default_week_format = 3',
];

/** Statements that make a session of an application's, whatever it was before. */
export function randomSession(random: Random, table: RandomTable): string[] {
  const charset = isPlain(table) ? random.pick(['utf8mb4', 'latin1', 'gbk', 'sjis', 'binary', 'utf8mb3']) : 'utf8mb4';
  const chosen = modes.filter(() => random.chance(0.15));
  return [
    'SET timestamp = DEFAULT, sql_select_limit = DEFAULT, div_precision_increment = DEFAULT, group_concat_max_len = DEFAULT',
    "SET transaction_isolation = 'REPEATABLE-READ', unique_checks = 1, foreign_key_checks = 1, sql_auto_is_null = 0, max_sort_length = 1024",
    `SET NAMES ${charset}${charset === 'utf8mb4' ? ` COLLATE ${random.pick(['utf8mb4_bin', 'utf8mb4_0900_ai_ci', 'utf8mb4_general_ci'])}` : ''}`,
    `SET time_zone = '${random.pick(['+00:00', '+02:00', '-03:30', '+05:45', '+13:00', '-12:00'])}', sql_mode = '${chosen.join(',')}'`,
    ...(random.chance(0.5) ? [`SET ${random.pick(settings)}`] : []),
  ];
}

/** One to ten statements; sometimes undone in part or as a whole. */
export function randomTransaction(random: Random, table: RandomTable): Transaction {
  const statements = Array.from({ length: random.pick([1, 3, 6, 10]) }, () => randomStatement(random, table));
  if (random.chance(0.08)) return ['BEGIN', ...statements, 'ROLLBACK'];
  if (random.chance(0.08)) {
    return ['BEGIN', ...statements, 'SAVEPOINT s', randomStatement(random, table), 'ROLLBACK TO SAVEPOINT s', 'COMMIT'];
  }
  return statements.length === 1 ? statements : ['BEGIN', ...statements, 'COMMIT'];
}

function randomStatement(random: Random, table: RandomTable): string {
  const roll = random.next();
  if (roll < 0.3) return insert(random, table, random.pick(['INSERT', 'INSERT IGNORE']), 1 + random.below(4));
  if (roll < 0.4) return insert(random, table, 'REPLACE', 1 + random.below(3));
  if (roll < 0.5) return upsert(random, table);
  if (roll < 0.6) return `DELETE FROM ${into(table)} WHERE ${atKey(random, table)}`;
  if (roll < 0.63) return `DELETE FROM ${into(table)} ORDER BY ${order(table)} LIMIT 2`;
  if (roll < 0.75) return keyChange(random, table);
  if (roll < 0.8) return `UPDATE IGNORE ${into(table)} SET ${assign(random, table)} ORDER BY ${order(table)}`;
  return `UPDATE ${random.pick(['', 'IGNORE '])}${into(table)} SET ${assign(random, table)} WHERE ${atKey(random, table)}`;
}

const into = (table: RandomTable): string => `{db}.${quote(table.name)}`;
const order = (table: RandomTable): string => table.key.map(({ name }) => quote(name)).join(', ');

function keyLiteral(random: Random, table: RandomTable, column: RandomColumn): string {
  return random.pick(table.keyValues.get(column.name) ?? []);
}

function literal(random: Random, table: RandomTable, column: RandomColumn): string {
  if (table.key.includes(column)) return keyLiteral(random, table, column);
  return column.nullable && random.chance(0.15) ? 'NULL' : column.type.literal(random);
}

function insert(random: Random, table: RandomTable, verb: string, rows: number): string {
  const columns = table.columns.filter(
    (column) => table.key.includes(column) || !column.nullable || random.chance(0.9),
  );
  const tuples = Array.from({ length: rows }, () => `(${columns.map((c) => literal(random, table, c)).join(', ')})`);
  return `${verb} INTO ${into(table)} (${columns.map(({ name }) => quote(name)).join(', ')}) VALUES ${tuples.join(', ')}`;
}

function upsert(random: Random, table: RandomTable): string {
  return `${insert(random, table, 'INSERT', 1 + random.below(2))} ON DUPLICATE KEY UPDATE ${assign(random, table)}`;
}

/** Some of the columns that are no key; a third of them to what they hold already. */
function assign(random: Random, table: RandomTable): string {
  const values = table.columns.filter((column) => !table.key.includes(column));
  const chosen = values.filter(() => random.chance(0.4));
  return (chosen.length === 0 ? values.slice(0, 1) : chosen)
    .map((c) => `${quote(c.name)} = ${random.chance(0.2) ? quote(c.name) : literal(random, table, c)}`)
    .join(', ');
}

function keyChange(random: Random, table: RandomTable): string {
  const column = random.pick(table.key);
  const name = quote(column.name);
  const changed = /^(?:VARCHAR|CHAR|TINYTEXT|TEXT)/.test(column.type.ddl) && random.chance(0.6);
  // Under many collations these are the same value; as bytes they are other keys.
  const to = changed
    ? random.pick([`UPPER(${name})`, `LOWER(${name})`, `CONCAT(${name}, ' ')`])
    : keyLiteral(random, table, column);
  return `UPDATE ${random.pick(['', 'IGNORE '])}${into(table)} SET ${name} = ${to} WHERE ${atKey(random, table)}`;
}

function atKey(random: Random, table: RandomTable): string {
  return table.key.map((column) => `${quote(column.name)} = ${keyLiteral(random, table, column)}`).join(' AND ');
}
