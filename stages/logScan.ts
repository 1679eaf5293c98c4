/**
 * What the log says of some keys: their events in given spans of their partitions, in order. Only our own records of a
 * data topic count; tombstones follow their delete and say nothing more.
 */
import type { DefinitionHash } from '../core/definition.js';
import { decodeHeader, recordKeyText, type Op } from '../core/event.js';
import { LockstepError } from '../core/errors.js';
import { partitionName, type PartitionName } from '../core/position.js';
import type { LogRecord, Reader } from '../stores/kafka/reader.js';

export interface LogEvent {
  readonly partition: PartitionName;
  readonly offset: number;
  readonly op: Op;
  readonly seq: number;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly definition: DefinitionHash;
  /** Of the log: seqs tell an order within one alone. */
  readonly incarnation: string;
  /** Row JSON; null for a delete. A copy: the record's buffer is shared. */
  readonly after: Buffer | null;
}

/** [from, to) in raw offsets. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

export interface Scan {
  /** By key text; in log order. */
  readonly events: ReadonlyMap<string, readonly LogEvent[]>;
  /** Partitions of which a span began before what the log still holds. */
  readonly cutOff: ReadonlySet<PartitionName>;
}

/** Of a key that changes all the time, this many of its last events are kept. */
const mostEvents = 50;
/** How a record's key begins that carries a schema. */
const withSchema = Buffer.from('{"schema"');
const patienceMs = 30_000;

export async function scanLog(
  reader: Reader,
  spans: ReadonlyMap<PartitionName, Span>,
  keys: ReadonlySet<string>,
  signal: AbortSignal,
  beat: () => void,
): Promise<Scan> {
  const events = new Map<string, LogEvent[]>();
  const cutOff = new Set<PartitionName>();
  const positions = new Map([...spans].filter(([, { from, to }]) => from < to).map(([name, { from }]) => [name, from]));
  // A key's text as one character a byte: what a record is looked up by without decoding it.
  const wanted = new Map([...keys].map((key) => [Buffer.from(key).toString('latin1'), key]));
  let giveUpAt = Date.now() + patienceMs;
  while (positions.size > 0 && !signal.aborted) {
    beat();
    const results = await reader.fetch(positions, signal);
    for (const { topic, partition, records, nextOffset, outOfRange, missing } of results) {
      giveUpAt = Date.now() + patienceMs;
      const name = partitionName(topic, partition);
      const to = spans.get(name)?.to ?? 0;
      if (missing) {
        cutOff.add(name);
        positions.delete(name);
        continue;
      }
      if (outOfRange) {
        cutOff.add(name);
        const beginning = (await reader.beginningOffsets([topic])).get(name) ?? to;
        if (beginning > (positions.get(name) ?? 0) && beginning < to) positions.set(name, beginning);
        else positions.delete(name);
        continue;
      }
      for (const record of records) if (record.offset < to) take(events, wanted, name, record);
      if (nextOffset >= to) positions.delete(name);
      else positions.set(name, nextOffset);
    }
    if (Date.now() > giveUpAt) {
      throw reader.trouble() ?? new LockstepError('LS-KAFKA-UNREACHABLE', 'the log cannot be read');
    }
  }
  return { events, cutOff };
}

function take(
  events: Map<string, LogEvent[]>,
  wanted: ReadonlyMap<string, string>,
  partition: PartitionName,
  record: LogRecord,
): void {
  if (record.key === null || record.header === null) return;
  const plain = wanted.get(record.key.toString('latin1'));
  if (plain === undefined && !record.key.subarray(0, withSchema.length).equals(withSchema)) return;
  const header = decodeHeader(record.header);
  if (header === undefined || header.op === 't') return;
  const key = plain ?? wanted.get(recordKeyText(record.key, header).toString('latin1'));
  if (key === undefined) return;
  const { op, seq, at, definition, incarnation, afterStart, afterEnd } = header;
  const after =
    afterEnd === 0 || record.value === null ? null : Buffer.from(record.value.subarray(afterStart, afterEnd));
  const list = events.get(key) ?? [];
  list.push({ partition, offset: record.offset, op, seq, at, definition, incarnation, after });
  if (list.length > mostEvents) list.shift();
  events.set(key, list);
}
