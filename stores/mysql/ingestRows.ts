/**
 * Statements that bring checked rows of a file into a table, as text: one statement for many rows, values as constants.
 * Binding them with the driver took three times as long. Pure.
 */
import type { Column, Definition } from '../../core/definition.js';
import type { InputRow, InputValue } from '../../core/ingest.js';
import { quoteName, quoteTable } from './quote.js';

export interface RowScope {
  readonly definition: Definition;
  /** Names of the given columns, in the order of the rows' values. */
  readonly columns: readonly string[];
}

const newRow = 'lockstep_row';

export function insertRows({ definition, columns }: RowScope, rows: readonly InputRow[]): string {
  const names = columns.map(quoteName).join(',');
  return `INSERT INTO ${quoteTable(definition.database, definition.table)} (${names}) VALUES ${rows.map(tuple).join(',')}`;
}

/**
 * For rows whose key is there and locked, so that no other unique key can be the one that is met first. What is to be set to
 * its default stands in `defaults`.
 */
export function updateRows(scope: RowScope, rows: readonly InputRow[], defaults: readonly string[]): string {
  const set = [
    ...scope.columns.map((name) => `${quoteName(name)}=${newRow}.${quoteName(name)}`),
    ...defaults.map((name) => `${quoteName(name)}=DEFAULT`),
  ];
  return `${insertRows(scope, rows)} AS ${newRow} ON DUPLICATE KEY UPDATE ${set.join(',')}`;
}

/** One row by its key; what it does not give stays, except `defaults`. Null: nothing is to be set. */
export function updateRow(
  scope: RowScope,
  row: InputRow,
  condition: string,
  defaults: readonly string[],
): string | null {
  const { definition, columns } = scope;
  const set = [
    ...columns.flatMap((name, i) => {
      const value = row.values[i];
      return value === undefined ? [] : [`t.${quoteName(name)}=${literal(value)}`];
    }),
    ...defaults.map((name) => `t.${quoteName(name)}=DEFAULT`),
  ];
  if (set.length === 0) return null;
  return `UPDATE ${quoteTable(definition.database, definition.table)} t SET ${set.join(',')} WHERE ${condition}`;
}

function tuple({ values }: InputRow): string {
  return `(${values.map(literal).join(',')})`;
}

/** For sessions without NO_BACKSLASH_ESCAPES. */
export function literal(value: InputValue): string {
  if (typeof value === 'string') {
    return value.includes("'") || value.includes('\\')
      ? `'${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`
      : `'${value}'`;
  }
  if (value === null) return 'NULL';
  if (value === undefined) return 'DEFAULT';
  if (Buffer.isBuffer(value)) return `X'${value.toString('hex')}'`;
  return String(value);
}

/** Condition on `t` for the row with these key values, whatever index it takes. */
export function atValues(columns: readonly Column[], values: readonly InputValue[]): string {
  return columns.map((column, i) => `t.${quoteName(column.name)}=${keyLiteral(column, values[i])}`).join(' AND ');
}

/** A constant that compares as the stored value does: text of a number would compare as a double. */
export function keyLiteral(column: Column, value: InputValue): string {
  const text = typeof value === 'string' ? value : '';
  switch (column.type) {
    case 'decimal':
    case 'double':
      return /^-?\d*\.?\d+(?:e[+-]?\d+)?$/i.test(text) ? text : literal(value);
    case 'float':
      return `CAST(${literal(value)} AS FLOAT)`;
    case 'char':
      return literal(typeof value === 'string' ? value.replace(/ +$/, '') : value);
    case 'binary':
      return `CAST(${literal(value)} AS BINARY(${column.length ?? 1}))`;
    case 'datetime':
    case 'timestamp':
      return `CAST(${literal(value)} AS DATETIME(${column.fsp ?? 0}))`;
    case 'time':
      return `CAST(${literal(value)} AS TIME(${column.fsp ?? 0}))`;
    default:
      return literal(value);
  }
}
