/** Reads a chunk's rows back: each as key text and row JSON, found by the keys it was written under. */
import { keyColumns, type Definition } from '../../core/definition.js';
import { finishRowJson } from '../../core/rowJson.js';
import type { SourceRow } from '../../core/store.js';
import { asBytes } from './cell.js';
import type { Queries } from './connection.js';
import type { RowKeys } from './ingestChunks.js';
import { atKeyText } from './keyLookup.js';
import { quoteName, quoteTable } from './quote.js';
import { keyJson, rowJson } from './rowJson.js';

export interface Images {
  readonly images: readonly SourceRow[];
  /** Keys of rows that MySQL makes no row JSON of, because it would be longer than max_allowed_packet. */
  readonly unreadable: readonly Buffer[];
}

/** condition: on `t`, as `keysCondition` and `tuplesCondition` make it. */
export async function readImages(queries: Queries, definition: Definition, condition: string): Promise<Images> {
  const found = await queries.rows(
    `SELECT CAST(${keyJson(definition, 't')} AS BINARY),CAST(${rowJson(definition, 't', { guarded: false })} AS BINARY)
       FROM ${quoteTable(definition.database, definition.table)} t FORCE INDEX (PRIMARY) WHERE ${condition}`,
  );
  const images: SourceRow[] = [];
  const unreadable: Buffer[] = [];
  for (const [key, row] of found) {
    if (row === null) unreadable.push(asBytes(key));
    else images.push({ key: asBytes(key), row: finishRowJson(definition, asBytes(row)) });
  }
  return { images, unreadable };
}

/** Of rows that were written before. Key texts of another shape of the table name nothing any more. */
export function keysCondition(definition: Definition, keys: RowKeys): string {
  if (keys.kind === 'numbers') return `t.${quoteName(keys.column)} BETWEEN ${keys.from} AND ${keys.to}`;
  const conditions = keys.texts.flatMap((text) => {
    const condition = atKeyText(definition, text);
    return condition === null ? [] : [`(${condition})`];
  });
  return conditions.length === 0 ? 'FALSE' : conditions.join(' OR ');
}

/** tuples: constants of the key's columns, one list a row, in key order. */
export function tuplesCondition(definition: Definition, tuples: readonly (readonly string[])[]): string {
  const names = keyColumns(definition).map(({ name }) => `t.${quoteName(name)}`);
  if (names.length === 1) return `${names[0]} IN (${tuples.map(([only]) => only).join(',')})`;
  return `(${names.join(',')}) IN (${tuples.map((parts) => `(${parts.join(',')})`).join(',')})`;
}
