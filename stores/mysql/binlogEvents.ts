/** The binary log's events as far as the witness reads them. Pure. Format: "Replication Event Types" of MySQL's internals. */

import { clientDecoder } from './clientCharsets.js';

export const eventType = {
  query: 2,
  stop: 3,
  rotate: 4,
  formatDescription: 15,
  xid: 16,
  tableMap: 19,
  incident: 26,
  heartbeat: 27,
  writeRows: 30,
  updateRows: 31,
  deleteRows: 32,
  gtid: 33,
  anonymousGtid: 34,
  xaPrepare: 38,
  partialUpdateRows: 39,
  transactionPayload: 40,
  heartbeat2: 41,
  taggedGtid: 42,
} as const;

export const headerBytes = 19;
const artificial = 0x20;

export interface EventHeader {
  /** Seconds since 1970. */
  readonly at: number;
  readonly type: number;
  readonly size: number;
  /** Where the next event begins, modulo 2^32; 0 for an event that is not in the file. */
  readonly next: number;
  /** Made by the dump, not read from the file. */
  readonly artificial: boolean;
}

export function readHeader(buffer: Buffer, start: number): EventHeader {
  const flags = buffer.readUInt16LE(start + 17);
  return {
    at: buffer.readUInt32LE(start),
    type: buffer[start + 4] ?? 0,
    size: buffer.readUInt32LE(start + 9),
    next: buffer.readUInt32LE(start + 13),
    artificial: (flags & artificial) !== 0,
  };
}

/** Whether the events of the file behind this description end in a checksum of four bytes. */
export function hasChecksums(buffer: Buffer, _start: number, end: number): boolean {
  // … list of header lengths, algorithm (1), checksum of this event (4), whatever the algorithm is.
  return buffer[end - 5] === 1;
}

export function readRotate(buffer: Buffer, start: number, end: number): { file: string; offset: number } {
  const at = start + headerBytes;
  return { file: buffer.toString('utf8', at + 8, end), offset: Number(buffer.readBigUInt64LE(at)) };
}

export interface QueryEvent {
  /** The session's default database; empty without one. */
  readonly database: string;
  readonly text: string;
  /** Whether a backslash in a string escapes what follows it (no NO_BACKSLASH_ESCAPES). */
  readonly backslashes: boolean;
}

const variable = { sqlMode: 1, charset: 4 } as const;
const noBackslashEscapes = 0x100000;
/** Length of each status variable that can stand before the character set; −1: a length byte and so many bytes. */
const variableBytes: Readonly<Record<number, number>> = { 0: 4, 1: 8, 2: -2, 3: 4, 5: -1, 6: -1, 7: 2, 8: 2, 9: 8 };

export function readQuery(buffer: Buffer, start: number, end: number): QueryEvent {
  const at = start + headerBytes;
  const databaseBytes = buffer[at + 8] ?? 0;
  const variables = at + 13;
  const behind = variables + buffer.readUInt16LE(at + 11);
  const database = buffer.toString('utf8', behind, behind + databaseBytes);
  const { collation, backslashes } = readSession(buffer, variables, behind);
  return { database, text: clientDecoder(collation)(buffer, behind + databaseBytes + 1, end), backslashes };
}

/** What of the client's session tells how its statement is to be read. */
function readSession(buffer: Buffer, from: number, end: number): { collation: number; backslashes: boolean } {
  let backslashes = true;
  for (let at = from; at < end;) {
    const name = buffer[at] ?? 0;
    at += 1;
    if (name === variable.charset) return { collation: buffer.readUInt16LE(at), backslashes };
    if (name === variable.sqlMode) backslashes = (buffer.readUInt32LE(at) & noBackslashEscapes) === 0;
    const bytes = variableBytes[name];
    if (bytes === undefined) break;
    // Catalog with a length byte and a closing NUL, and texts with a length byte alone.
    at += bytes >= 0 ? bytes : 1 + (buffer[at] ?? 0) + (bytes === -2 ? 1 : 0);
  }
  return { collation: 0, backslashes };
}

/** `xid`: as XA statements print it, `X'…',X'…',1`. */
export function readXaPrepare(buffer: Buffer, start: number): { readonly onePhase: boolean; readonly xid: string } {
  const at = start + headerBytes;
  const format = buffer.readUInt32LE(at + 1);
  const [gtrid, bqual] = [buffer.readUInt32LE(at + 5), buffer.readUInt32LE(at + 9)];
  const hex = (from: number, bytes: number): string => `X'${buffer.toString('hex', from, from + bytes)}'`;
  const names = at + 13;
  return { onePhase: buffer[at] !== 0, xid: `${hex(names, gtrid)},${hex(names + gtrid, bqual)},${format}` };
}

/** A length as the protocol packs it, and where it ends. Lengths above 2^32 do not occur in events. */
export function readLength(buffer: Buffer, at: number): readonly [value: number, next: number] {
  const first = buffer[at] ?? 0;
  if (first < 0xfb) return [first, at + 1];
  if (first === 0xfc) return [buffer.readUInt16LE(at + 1), at + 3];
  if (first === 0xfd) return [buffer.readUIntLE(at + 1, 3), at + 4];
  return [Number(buffer.readBigUInt64LE(at + 1)), at + 9];
}
