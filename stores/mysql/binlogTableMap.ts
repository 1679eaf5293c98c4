/** The event that stands before rows: the table's name and its columns' types as they were then. Pure. */
import { headerBytes, readLength } from './binlogEvents.js';

/** MySQL's numbers of column types, as events name them. */
export const columnTypes = {
  tiny: 1,
  short: 2,
  long: 3,
  float: 4,
  double: 5,
  timestamp: 7,
  longlong: 8,
  int24: 9,
  date: 10,
  time: 11,
  datetime: 12,
  year: 13,
  newdate: 14,
  varchar: 15,
  bit: 16,
  timestamp2: 17,
  datetime2: 18,
  time2: 19,
  vector: 242,
  json: 245,
  newdecimal: 246,
  enum: 247,
  set: 248,
  tinyBlob: 249,
  mediumBlob: 250,
  longBlob: 251,
  blob: 252,
  varString: 253,
  string: 254,
  geometry: 255,
} as const;

const t = columnTypes;

export interface TableMap {
  readonly database: string;
  readonly table: string;
  /** ENUM and SET under their own numbers, though events call them strings. */
  readonly types: readonly number[];
  /** What the type alone does not say: bytes, digits, decimals. */
  readonly metas: readonly number[];
  /** Bytes of a value; −n: n bytes tell its length. */
  readonly widths: Int32Array;
  /** Only under binlog_row_metadata=FULL. */
  readonly names: readonly string[] | null;
}

/** Number of the table in the events that follow. */
export function mappedTable(buffer: Buffer, start: number): number {
  return buffer.readUIntLE(start + headerBytes, 6);
}

export function readTableMap(buffer: Buffer, start: number, end: number): TableMap {
  let at = start + headerBytes + 8;
  const text = (): string => {
    const bytes = buffer[at] ?? 0;
    const from = at + 1;
    at = from + bytes + 1;
    return buffer.toString('utf8', from, from + bytes);
  };
  const database = text();
  const table = text();
  const [count, typesAt] = readLength(buffer, at);
  const [metaBytes, metasAt] = readLength(buffer, typesAt + count);
  const types: number[] = [];
  const metas: number[] = [];
  const widths = new Int32Array(count);
  let meta = metasAt;
  for (let i = 0; i < count; i++) {
    const column = readColumn(buffer[typesAt + i] ?? 0, buffer, meta);
    types.push(column.type);
    metas.push(column.meta);
    widths[i] = column.width;
    meta += column.metaBytes;
  }
  const names = readNames(buffer, metasAt + metaBytes + ((count + 7) >> 3), end, count);
  return { database, table, types, metas, widths, names };
}

interface ReadColumn {
  readonly type: number;
  readonly meta: number;
  readonly width: number;
  readonly metaBytes: number;
}

function readColumn(type: number, buffer: Buffer, at: number): ReadColumn {
  const one = buffer[at] ?? 0;
  const two = one | ((buffer[at + 1] ?? 0) << 8);
  const column = (width: number, meta = 0, metaBytes = 0): ReadColumn => ({ type, meta, width, metaBytes });
  switch (type) {
    case t.tiny:
    case t.year:
      return column(1);
    case t.short:
      return column(2);
    case t.int24:
    case t.date:
    case t.newdate:
    case t.time:
      return column(3);
    case t.long:
    case t.timestamp:
      return column(4);
    case t.longlong:
    case t.datetime:
      return column(8);
    case t.float:
    case t.double:
      return column(one, one, 1);
    case t.timestamp2:
      return column(4 + ((one + 1) >> 1), one, 1);
    case t.datetime2:
      return column(5 + ((one + 1) >> 1), one, 1);
    case t.time2:
      return column(3 + ((one + 1) >> 1), one, 1);
    case t.newdecimal:
      // Low byte: digits; high byte: decimals.
      return column(decimalBytes(one, two >> 8), two, 2);
    case t.bit:
      return column((two >> 8) + ((two & 0xff) > 0 ? 1 : 0), two, 2);
    case t.varchar:
    case t.varString:
      return column(two > 255 ? -2 : -1, two, 2);
    case t.enum:
    case t.set:
      return column(two >> 8, two >> 8, 2);
    case t.string:
      return stringColumn(one, buffer[at + 1] ?? 0);
    case t.json:
    case t.geometry:
    case t.vector:
    case t.tinyBlob:
    case t.mediumBlob:
    case t.longBlob:
    case t.blob:
      return column(-one, one, 1);
    default:
      throw new UnknownColumnType(type);
  }
}

/** The first byte holds the real type, and two inverted bits of the length where that is above 255. */
function stringColumn(first: number, second: number): ReadColumn {
  if (first === t.enum || first === t.set) return { type: first, meta: second, width: second, metaBytes: 2 };
  const bytes = second | (((first & 0x30) ^ 0x30) << 4);
  return { type: t.string, meta: bytes, width: bytes > 255 ? -2 : -1, metaBytes: 2 };
}

const bytesOfDigits = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4];

/** Nine digits take four bytes; what is left over on either side of the point takes as many as it needs. */
export function decimalBytes(precision: number, scale: number): number {
  const whole = precision - scale;
  return (
    Math.floor(whole / 9) * 4 +
    (bytesOfDigits[whole % 9] ?? 0) +
    Math.floor(scale / 9) * 4 +
    (bytesOfDigits[scale % 9] ?? 0)
  );
}

const columnNames = 4;

function readNames(buffer: Buffer, from: number, end: number, count: number): readonly string[] | null {
  for (let at = from; at < end;) {
    const field = buffer[at];
    const [bytes, value] = readLength(buffer, at + 1);
    if (field === columnNames) {
      const names: string[] = [];
      for (let next = value; next < value + bytes;) {
        const [length, text] = readLength(buffer, next);
        names.push(buffer.toString('utf8', text, text + length));
        next = text + length;
      }
      return names.length === count ? names : null;
    }
    at = value + bytes;
  }
  return null;
}

/** Rows of the table cannot be walked. */
export class UnknownColumnType extends Error {
  override readonly name = 'UnknownColumnType';

  constructor(type: number) {
    super(`column type ${type}`);
  }
}
