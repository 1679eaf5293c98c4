/** Windows of a Parquet file → chunks of checked rows and rejects. A chunk is `chunkRows` rows, whatever the row groups are. */
import { valueOf } from '../../core/ingestValue.js';
import type { PlannedColumn } from '../../core/ingestColumns.js';
import type { InputRow, InputValue, Reject } from '../../core/ingest.js';
import { Fault } from '../../core/ingestFault.js';
import { openParquet, refuseInexact, type ParquetField, type ParquetFile } from './parquet.js';
import type { CheckedRows } from './checkedRows.js';

/** Rows that are decoded at once: few enough for memory, enough to pay for looking the column up. */
const windowRows = 16_384;

export interface ParquetChunk extends CheckedRows {
  /** Rows [start, end) of the file, from 0. */
  readonly start: number;
  readonly end: number;
  readonly raw: (row: number) => string;
}

/** From row `start` on. `fields`: for each of the columns the one that holds it. */
export async function* parquetRows(
  path: string,
  fields: readonly string[],
  columns: readonly PlannedColumn[],
  chunkRows: number,
  start: number,
): AsyncGenerator<ParquetChunk> {
  const file = await openParquet(path);
  try {
    const sources = fields.map((name) => fieldNamed(file, name));
    refuseInexact(path, sources);
    let rows: (readonly unknown[])[] = [];
    let begun = start;
    for await (const row of rowsOf(file, sources, columns, start)) {
      rows.push(row);
      if (rows.length < chunkRows) continue;
      yield chunkOf(begun, rows, fields, columns);
      begun += rows.length;
      rows = [];
    }
    if (rows.length > 0) yield chunkOf(begun, rows, fields, columns);
  } finally {
    await file.close();
  }
}

async function* rowsOf(
  file: ParquetFile,
  sources: readonly ParquetField[],
  columns: readonly PlannedColumn[],
  start: number,
): AsyncGenerator<readonly unknown[]> {
  for (let at = start; at < file.rows;) {
    const end = Math.min(at + windowRows, file.windowEnd(at));
    const values: (readonly unknown[])[] = [];
    // One after the other: a column's compressed pages are let go before the next ones are read.
    for (const [i, field] of sources.entries()) {
      const asBytes = /blob|binary/.test(columns[i]?.column.type ?? '');
      values.push(await file.readColumn(field, at, end, asBytes));
    }
    for (let row = 0; row < end - at; row++) yield values.map((column) => column[row]);
    at = end;
  }
}

function chunkOf(
  start: number,
  raws: readonly (readonly unknown[])[],
  fields: readonly string[],
  columns: readonly PlannedColumn[],
): ParquetChunk {
  const rows: InputRow[] = [];
  const rejects: Reject[] = [];
  for (const [i, raw] of raws.entries()) {
    const line = start + i + 1;
    const values = raw.map((value, at) => checked(value, columns[at]));
    const at = values.findIndex((value) => value instanceof Fault);
    const fault = values[at];
    if (fault instanceof Fault) {
      const { reason, detail } = fault;
      rejects.push({ line, reason, column: columns[at]?.column.name ?? null, detail, raw: rowText(fields, raw) });
    } else rows.push({ line, values: values as InputValue[] }); // None of them is a fault: looked for above.
  }
  const rawAt = (row: number): string => rowText(fields, raws[row - start - 1] ?? []);
  return { start, end: start + raws.length, rows, rejects, raw: rawAt };
}

function checked(value: unknown, column: PlannedColumn | undefined): InputValue | Fault {
  return column === undefined ? undefined : valueOf(column.rule, column.column, value, jsonText);
}

function fieldNamed(file: ParquetFile, name: string): ParquetField {
  const field = file.fields.find((one) => one.name === name);
  if (field === undefined) throw new TypeError(`the file has no column ${name}`);
  return field;
}

function rowText(fields: readonly string[], values: readonly unknown[]): string {
  return `{${fields.map((name, i) => `${JSON.stringify(name)}:${jsonText(values[i])}`).join(',')}}`;
}

/** JSON text of a value with every digit: 64-bit integers bare, bytes as base64. */
export function jsonText(value: unknown): string {
  if (value === null || value === undefined) return 'null';
  // NaN and the infinities are no JSON, and must not become null: their text is refused where JSON is wanted.
  if (typeof value === 'bigint' || typeof value === 'number') return String(value);
  if (value instanceof Uint8Array) return JSON.stringify(Buffer.from(value).toString('base64'));
  if (Array.isArray(value)) return `[${value.map(jsonText).join(',')}]`;
  if (typeof value === 'object') {
    return `{${Object.entries(value)
      .map(([name, member]) => `${JSON.stringify(name)}:${jsonText(member)}`)
      .join(',')}}`;
  }
  return JSON.stringify(value);
}
