/**
 * Decodes a Fetch response (version 11) without copying: keys and values are views of the response. Per partition it
 * drops records of aborted transactions and control records, and tells the next raw offset after all of them. kafkajs's
 * own decoder is not used: it takes a record whose key is four zero bytes for an abort marker, and six times as long.
 */
import { LockstepError } from '../../core/errors.js';
import { headerName } from '../../core/event.js';

export interface LogRecord {
  readonly offset: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  /** Value of the header `lockstep`; null where a record has none. */
  readonly header: string | null;
  /** Milliseconds since 1970, as the producer set it. */
  readonly timestamp: number;
}

export interface FetchedPartition {
  readonly topic: string;
  readonly partition: number;
  /** Kafka's error code; 0 for none. */
  readonly errorCode: number;
  /** Offset after the last record a reader of committed records can see now. */
  readonly stableEnd: number;
  readonly records: readonly LogRecord[];
  /** Offset after the last whole batch, control batches included; -1 where there was none. */
  readonly nextOffset: number;
}

export interface FetchResponse {
  readonly errorCode: number;
  readonly partitions: readonly FetchedPartition[];
}

/** `from` gives the asked offset of a partition: a batch may begin before it. */
export function decodeFetch(payload: Buffer, from: (topic: string, partition: number) => number): FetchResponse {
  const read = new Cursor(payload);
  read.at += 4; // throttle time
  const errorCode = read.int16();
  read.at += 4; // session id
  const partitions: FetchedPartition[] = [];
  for (let topics = read.int32(); topics > 0; topics--) {
    const topic = read.string();
    for (let count = read.int32(); count > 0; count--) partitions.push(decodePartition(read, topic, from));
  }
  return { errorCode, partitions };
}

interface Aborted {
  readonly producer: number;
  readonly firstOffset: number;
}

function decodePartition(
  read: Cursor,
  topic: string,
  from: (topic: string, partition: number) => number,
): FetchedPartition {
  const partition = read.int32();
  const errorCode = read.int16();
  read.at += 8; // high watermark
  const stableEnd = read.int64();
  read.at += 8; // log start
  const aborted: Aborted[] = [];
  for (let count = read.int32(); count > 0; count--) {
    aborted.push({ producer: read.int64(), firstOffset: read.int64() });
  }
  read.at += 4; // preferred replica
  const size = Math.max(0, read.int32());
  const batches = new Cursor(read.bytes.subarray(read.at, read.at + size));
  read.at += size;
  return { topic, partition, errorCode, stableEnd, ...decodeBatches(batches, aborted, from(topic, partition)) };
}

const batchHead = 12;
const isTransactional = 0x10;
const isControl = 0x20;
const appendTime = 0x08;
const compression = 0x07;

function decodeBatches(
  read: Cursor,
  abortedInOffsetOrder: readonly Aborted[],
  from: number,
): { records: LogRecord[]; nextOffset: number } {
  const records: LogRecord[] = [];
  const pending = [...abortedInOffsetOrder].sort((a, b) => a.firstOffset - b.firstOffset);
  const aborting = new Set<number>();
  let nextOffset = -1;
  // The broker cuts the answer at maxBytes: the last batch may be there in part.
  while (read.at + batchHead <= read.bytes.length) {
    const baseOffset = read.int64();
    const length = read.int32();
    const end = read.at + length;
    if (end > read.bytes.length) break;
    read.at += 4 + 1 + 4; // leader epoch, magic, CRC
    const attributes = read.int16();
    const lastOffset = baseOffset + read.int32();
    const firstTimestamp = read.int64();
    const maxTimestamp = read.int64();
    const producer = read.int64();
    read.at += 2 + 4; // producer epoch, sequence
    while (pending[0] !== undefined && pending[0].firstOffset <= lastOffset) {
      aborting.add(pending[0].producer);
      pending.shift();
    }
    if ((attributes & isControl) !== 0) {
      aborting.delete(producer);
    } else if ((attributes & isTransactional) === 0 || !aborting.has(producer)) {
      if ((attributes & compression) !== 0) {
        throw new LockstepError('LS-KAFKA-TOPIC-SETTINGS', 'a topic of the pipeline holds compressed records');
      }
      const appended = (attributes & appendTime) !== 0;
      for (let count = read.int32(); count > 0; count--) {
        const record = decodeRecord(read, baseOffset, appended ? maxTimestamp : firstTimestamp, appended);
        if (record.offset >= from) records.push(record);
      }
    }
    read.at = end;
    nextOffset = lastOffset + 1;
  }
  return { records, nextOffset };
}

function decodeRecord(read: Cursor, baseOffset: number, timestamp: number, appended: boolean): LogRecord {
  const length = read.varint();
  const end = read.at + length;
  read.at += 1; // attributes
  const delta = read.varint();
  const offset = baseOffset + read.varint();
  const key = read.varbytes();
  const value = read.varbytes();
  let header: string | null = null;
  for (let count = read.varint(); count > 0; count--) {
    if (read.isNext(headerName)) header = read.latin1();
    else read.skip();
  }
  read.at = end;
  return { offset, key, value, header, timestamp: appended ? timestamp : timestamp + delta };
}

class Cursor {
  at = 0;
  readonly bytes: Buffer;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  int16(): number {
    const value = this.bytes.readInt16BE(this.at);
    this.at += 2;
    return value;
  }

  int32(): number {
    const value = this.bytes.readInt32BE(this.at);
    this.at += 4;
    return value;
  }

  /** Exact below 2^53, which no offset, time or producer id of a real cluster passes. */
  int64(): number {
    const value = this.bytes.readInt32BE(this.at) * 2 ** 32 + this.bytes.readUInt32BE(this.at + 4);
    this.at += 8;
    return value;
  }

  string(): string {
    const length = this.int16();
    const text = this.bytes.toString('utf8', this.at, this.at + length);
    this.at += length;
    return text;
  }

  /** Zigzag. Arithmetic instead of shifts from the fifth byte on, since timestamps' deltas may pass 32 bits. */
  varint(): number {
    let byte = this.bytes[this.at++] ?? 0;
    let raw = byte & 0x7f;
    for (let scale = 0x80; byte >= 0x80; scale *= 0x80) {
      byte = this.bytes[this.at++] ?? 0;
      raw += (byte & 0x7f) * scale;
    }
    return raw % 2 === 0 ? raw / 2 : -(raw + 1) / 2;
  }

  /** Whether a text with its length stands here; passes over it in any case. */
  isNext(text: string): boolean {
    const length = this.varint();
    const start = this.at;
    this.at += Math.max(0, length);
    if (length !== text.length) return false;
    for (let i = 0; i < length; i++) if (this.bytes[start + i] !== text.charCodeAt(i)) return false;
    return true;
  }

  latin1(): string | null {
    const length = this.varint();
    if (length < 0) return null;
    this.at += length;
    return this.bytes.toString('latin1', this.at - length, this.at);
  }

  skip(): void {
    this.at += Math.max(0, this.varint());
  }

  varbytes(): Buffer | null {
    const length = this.varint();
    if (length < 0) return null;
    const view = this.bytes.subarray(this.at, this.at + length);
    this.at += length;
    return view;
  }
}
