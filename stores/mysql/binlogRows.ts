/** Walks the rows of an event without decoding them: where each column's value lies. Pure. */
import { eventType, headerBytes, readLength } from './binlogEvents.js';
import { columnTypes, type TableMap } from './binlogTableMap.js';

/** Where a value begins; for one with a length, where its length begins. */
export type Spots = Int32Array;
export const isNull = -1;
/** Not part of this image (binlog_row_image is not FULL). */
export const isAbsent = -2;

export function rowsTable(buffer: Buffer, start: number): number {
  return buffer.readUIntLE(start + headerBytes, 6);
}

/** Calls `row` for each one: spots of the only image, or of both for an update. */
export function walkRows(
  type: number,
  map: TableMap,
  buffer: Buffer,
  start: number,
  end: number,
  row: (first: Spots, second: Spots) => void,
): void {
  const count = map.widths.length;
  const [first, second] = spotsFor(map);
  const head = start + headerBytes + 8;
  // What is beside the rows tells its own length, these two bytes included.
  const [columns, present] = readLength(buffer, head + buffer.readUInt16LE(head));
  if (columns !== count) throw new RangeError(`rows of ${columns} columns follow a map of ${count}`);
  const bitmapBytes = (count + 7) >> 3;
  const isUpdate = type === eventType.updateRows || type === eventType.partialUpdateRows;
  const presentAfter = isUpdate ? present + bitmapBytes : present;
  let at = presentAfter + bitmapBytes;
  while (at < end) {
    at = walkImage(map, buffer, at, present, first);
    if (isUpdate) {
      if (type === eventType.partialUpdateRows) at = behindPartialBits(map, buffer, at, presentAfter);
      at = walkImage(map, buffer, at, presentAfter, second);
    }
    row(first, second);
  }
}

const spots = new WeakMap<TableMap, readonly [Spots, Spots]>();

/** One row is looked at at a time, so a table needs one pair. */
function spotsFor(map: TableMap): readonly [Spots, Spots] {
  let pair = spots.get(map);
  if (pair === undefined) {
    pair = [new Int32Array(map.widths.length), new Int32Array(map.widths.length)];
    spots.set(map, pair);
  }
  return pair;
}

/** Returns where the image ends. */
function walkImage(map: TableMap, buffer: Buffer, from: number, present: number, into: Spots): number {
  const { widths } = map;
  const count = widths.length;
  const nulls = from;
  let at = from + ((presentColumns(buffer, present, count) + 7) >> 3);
  let n = 0;
  for (let i = 0; i < count; i++) {
    if (((buffer[present + (i >> 3)] ?? 0) & (1 << (i & 7))) === 0) {
      into[i] = isAbsent;
      continue;
    }
    const isNullHere = ((buffer[nulls + (n >> 3)] ?? 0) & (1 << (n & 7))) !== 0;
    n += 1;
    if (isNullHere) {
      into[i] = isNull;
      continue;
    }
    into[i] = at;
    const width = widths[i] ?? 0;
    at += width >= 0 ? width : lengthAt(buffer, at, -width) - width;
  }
  return at;
}

function presentColumns(buffer: Buffer, present: number, count: number): number {
  let columns = 0;
  for (let i = 0; i < count; i += 8) {
    let byte = buffer[present + (i >> 3)] ?? 0;
    if (byte === 0xff) columns += Math.min(8, count - i);
    else for (; byte !== 0; byte &= byte - 1) columns += 1;
  }
  return Math.min(columns, count);
}

/** A length of so many bytes, little-endian. */
export function lengthAt(buffer: Buffer, at: number, bytes: number): number {
  let length = buffer[at] ?? 0;
  if (bytes > 1) length |= (buffer[at + 1] ?? 0) << 8;
  if (bytes > 2) length |= (buffer[at + 2] ?? 0) << 16;
  if (bytes > 3) length += (buffer[at + 3] ?? 0) * 0x1000000;
  return length;
}

/** binlog_row_value_options=PARTIAL_JSON: before the new image, which JSON columns hold a difference only. */
function behindPartialBits(map: TableMap, buffer: Buffer, from: number, present: number): number {
  const [options, at] = readLength(buffer, from);
  if ((options & 1) === 0) return at;
  let json = 0;
  for (let i = 0; i < map.types.length; i++) {
    const isPresent = ((buffer[present + (i >> 3)] ?? 0) & (1 << (i & 7))) !== 0;
    if (isPresent && map.types[i] === columnTypes.json) json += 1;
  }
  return at + ((json + 7) >> 3);
}
