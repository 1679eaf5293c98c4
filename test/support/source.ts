/**
 * The source as a plain reader sees it: tables, rows by SELECT, and what one row must become elsewhere.
 * Part of the independent comparator; shares nothing with the product.
 */
import { createConnection } from 'mysql2/promise';
import type { Connection, RowDataPacket } from 'mysql2/promise';
import { parseExact } from './exactJson.js';
import { canonicalMember, expectedBson, expectedJson, keyPartText } from './expected.js';
import type { SourceColumn, SourceValue } from './expected.js';

export interface SourceTable {
  readonly name: string;
  readonly columns: readonly SourceColumn[];
  readonly key: readonly string[];
}

/** Settings by table and column: the tests' own account of what the configuration asks for. */
export type ChosenForms = Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, string>>>>>>;

function formOf(settings: Readonly<Record<string, string>> | undefined): Pick<SourceColumn, 'form'> {
  const [setting] = Object.keys(settings ?? {});
  return setting === undefined ? {} : { form: setting as NonNullable<SourceColumn['form']> };
}

/** Values of one row by column name. */
export type SourceRow = ReadonlyMap<string, SourceValue>;

export async function connectSource(uri: string, database: string): Promise<Connection> {
  const connection = await createConnection({ uri, database, timezone: 'Z', charset: 'utf8mb4' });
  await connection.query("SET time_zone = '+00:00', sql_mode = '', NAMES utf8mb4");
  return connection;
}

export async function readTables(
  mysql: Connection,
  database: string,
  exclude: readonly string[] = [],
  forms: ChosenForms = {},
): Promise<SourceTable[]> {
  const [columns] = await mysql.query<RowDataPacket[]>(
    `SELECT c.TABLE_NAME t, c.COLUMN_NAME n, c.DATA_TYPE d, c.COLUMN_TYPE ct, c.NUMERIC_PRECISION p, c.DATETIME_PRECISION f
       FROM information_schema.COLUMNS c JOIN information_schema.TABLES x USING (TABLE_SCHEMA, TABLE_NAME)
      WHERE c.TABLE_SCHEMA = ? AND x.TABLE_TYPE = 'BASE TABLE' ORDER BY c.TABLE_NAME, c.ORDINAL_POSITION`,
    [database],
  );
  const [keys] = await mysql.query<RowDataPacket[]>(
    `SELECT TABLE_NAME t, COLUMN_NAME n FROM information_schema.STATISTICS
      WHERE TABLE_SCHEMA = ? AND INDEX_NAME = 'PRIMARY' ORDER BY TABLE_NAME, SEQ_IN_INDEX`,
    [database],
  );
  const names = [...new Set(keys.map((k) => String(k['t'])))].filter((name) => !exclude.includes(name));
  return names.map((name) => ({
    name,
    key: keys.filter((k) => k['t'] === name).map((k) => String(k['n'])),
    columns: columns
      .filter((c) => c['t'] === name)
      .map((c) => ({
        name: String(c['n']),
        dataType: String(c['d']).toLowerCase(),
        columnType: String(c['ct']).toLowerCase(),
        precision: Number(c['p'] ?? 0),
        fsp: Number(c['f'] ?? 0),
        ...formOf(forms[name]?.[String(c['n'])]),
      })),
  }));
}

/** Text protocol bytes for everything; FLOAT a second time by the binary protocol, because its text is rounded to 6 digits. */
export async function readRows(mysql: Connection, table: SourceTable): Promise<SourceRow[]> {
  const list = (columns: readonly SourceColumn[]): string => columns.map((c) => quote(c.name)).join(', ');
  const tail = ` FROM ${quote(table.name)} ORDER BY ${table.key.map(quote).join(', ')}`;
  const [rows] = await mysql.query<RowDataPacket[][]>({
    sql: `SELECT ${list(table.columns)}${tail}`,
    rowsAsArray: true,
    typeCast: (field) => field.buffer(),
  });
  const floats = table.columns.filter((c) => c.dataType === 'float');
  const exact =
    floats.length === 0
      ? []
      : (await mysql.execute<RowDataPacket[][]>({ sql: `SELECT ${list(floats)}${tail}`, rowsAsArray: true }))[0];
  return (rows as unknown as SourceValue[][]).map((row, index) => {
    const values = new Map(table.columns.map((c, i) => [c.name, row[i] ?? null]));
    floats.forEach((c, i) => values.set(c.name, (exact[index] as unknown as SourceValue[])[i] ?? null));
    return values;
  });
}

/** The row as row JSON must show it, canonical, a text a column. */
export function canonicalRow(table: SourceTable, row: SourceRow): Map<string, string> {
  return new Map(table.columns.map((c) => [c.name, canonicalMember(c, expectedJson(c, row.get(c.name) ?? null))]));
}

/** The same for a row JSON that was read; the order of its members counts. */
export function canonicalRowJson(table: SourceTable, text: string): Map<string, string> {
  const json = parseExact(text);
  if (!(json instanceof Map)) return new Map([['(row)', `not an object: ${text.slice(0, 80)}`]]);
  const columns = new Map(table.columns.map((c) => [c.name, c]));
  return new Map(
    [...json].map(([name, value]) => {
      const column = columns.get(name);
      return [name, column === undefined ? 'unknown column' : canonicalMember(column, value)];
    }),
  );
}

export function keyText(table: SourceTable, row: SourceRow): string {
  return JSON.stringify(keyOf(table, row).map(([, part]) => part));
}

/** Each key column with its part of a Redis key. */
export function keyOf(table: SourceTable, row: SourceRow): [SourceColumn, string][] {
  return table.key.map((name) => {
    const column = table.columns.find((c) => c.name === name);
    if (column === undefined) throw new Error(`no column ${name}`);
    return [column, keyPartText(column, expectedJson(column, keyValue(row.get(name) ?? null)))];
  });
}

/** −0 and 0 are one key. */
function keyValue(value: SourceValue): SourceValue {
  if (typeof value === 'number') return value + 0;
  return value !== null && value.toString() === '-0' ? Buffer.from('0') : value;
}

/** The document's `_id`, canonical. */
export function expectedId(table: SourceTable, row: SourceRow): string {
  const parts = table.key.map((name) => {
    const column = table.columns.find((c) => c.name === name);
    if (column === undefined) throw new Error(`no column ${name}`);
    const value = keyValue(row.get(name) ?? null);
    // An array cannot be `_id`: a SET that is the whole key stays text.
    const isText = column.dataType === 'set' && table.key.length === 1;
    return [name, isText ? JSON.stringify(String(value)) : expectedBson(column, value)] as const;
  });
  const [first] = parts;
  if (parts.length === 1 && first !== undefined) return first[1];
  return `{${parts.map(([name, value]) => `${JSON.stringify(name.replaceAll('$', '-0024'))}:${value}`).join(',')}}`;
}

export function quote(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}
