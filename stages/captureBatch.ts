/**
 * From rows of the change log to what one Kafka transaction holds. Pure. Every row ends in exactly one of these: its
 * records, a marker, a parked key, one that is gone, or nothing (an update that changed nothing, or a twin); all of them are named in the
 * state record and deleted afterwards. Or it stays: a row whose table is locked, and the markers behind it.
 */
import type { Definition, DefinitionHash } from '../core/definition.js';
import type { RecordForm } from '../core/envelope.js';
import { encodeHeader, type Op } from '../core/event.js';
import { partitionOf } from '../core/partitioner.js';
import type { RowName } from '../core/stateRecord.js';
import type { OutgoingRecord, PartitionRecords } from '../stores/kafka/producer.js';
import { batchHeadBytes, recordBytes } from '../stores/kafka/recordBatch.js';
import type { ParkedChange } from '../stores/mysql/parked.js';

/** What capture knows of the table under one definition. */
export interface Route {
  readonly definition: Definition;
  readonly hash: DefinitionHash;
  readonly topic: string;
  readonly partitions: number;
  readonly maxMessageBytes: number;
  readonly form: RecordForm;
}

/** A row whose images are at hand, or of which it is known why they are not. */
export interface Change extends RowName {
  readonly kind: 'event' | 'marker' | 'parked' | 'gone' | 'locked' | 'nothing';
  readonly tableId: number;
  readonly op: Op;
  readonly key: Buffer;
  readonly before: Buffer | null;
  readonly after: Buffer | null;
  readonly at: number;
  /** Null for markers, and for a definition that is nowhere to be found. */
  readonly route: Route | null;
  /** Of a parked one. */
  readonly reason: string;
}

export interface BatchContext {
  readonly incarnation: string;
  readonly publishedAt: number;
  /** Last ordinal of each partition, by topic. */
  readonly ordinals: ReadonlyMap<string, readonly number[]>;
  /** The last few changes before these. */
  readonly earlier: readonly Change[];
  /** Whether a key is parked at present; asked only when any is. */
  readonly isParked: ((tableId: number, key: Buffer) => boolean) | null;
  /** The lowest seq that earlier plans left in the change log; a marker behind it has not been reached. */
  readonly lowestLeft: number | null;
}

export interface BatchPlan {
  /** Done with, by seq. */
  readonly rows: readonly RowName[];
  /** Not done with: they stay in the change log, by seq. */
  readonly left: readonly RowName[];
  readonly partitions: readonly PartitionRecords[];
  readonly ordinals: ReadonlyMap<string, readonly number[]>;
  readonly markers: readonly string[];
  readonly parked: readonly ParkedChange[];
  /** Keys that were parked, before or by this batch, and whose last change here is a record, or that are gone. */
  readonly freed: readonly Change[];
  /** Changes that became records. */
  readonly published: number;
}

/** How far back a twin can lie: the rows that two triggers write for one change, and what others write in between. */
export const twinDistance = 16;

export function planBatch(changes: readonly Change[], context: BatchContext): BatchPlan {
  const lanes = new Map<string, (Lane | undefined)[]>();
  const ordinals = new Map(context.ordinals);
  const parked: ParkedChange[] = [];
  const parkedHere = new Set<string>();
  const freed = new Map<string, Change>();
  const markers: string[] = [];
  const done: RowName[] = [];
  const left: RowName[] = [];
  let lowestLeft = context.lowestLeft ?? Infinity;
  let published = 0;

  const lane = (route: Route, partition: number): Lane => {
    let list = lanes.get(route.topic);
    if (list === undefined) {
      list = [];
      lanes.set(route.topic, list);
      ordinals.set(route.topic, [...(ordinals.get(route.topic) ?? Array.from({ length: route.partitions }, () => 0))]);
    }
    return (list[partition] ??= { route, partition, records: [] });
  };

  const park = (change: Change, reason: string): void => {
    const { tableId, key, seq } = change;
    parked.push({ tableId, key, seq, reason });
    parkedHere.add(nameOf(change));
    freed.delete(nameOf(change));
  };

  const free = (change: Change): void => {
    const wasParked = context.isParked?.(change.tableId, change.key) === true;
    if (wasParked || (parkedHere.size > 0 && parkedHere.has(nameOf(change)))) freed.set(nameOf(change), change);
  };

  for (const [i, change] of changes.entries()) {
    if (change.kind === 'locked' || (change.kind === 'marker' && change.seq > lowestLeft)) {
      lowestLeft = Math.min(lowestLeft, change.seq);
      left.push(change);
      continue;
    }
    done.push(change);
    switch (change.kind) {
      case 'marker':
        markers.push(change.key.toString('utf8'));
        break;
      case 'parked':
        park(change, change.reason);
        break;
      case 'event': {
        const { route } = change;
        if (route === null || isNoChange(change) || isTwin(change, i, changes, context.earlier)) break;
        const partition = partitionOf(change.key, route.partitions);
        const target = lane(route, partition);
        const counts = ordinals.get(route.topic) as number[];
        const ordinal = (counts[partition] ?? 0) + 1;
        const record = recordOf(change, route, ordinal, context);
        if (record === null) {
          park(change, tooLarge(route));
          break;
        }
        target.records.push(record);
        counts[partition] = ordinal;
        published += 1;
        if (change.op === 'd') {
          target.records.push(tombstoneOf(change, route, ordinal + 1, context));
          counts[partition] = ordinal + 1;
        }
        free(change);
        break;
      }
      // A row that could only ever be parked was deleted: nothing to tell.
      case 'gone':
        free(change);
        break;
      case 'nothing':
        break;
    }
  }
  return {
    rows: done,
    left,
    partitions: partitionsOf(lanes),
    ordinals,
    markers,
    parked,
    freed: [...freed.values()],
    published,
  };
}

interface Lane {
  readonly route: Route;
  readonly partition: number;
  readonly records: OutgoingRecord[];
}

function partitionsOf(lanes: ReadonlyMap<string, (Lane | undefined)[]>): PartitionRecords[] {
  const result: PartitionRecords[] = [];
  for (const [topic, list] of lanes) {
    for (const entry of list) {
      if (entry === undefined || entry.records.length === 0) continue;
      const { partition, records, route } = entry;
      result.push({ topic, partition, records, maxBatchBytes: route.maxMessageBytes });
    }
  }
  return result;
}

/**
 * Null when it is over the topic's limit. The before-image gives way first: without it the change still arrives, and a
 * delete must.
 */
function recordOf(change: Change, route: Route, ordinal: number, context: BatchContext): OutgoingRecord | null {
  const whole = encode(change, change.before, route, ordinal, context);
  if (fits(whole, route)) return whole;
  if (change.before === null) return null;
  const without = encode(change, null, route, ordinal, context);
  return fits(without, route) ? without : null;
}

function encode(
  change: Change,
  before: Buffer | null,
  route: Route,
  ordinal: number,
  { publishedAt, incarnation }: BatchContext,
): OutgoingRecord {
  const { op, seq, at, after, key } = change;
  const { form, hash: definition } = route;
  const { keyStart } = form;
  const { value, afterStart, afterEnd } = form.value({ op, seq, at, publishedAt, before, after });
  const places = { afterStart, afterEnd, keyStart };
  const header = encodeHeader({ op, seq, ordinal, at, definition, ...places, incarnation });
  return { key: form.key(key), value, header };
}

function tombstoneOf(change: Change, route: Route, ordinal: number, { incarnation }: BatchContext): OutgoingRecord {
  const { seq, at, key } = change;
  const { form, hash: definition } = route;
  const places = { afterStart: 0, afterEnd: 0, keyStart: form.keyStart };
  const header = encodeHeader({ op: 't', seq, ordinal, at, definition, ...places, incarnation });
  return { key: form.key(key), value: null, header };
}

function fits({ key, value, header }: OutgoingRecord, route: Route): boolean {
  const bytes = recordBytes(key.length, value?.length ?? 0, header?.length ?? 0);
  return batchHeadBytes + bytes <= route.maxMessageBytes;
}

/** Whether a change of these sizes can be a record at all, before any image is read. */
export function canFit(route: Route, keyBytes: number, afterBytes: number): boolean {
  return batchHeadBytes + recordBytes(keyBytes, afterBytes, 0) <= route.maxMessageBytes;
}

export function tooLarge(route: Route): string {
  return `larger than a message of topic ${route.topic} may be (max.message.bytes ${route.maxMessageBytes})`;
}

function nameOf({ tableId, key }: Change): string {
  return `${tableId} ${key.toString('latin1')}`;
}

/** An UPDATE that set what was there already fires the trigger all the same. */
function isNoChange({ op, before, after }: Change): boolean {
  return op === 'u' && before !== null && after !== null && before.equals(after);
}

/**
 * While a trigger is exchanged, the old and the new one both log a change for some milliseconds: the key's change before
 * this one is the same in every byte. No application can do that: a second insert needs a delete between, a second
 * delete an insert, and an update begins where the last one ended.
 */
function isTwin(change: Change, index: number, changes: readonly Change[], earlier: readonly Change[]): boolean {
  if (change.op === 'r') return false;
  for (let back = 1; back <= twinDistance; back++) {
    const other = index >= back ? changes[index - back] : earlier[earlier.length + index - back];
    if (other === undefined) return false;
    if (other.kind === 'marker' || other.tableId !== change.tableId) continue;
    if (!sameKey(other.key, change.key)) continue;
    // A parked one between two that look alike is another state: the second must come through, and free the key.
    return (
      other.kind === 'event' &&
      other.op === change.op &&
      sameBytes(other.before, change.before) &&
      sameBytes(other.after, change.after)
    );
  }
  return false;
}

/** Keys differ near their end first: two looks there spare the call for nearly all of them. */
function sameKey(a: Buffer, b: Buffer): boolean {
  const end = a.length;
  return end === b.length && a[end - 2] === b[end - 2] && a[end - 3] === b[end - 3] && a.equals(b);
}

function sameBytes(a: Buffer | null, b: Buffer | null): boolean {
  return a === b || (a !== null && b !== null && a.equals(b));
}
