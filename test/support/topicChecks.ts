/**
 * What must hold for the topics of one pipeline, each as a list of violations in words; all empty means exactly once,
 * in order, in the shape that the contract promises.
 */
import { canonicalRow, canonicalRowJson } from './source.js';
import type { SourceRow, SourceTable } from './source.js';
import type { LedgerEntry } from './ledger.js';
import type { TopicEvent } from './topics.js';

/** A before-image that holds text that Unicode does not have is not told. */
function isUntold({ op, envelope }: TopicEvent, untold: Untold): boolean {
  return (op === 'u' || op === 'd') && envelope?.before === null && untold(String(envelope.source['table']));
}

/** Tables whose rows may hold such text. */
type Untold = (table: string) => boolean;
const never: Untold = () => false;

/** Shape of every record, tombstones, ordinals without gaps, a key in one partition and in seq order. */
export function shapeViolations(
  events: readonly TopicEvent[],
  { repairs = false, untold = never }: { readonly repairs?: boolean; readonly untold?: Untold } = {},
): string[] {
  const found: string[] = [];
  const ordinals = new Map<string, number>();
  const places = new Map<string, number>();
  const lastSeq = new Map<string, number>();
  for (const [index, event] of events.entries()) {
    const where = `${event.topic}/${event.partition}@${event.offset} ${event.key}`;
    const partition = `${event.topic}/${event.partition}`;
    const expected = (ordinals.get(partition) ?? 0) + 1;
    if (event.ordinal !== expected) found.push(`${where}: ordinal ${event.ordinal}, expected ${expected}`);
    ordinals.set(partition, event.ordinal);
    const key = `${event.topic} ${event.key}`;
    if ((places.get(key) ?? event.partition) !== event.partition) found.push(`${where}: key in two partitions`);
    places.set(key, event.partition);
    if (event.seq < (lastSeq.get(key) ?? 0)) found.push(`${where}: seq ${event.seq} after ${lastSeq.get(key)}`);
    lastSeq.set(key, event.seq);
    const hidden = isUntold(event, untold);
    found.push(...envelopeViolations(event, { repairs, hidden }).map((text) => `${where}: ${text}`));
    const next = events[index + 1];
    if (event.op === 'd' && !(next?.op === 't' && next.key === event.key && next.partition === event.partition)) {
      found.push(`${where}: d without its tombstone`);
    }
    if (event.op === 't' && events[index - 1]?.op !== 'd') found.push(`${where}: tombstone without its d`);
  }
  if (new Set(events.map((e) => e.incarnation)).size > 1) found.push('more than one incarnation');
  return found;
}

/** `repairs`: the delete of a key that a copy finds in a store alone has no row to show as before. */
function envelopeViolations(
  event: TopicEvent,
  { repairs, hidden }: { readonly repairs: boolean; readonly hidden: boolean },
): string[] {
  const { envelope, op } = event;
  if (op === 't') return envelope === null ? [] : ['tombstone with a value'];
  if (envelope === null) return [`${op} without a value`];
  const found: string[] = [];
  const { before, after, source } = envelope;
  if (envelope.op !== op) found.push(`op ${envelope.op} under a header of ${op}`);
  if (op === 'c' && (before !== null || after === null)) found.push('c needs after alone');
  if (op === 'u' && ((before === null && !hidden) || after === null)) found.push('u needs before and after');
  if ((repairs || hidden) && op === 'd' && before === null && after === null) return found;
  if (op === 'd' && (before === null || after !== null)) found.push('d needs before alone');
  if (op === 'r' && after === null) found.push('r needs after');
  if (source['connector'] !== 'lockstep') found.push('source.connector');
  if (Number(source['seq']) !== event.seq) found.push(`source.seq ${String(source['seq'])}`);
  if (!isTopicOf(event.topic, String(source['table']))) found.push(`source.table ${String(source['table'])}`);
  if (typeof envelope.ts_ms !== 'number' || typeof source['ts_ms'] !== 'number') found.push('ts_ms');
  const image = after ?? before;
  const key = JSON.parse(event.key) as Record<string, unknown>;
  for (const [name, value] of Object.entries(key)) {
    if (JSON.stringify(image?.[name]) !== JSON.stringify(value)) found.push(`key column ${name} is not the image's`);
  }
  if (after !== null && JSON.stringify(JSON.parse(event.afterText ?? 'null')) !== JSON.stringify(after)) {
    found.push('the header does not point at the after-image');
  }
  return found;
}

/** A name of Kafka's full length ends in a digest instead. */
function isTopicOf(topic: string, table: string): boolean {
  const escaped = table.replaceAll(/[^A-Za-z0-9_]/g, (c) => `-${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
  return topic.endsWith(`.${escaped}`) || /^.{232}-[0-9a-f]{16}$/.test(topic);
}

/** Every committed change once; nothing else. `r` rows of key-only entries count as the entry that they answer. */
export function ledgerViolations(events: readonly TopicEvent[], ledger: readonly LedgerEntry[]): string[] {
  const found: string[] = [];
  const counts = new Map<number, number>();
  for (const event of events) {
    if (event.op !== 't') counts.set(event.seq, (counts.get(event.seq) ?? 0) + 1);
  }
  const committed = new Map(ledger.map((entry) => [entry.seq, entry]));
  for (const [seq, count] of counts) {
    if (count > 1) found.push(`seq ${seq} is in the topics ${count} times`);
  }
  for (const { seq, op, noop, key } of ledger) {
    const expected = op !== 'm' && !noop;
    if (expected && !counts.has(seq)) found.push(`seq ${seq} (${op} ${key}) is missing in the topics`);
    if (!expected && counts.has(seq)) found.push(`seq ${seq} (${op}, no change) is in the topics`);
  }
  for (const event of events) {
    const entry = committed.get(event.seq);
    if (
      entry !== undefined &&
      entry.op !== '?' &&
      event.op !== 't' &&
      (entry.op !== event.op || entry.key !== event.key)
    ) {
      found.push(`seq ${event.seq}: ${event.op} ${event.key} in the topics, ${entry.op} ${entry.key} committed`);
    }
  }
  return found;
}

/** Each before-image is the after-image of the key's event before it: no change between them is missing or out of order. */
export function chainViolations(events: readonly TopicEvent[], untold: Untold = never): string[] {
  const found: string[] = [];
  const state = new Map<string, string>();
  for (const event of events) {
    const { topic, key, seq, op, envelope } = event;
    if (envelope === null) continue;
    const name = `${topic} ${key}`;
    const known = state.get(name);
    const before = JSON.stringify(envelope.before);
    if (known !== undefined && (op === 'u' || op === 'd') && before !== known && !isUntold(event, untold))
      found.push(`${name} seq ${seq}: ${op} of another before-image`);
    if (known !== undefined && known !== 'null' && op === 'c') found.push(`${name} seq ${seq}: c of a row that exists`);
    if (known !== undefined && op === 'r' && JSON.stringify(envelope.after) !== known)
      found.push(`${name} seq ${seq}: r of another image`);
    state.set(name, JSON.stringify(envelope.after));
  }
  return found;
}

/** A reader of the topics alone ends with exactly the rows that MySQL holds. `rows` by table. */
export function replayViolations(
  events: readonly TopicEvent[],
  tables: readonly SourceTable[],
  rows: ReadonlyMap<string, readonly SourceRow[]>,
): string[] {
  const found: string[] = [];
  for (const table of tables) {
    const state = new Map<string, string>();
    for (const event of events) {
      if (event.envelope === null || event.envelope.source['table'] !== table.name) continue;
      if (event.op === 'd') state.delete(event.key);
      else if (event.afterText !== null) state.set(event.key, event.afterText);
    }
    const byKey = new Map(
      [...state.values()].map((text) => {
        const row = canonicalRowJson(table, text);
        return [JSON.stringify(table.key.map((name) => row.get(name))), row];
      }),
    );
    for (const row of rows.get(table.name) ?? []) {
      const expected = canonicalRow(table, row);
      const key = JSON.stringify(table.key.map((name) => expected.get(name)));
      const actual = byKey.get(key);
      if (actual === undefined) found.push(`${table.name} ${key}: not in the topics`);
      else if (JSON.stringify([...actual]) !== JSON.stringify([...expected])) {
        found.push(`${table.name} ${key}: the topics end with another row`);
      }
      byKey.delete(key);
    }
    found.push(...[...byKey.keys()].map((key) => `${table.name} ${key}: the topics end with a row that is gone`));
  }
  return found;
}
