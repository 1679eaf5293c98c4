/**
 * Lines of JSON objects → checked rows and rejects. JSON.parse proves a line; its values are then taken as they stand in the
 * bytes, so that every digit and every JSON text arrives as written.
 */
import { isUtf8 } from 'node:buffer';
import type { PlannedColumn } from '../../core/ingestColumns.js';
import type { InputRow, InputValue, Reject } from '../../core/ingest.js';
import { Fault } from '../../core/ingestFault.js';
import { isWhole, unpaired } from '../../core/ingestJson.js';
import { endOfString, endOfValue, hasEscape, quote, skipSpace, stringAt } from '../../core/jsonScan.js';
import { recordOf, type CheckedRows } from './checkedRows.js';
import { rawText, type Block } from './records.js';

/** The member of every object that a field names → index into the plan's columns; −1 for one that is left out. */
export type Members = ReadonlyMap<string, number>;

const notAnObject = new Fault('json');
const notUtf8 = new Fault('encoding', 'bytes that are not UTF-8');
const nested = new Fault('type', 'an object or array where one value belongs');
const missing = new Fault('missing');

export function ndjsonRows(
  block: Block,
  members: Members,
  columns: readonly PlannedColumn[],
  needed: ReadonlySet<string>,
): CheckedRows {
  const rows: InputRow[] = [];
  const rejects: Reject[] = [];
  for (const [i, line] of block.lines.entries()) {
    const bytes = recordOf(block, i);
    const found = valuesOf(bytes, members, columns, needed);
    if ('values' in found) rows.push({ line, values: found.values });
    else {
      const { reason, detail } = found.fault;
      rejects.push({ line, reason, column: found.column, detail, raw: rawText(bytes) });
    }
  }
  return { rows, rejects };
}

type Found = { readonly values: readonly InputValue[] } | { readonly fault: Fault; readonly column: string | null };

function valuesOf(
  bytes: Buffer,
  members: Members,
  columns: readonly PlannedColumn[],
  needed: ReadonlySet<string>,
): Found {
  if (!isUtf8(bytes)) return { fault: notUtf8, column: null };
  if (!isObject(bytes.toString('utf8'))) return { fault: notAnObject, column: null };
  const values: InputValue[] = columns.map(() => undefined);
  for (const [name, start, end] of membersOf(bytes)) {
    const index = members.get(name) ?? members.get(name.toLowerCase());
    if (index === undefined) return { fault: new Fault('unknown-column', name.slice(0, 200)), column: null };
    if (index === -1) continue;
    const column = columns[index];
    if (column === undefined) continue;
    const value = valueOfToken(column, bytes, start, end);
    if (value instanceof Fault) return { fault: value, column: column.column.name };
    values[index] = value;
  }
  for (const [i, { column }] of columns.entries()) {
    if (values[i] === undefined && needed.has(column.name)) return { fault: missing, column: column.name };
  }
  return { values };
}

export function isObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

/** Name, start and end of each member of a valid object, in its order; of two with one name the later counts. */
export function* membersOf(bytes: Buffer): Generator<readonly [string, number, number]> {
  let at = skipSpace(bytes, skipSpace(bytes, 0) + 1);
  while (bytes[at] === quote) {
    const nameEnd = endOfString(bytes, at, bytes.length);
    const name = stringAt(bytes, at, nameEnd);
    const start = skipSpace(bytes, skipSpace(bytes, nameEnd) + 1);
    const end = endOfValue(bytes, start, bytes.length);
    yield [name, start, end];
    at = skipSpace(bytes, skipSpace(bytes, end) + 1);
  }
}

export interface Token {
  readonly name: string;
  readonly text: string;
  readonly written: 'null' | 'truth' | 'number' | 'text' | 'nested';
}

/** What a line says, member by member; nothing for a line that is no JSON object. */
export function* tokensOf(bytes: Buffer): Generator<Token> {
  if (!isUtf8(bytes) || !isObject(bytes.toString('utf8'))) return;
  for (const [name, start, end] of membersOf(bytes)) {
    const first = bytes[start];
    if (first === quote) yield { name, text: stringAt(bytes, start, end), written: 'text' };
    else yield { name, text: bytes.toString('utf8', start, end), written: kindOf(first) };
  }
}

function kindOf(first: number | undefined): Token['written'] {
  if (first === 0x6e) return 'null';
  if (first === 0x7b || first === 0x5b) return 'nested';
  return first === 0x74 || first === 0x66 ? 'truth' : 'number';
}

function valueOfToken({ column, rule }: PlannedColumn, bytes: Buffer, start: number, end: number): InputValue | Fault {
  const first = bytes[start];
  if (first === 0x6e) return rule.ofNull();
  if (rule.isJson) return rule.ofText(bytes.toString('utf8', start, end));
  if (first === quote) return ofString(rule.ofText, bytes, start, end);
  if (first !== 0x7b && first !== 0x5b) return rule.ofText(bytes.toString('latin1', start, end));
  const text = bytes.toString('utf8', start, end);
  if (column.type === 'set') return ofList(rule.ofText, JSON.parse(text));
  return /vector|geom|point|linestring|polygon/.test(column.type) ? rule.ofText(text) : nested;
}

/** The bytes are UTF-8, so only an escape can make half of a pair. */
function ofString(
  ofText: (text: string) => InputValue | Fault,
  bytes: Buffer,
  start: number,
  end: number,
): InputValue | Fault {
  if (!hasEscape(bytes, start, end)) return ofText(bytes.toString('utf8', start + 1, end - 1));
  const text = stringAt(bytes, start, end);
  return isWhole(text) ? ofText(text) : unpaired;
}

/** A SET as an array of its members, as MongoDB has it. */
function ofList(ofText: (text: string) => InputValue | Fault, list: unknown): InputValue | Fault {
  if (!Array.isArray(list)) return nested;
  const members: string[] = [];
  for (const member of list) {
    if (typeof member !== 'string' || member.includes(',')) return nested;
    members.push(member);
  }
  return ofText(members.join(','));
}
