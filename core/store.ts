/**
 * What the apply stage asks of a store. A store keeps the position of each shard inside itself and moves it in the same
 * atomic write as the data; whoever raised the epoch last is the only one who can write.
 */
import type { Definition } from './definition.js';
import type { Op } from './event.js';
import type { LagHistogram } from './lag.js';
import type { PartitionName, Position, Positions } from './position.js';
import type { Disagreement, TableForm, Unprepared } from './tableForm.js';

export type StoreName = 'mongo' | 'redis';

/** How one table lands in a store, after overrides. */
export interface Target {
  readonly table: string;
  /** MongoDB collection. */
  readonly collection: string;
  readonly redis: { readonly layout: 'json' | 'hash'; readonly ttlMs: number | null };
}

/** One event as a store needs it. */
export interface StoreEvent {
  readonly target: Target;
  readonly definition: Definition;
  readonly op: Op;
  /** Kafka key text, UTF-8. */
  readonly key: Buffer;
  /** Row JSON, UTF-8; null for a delete. */
  readonly after: Buffer | null;
  readonly seq: number;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** Where one partition's position moves from and to with a batch. */
export interface Move {
  readonly partition: PartitionName;
  readonly from: Position;
  readonly to: Position;
}

export interface Batch {
  /** In log order within each partition; a key's events are always in one partition. */
  readonly events: readonly StoreEvent[];
  readonly moves: readonly Move[];
  /** Totals of this shard after the batch, for status; stored beside the position. */
  readonly progress: Progress;
  /** The shard's gaps after the batch, when it passes over a new one; else null and they stay. */
  readonly gaps: readonly string[] | null;
  /** The keys were made a moment ago, so the store should hold none of them: inserting is cheaper. They may be there all the same. */
  readonly fresh?: boolean;
}

export interface Progress {
  /** Events applied since the store was initialised. */
  readonly applied: number;
  /** Commit time of the newest applied event, milliseconds since 1970; 0 before the first. */
  readonly lastEventAt: number;
  readonly lag: LagHistogram;
}

/** A key set aside because its value cannot be stored; the store keeps the key's last good content. */
export interface ParkedKey {
  readonly table: string;
  /** Key text `{"pk1":…}`. */
  readonly key: string;
  readonly reason: string;
  readonly seq: number;
}

export type ApplyOutcome =
  | { readonly kind: 'applied'; readonly parked: readonly ParkedKey[] }
  /** Ours still, but at another position (a replay, or an earlier batch failed): nothing was written; `retake`, then read from there. */
  | { readonly kind: 'stale' }
  /** More than the store takes at once: nothing was written; send less. Never for a single event. */
  | { readonly kind: 'too-large' }
  /** Another owner raised the epoch: stop quietly. */
  | { readonly kind: 'fenced' }
  /** The store no longer holds our position: it lost data. */
  | { readonly kind: 'lost' };

export type Ownership =
  | { readonly kind: 'owned'; readonly epoch: number; readonly state: ShardState }
  /** The store holds no position for this shard: first start, or it lost its data. */
  | { readonly kind: 'empty' };

/** Answer to the owner who asks again: `fenced` when someone else raised the epoch meanwhile. */
export type Retaken = Ownership | { readonly kind: 'fenced' };

export interface ShardState {
  readonly incarnation: string;
  readonly positions: Positions;
  readonly progress: Progress;
  /**
   * What the log or the store lost and nobody has acknowledged yet: table names, or `*` for all of them. Written with the
   * position that passes over the loss, so that a crash before the report forgets nothing.
   */
  readonly gaps: readonly string[];
}

/** How much one call of `apply` takes, and how many calls may be under way: they are carried out in order. */
export interface BatchLimits {
  readonly events: number;
  readonly bytes: number;
  readonly inFlight: number;
}

/** What a look at the store shows: still ours, fallen back to an older state of ours, another's, emptied, or tables gone. */
export type Holding =
  | { readonly kind: 'held' }
  | { readonly kind: 'stale' }
  | { readonly kind: 'fenced' }
  | { readonly kind: 'lost' }
  | { readonly kind: 'tables-lost'; readonly tables: readonly string[] };

/** One row as MySQL holds it. */
export interface SourceRow {
  /** Key text `{"pk1":…}`. */
  readonly key: Buffer;
  /** Row JSON. */
  readonly row: Buffer;
}

/** `expired`: absent, and the table has a TTL in this store, so that absence proves nothing. `extra`: there without a row. */
export type RowVerdict =
  | { readonly kind: 'equal' }
  | { readonly kind: 'missing' }
  | { readonly kind: 'extra' }
  | { readonly kind: 'expired' }
  | { readonly kind: 'different'; readonly fields: readonly string[] };

/** What should lie under a key: row JSON, or null for nothing. */
export interface Expected {
  /** Key text `{"pk1":…}`. */
  readonly key: Buffer;
  readonly row: Buffer | null;
}

/** What lies under one key, in the store's own form. */
export type Content =
  | { readonly kind: 'absent' }
  /** A document, or a string. `expiresAt`: milliseconds since 1970; null: never. */
  | { readonly kind: 'bytes'; readonly bytes: Buffer; readonly expiresAt: number | null }
  | { readonly kind: 'fields'; readonly fields: ReadonlyMap<string, Buffer>; readonly expiresAt: number | null }
  /** Nothing that any layout of ours makes. */
  | { readonly kind: 'other'; readonly type: string };

/** Some keys and the positions, read at one moment: what the positions say lies in the contents, and nothing beyond. */
export interface Held {
  /** One a shard; null: the store holds none. */
  readonly shards: readonly ((ShardState & { readonly epoch: number }) | null)[];
  /** One a key, in order. */
  readonly contents: readonly Content[];
}

/** One entry that a store holds. */
export interface Entry {
  /** As lockstep names it; what stands in its place, where it is none that lockstep knows. */
  readonly table: string;
  /** Key text; what the store calls the entry, where that is no key of the table. */
  readonly key: string;
  readonly isKey: boolean;
}

export interface Entries {
  readonly entries: readonly Entry[];
  /** Where to read on; null when all were seen. */
  readonly next: string | null;
}

/** Keys of a table, (after, upTo], each part of a key as text; null is no bound. */
export interface KeyRange {
  readonly after: readonly string[] | null;
  readonly upTo: readonly string[] | null;
}

/** Every row of a range, and every entry of the store in it. */
export interface RangeCompared {
  /** One a row, in order. */
  readonly verdicts: readonly RowVerdict[];
  /** Entries of none of the rows. */
  readonly extra: readonly Entry[];
}

/** What lies under one key. */
export interface Found {
  /** MongoDB: the document's BSON. Redis: the string, or field, value, … of a hash. Null: nothing lies there. */
  readonly content: Buffer | readonly Buffer[] | null;
  /** Redis: something lies there that is neither a string nor a hash, or not what the layout asks for. */
  readonly otherType: boolean;
  /** When it expires, milliseconds since 1970; null: never. */
  readonly expiresAt: number | null;
  /** The key is set aside: it keeps its last good content. */
  readonly parked: boolean;
}

/** What a store holds under some keys, and where it stands: one moment of it, read whole. */
export interface Sight {
  /** Null: the store holds no state of this shard. */
  readonly state: (ShardState & { readonly epoch: number }) | null;
  /** In the order of the keys. */
  readonly found: readonly Found[];
  /** Milliseconds since 1970, by the clock that expires keys. */
  readonly at: number;
  /** Deletes have gone ahead of the position, because the store is out of memory: absence proves nothing. */
  readonly deletesAhead: boolean;
}

/** What an event says of its key, held against what lies there. `extra`: it should be gone. */
export type EventVerdict =
  | { readonly kind: 'equal' }
  | { readonly kind: 'expired' }
  | { readonly kind: 'parked' }
  | { readonly kind: 'missing' }
  | { readonly kind: 'extra' }
  | { readonly kind: 'different'; readonly fields: readonly string[] };

/** The part of an event that tells what its key must hold. */
export type ExpectedEvent = Pick<StoreEvent, 'target' | 'definition' | 'op' | 'key' | 'after' | 'at'>;

export interface Store {
  readonly name: StoreName;
  readonly limits: BatchLimits;
  /** Ends whatever a predecessor left open, raises the epoch and returns what is there. Safe to repeat; < 1 s. */
  takeOver(shard: number): Promise<Ownership>;
  /** Writes a first state into an empty store, with epoch 1, and owns it. Refuses (returns empty) when one appeared. */
  initialise(shard: number, state: ShardState): Promise<Ownership>;
  /** One atomic write: every event and the position, on condition of epoch and previous positions. */
  apply(shard: number, epoch: number, batch: Batch): Promise<ApplyOutcome>;
  /** After an unknown result: as `takeOver`, on condition that the epoch is not above ours. */
  retake(shard: number, epoch: number): Promise<Retaken>;
  /** Sets incarnation, positions and gaps without data; progress stays. False when it is not ours any more. */
  reposition(shard: number, epoch: number, to: Omit<ShardState, 'progress'>): Promise<boolean>;
  /** A look while idle: does the store still hold our epoch, our state and our tables? */
  look(shard: number, epoch: number): Promise<Holding>;
  /** Without owning it: what any reader may see; null when the store holds none. */
  readState(shard: number): Promise<(ShardState & { readonly epoch: number }) | null>;
  parkedKeys(limit: number): Promise<readonly ParkedKey[]>;
  /** Key texts of everything the store holds of a table, in no order, in groups of at most a few thousand; some are empty. */
  scanKeys(target: Target, definition: Definition): AsyncIterable<readonly string[]>;
  /** Holds rows as MySQL has them against what lies here; one verdict a row, in order. */
  compareRows(target: Target, definition: Definition, rows: readonly SourceRow[]): Promise<readonly RowVerdict[]>;
  /**
   * The same, and what else the store holds between them: `rows` are all that the range has. Null where the store does not
   * keep the table in the order of its keys, or holds so much besides that `entries` is to tell it.
   */
  compareRange(
    target: Target,
    definition: Definition,
    rows: readonly SourceRow[],
    range: KeyRange,
  ): Promise<RangeCompared | null>;
  /** Some keys together with the positions of so many shards, at one moment. */
  read(target: Target, definition: Definition, keys: readonly Buffer[], shards: number): Promise<Held>;
  /** What was read, for people. */
  text(bytes: Buffer): string;
  /** Holds what was read against what should be there. Asks nobody. */
  judge(target: Target, definition: Definition, content: Content, expected: Expected): RowVerdict;
  /**
   * What the store holds of these tables, a part at a time: `from` null, then `next`. Whatever is there all the while is
   * seen once or more. LS-SWEEP-PLACE-LOST when the place means nothing any more: begin again. `everything`: also what no
   * table of these owns.
   */
  entries(
    tables: readonly { readonly target: Target; readonly definition: Definition }[],
    from: string | null,
    options: { readonly limit: number; readonly everything: boolean },
  ): Promise<Entries>;
  /** Reads keys and the shard's state in one atomic look; at most `examineAtMost` keys. */
  examine(shard: number, keys: readonly ExpectedEvent[]): Promise<Sight>;
  readonly examineAtMost: number;
  /** Pure. `at`: the sight's clock. */
  judgeEvent(expected: ExpectedEvent, found: Found, at: number): EventVerdict;
  /** Brings what the store itself knows of the tables (collections, validators, indexes) to what they ask for; tells what it could not. */
  prepareTables(tables: readonly TableForm[]): Promise<readonly Unprepared[]>;
  /** Holds the same, and some entries as samples, against the tables. */
  inspectTables(tables: readonly TableForm[], samples: number): Promise<readonly Disagreement[]>;
  /** Removes a shard's own state (not the data); its owner finds it lost. */
  dismiss(shard: number): Promise<void>;
  /** Removes all of this pipeline's own state (not the data). */
  forget(): Promise<void>;
  close(): Promise<void>;
}
