/**
 * Finds values in JSON text without parsing it: a value is a span of bytes, so no digit is ever rounded and a text that
 * is only copied is only copied. Trusts that MySQL wrote well-formed JSON; a text that ends too early is refused.
 */
import { LockstepError } from './errors.js';

export const quote = 0x22;
export const backslash = 0x5c;
const comma = 0x2c;
const colon = 0x3a;
export const openBrace = 0x7b;
const closeBrace = 0x7d;
const openBracket = 0x5b;
const closeBracket = 0x5d;

export function malformed(what: string): LockstepError {
  return new LockstepError('LS-ROW-JSON', `row JSON cannot be read: ${what}`);
}

/** First byte at or after `at` that is no white space. */
export function skipSpace(text: Uint8Array, at: number): number {
  let i = at;
  for (let c = text[i]; c === 0x20 || c === 0x0a || c === 0x0d || c === 0x09; c = text[++i]);
  return i;
}

/** The byte after a string whose opening quote stands at `at`. */
export function endOfString(text: Uint8Array, at: number, end: number): number {
  for (let i = at + 1; i < end; i++) {
    const c = text[i];
    if (c === quote) return i + 1;
    if (c === backslash) i++;
  }
  throw malformed('a string has no end');
}

/** The byte after the value that begins at `at`. */
export function endOfValue(text: Uint8Array, at: number, end: number): number {
  const c = text[at];
  if (c === quote) return endOfString(text, at, end);
  if (c === openBrace || c === openBracket) return endOfNested(text, at, end);
  let i = at;
  while (i < end) {
    const d = text[i] ?? 0;
    if (d === comma || d === closeBrace || d === closeBracket || d <= 0x20) break;
    i++;
  }
  if (i === at || i > end) throw malformed('a value is missing');
  return i;
}

function endOfNested(text: Uint8Array, at: number, end: number): number {
  let depth = 0;
  for (let i = at; i < end; i++) {
    const c = text[i];
    if (c === quote) i = endOfString(text, i, end) - 1;
    else if (c === openBrace || c === openBracket) depth++;
    else if ((c === closeBrace || c === closeBracket) && --depth === 0) return i + 1;
  }
  throw malformed('an object or array has no end');
}

/**
 * Spans of the values of an object whose members are exactly `names`, in that order: start and end of value i at
 * spans[2i] and spans[2i+1]. Names are given as they stand in the text, quotes included. Returns the byte after the object.
 */
export function scanMembers(
  text: Uint8Array,
  start: number,
  end: number,
  names: readonly Uint8Array[],
  spans: Int32Array,
): number {
  if (text[start] !== openBrace) throw malformed('it is not an object');
  let at = start + 1;
  for (let i = 0; i < names.length; i++) {
    at = afterName(text, at, end, names[i]);
    const stop = endOfValue(text, at, end);
    spans[2 * i] = at;
    spans[2 * i + 1] = stop;
    at = text[stop] === comma || text[stop] === closeBrace ? stop : skipSpace(text, stop);
    if (text[at] !== (i === names.length - 1 ? closeBrace : comma))
      throw malformed('its columns are not those expected');
    at++;
  }
  return at;
}

function afterName(text: Uint8Array, at: number, end: number, name: Uint8Array | undefined): number {
  if (name === undefined) throw malformed('it has too many columns');
  let from = text[at] === quote ? at : skipSpace(text, at);
  if (!startsWith(text, from, name)) {
    const stop = text[from] === quote ? endOfString(text, from, end) : from;
    if (stringAt(text, from, stop) !== stringAt(name, 0, name.length)) {
      throw malformed('its columns are not those of its definition');
    }
    from = stop;
  } else from += name.length;
  if (text[from] !== colon) from = skipSpace(text, from);
  if (text[from] !== colon) throw malformed('a column has no value');
  from++;
  return (text[from] ?? 0) > 0x20 ? from : skipSpace(text, from);
}

function startsWith(text: Uint8Array, at: number, part: Uint8Array): boolean {
  for (let i = 0; i < part.length; i++) if (text[at + i] !== part[i]) return false;
  return true;
}

/** Whether the string token between these bytes (quotes included) has an escape. */
export function hasEscape(text: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (text[i] === backslash) return true;
  return false;
}

/** The text of the bytes as they stand. */
export function textAt(text: Uint8Array, start: number, end: number): string {
  return asBuffer(text).toString('utf8', start, end);
}

/** The value of the string token between these bytes, quotes included. */
export function stringAt(text: Uint8Array, start: number, end: number): string {
  if (text[start] !== quote || end - start < 2) throw malformed('a string was expected');
  if (!hasEscape(text, start, end)) return asBuffer(text).toString('utf8', start + 1, end - 1);
  return JSON.parse(asBuffer(text).toString('utf8', start, end)) as string;
}

export function isNull(text: Uint8Array, start: number): boolean {
  return text[start] === 0x6e;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The bytes of a member's name as they stand in row JSON, quotes included. */
export function nameBytes(name: string): Buffer {
  return Buffer.from(JSON.stringify(name));
}
