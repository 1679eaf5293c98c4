/**
 * The state record: what capture commits in the same Kafka transaction as the events. The last committed one alone
 * restores a relay: which change log rows it published and has not seen deleted, and where every partition stands.
 */
import { LockstepError } from './errors.js';

/** A change log row by number and identity: after a restore the same number may name another row. */
export interface RowName {
  readonly seq: number;
  /** 16 hex digits. */
  readonly identity: string;
}

/** A key that was parked until the change with this seq became an event. */
export interface FreedKey {
  readonly tableId: number;
  /** 32 hex digits. */
  readonly keyHash: string;
  readonly seq: number;
}

/** Why this incarnation began; `first` needs no action, the others ask for a copy of every table. */
export interface Beginning {
  readonly cause: 'first' | 'log-lost' | 'source-rewound';
  readonly reason: string;
}

export interface StateRecord {
  readonly pipeline: string;
  readonly database: string;
  readonly incarnation: string;
  readonly beginning: Beginning;
  readonly serverUuid: string;
  /** The highest seq ever published in this incarnation; a new row at or below it means that the source went back. */
  readonly highestSeq: number;
  /** Every row below it is published and gone. */
  readonly floor: number;
  /** Changes published in this incarnation. */
  readonly published: number;
  /** Published rows whose deletion is not confirmed, by ascending seq. */
  readonly rows: readonly RowName[];
  /** Markers that this or the previous transaction resolves. */
  readonly markers: readonly string[];
  /** Keys that this or the previous transaction freed. */
  readonly freed: readonly FreedKey[];
  /** Ordinal of the last record of each partition, by topic; the length of the list is the pinned partition count. */
  readonly ordinals: ReadonlyMap<string, readonly number[]>;
  /** Partitions whose last records were lost, with the ordinal up to which: their tables are to be copied again. */
  readonly knownGaps: ReadonlyMap<string, number>;
}

export const stateKey = 'capture';

const format = 1;
const identityBytes = 8;

/** Layout: format byte, length of the JSON part (4 bytes), JSON part, then rows: seq as a difference, identity raw. */
export function encodeState(state: StateRecord): Buffer {
  const { rows, ordinals, knownGaps, ...rest } = state;
  const head = Buffer.from(
    JSON.stringify({ ...rest, ordinals: [...ordinals], knownGaps: [...knownGaps], rows: rows.length }),
  );
  const bytes = Buffer.allocUnsafe(5 + head.length + rows.length * (8 + identityBytes));
  bytes.writeUInt8(format, 0);
  bytes.writeUInt32BE(head.length, 1);
  bytes.set(head, 5);
  let at = 5 + head.length;
  let previous = 0;
  for (const { seq, identity } of rows) {
    at = writeNumber(bytes, at, seq - previous);
    bytes.write(identity, at, identityBytes, 'hex');
    at += identityBytes;
    previous = seq;
  }
  return bytes.subarray(0, at);
}

export function decodeState(bytes: Buffer): StateRecord {
  if (bytes.length < 5 || bytes[0] !== format) throw unreadable();
  const headEnd = 5 + bytes.readUInt32BE(1);
  const { ordinals, knownGaps, rows: count, ...rest } = parseHead(bytes.subarray(5, headEnd));
  const rows: RowName[] = [];
  let at = headEnd;
  let seq = 0;
  for (let i = 0; i < count; i++) {
    const number = readNumber(bytes, at);
    if (number === null || number.end + identityBytes > bytes.length) throw unreadable();
    seq += number.value;
    at = number.end + identityBytes;
    rows.push({ seq, identity: bytes.toString('hex', number.end, at) });
  }
  return { ...rest, ordinals: new Map(ordinals), knownGaps: new Map(knownGaps), rows };
}

type Head = Omit<StateRecord, 'rows' | 'ordinals' | 'knownGaps'> & {
  readonly ordinals: [string, readonly number[]][];
  readonly knownGaps: [string, number][];
  readonly rows: number;
};

function parseHead(bytes: Buffer): Head {
  try {
    // Written by encodeState alone: the format byte says by which version of it.
    return JSON.parse(bytes.toString('utf8')) as Head;
  } catch (error) {
    throw unreadable(error);
  }
}

function unreadable(cause?: unknown): LockstepError {
  return new LockstepError('LS-STATE-UNREADABLE', 'the state record of capture cannot be read', { cause });
}

/** Seven bits a byte, low ones first; without shifts, which end at 32 bits. */
function writeNumber(bytes: Buffer, start: number, value: number): number {
  let at = start;
  let rest = value;
  while (rest >= 0x80) {
    bytes[at++] = (rest % 0x80) | 0x80;
    rest = Math.floor(rest / 0x80);
  }
  bytes[at++] = rest;
  return at;
}

function readNumber(bytes: Buffer, start: number): { value: number; end: number } | null {
  let value = 0;
  let scale = 1;
  for (let at = start; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0;
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return { value, end: at + 1 };
    scale *= 0x80;
  }
  return null;
}
