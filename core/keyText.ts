/** Key text `{"pk1":…}` taken apart: each part as it stands in row JSON, strings unquoted. */
import { keyColumns, type Column, type Definition } from './definition.js';
import { nameBytes, openBrace, quote, scanMembers, stringAt } from './jsonScan.js';

export interface KeyShape {
  readonly names: readonly Buffer[];
  readonly spans: Int32Array;
  /** `{"pk1":` of a single-column key. */
  readonly head: Buffer | null;
}

const shapes = new WeakMap<Definition, KeyShape>();

export function keyShape(definition: Definition): KeyShape {
  let shape = shapes.get(definition);
  if (shape === undefined) {
    const names = definition.key.map(nameBytes);
    const [only] = names;
    const head =
      names.length === 1 && only !== undefined ? Buffer.concat([Buffer.from('{'), only, Buffer.from(':')]) : null;
    shape = { names, spans: new Int32Array(names.length * 2), head };
    shapes.set(definition, shape);
  }
  return shape;
}

export function keyParts(definition: Definition, key: Buffer): string[] {
  const { names, spans, head } = keyShape(definition);
  if (head !== null) {
    const first = key[head.length] ?? 0;
    // A number: what stands between the head and the closing brace. Strings may hold anything, so they are scanned.
    const isNumber = (first >= 0x30 && first <= 0x39) || first === 0x2d;
    if (isNumber && key[key.length - 1] === 0x7d && key.compare(head, 0, head.length, 0, head.length) === 0) {
      return [key.toString('latin1', head.length, key.length - 1)];
    }
  }
  scanMembers(key, 0, key.length, names, spans);
  return names.map((_, i) => {
    const [start, end] = [spans[2 * i] ?? 0, spans[2 * i + 1] ?? 0];
    if (key[start] === quote) return stringAt(key, start, end);
    const bare = key.toString('latin1', start, end);
    return key[start] === openBrace ? noText + bare : bare;
  });
}

/** Spans of the parts of a key text. */
export function scanKey({ names, spans }: KeyShape, key: Buffer): Int32Array {
  scanMembers(key, 0, key.length, names, spans);
  return spans;
}

/** Stands before a part that is bytes (undecodable.ts): half of a surrogate pair, with which no text of a key begins. */
const noText = '\ud800';

/** The bytes in hex of a part that stands for text that Unicode does not have; null for every other part. */
export function bytesOfPart(part: string): string | null {
  return part.startsWith(noText) ? (/"hex":"([0-9A-F]*)"\}$/.exec(part)?.[1] ?? null) : null;
}

/** Types whose key part stands bare in key text; all others are JSON strings. */
function isBare(column: Column): boolean {
  if (column.form === 'int64-string') return false;
  switch (column.type) {
    case 'tinyint':
    case 'smallint':
    case 'mediumint':
    case 'int':
    case 'bigint':
    case 'year':
    case 'float':
    case 'double':
    case 'bit':
      return true;
    default:
      return false;
  }
}

const bareForm = /^(?:-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?|true|false)$/;

/** Whether a text that was made from something found in a store can be a key of this definition. */
export function isKeyText(definition: Definition, key: string): boolean {
  let parts: readonly string[];
  try {
    parts = keyParts(definition, Buffer.from(key));
  } catch {
    // No JSON object, or one without these names.
    return false;
  }
  return keyColumns(definition).every((column, i) => !isBare(column) || bareForm.test(parts[i] ?? ''));
}

/** The way back: parts as `keyParts` gives them → key text. */
export function keyTextOf(definition: Definition, parts: readonly string[]): string {
  const members = keyColumns(definition).map((column, i) => {
    const part = parts[i] ?? '';
    const text = part.startsWith(noText) ? part.slice(noText.length) : isBare(column) ? part : JSON.stringify(part);
    return `${JSON.stringify(column.name)}:${text}`;
  });
  return `{${members.join(',')}}`;
}
