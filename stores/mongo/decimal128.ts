/**
 * Decimal text → Decimal128, exactly or not at all. The server's and the driver's own parsers round or throw; here a
 * caller learns that 34 digits do not suffice and can choose another type.
 */
import type { BsonWriter } from './bsonWriter.js';

const bias = 6176;
const maxExponent = 6111;
const maxDigits = 34;
const twoTo32 = 2 ** 32;

/** Writes the sixteen bytes; false, with nothing written, for a value that Decimal128 cannot hold exactly. */
export function writeDecimal128(w: BsonWriter, text: Uint8Array, start: number, end: number): boolean {
  let at = start;
  const negative = text[at] === 0x2d;
  if (negative || text[at] === 0x2b) at++;
  let coefficient = 0;
  let digits = 0;
  let exponent = 0;
  let afterPoint = false;
  const firstDigit = at;
  for (; at < end; at++) {
    const c = text[at] ?? 0;
    if (c === 0x2e) afterPoint = true;
    else if (c >= 0x30 && c <= 0x39) {
      if (digits > 0 || c > 0x30) {
        digits++;
        coefficient = coefficient * 10 + (c - 0x30);
      }
      if (afterPoint) exponent--;
    } else break;
  }
  if (digits <= 15 && at === end && exponent >= -bias) {
    writeParts(w, negative, exponent, coefficient % twoTo32, Math.floor(coefficient / twoTo32), 0, 0);
    return true;
  }
  const mantissa = latin1(text, firstDigit, at).replace('.', '');
  const scientific = at < end ? Number(latin1(text, at + 1, end)) : 0;
  return writeLong(w, negative, mantissa.replace(/^0+/, ''), exponent + scientific);
}

function writeLong(w: BsonWriter, negative: boolean, significant: string, scale: number): boolean {
  let digits = significant === '' ? '0' : significant;
  let exponent = scale;
  // Zeros at the end may go, and come, as long as the value stays: 1e6112 is 10e6111.
  while ((digits.length > maxDigits || exponent < -bias) && digits.length > 1 && digits.endsWith('0')) {
    digits = digits.slice(0, -1);
    exponent++;
  }
  if (digits === '0') exponent = Math.min(Math.max(exponent, -bias), maxExponent);
  while (exponent > maxExponent && digits.length < maxDigits) {
    digits += '0';
    exponent--;
  }
  if (digits.length > maxDigits || exponent < -bias || exponent > maxExponent) return false;
  const value = BigInt(digits);
  const part = (shift: bigint): number => Number((value >> shift) & 0xffffffffn);
  writeParts(w, negative, exponent, part(0n), part(32n), part(64n), part(96n));
  return true;
}

/** Four 32-bit parts of the coefficient, lowest first; 34 digits need 113 bits, so the exponent has its 15 for itself. */
function writeParts(
  w: BsonWriter,
  negative: boolean,
  exponent: number,
  a: number,
  b: number,
  c: number,
  d: number,
): void {
  w.int32(a);
  w.int32(b);
  w.int32(c);
  w.int32(d | ((exponent + bias) << 17) | (negative ? 0x80000000 : 0));
}

function latin1(text: Uint8Array, start: number, end: number): string {
  return Buffer.from(text.buffer, text.byteOffset + start, end - start).toString('latin1');
}

/** The value of sixteen bytes with `scale` decimals, as MySQL prints a DECIMAL; exact where it has no more of them. */
export function decimalText(bytes: Uint8Array, scale: number): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, 16);
  const high = view.getBigUint64(8, true);
  const coefficient = ((high & 0x1ffffffffffffn) << 64n) | view.getBigUint64(0, true);
  const exponent = Number((high >> 49n) & 0x3fffn) - bias;
  const shift = exponent + scale;
  const scaled = shift >= 0 ? coefficient * 10n ** BigInt(shift) : coefficient / 10n ** BigInt(-shift);
  const digits = scaled.toString().padStart(scale + 1, '0');
  const sign = (high & 0x8000000000000000n) === 0n ? '' : '-';
  const whole = digits.slice(0, digits.length - scale);
  return scale === 0 ? sign + whole : `${sign}${whole}.${digits.slice(-scale)}`;
}
