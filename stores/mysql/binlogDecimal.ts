/** DECIMAL as MySQL stores it: nine digits in four bytes, big-endian, the sign in the first bit, negatives inverted. Pure. */
import { decimalBytes } from './binlogTableMap.js';

const bytesOfDigits = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4];

export function decodeDecimal(buffer: Buffer, start: number, precision: number, scale: number): string {
  const bytes = Buffer.from(buffer.subarray(start, start + decimalBytes(precision, scale)));
  const negative = ((bytes[0] ?? 0) & 0x80) === 0;
  bytes[0] = (bytes[0] ?? 0) ^ 0x80;
  if (negative) for (let i = 0; i < bytes.length; i++) bytes[i] = (bytes[i] ?? 0) ^ 0xff;

  let at = 0;
  const group = (digits: number): string => {
    const width = bytesOfDigits[digits] ?? 0;
    const value = width === 0 ? '' : String(bytes.readUIntBE(at, width)).padStart(digits, '0');
    at += width;
    return value;
  };
  const whole = precision - scale;
  let integer = group(whole % 9);
  for (let left = Math.floor(whole / 9); left > 0; left--) integer += group(9);
  let fraction = '';
  for (let left = Math.floor(scale / 9); left > 0; left--) fraction += group(9);
  fraction += group(scale % 9);
  const digits = integer.replace(/^0+(?=\d)/, '') || '0';
  return `${negative ? '-' : ''}${digits}${scale === 0 ? '' : `.${fraction}`}`;
}
