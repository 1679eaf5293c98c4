/** Finds rows by key text as stores hold it, `{"pk1":…}`. Pure but for the last three, which ask MySQL. */
import { keyColumns, wholeNumberKey, type Column, type Definition } from '../../core/definition.js';
import { bytesOfPart, keyParts, keyTextOf } from '../../core/keyText.js';
import { asCount, asText } from './cell.js';
import type { Queries } from './connection.js';
import { charactersLiteral } from './keyWalk.js';
import { quoteHex, quoteName, quoteTable, quoteText } from './quote.js';
import { keyJson, keyPart } from './rowJson.js';

/** Condition for the row with this key text; null when the text is not a key of this definition. */
export function atKeyText(definition: Definition, key: string): string | null {
  const columns = keyColumns(definition);
  let parts: readonly string[];
  try {
    parts = keyParts(definition, Buffer.from(key));
  } catch {
    // A key of an earlier shape of the table.
    return null;
  }
  const conditions = columns.map((column, i) => {
    const literal = partLiteral(column, parts[i] ?? '');
    return literal === null ? null : `t.${quoteName(column.name)}=${literal}`;
  });
  return conditions.includes(null) ? null : conditions.join(' AND ');
}

/** A part as in row JSON, strings unquoted, back as SQL; null when it cannot be a value of the column. */
export function partLiteral(column: Column, part: string): string | null {
  const bytes = bytesOfPart(part);
  if (bytes !== null) return charactersLiteral(column, bytes);
  switch (column.type) {
    case 'tinyint':
    case 'smallint':
    case 'mediumint':
    case 'int':
    case 'bigint':
    case 'year':
    case 'decimal':
      return /^-?\d+(?:\.\d+)?$/.test(part) ? (column.type === 'year' ? quoteText(part.padStart(4, '0')) : part) : null;
    case 'bit':
      if (part === 'true') return '1';
      if (part === 'false') return '0';
      return /^\d+$/.test(part) ? part : null;
    case 'float':
    case 'double':
      if (!/^-?\d+(?:\.\d+)?(?:e[+-]?\d+)?$/i.test(part)) return null;
      return /e/i.test(part) ? part : `${part}e0`;
    case 'date':
    case 'time':
      return quoteText(part);
    case 'datetime':
      return quoteText(part.replace('T', ' '));
    case 'timestamp':
      return quoteText(part.replace('T', ' ').replace('Z', ''));
    case 'binary':
    case 'varbinary':
    case 'tinyblob':
    case 'blob':
    case 'mediumblob':
    case 'longblob':
      return quoteHex(Buffer.from(part, 'base64').toString('hex'));
    case 'enum':
    case 'set':
      return quoteText(part);
    default: {
      const text = `_utf8mb4 ${quoteHex(Buffer.from(part).toString('hex'))}`;
      return `CONVERT(${text} USING ${column.charset ?? 'utf8mb4'}) COLLATE ${column.collation ?? 'utf8mb4_bin'}`;
    }
  }
}

/**
 * Key texts as MySQL prints them. A store that keeps a FLOAT or DOUBLE as a number prints it its own way (`3` for `3.0`,
 * `1000000000000000` for `1e15`): as text it would be another key, of another partition.
 */
export async function asMysqlPrints(
  queries: Queries,
  definition: Definition,
  keys: readonly string[],
): Promise<readonly string[]> {
  const columns = keyColumns(definition);
  const floats = columns.flatMap((column, i) => (/^(?:float|double)$/.test(column.type) ? [i] : []));
  const readable = floats.length === 0 ? [] : keys.filter((key) => atKeyText(definition, key) !== null);
  if (readable.length === 0) return keys;
  const parts = readable.map((key) => keyParts(definition, Buffer.from(key)));
  const numbers = columns.flatMap((column, i) => (floats.includes(i) ? [column] : []));
  const values = parts.map((of) => `ROW(${numbers.map((c, n) => partLiteral(c, of[floats[n] ?? 0] ?? '')).join(',')})`);
  const printed = numbers.map((column, n) => keyPart({ ...column, name: `column_${n}` }, 't'));
  const rows = await queries.rows(`SELECT ${printed.join(',')} FROM (VALUES ${values.join(',')}) t`);
  const texts = new Map(
    rows.map((row, r) => {
      const whole = (parts[r] ?? []).map((part, i) => (floats.includes(i) ? asText(row[floats.indexOf(i)]) : part));
      return [readable[r], keyTextOf(definition, whole)];
    }),
  );
  return keys.map((key) => texts.get(key) ?? key);
}

/** Those of the key texts that no committed row has, byte for byte. Keys of another shape are left out. */
export async function keysWithoutRow(
  queries: Queries,
  definition: Definition,
  keys: readonly string[],
): Promise<readonly string[]> {
  return (await lookUpKeys(queries, definition, keys)).withoutRow;
}

export interface LookedUp {
  readonly withoutRow: readonly string[];
  /** Texts that are no keys of this definition. */
  readonly misfits: readonly string[];
}

export async function lookUpKeys(queries: Queries, definition: Definition, keys: readonly string[]): Promise<LookedUp> {
  if (await haveRows(queries, definition, keys)) return { withoutRow: [], misfits: [] };
  const [column, ...more] = keyColumns(definition);
  const known: string[] = [];
  const misfits: string[] = [];
  const conditions: string[] = [];
  for (const key of keys) {
    const condition =
      column !== undefined && more.length === 0 ? singleLiteral(definition, column, key) : atKeyText(definition, key);
    if (condition === null) misfits.push(key);
    else {
      known.push(key);
      conditions.push(condition);
    }
  }
  if (known.length === 0 || column === undefined) return { withoutRow: [], misfits };
  const where =
    more.length === 0
      ? `t.${quoteName(column.name)} IN (${conditions.join(',')})`
      : conditions.map((condition) => `(${condition})`).join(' OR ');
  const present = new Set(await keysAt(queries, definition, where, ''));
  return { withoutRow: known.filter((key) => !present.has(key)), misfits };
}

/**
 * Whether each of these whole numbers has a row, told by counting: one row comes back instead of a thousand. Only texts as
 * MySQL prints them count, so different ones are different rows, and only numbers that it compares as what they are: beside
 * one of 66 digits it compares the whole list as DOUBLE, where neighbours are one. False: not all, or it cannot be told so.
 */
async function haveRows(queries: Queries, definition: Definition, keys: readonly string[]): Promise<boolean> {
  const column = wholeNumberKey(definition);
  if (column === null) return false;
  const head = `{${JSON.stringify(column.name)}:`;
  const numbers = new Set<string>();
  for (const key of keys) {
    const number = key.slice(head.length, -1);
    if (!key.startsWith(head) || !key.endsWith('}') || !/^(?:0|-?[1-9]\d{0,17})$/.test(number)) return false;
    numbers.add(number);
  }
  if (numbers.size === 0) return true;
  const [row] = await queries.rows(
    `SELECT COUNT(*) FROM ${quoteTable(definition.database, definition.table)} t FORCE INDEX (PRIMARY)
      WHERE t.${quoteName(column.name)} IN (${[...numbers].join(',')})`,
  );
  return asCount(row?.[0]) === numbers.size;
}

/** One list of values is read four times as fast as as many conditions. */
function singleLiteral(definition: Definition, column: Column, key: string): string | null {
  try {
    const [part] = keyParts(definition, Buffer.from(key));
    return part === undefined ? null : partLiteral(column, part);
  } catch {
    // A key of an earlier shape of the table.
    return null;
  }
}

/** Key texts of the rows that a condition on `t` names. */
export async function keysAt(
  queries: Queries,
  definition: Definition,
  condition: string,
  locking: '' | 'FOR SHARE' | 'FOR SHARE NOWAIT',
): Promise<readonly string[]> {
  const rows = await queries.rows(
    `SELECT CAST(${keyJson(definition, 't')} AS BINARY) FROM ${quoteTable(definition.database, definition.table)} t FORCE INDEX (PRIMARY) WHERE ${condition} ${locking}`,
  );
  return rows.map((row) => asText(row[0]));
}
