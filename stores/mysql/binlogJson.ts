/**
 * Two JSON values as MySQL stores them: whether their texts are the same. One value has many stored forms (small and large
 * containers, gaps that an update in place left, integers of several widths), and one text. Pure. Format: sql-common/json_binary.h.
 */
import { decodeDecimal } from './binlogDecimal.js';
import { columnTypes } from './binlogTableMap.js';

/** `unknown`: only MySQL can tell. */
export type Alike = 'same' | 'different' | 'unknown';

/** What lies behind a value's type byte, or in the entry that names it. */
interface StoredValue {
  readonly type: number;
  readonly at: number;
}

const kind = {
  smallObject: 0,
  largeObject: 1,
  smallArray: 2,
  largeArray: 3,
  literal: 4,
  int16: 5,
  uint16: 6,
  int32: 7,
  uint32: 8,
  int64: 9,
  uint64: 10,
  double: 11,
  string: 12,
  opaque: 15,
} as const;

/** Each from its type byte to its end. No byte at all is null: what a column takes that was given nothing. */
export function compareJson(buffer: Buffer, a: number, aEnd: number, b: number, bEnd: number): Alike {
  if (aEnd - a === bEnd - b && buffer.compare(buffer, a, aEnd, b, bEnd) === 0) return 'same';
  if (a === aEnd) return sameIf(isJsonNull(buffer, b, bEnd));
  if (b === bEnd) return sameIf(isJsonNull(buffer, a, aEnd));
  return compare(buffer, { type: buffer[a] ?? 0, at: a + 1 }, { type: buffer[b] ?? 0, at: b + 1 });
}

export function isJsonNull(buffer: Buffer, at: number, end: number): boolean {
  return at === end || (end - at === 2 && buffer[at] === kind.literal && buffer[at + 1] === 0);
}

function compare(buffer: Buffer, a: StoredValue, b: StoredValue): Alike {
  if (isContainer(a) || isContainer(b)) return compareContainers(buffer, a, b);
  if (isInteger(a) && isInteger(b)) return sameIf(integerAt(buffer, a) === integerAt(buffer, b));
  if (a.type === kind.opaque || b.type === kind.opaque) return compareOpaque(buffer, a, b);
  if (a.type !== b.type) return 'different';
  switch (a.type) {
    case kind.literal:
      return sameIf(buffer[a.at] === buffer[b.at]);
    case kind.double:
      return sameIf(buffer.compare(buffer, a.at, a.at + 8, b.at, b.at + 8) === 0);
    case kind.string:
      return sameIf(isSameText(buffer, a.at, b.at));
    default:
      return 'unknown';
  }
}

function sameIf(condition: boolean): Alike {
  return condition ? 'same' : 'different';
}

function isContainer({ type }: StoredValue): boolean {
  return type <= kind.largeArray;
}

function isObject({ type }: StoredValue): boolean {
  return type <= kind.largeObject;
}

/** Keys stand in one order, each once, so that equal objects are equal member by member. */
function compareContainers(buffer: Buffer, a: StoredValue, b: StoredValue): Alike {
  if (!isContainer(a) || !isContainer(b) || isObject(a) !== isObject(b)) return 'different';
  const [first, second] = [new Container(buffer, a), new Container(buffer, b)];
  if (first.count !== second.count) return 'different';
  let found: Alike = 'same';
  for (let i = 0; i < first.count; i++) {
    if (isObject(a) && !first.hasKeyOf(i, second)) return 'different';
    const values = compare(buffer, first.value(i), second.value(i));
    if (values === 'different') return values;
    if (values === 'unknown') found = values;
  }
  return found;
}

/** Count, size, an object's keys (place, two bytes of length), values (type, place or the value itself). */
class Container {
  readonly count: number;
  readonly #buffer: Buffer;
  readonly #at: number;
  /** Bytes of a place. */
  readonly #width: 2 | 4;
  readonly #keysAt: number;
  readonly #valuesAt: number;

  constructor(buffer: Buffer, value: StoredValue) {
    this.#buffer = buffer;
    this.#at = value.at;
    this.#width = value.type === kind.smallObject || value.type === kind.smallArray ? 2 : 4;
    this.count = this.#number(value.at);
    this.#keysAt = value.at + 2 * this.#width;
    this.#valuesAt = this.#keysAt + (isObject(value) ? this.count * (this.#width + 2) : 0);
  }

  hasKeyOf(i: number, other: Container): boolean {
    const [at, end] = this.#key(i);
    const [otherAt, otherEnd] = other.#key(i);
    return end - at === otherEnd - otherAt && this.#buffer.compare(this.#buffer, at, end, otherAt, otherEnd) === 0;
  }

  value(i: number): StoredValue {
    const entry = this.#valuesAt + i * (this.#width + 1);
    const type = this.#buffer[entry] ?? 0;
    return { type, at: this.#isInEntry(type) ? entry + 1 : this.#at + this.#number(entry + 1) };
  }

  #key(i: number): readonly [at: number, end: number] {
    const entry = this.#keysAt + i * (this.#width + 2);
    const at = this.#at + this.#number(entry);
    return [at, at + this.#buffer.readUInt16LE(entry + this.#width)];
  }

  #isInEntry(type: number): boolean {
    if (type === kind.literal || type === kind.int16 || type === kind.uint16) return true;
    return this.#width === 4 && (type === kind.int32 || type === kind.uint32);
  }

  #number(at: number): number {
    return this.#buffer.readUIntLE(at, this.#width);
  }
}

function isInteger({ type }: StoredValue): boolean {
  return type >= kind.int16 && type <= kind.uint64;
}

function integerAt(buffer: Buffer, { type, at }: StoredValue): bigint {
  switch (type) {
    case kind.int16:
      return BigInt(buffer.readInt16LE(at));
    case kind.uint16:
      return BigInt(buffer.readUInt16LE(at));
    case kind.int32:
      return BigInt(buffer.readInt32LE(at));
    case kind.uint32:
      return BigInt(buffer.readUInt32LE(at));
    case kind.int64:
      return buffer.readBigInt64LE(at);
    default:
      return buffer.readBigUInt64LE(at);
  }
}

/**
 * Values of SQL types that JSON has not. A decimal prints as the number it is, dates and times as text, which a string or
 * another number may print, too; all others under their type and as base64.
 */
function compareOpaque(buffer: Buffer, a: StoredValue, b: StoredValue): Alike {
  if (a.type !== b.type) return a.type === kind.literal || b.type === kind.literal ? 'different' : 'unknown';
  const [type, otherType] = [buffer[a.at], buffer[b.at]];
  if (isSameText(buffer, a.at + 1, b.at + 1)) return type === otherType ? 'same' : 'unknown';
  if (type !== otherType) return 'unknown';
  if (type !== columnTypes.newdecimal) return 'different';
  return sameIf(decimalAt(buffer, a.at + 1) === decimalAt(buffer, b.at + 1));
}

/** Behind its length: digits, decimals, the number. */
function decimalAt(buffer: Buffer, at: number): string {
  const [, value] = textAt(buffer, at);
  return decodeDecimal(buffer, value + 2, buffer[value] ?? 0, buffer[value + 1] ?? 0);
}

function isSameText(buffer: Buffer, a: number, b: number): boolean {
  const [bytes, from] = textAt(buffer, a);
  const [otherBytes, otherFrom] = textAt(buffer, b);
  return bytes === otherBytes && buffer.compare(buffer, from, from + bytes, otherFrom, otherFrom + otherBytes) === 0;
}

/** Length in groups of seven bits, the lowest first; the highest bit says that another follows. */
function textAt(buffer: Buffer, at: number): readonly [bytes: number, from: number] {
  let bytes = 0;
  for (let i = 0; ; i++) {
    const group = buffer[at + i] ?? 0;
    bytes += (group & 0x7f) * 2 ** (7 * i);
    if (group < 0x80) return [bytes, at + i + 1];
  }
}
