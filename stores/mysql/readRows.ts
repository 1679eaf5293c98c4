/** Committed rows of a table in key order, as stores know them: key text and row JSON. Takes no locks. */
import type { Definition } from '../../core/definition.js';
import { finishRowJson } from '../../core/rowJson.js';
import type { SourceRow } from '../../core/store.js';
import { asBytes, asText } from './cell.js';
import type { Queries } from './connection.js';
import { boundaryColumns, inRange, keyOrder, type Boundary } from './keyWalk.js';
import { quoteTable } from './quote.js';
import { keyJson, rowJson } from './rowJson.js';

export interface RowsRead {
  readonly rows: readonly SourceRow[];
  /** Where to read on; null behind the last row. */
  readonly last: Boundary | null;
}

export async function readRows(
  queries: Queries,
  definition: Definition,
  after: Boundary | null,
  limit: number,
): Promise<RowsRead> {
  const image = rowJson(definition, 't', { guarded: false });
  const found = await queries.rows(
    `SELECT CAST(${keyJson(definition, 't')} AS BINARY),CAST(${image} AS BINARY),${boundaryColumns(definition)}
       FROM ${quoteTable(definition.database, definition.table)} t FORCE INDEX (PRIMARY)
      WHERE ${inRange(definition, { after, upTo: null })} ORDER BY ${keyOrder(definition)} LIMIT ${limit}`,
  );
  const rows = found.map(([key, row]) => ({ key: asBytes(key), row: finishRowJson(definition, asBytes(row)) }));
  const last = found.length < limit ? undefined : found.at(-1);
  return { rows, last: last === undefined ? null : last.slice(2).map((cell) => asText(cell)) };
}
