/**
 * Number tokens of row JSON → BSON numbers. Each function writes the value and returns its type. Every branch keeps the
 * exact value; none goes through a rounding parser.
 */
import { malformed } from '../../core/jsonScan.js';
import { bsonType, type BsonWriter } from './bsonWriter.js';
import { writeDecimal128 } from './decimal128.js';

const maxInt64 = 2n ** 63n - 1n;
const minInt64 = -(2n ** 63n);
const powersOfTen = Float64Array.from({ length: 23 }, (_, i) => 10 ** i);

/** The integer between these bytes, or NaN when a double cannot hold it exactly. */
export function smallInteger(text: Uint8Array, start: number, end: number): number {
  const negative = text[start] === 0x2d;
  const first = negative ? start + 1 : start;
  if (end - first > 15 || end === first) return Number.NaN;
  let value = 0;
  for (let i = first; i < end; i++) {
    const digit = (text[i] ?? 0) - 0x30;
    if (digit < 0 || digit > 9) return Number.NaN;
    value = value * 10 + digit;
  }
  return negative ? -value : value;
}

export function writeInt32(w: BsonWriter, text: Uint8Array, start: number, end: number): number {
  const value = smallInteger(text, start, end);
  if ((value | 0) !== value) throw malformed('an integer is out of its range');
  w.int32(value);
  return bsonType.int32;
}

/** Long; above 2^63 − 1 Decimal128. */
export function writeInt64(w: BsonWriter, text: Uint8Array, start: number, end: number): number {
  const value = smallInteger(text, start, end);
  if (!Number.isNaN(value)) {
    w.int64(value);
    return bsonType.int64;
  }
  const exact = wholeNumber(text, start, end);
  if (exact <= maxInt64 && exact >= minInt64) {
    w.bigInt64(exact);
    return bsonType.int64;
  }
  if (!writeDecimal128(w, text, start, end)) throw malformed('an integer is out of its range');
  return bsonType.decimal128;
}

export function writeDouble(w: BsonWriter, text: Uint8Array, start: number, end: number): number {
  w.double(toDouble(text, start, end));
  return bsonType.double;
}

/** At most 15 digits over a power of ten up to 10^22 are two exact doubles, and one division rounds once: no text needed. */
export function toDouble(text: Uint8Array, start: number, end: number): number {
  const negative = text[start] === 0x2d;
  let digits = 0;
  let scale = 0;
  let value = 0;
  let point = false;
  for (let i = negative ? start + 1 : start; i < end; i++) {
    const c = text[i] ?? 0;
    if (c === 0x2e && !point) point = true;
    else if (c >= 0x30 && c <= 0x39) {
      value = value * 10 + (c - 0x30);
      digits++;
      if (point) scale++;
    } else return parsed(text, start, end);
    if (digits > 15) return parsed(text, start, end);
  }
  if (digits === 0) return parsed(text, start, end);
  const exact = value / (powersOfTen[scale] ?? 1);
  return negative ? -exact : exact;
}

/**
 * A number inside a JSON column: Int32, Long or Decimal128 for integers; Double when its shortest text is the same
 * number, else Decimal128 (SQL decimals inside JSON), else, beyond 34 digits, the text as a String.
 */
export function writeJsonNumber(w: BsonWriter, text: Uint8Array, start: number, end: number): number {
  if (isInteger(text, start, end)) {
    const value = smallInteger(text, start, end);
    // JSON holds no −0 among its integers: MySQL prints the double as -0.0.
    if ((value | 0) === value) return writeInt32(w, text, start, end);
    if (end - start <= 18) return writeInt64(w, text, start, end);
    const exact = wholeNumber(text, start, end);
    if (exact <= maxInt64 && exact >= minInt64) return writeInt64(w, text, start, end);
  } else if (isExactDouble(text, start, end)) return writeDouble(w, text, start, end);
  if (writeDecimal128(w, text, start, end)) return bsonType.decimal128;
  w.utf8(text, start, end);
  return bsonType.string;
}

/** Whether the double nearest to this text is shown, at its shortest, as the same number. */
function isExactDouble(text: Uint8Array, start: number, end: number): boolean {
  const shown = latin1(text, start, end);
  if (end - start <= 16 && !shown.includes('e') && !shown.includes('E')) return true;
  const value = Number(shown);
  return Number.isFinite(value) && significand(String(Math.abs(value))) === significand(shown.replace(/^-/, ''));
}

/** `123e-2`, `1.23` and `1.230` all become `123e-2`. */
function significand(text: string): string {
  const match = /^(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text);
  if (match === null) throw malformed('a number was expected');
  const fraction = match[2] ?? '';
  const digits = `${match[1] ?? ''}${fraction}`.replace(/^0+/, '');
  const stripped = digits.replace(/0+$/, '');
  if (stripped === '') return '0';
  return `${stripped}e${Number(match[3] ?? 0) - fraction.length + digits.length - stripped.length}`;
}

function isInteger(text: Uint8Array, start: number, end: number): boolean {
  for (let i = text[start] === 0x2d ? start + 1 : start; i < end; i++) {
    const c = text[i] ?? 0;
    if (c < 0x30 || c > 0x39) return false;
  }
  return true;
}

function wholeNumber(text: Uint8Array, start: number, end: number): bigint {
  const shown = latin1(text, start, end);
  if (!/^-?\d+$/.test(shown)) throw malformed('an integer was expected');
  return BigInt(shown);
}

function parsed(text: Uint8Array, start: number, end: number): number {
  const value = Number(latin1(text, start, end));
  if (Number.isNaN(value) || end === start) throw malformed('a number was expected');
  return value;
}

function latin1(text: Uint8Array, start: number, end: number): string {
  return Buffer.from(text.buffer, text.byteOffset + start, end - start).toString('latin1');
}
