/** Definitions, events and batches for tests of the stores, in as few words as they allow. */
import type { Column, Definition } from '../../core/definition.js';
import type { Op } from '../../core/event.js';
import { emptyLag } from '../../core/lag.js';
import { collectionName } from '../../core/names.js';
import type { Position } from '../../core/position.js';
import type { Batch, ShardState, Store, StoreEvent, Target } from '../../core/store.js';

export function column(name: string, type: string, more: Partial<Column> = {}): Column {
  return {
    name,
    type,
    columnType: type,
    nullable: true,
    unsigned: false,
    zerofill: false,
    length: null,
    precision: null,
    scale: null,
    fsp: null,
    charset: null,
    collation: null,
    generated: false,
    invisible: false,
    members: [],
    ...more,
  };
}

export function definition(columns: readonly Column[], key: readonly string[] = ['id'], table = 'things'): Definition {
  return { database: 'shop', table, columns, key };
}

/** `id INT PRIMARY KEY, v VARCHAR`. */
export const things = definition([column('id', 'int', { nullable: false }), column('v', 'varchar')]);

export function target(table = 'things', redis: Partial<Target['redis']> = {}): Target {
  return { table, collection: collectionName(table), redis: { layout: 'json', ttlMs: null, ...redis } };
}

export interface EventParts {
  readonly definition?: Definition;
  readonly target?: Target;
  readonly at?: number;
  readonly seq?: number;
}

/** `key` is key text, or the value of a single key column `id`; `after` null is a delete. */
export function event(op: Op, key: number | string, after: string | null, parts: EventParts = {}): StoreEvent {
  return {
    definition: parts.definition ?? things,
    target: parts.target ?? target((parts.definition ?? things).table),
    op,
    key: Buffer.from(typeof key === 'number' ? `{"id":${key}}` : key),
    after: after === null ? null : Buffer.from(after),
    seq: parts.seq ?? 1,
    at: parts.at ?? 1_700_000_000_000,
  };
}

export function put(id: number, v: string, op: Op = 'u'): StoreEvent {
  return event(op, id, JSON.stringify({ id, v }));
}

export function remove(id: number): StoreEvent {
  return event('d', id, null);
}

export const partition = 'shop.shop.things/0';

/** A batch of one partition: ordinals count events, offsets leave a hole after them as control records do. */
export function batch(from: Position, events: readonly StoreEvent[]): Batch {
  const to = { offset: from.offset + events.length + 1, ordinal: from.ordinal + events.length };
  return {
    events,
    moves: [{ partition, from, to }],
    progress: { applied: to.ordinal, lastEventAt: 1_700_000_000_000, lag: emptyLag() },
    gaps: null,
  };
}

export const start: Position = { offset: 0, ordinal: 0 };

export function beginning(): ShardState {
  return {
    incarnation: 'one',
    positions: new Map(),
    progress: { applied: 0, lastEventAt: 0, lag: emptyLag() },
    gaps: [],
  };
}

/** Owns the shard from its first state on; returns the epoch. */
export async function own(store: Store, shard = 0): Promise<number> {
  const made = await store.initialise(shard, beginning());
  if (made.kind !== 'owned') throw new Error('the store was not empty');
  return made.epoch;
}
