/**
 * Numbers as files write them → numbers as MySQL will hold them, exactly. What MySQL would round, cut or wrap is a fault here,
 * so that it never gets the chance. `1e+05` and `12.0` are integers; `+7`, `.5` and `5.` are numbers.
 */
import type { Column } from './definition.js';
import { Fault } from './ingestFault.js';

const notANumber = new Fault('type', 'not a number');
const notAnInteger = new Fault('type', 'not an integer');
const negativeUnsigned = new Fault('range', 'negative in an UNSIGNED column');

interface IntegerRange {
  readonly min: bigint;
  readonly max: bigint;
}

const bits: Readonly<Record<string, bigint>> = { tinyint: 8n, smallint: 16n, mediumint: 24n, int: 32n, bigint: 64n };

function integerRange(column: Column): IntegerRange {
  const width = bits[column.type] ?? 64n;
  return column.unsigned
    ? { min: 0n, max: (1n << width) - 1n }
    : { min: -(1n << (width - 1n)), max: (1n << (width - 1n)) - 1n };
}

/** TINYINT … BIGINT. `true` and `false` are 1 and 0 for TINYINT, which is what BOOLEAN means in MySQL. */
export function integerOf(column: Column): (text: string) => number | bigint | Fault {
  const { min, max } = integerRange(column);
  const range = new Fault('range', `${min} to ${max}`);
  const [least, most] = [Number(min), Number(max)];
  const isTiny = column.type === 'tinyint';
  return (text) => {
    const short = shortInteger(text);
    if (!Number.isNaN(short)) return short < least || short > most ? range : short;
    if (isTiny) {
      const truth = truthOf(text);
      if (truth !== undefined) return truth;
    }
    const value = wholeNumber(text);
    if (value instanceof Fault) return value;
    if (value < min || value > max) return range;
    return compact(value);
  };
}

/** BIT(n): its number; BIT(1) also `true` and `false`. */
export function bitOf(column: Column): (text: string) => number | bigint | Fault {
  const width = column.precision ?? 1;
  const max = (1n << BigInt(width)) - 1n;
  const range = new Fault('range', `0 to ${max}`);
  return (text) => {
    if (width === 1) {
      const truth = truthOf(text);
      if (truth !== undefined) return truth;
    }
    const value = wholeNumber(text);
    if (value instanceof Fault) return value;
    return value < 0n || value > max ? range : compact(value);
  };
}

/** YEAR as four digits: `0` as text would be the year 2000 to MySQL. */
export function yearOf(text: string): string | Fault {
  const value = wholeNumber(text);
  if (value instanceof Fault) return value;
  if (value === 0n) return '0000';
  return value < 1901n || value > 2155n ? new Fault('range', '1901 to 2155, or 0') : String(value);
}

/** DECIMAL(p,s) with exactly s decimals. Decimals beyond them are a fault, or rounded half away from zero. */
export function decimalOf(column: Column, round: boolean): (text: string) => string | Fault {
  const scale = column.scale ?? 0;
  const whole = (column.precision ?? 10) - scale;
  const range = new Fault('range', `at most ${whole} digits before the point`);
  const precision = new Fault('precision', `at most ${scale} decimals`);
  return (text) => {
    const parts = partsOf(text);
    if (parts === null) return notANumber;
    let { digits, exponent } = parts;
    const excess = -exponent - scale;
    if (excess > 0) {
      if (!round) return precision;
      digits = roundedDigits(digits, excess);
      exponent = -scale;
      if (digits === '') return fixed('', 0, scale, false);
    }
    if (digits.length + exponent > whole) return range;
    if (parts.negative && column.unsigned && digits !== '') return negativeUnsigned;
    return fixed(digits, exponent, scale, parts.negative);
  };
}

/** FLOAT and DOUBLE as the shortest text of the value that is stored. */
export function floatOf(column: Column, round: boolean): (text: string) => string | Fault {
  const single = column.type === 'float';
  const range = new Fault('range', `not within a ${column.type.toUpperCase()}`);
  const { scale } = column;
  const tooPrecise = new Fault('precision', `at most ${scale ?? 0} decimals`);
  const limit = scale === null ? Infinity : 10 ** ((column.precision ?? 0) - scale);
  return (text) => {
    const trimmed = text.trim();
    if (!numberForm.test(trimmed)) return notANumber;
    const value = Number(trimmed);
    if (!Number.isFinite(single ? Math.fround(value) : value)) return range;
    if (column.unsigned && value < 0) return negativeUnsigned;
    if (scale === null) return doubleText(value);
    const parts = partsOf(trimmed);
    if (!round && parts !== null && -parts.exponent > scale && !isStored(value, scale, single)) return tooPrecise;
    return Math.abs(value) >= limit ? range : doubleText(value);
  };
}

/** A FLOAT(M,D) of 1.101 is 1.1009999513626099: that text, as row JSON has it, loses nothing. */
function isStored(value: number, scale: number, single: boolean): boolean {
  const rounded = Number(value.toFixed(scale));
  return value === (single ? Math.fround(rounded) : rounded);
}

/** JavaScript's shortest text that is the same double; −0 keeps its sign. */
export function doubleText(value: number): string {
  return Object.is(value, -0) ? '-0' : String(value);
}

const numberForm = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,9})?$/;

/** Up to 15 digits, perhaps with a minus: the form nearly every integer has. NaN for every other text. */
function shortInteger(text: string): number {
  const length = text.length;
  if (length === 0 || length > 15) return Number.NaN;
  let at = text.charCodeAt(0) === 0x2d ? 1 : 0;
  if (at === length) return Number.NaN;
  const negative = at === 1;
  let value = 0;
  for (; at < length; at++) {
    const digit = text.charCodeAt(at) - 0x30;
    if (digit < 0 || digit > 9) return Number.NaN;
    value = value * 10 + digit;
  }
  return negative && value !== 0 ? -value : value;
}

function truthOf(text: string): 0 | 1 | undefined {
  switch (text) {
    case 'true':
    case 'TRUE':
    case 'True':
      return 1;
    case 'false':
    case 'FALSE':
    case 'False':
      return 0;
    default:
      return undefined;
  }
}

function wholeNumber(text: string): bigint | Fault {
  const parts = partsOf(text);
  if (parts === null) return notANumber;
  if (parts.exponent < 0) return notAnInteger;
  // Nothing that long fits any column; the digits themselves are never made.
  if (parts.digits.length + parts.exponent > 100) return new Fault('range', 'out of every integer’s range');
  const value = BigInt(parts.digits === '' ? '0' : parts.digits + '0'.repeat(parts.exponent));
  return parts.negative ? -value : value;
}

function compact(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

interface Parts {
  readonly negative: boolean;
  /** Without leading or trailing zeros; empty for zero. */
  readonly digits: string;
  /** The value is digits × 10^exponent; 0 for zero. */
  readonly exponent: number;
}

const decimalForm = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,9}))?$/;

function partsOf(text: string): Parts | null {
  const match = decimalForm.exec(text.trim());
  if (match === null) return null;
  const [, sign = '', whole = '', fraction = '', power = '0'] = match;
  if (whole === '' && fraction === '') return null;
  const all = whole + fraction;
  let start = 0;
  while (all.charCodeAt(start) === 0x30) start++;
  let end = all.length;
  while (end > start && all.charCodeAt(end - 1) === 0x30) end--;
  const digits = all.slice(start, end);
  const exponent = digits === '' ? 0 : Number(power) - fraction.length + (all.length - end);
  return { negative: sign === '-' && digits !== '', digits, exponent };
}

/** The last `excess` digits rounded away; empty when nothing is left. Trailing zeros may appear. */
function roundedDigits(digits: string, excess: number): string {
  if (excess > digits.length) return '';
  const kept = digits.slice(0, digits.length - excess);
  const up = digits.charCodeAt(digits.length - excess) >= 0x35;
  const value = BigInt(kept === '' ? '0' : kept) + (up ? 1n : 0n);
  return value === 0n ? '' : String(value);
}

function fixed(digits: string, exponent: number, scale: number, negative: boolean): string {
  const scaled = digits === '' ? '' : digits + '0'.repeat(exponent + scale);
  const padded = scaled.padStart(scale + 1, '0');
  const whole = padded.slice(0, padded.length - scale);
  const text = scale === 0 ? whole : `${whole}.${padded.slice(padded.length - scale)}`;
  return negative && digits !== '' ? `-${text}` : text;
}
