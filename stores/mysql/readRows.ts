/** Committed rows of a table in key order, as stores know them: key text and row JSON. One statement each; takes no locks. */
import type { Definition } from '../../core/definition.js';
import { finishRowJson } from '../../core/rowJson.js';
import type { SourceRow } from '../../core/store.js';
import { asBytes, asText, type Row } from './cell.js';
import type { Queries } from './connection.js';
import { atKeyText } from './keyLookup.js';
import { boundaryColumns, inRange, keyOrder, type Boundary } from './keyWalk.js';
import { quoteTable } from './quote.js';
import { keyJson, rowJson } from './rowJson.js';

export interface RowsRead {
  readonly rows: readonly SourceRow[];
  /** Of each row, for statements that name it again. */
  readonly boundaries: readonly Boundary[];
  /** Where to read on; null behind the last row. */
  readonly last: Boundary | null;
}

/** upTo: the last key to be read; null reads to the end of the table. */
export async function readRows(
  queries: Queries,
  definition: Definition,
  after: Boundary | null,
  limit: number,
  upTo: Boundary | null = null,
): Promise<RowsRead> {
  const found = await queries.rows(
    `SELECT ${images(definition)},${boundaryColumns(definition)} FROM ${source(definition)}
      WHERE ${inRange(definition, { after, upTo })} ORDER BY ${keyOrder(definition)} LIMIT ${limit}`,
  );
  const boundaries = found.map((row) => row.slice(2).map((cell) => asText(cell)));
  return {
    rows: found.map((row) => sourceRow(definition, row)),
    boundaries,
    last: found.length < limit ? null : (boundaries.at(-1) ?? null),
  };
}

/** Rows by key text; keys without a row, byte for byte, are absent. */
export async function readRowsAt(
  queries: Queries,
  definition: Definition,
  keys: readonly string[],
): Promise<ReadonlyMap<string, SourceRow>> {
  const conditions = keys.flatMap((key) => atKeyText(definition, key) ?? []);
  if (conditions.length === 0) return new Map();
  const found = await queries.rows(
    `SELECT ${images(definition)} FROM ${source(definition)} WHERE ${conditions.map((c) => `(${c})`).join(' OR ')}`,
  );
  const rows = found.map((row) => sourceRow(definition, row));
  return new Map(rows.map((row) => [row.key.toString(), row]));
}

function images(definition: Definition): string {
  const image = rowJson(definition, 't', { guarded: false });
  return `CAST(${keyJson(definition, 't')} AS BINARY),CAST(${image} AS BINARY)`;
}

function source(definition: Definition): string {
  return `${quoteTable(definition.database, definition.table)} t FORCE INDEX (PRIMARY)`;
}

function sourceRow(definition: Definition, [key, row]: Row): SourceRow {
  return { key: asBytes(key), row: finishRowJson(definition, asBytes(row)) };
}
