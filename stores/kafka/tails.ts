/** What the log ends with: the last committed record of every partition. Capture compares it with what it knows. */
import { partitionName, splitPartitionName, type PartitionName } from '../../core/position.js';
import { LockstepError } from '../../core/errors.js';
import type { LogRecord, Reader } from './reader.js';

export interface Tail {
  readonly beginning: number;
  readonly end: number;
  /** Null where nothing committed is left: never written, aborted only, or expired. */
  readonly last: LogRecord | null;
}

const patienceMs = 30_000;

/** All partitions of the topics that exist. */
export async function readTails(reader: Reader, topics: readonly string[]): Promise<Map<PartitionName, Tail>> {
  const beginnings = await reader.beginningOffsets(topics);
  const ends = await reader.endOffsets(topics);
  const tails = new Map<PartitionName, Tail>();
  for (const [name, end] of ends) tails.set(name, { beginning: beginnings.get(name) ?? 0, end, last: null });
  // Control records and aborted ones lie between: a few offsets at first, then further back.
  for (let step = 4; ; step *= 8) {
    const open = [...tails].filter(([, { beginning, end, last }]) => last === null && end > beginning);
    const wanted = open.filter(([, { beginning, end }]) => step === 4 || end - step / 8 > beginning);
    if (wanted.length === 0) return tails;
    const from = new Map(wanted.map(([name, { beginning, end }]) => [name, Math.max(beginning, end - step)]));
    for (const [name, last] of await lastOf(reader, from, ends)) {
      const tail = tails.get(name);
      if (tail !== undefined) tails.set(name, { ...tail, last });
    }
  }
}

/** The last record between `from` and `ends`, where there is one. */
async function lastOf(
  reader: Reader,
  from: ReadonlyMap<PartitionName, number>,
  ends: ReadonlyMap<PartitionName, number>,
): Promise<Map<PartitionName, LogRecord>> {
  const found = new Map<PartitionName, LogRecord>();
  const positions = new Map(from);
  const signal = AbortSignal.timeout(patienceMs);
  while (positions.size > 0) {
    for (const result of await reader.fetch(positions, signal)) {
      const name = partitionName(result.topic, result.partition);
      const last = result.records.at(-1);
      if (last !== undefined) found.set(name, { ...last, key: copied(last.key), value: copied(last.value) });
      if (result.nextOffset >= (ends.get(name) ?? 0) || result.outOfRange || result.missing) positions.delete(name);
      else positions.set(name, result.nextOffset);
    }
    if (signal.aborted) {
      throw reader.trouble() ?? new LockstepError('LS-KAFKA-UNREACHABLE', 'the ends of the log cannot be read');
    }
  }
  return found;
}

/** Everything in a one-partition topic that is compacted by key: the last value of each, by key. */
export async function readCompacted(reader: Reader, topic: string): Promise<Map<string, Buffer>> {
  const name = partitionName(topic, 0);
  const end = (await reader.endOffsets([topic])).get(name) ?? 0;
  const values = new Map<string, Buffer>();
  const signal = AbortSignal.timeout(patienceMs);
  let position = (await reader.beginningOffsets([topic])).get(name) ?? 0;
  while (position < end) {
    for (const result of await reader.fetch(new Map([[name, position]]), signal)) {
      position = result.nextOffset;
      for (const { key, value } of result.records) {
        if (key === null) continue;
        if (value === null) values.delete(key.toString('utf8'));
        else values.set(key.toString('utf8'), Buffer.from(value));
      }
    }
    if (signal.aborted) throw reader.trouble() ?? new LockstepError('LS-KAFKA-UNREACHABLE', `${topic} cannot be read`);
  }
  return values;
}

/** A view would keep the whole answer of the broker alive. */
function copied(bytes: Buffer | null): Buffer | null {
  return bytes === null ? null : Buffer.from(bytes);
}

export function topicsOf(names: Iterable<PartitionName>): Set<string> {
  const topics = new Set<string>();
  for (const name of names) topics.add(splitPartitionName(name).topic);
  return topics;
}
