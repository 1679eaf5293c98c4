/**
 * Encodes a Produce request (version 7) in one pass into one buffer: record batches of format 2, transactional, without
 * compression. kafkajs builds an encoder object a field and copies each partition's list once a record; the wire bytes
 * are the same.
 */
import { headerName } from '../../core/event.js';
import { crc32c } from './crc32c.js';

export interface OutgoingRecord {
  readonly key: Buffer;
  readonly value: Buffer | null;
  /** Value of the header `lockstep`, ASCII; null for a record without headers. */
  readonly header: string | null;
}

export interface OutgoingBatch {
  readonly topic: string;
  readonly partition: number;
  readonly firstSequence: number;
  readonly records: readonly OutgoingRecord[];
}

export interface ProduceRequest {
  readonly transactionalId: string;
  readonly producerId: string;
  readonly producerEpoch: number;
  readonly timeoutMs: number;
  /** Of every record, milliseconds since 1970. */
  readonly timestamp: number;
  readonly batches: readonly OutgoingBatch[];
}

/** Bytes of a record batch before its records. */
export const batchHeadBytes = 61;
const maxVarint = 5;
const header = Buffer.from(headerName);
const transactional = 0x10;
const allReplicas = -1;

/** Upper bound of a record's bytes in a batch. */
export function recordBytes(key: number, value: number, headerLength: number): number {
  return 1 + 1 + 6 * maxVarint + key + value + header.length + headerLength;
}

export function encodeProduce(request: ProduceRequest): Buffer {
  const write = new Writer(requestBytes(request));
  write.string(request.transactionalId);
  write.int16(allReplicas);
  write.int32(request.timeoutMs);
  const topics = byTopic(request.batches);
  write.int32(topics.size);
  for (const [topic, batches] of topics) {
    write.string(topic);
    write.int32(batches.length);
    for (const batch of batches) {
      write.int32(batch.partition);
      const sizeAt = write.reserve(4);
      const start = write.at;
      writeBatch(write, request, batch);
      write.bytes.writeInt32BE(write.at - start, sizeAt);
    }
  }
  return write.bytes.subarray(0, write.at);
}

function writeBatch(write: Writer, request: ProduceRequest, { records, firstSequence }: OutgoingBatch): void {
  write.int64(0); // base offset: the broker's to give
  const lengthAt = write.reserve(4);
  const afterLength = write.at;
  write.int32(0); // leader epoch
  write.int8(2); // format
  const crcAt = write.reserve(4);
  const summed = write.at;
  write.int16(transactional);
  write.int32(records.length - 1);
  write.int64(request.timestamp);
  write.int64(request.timestamp);
  write.int64(Number(request.producerId));
  write.int16(request.producerEpoch);
  write.int32(firstSequence);
  write.int32(records.length);
  for (let i = 0; i < records.length; i++) writeRecord(write, i, records[i] as OutgoingRecord);
  write.bytes.writeInt32BE(write.at - afterLength, lengthAt);
  write.bytes.writeUInt32BE(crc32c(write.bytes, summed, write.at), crcAt);
}

function writeRecord(write: Writer, offsetDelta: number, { key, value, header: text }: OutgoingRecord): void {
  const headers = text === null ? 1 : 1 + 1 + header.length + varintSize(text.length) + text.length;
  const content = value === null ? 1 : varintSize(value.length) + value.length;
  write.varint(2 + varintSize(offsetDelta) + varintSize(key.length) + key.length + content + headers);
  write.int8(0); // attributes
  write.int8(0); // timestamp delta
  write.varint(offsetDelta);
  write.varint(key.length);
  write.raw(key);
  if (value === null) write.varint(-1);
  else {
    write.varint(value.length);
    write.raw(value);
  }
  if (text === null) {
    write.varint(0);
    return;
  }
  write.varint(1);
  write.varint(header.length);
  write.raw(header);
  write.varint(text.length);
  write.ascii(text);
}

function requestBytes({ transactionalId, batches }: ProduceRequest): number {
  let bytes = 64 + 3 * transactionalId.length;
  for (const { topic, records } of batches) {
    bytes += 16 + topic.length + batchHeadBytes;
    for (const { key, value, header: text } of records) {
      bytes += recordBytes(key.length, value?.length ?? 0, text?.length ?? 0);
    }
  }
  return bytes;
}

function byTopic(batches: readonly OutgoingBatch[]): Map<string, OutgoingBatch[]> {
  const topics = new Map<string, OutgoingBatch[]>();
  for (const batch of batches) {
    const list = topics.get(batch.topic);
    if (list === undefined) topics.set(batch.topic, [batch]);
    else list.push(batch);
  }
  return topics;
}

/** Bytes of a zigzag varint for −1 and for any length. */
function varintSize(value: number): number {
  if (value < 64) return 1;
  if (value < 8_192) return 2;
  if (value < 1_048_576) return 3;
  return value < 134_217_728 ? 4 : 5;
}

class Writer {
  at = 0;
  readonly bytes: Buffer;

  constructor(size: number) {
    this.bytes = Buffer.allocUnsafe(size);
  }

  reserve(size: number): number {
    const { at } = this;
    this.at += size;
    return at;
  }

  int8(value: number): void {
    this.at = this.bytes.writeInt8(value, this.at);
  }

  int16(value: number): void {
    this.at = this.bytes.writeInt16BE(value, this.at);
  }

  int32(value: number): void {
    this.at = this.bytes.writeInt32BE(value, this.at);
  }

  int64(value: number): void {
    this.bytes.writeInt32BE(Math.floor(value / 2 ** 32), this.at);
    this.at = this.bytes.writeUInt32BE(value % 2 ** 32, this.at + 4);
  }

  string(text: string): void {
    const length = this.bytes.write(text, this.at + 2, 'utf8');
    this.int16(length);
    this.at += length;
  }

  ascii(text: string): void {
    this.at += this.bytes.write(text, this.at, 'latin1');
  }

  raw(bytes: Buffer): void {
    this.bytes.set(bytes, this.at);
    this.at += bytes.length;
  }

  /** Zigzag; for −1 and non-negative numbers below 2^30. */
  varint(value: number): void {
    let rest = value < 0 ? 1 : value * 2;
    while (rest >= 0x80) {
      this.bytes[this.at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.bytes[this.at++] = rest;
  }
}
