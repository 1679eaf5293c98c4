/**
 * Text that Unicode does not have: half of a surrogate pair in `ucs2`, a code that a character set leaves open. MySQL cuts the
 * text there, or writes `?` for it: another value than the row's. So row JSON holds its bytes, as an object where every other
 * text is a string: no store takes it for the value, and capture parks its key by it.
 */
import { keyColumns, type Column, type Definition } from './definition.js';
import { isNull, quote } from './jsonScan.js';
import { keyShape, scanKey } from './keyText.js';
import { scanRow } from './rowJson.js';

/** Sets of which every code is a character of Unicode, and no two are the same one (tried: every code of every set). */
const whole =
  /^(?:utf8|utf8mb[34]|utf16|utf16le|utf32|ascii|latin[1257]|cp850|cp852|cp866|keybcs2|koi8[ru]|macce|macroman)$/;
/** ENUM and SET in `binary` show no character set. */
export const binary = 'binary';
const texts = /^(?:(?:var)?char|(?:tiny|medium|long)?text|enum|set)$/;

export function mayBeUndecodable({ type, charset }: Column): boolean {
  return texts.test(type) && !whole.test(charset ?? binary);
}

/** Row JSON of it is this text, its bytes in hex, and `afterBytes`. */
export function beforeBytes(charset: string): string {
  return `{"charset":"${charset}","hex":"`;
}
export const afterBytes = '"}';

interface Places {
  readonly row: readonly number[];
  readonly key: readonly number[];
}

const places = new WeakMap<Definition, Places>();

function placesOf(definition: Definition): Places {
  let found = places.get(definition);
  if (found === undefined) {
    const among = (columns: readonly Column[]): number[] =>
      columns.flatMap((column, i) => (mayBeUndecodable(column) ? [i] : []));
    found = { row: among(definition.columns), key: among(keyColumns(definition)) };
    places.set(definition, found);
  }
  return found;
}

/** The first column of a row whose text Unicode does not have; null where it has them all. */
export function undecodableInRow(definition: Definition, row: Buffer): Column | null {
  const { row: columns } = placesOf(definition);
  if (columns.length === 0) return null;
  const place = firstAmong(columns, row, scanRow(definition, row));
  return place === null ? null : (definition.columns[place] ?? null);
}

/** The same of a key text: there also a text that another key would be read as. */
export function undecodableInKey(definition: Definition, key: Buffer): Column | null {
  const { key: columns } = placesOf(definition);
  if (columns.length === 0) return null;
  const place = firstAmong(columns, key, scanKey(keyShape(definition), key));
  return place === null ? null : (keyColumns(definition)[place] ?? null);
}

function firstAmong(columns: readonly number[], text: Buffer, spans: Int32Array): number | null {
  for (const i of columns) {
    const start = spans[2 * i] ?? 0;
    if (text[start] !== quote && !isNull(text, start)) return i;
  }
  return null;
}

/** For people: never the value. */
export function whyUndecodable({ name, charset }: Column, inKey: boolean): string {
  const also = inKey ? ', or writes another key’s text with other bytes' : '';
  return `column ${name} holds what Unicode has no character for (${charset ?? binary})${also}: no store can hold it unchanged`;
}
