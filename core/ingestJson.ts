/**
 * JSON values: whether MySQL can hold one exactly, and a canonical text that a value and MySQL's print of it share. MySQL sorts
 * members, keeps the last of two with one name, and holds a number as a 64-bit integer where it is one, else as a double.
 */
import { Fault } from './ingestFault.js';
import { doubleText } from './ingestNumbers.js';

const notJson = new Fault('type', 'not JSON');
const tooDeep = new Fault('range', 'JSON nested more than 100 deep');
export const unpaired = new Fault('encoding', 'half of a surrogate pair');
const tooExact = new Fault('range', 'an integer beyond 64 bits, or a number that a double rounds');

/** Text that may hold an integer which a double rounds. Digits within strings are looked at more closely, nothing else. */
const longDigits = /\d{16}/;

/** Text that may hold any number which a double rounds: 15 digits it keeps, except near its ends, which are at e308 and e-308. */
const roundable = /[\d.]{16}|\d[eE][+-]?\d{3}/;

export function jsonFault(text: string): Fault | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return notJson;
  }
  if (typeof value === 'object' && value !== null && deeper(value, 100)) return tooDeep;
  if (text.includes('\\u') && !textsWhole(value)) return unpaired;
  if (roundable.test(text) && !numbersOf(text).every(isHeld)) return tooExact;
  return undefined;
}

function deeper(value: object, levels: number): boolean {
  if (levels === 0) return true;
  for (const member of Object.values(value) as unknown[]) {
    if (typeof member === 'object' && member !== null && deeper(member, levels - 1)) return true;
  }
  return false;
}

const half = /\p{Surrogate}/u;

/** Half of a surrogate pair is no character: MySQL would be sent U+FFFD in its place. */
export function isWhole(text: string): boolean {
  return !half.test(text);
}

function textsWhole(value: unknown): boolean {
  if (typeof value === 'string') return isWhole(value);
  if (typeof value !== 'object' || value === null) return true;
  return Object.entries(value).every(([name, member]) => isWhole(name) && textsWhole(member));
}

/** Tokens of valid JSON: strings whole, then numbers. */
const tokens = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

function numbersOf(text: string): string[] {
  return (text.match(tokens) ?? []).filter((token) => !token.startsWith('"'));
}

const [least, most] = [-(2n ** 63n), 2n ** 64n - 1n];

function isHeld(token: string): boolean {
  const value = Number(token);
  if (!Number.isFinite(value)) return false;
  if (!/^-?\d+$/.test(token)) return isKept(token, value);
  const integer = BigInt(token);
  return (integer >= least && integer <= most) || BigInt(value) === integer;
}

/**
 * Whether the double still says what the token says: as its shortest text does, or as its own digits to the token's length, which
 * is how printf writes one (`0.10000000000000001` is 0.1). 100 is the most that `toPrecision` gives.
 */
function isKept(token: string, value: number): boolean {
  const { digits, exponent } = decimalOf(token);
  if (value === 0 || digits === '') return digits === '';
  const says = (text: string): boolean => {
    const other = decimalOf(text);
    return other.digits === digits && other.exponent === exponent;
  };
  return says(String(value)) || says(value.toPrecision(Math.min(digits.length, 100)));
}

/** Digits without zeros at either end, none for zero; the value is ±digits × 10^exponent. */
function decimalOf(token: string): { readonly digits: string; readonly exponent: number } {
  const [, whole = '', fraction = '', power = '0'] = /^-?(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(token) ?? [];
  const all = whole + fraction;
  let start = 0;
  while (all.charCodeAt(start) === 0x30) start++;
  let end = all.length;
  while (end > start && all.charCodeAt(end - 1) === 0x30) end--;
  return { digits: all.slice(start, end), exponent: Number(power) - fraction.length + (all.length - end) };
}

/** One text for all JSON texts of one value: members sorted, numbers by value. */
export function canonicalJson(text: string): string {
  return canonical(JSON.parse(longDigits.test(text) ? withExactIntegers(text) : text));
}

/** Marks a number that stands as a string; no JSON text of ours begins a string with it. */
const mark = '\0#';

/** Integers that a double would round become marked strings, so that JSON.parse keeps their digits. */
function withExactIntegers(text: string): string {
  return text.replaceAll(tokens, (token) => {
    if (token.startsWith('"') || !/^-?\d{16,}$/.test(token)) return token;
    return JSON.stringify(`${mark}${BigInt(token)}`);
  });
}

function canonical(value: unknown): string {
  if (typeof value === 'string') return value.startsWith(mark) ? value.slice(mark.length) : JSON.stringify(value);
  if (typeof value === 'number') return canonicalNumber(value);
  if (value === null || typeof value === 'boolean') return String(value);
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  const members = value as Record<string, unknown>;
  const names = sorted(Object.keys(members));
  return `{${names.map((name) => `${JSON.stringify(name)}:${canonical(members[name])}`).join(',')}}`;
}

/** In place. The built-in sort takes over a kilobyte for itself each time, for a few names of every row. */
function sorted(names: string[]): string[] {
  if (names.length > 16) return names.sort();
  for (let i = 1; i < names.length; i++) {
    const name = names[i] ?? '';
    let at = i;
    for (let before = names[at - 1]; before !== undefined && before > name; before = names[at - 1])
      names[at--] = before;
    names[at] = name;
  }
  return names;
}

/** `1.0` and `1` are one number; so are the two forms of a large one. −0 is 0: MySQL has it as an integer. */
function canonicalNumber(value: number): string {
  if (value === 0) return '0';
  return Number.isInteger(value) ? String(BigInt(value)) : doubleText(value);
}
