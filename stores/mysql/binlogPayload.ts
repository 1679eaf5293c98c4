/** Events of a transaction that was compressed (binlog_transaction_compression): one event holds them all. */
import { unzstdBytes } from '../zstd.js';
import { headerBytes, readLength } from './binlogEvents.js';

const field = { end: 0, bytes: 1, compression: 2 } as const;
const none = 255;

/** body: behind the event's header. Inner events have no checksums. */
export function innerEvents(buffer: Buffer, body: number, end: number): readonly Buffer[] {
  let at = body;
  let compression = 0;
  for (;;) {
    const [type, lengthAt] = readLength(buffer, at);
    if (type === field.end) {
      at = lengthAt;
      break;
    }
    const [length, valueAt] = readLength(buffer, lengthAt);
    if (type === field.compression) [compression] = readLength(buffer, valueAt);
    at = valueAt + length;
  }
  const payload = buffer.subarray(at, end);
  return split(compression === none ? payload : unzstdBytes(payload));
}

function split(events: Buffer): readonly Buffer[] {
  const found: Buffer[] = [];
  for (let at = 0; at + headerBytes <= events.length;) {
    const size = events.readUInt32LE(at + 9);
    found.push(events.subarray(at, at + size));
    at += size;
  }
  return found;
}
