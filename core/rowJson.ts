/**
 * Row JSON taken apart by its definition: columns by position, values as spans of bytes, so that every digit survives.
 * Also the one place where row JSON is not what SQL wrote: a VECTOR comes as base64 and becomes an array of numbers.
 */
import type { Column, Definition } from './definition.js';
import { isNull, malformed, nameBytes, quote, scanMembers, skipSpace, stringAt, textAt } from './jsonScan.js';

export interface RowShape {
  readonly names: readonly Buffer[];
  /** Start and end of each column's value in the row scanned last; overwritten by the next. */
  readonly spans: Int32Array;
  readonly vectors: readonly number[];
}

const shapes = new WeakMap<Definition, RowShape>();

export function rowShape(definition: Definition): RowShape {
  let shape = shapes.get(definition);
  if (shape === undefined) {
    const names = definition.columns.map((c) => nameBytes(c.name));
    const vectors = definition.columns.flatMap((c, i) => (c.type === 'vector' ? [i] : []));
    shape = { names, spans: new Int32Array(names.length * 2), vectors };
    shapes.set(definition, shape);
  }
  return shape;
}

/** Spans of every column's value: use them before the next row of the same definition is scanned. */
export function scanRow(definition: Definition, row: Uint8Array): Int32Array {
  const { names, spans } = rowShape(definition);
  const stop = scanMembers(row, 0, row.length, names, spans);
  if (skipSpace(row, stop) !== row.length) throw malformed('there is text after it');
  return spans;
}

/**
 * A column's text outside JSON: strings unquoted; numbers, booleans, arrays, objects and JSON columns as their JSON text;
 * null for NULL.
 */
export function columnText(column: Column, row: Uint8Array, start: number, end: number): string | null {
  if (isNull(row, start)) return null;
  const isJson = column.type === 'json' && column.form !== 'json-string';
  if (row[start] === quote && !isJson) return stringAt(row, start, end);
  return textAt(row, start, end);
}

/** Row JSON as SQL wrote it → as everyone reads it. The same buffer for a definition without VECTOR. */
export function finishRowJson(definition: Definition, row: Buffer): Buffer {
  const { vectors } = rowShape(definition);
  if (vectors.length === 0) return row;
  const spans = scanRow(definition, row);
  const pieces: Buffer[] = [];
  let copied = 0;
  for (const i of vectors) {
    const [start, end] = [spans[2 * i] ?? 0, spans[2 * i + 1] ?? 0];
    if (row[start] !== quote) continue;
    pieces.push(row.subarray(copied, start), Buffer.from(vectorText(row.toString('latin1', start + 1, end - 1))));
    copied = end;
  }
  if (copied === 0) return row;
  pieces.push(row.subarray(copied));
  return Buffer.concat(pieces);
}

/** Little-endian float32 in base64 → `[0.1,-3,…]`, each number the shortest text that is the exact float32 value. */
export function vectorText(base64: string): string {
  const bytes = Buffer.from(base64, 'base64');
  const numbers: string[] = [];
  for (let at = 0; at + 4 <= bytes.length; at += 4) numbers.push(doubleText(bytes.readFloatLE(at)));
  return `[${numbers.join(',')}]`;
}

/** JavaScript's shortest text of a double parses back to exactly it; −0 keeps its sign. */
function doubleText(value: number): string {
  if (!Number.isFinite(value)) throw malformed('a vector holds a value that is no number');
  return Object.is(value, -0) ? '-0' : String(value);
}
