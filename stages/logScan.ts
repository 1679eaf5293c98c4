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

/** Keys by their text, each with the positions at which stores were read for it. */
export type Wanted = ReadonlyMap<string, readonly number[]>;

export function wantedAt(looks: Iterable<{ readonly key: string; readonly position: number }>): Wanted {
  const wanted = new Map<string, number[]>();
  for (const { key, position } of looks) wanted.set(key, [...(wanted.get(key) ?? []), position]);
  return wanted;
}

/** Of a key that changes all the time, this many events are kept. */
const mostEvents = 50;
/** How a record's key begins that carries a schema. */
const withSchema = Buffer.from('{"schema"');
const patienceMs = 30_000;

export async function scanLog(
  reader: Reader,
  spans: ReadonlyMap<PartitionName, Span>,
  keys: Wanted,
  signal: AbortSignal,
  beat: () => void,
): Promise<Scan> {
  const events = new Map<string, LogEvent[]>();
  const cutOff = new Set<PartitionName>();
  const positions = new Map([...spans].filter(([, { from, to }]) => from < to).map(([name, { from }]) => [name, from]));
  // A key's text as one character a byte: what a record is looked up by without decoding it.
  const wanted = new Map([...keys.keys()].map((key) => [Buffer.from(key).toString('latin1'), key]));
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
      for (const record of records) {
        if (record.offset >= to) continue;
        const list = take(events, wanted, name, record);
        if (list !== undefined && list.events.length > mostEvents) dropOne(list.events, keys.get(list.key) ?? []);
      }
      if (nextOffset >= to) positions.delete(name);
      else positions.set(name, nextOffset);
    }
    if (Date.now() > giveUpAt) {
      throw reader.trouble() ?? new LockstepError('LS-KAFKA-UNREACHABLE', 'the log cannot be read');
    }
  }
  return { events, cutOff };
}

/** The oldest one, but none that is the last before a look: what a store was seen to hold is held against that. */
export function dropOne(events: LogEvent[], looks: readonly number[]): void {
  const isLastBeforeALook = ({ offset }: LogEvent, i: number): boolean =>
    looks.some((position) => offset < position && (events[i + 1]?.offset ?? Infinity) >= position);
  const oldest = events.findIndex((event, i) => !isLastBeforeALook(event, i));
  if (oldest !== -1) events.splice(oldest, 1);
}

/** Returns the events of the record's key when it is one of them. */
function take(
  events: Map<string, LogEvent[]>,
  wanted: ReadonlyMap<string, string>,
  partition: PartitionName,
  record: LogRecord,
): { readonly key: string; readonly events: LogEvent[] } | undefined {
  if (record.key === null || record.header === null) return undefined;
  const plain = wanted.get(record.key.toString('latin1'));
  if (plain === undefined && !record.key.subarray(0, withSchema.length).equals(withSchema)) return undefined;
  const header = decodeHeader(record.header);
  if (header === undefined || header.op === 't') return undefined;
  const key = plain ?? wanted.get(recordKeyText(record.key, header).toString('latin1'));
  if (key === undefined) return undefined;
  const { op, seq, at, definition, incarnation, afterStart, afterEnd } = header;
  const after =
    afterEnd === 0 || record.value === null ? null : Buffer.from(record.value.subarray(afterStart, afterEnd));
  const list = events.get(key) ?? [];
  list.push({ partition, offset: record.offset, op, seq, at, definition, incarnation, after });
  events.set(key, list);
  return { key, events: list };
}
