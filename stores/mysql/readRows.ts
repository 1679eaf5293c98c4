/** Committed rows of a table in key order, as stores know them: key text and row JSON. One statement each; takes no locks. */
import { wholeNumberKey, type Definition } from '../../core/definition.js';
import { finishRowJson } from '../../core/rowJson.js';
import type { SourceRow } from '../../core/store.js';
import { asBytes, asText, type Row } from './cell.js';
import type { Queries } from './connection.js';
import { atKeyText } from './keyLookup.js';
import { boundaryColumns, inRange, keyOrder, type Boundary } from './keyWalk.js';
import { quoteName, quoteTable } from './quote.js';
import { keyJson, rowJson } from './rowJson.js';

export interface RowsRead {
  readonly rows: readonly SourceRow[];
  /** Of each row, for statements that name it again. */
  readonly boundaries: () => readonly Boundary[];
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
  const number = wholeNumberKey(definition);
  const columns =
    number === null
      ? `${images(definition)},${boundaryColumns(definition)}`
      : `${rowImage(definition)},t.${quoteName(number.name)}+0`;
  const found = await queries.rows(
    `SELECT ${columns} FROM ${source(definition)}
      WHERE ${inRange(definition, { after, upTo })} ORDER BY ${keyOrder(definition)} LIMIT ${limit}`,
  );
  const boundaryOf = (row: Row): Boundary => row.slice(number === null ? 2 : 1).map((cell) => asText(cell));
  const head = number === null ? '' : `{${JSON.stringify(number.name)}:`;
  const last = found.at(-1);
  return {
    rows: found.map((row) => (number === null ? sourceRow(definition, row) : numberedRow(definition, head, row))),
    boundaries: () => found.map(boundaryOf),
    last: last === undefined || found.length < limit ? null : boundaryOf(last),
  };
}

/** Where the key is one whole number its text is made here: it costs MySQL, and the way from there, more. */
function numberedRow(definition: Definition, head: string, [row, number]: Row): SourceRow {
  return { key: Buffer.from(`${head}${asText(number)}}`), row: finishRowJson(definition, asBytes(row)) };
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
  return `CAST(${keyJson(definition, 't')} AS BINARY),${rowImage(definition)}`;
}

function rowImage(definition: Definition): string {
  return `CAST(${rowJson(definition, 't', { guarded: false })} AS BINARY)`;
}

function source(definition: Definition): string {
  return `${quoteTable(definition.database, definition.table)} t FORCE INDEX (PRIMARY)`;
}

function sourceRow(definition: Definition, [key, row]: Row): SourceRow {
  return { key: asBytes(key), row: finishRowJson(definition, asBytes(row)) };
}
