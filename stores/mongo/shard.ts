/**
 * One owned shard: its session, what it knows of collections and parked keys, and its batches in order. The next batch
 * becomes BSON while the one before is in the server; a batch whose predecessor failed finds another position.
 */
import type { ClientSession } from 'mongodb';
import { LockstepError } from '../../core/errors.js';
import type { ApplyOutcome, Batch, ParkedKey, ShardState, StoreEvent } from '../../core/store.js';
import { BsonWriter } from './bsonWriter.js';
import { mongoError } from './client.js';
import { ensureCollection } from './collections.js';
import { positionsOf, readPosition, type Owned } from './ownership.js';
import { fieldsOf, positionId, type KnownCollection } from './shardState.js';
import { statementsOf, type Statements } from './statements.js';
import { runTransaction, type ParkedDocument, type Places, type Unwritten } from './transaction.js';

const maxConflicts = 5;
const maxRefused = 100;
/** After so many batches that found their keys in place, a collection is upserted into, for good. */
const maxStrikes = 3;
const keptWriterBytes = 32 * 1024 * 1024;

export class OwnedShard {
  readonly shard: number;
  readonly epoch: number;
  readonly #places: Places;
  readonly #session: ClientSession;
  readonly #parked: Map<string, ParkedKey>;
  readonly #collections: Map<string, KnownCollection>;
  /** Collections that were empty when met, with the number of inserts that were refused. */
  readonly #filling = new Map<string, number>();
  readonly #validated = new Set<string>();
  readonly #writers: BsonWriter[] = [];
  #met = new Set<string>();
  #tail: Promise<unknown> = Promise.resolve();

  private constructor(places: Places, shard: number, owned: Owned, parked: readonly ParkedKey[]) {
    this.shard = shard;
    this.epoch = owned.document.epoch;
    this.#places = places;
    this.#session = owned.session;
    this.#parked = new Map(parked.map((p) => [parkedName(p), p]));
    this.#collections = new Map(owned.document.collections.map((c) => [c.collection, c]));
  }

  static async open(places: Places, shard: number, owned: Owned): Promise<OwnedShard> {
    const filter = { '_id.pipeline': places.pipeline, '_id.shard': shard };
    const found = await places.state.collection<ParkedDocument>('parked').find(filter).toArray();
    return new OwnedShard(places, shard, owned, found.map(parkedOf));
  }

  get collections(): readonly KnownCollection[] {
    return [...this.#collections.values()];
  }

  async apply(batch: Batch): Promise<ApplyOutcome> {
    const writer = this.#writers.pop() ?? new BsonWriter(1024 * 1024);
    const statements = this.#statements(writer, batch);
    const outcome = this.#tail.then(async () => await this.#write(batch, writer, statements));
    this.#tail = outcome.catch(() => undefined);
    try {
      return await outcome;
    } finally {
      if (writer.bytes.length <= keptWriterBytes) this.#writers.push(writer);
    }
  }

  async reposition(to: Omit<ShardState, 'progress'>, collections: readonly KnownCollection[]): Promise<boolean> {
    await this.#tail;
    const moved = await positionsOf(this.#places).updateOne(
      { _id: positionId(this.#places.pipeline, this.shard), epoch: this.epoch },
      { $set: { ...fieldsOf(to), collections: [...collections] } },
    );
    if (moved.matchedCount === 0) return false;
    this.#collections.clear();
    for (const known of collections) this.#collections.set(known.collection, known);
    this.#met = new Set();
    return true;
  }

  async close(): Promise<void> {
    await this.#tail;
    await this.#session.endSession();
  }

  #statements(writer: BsonWriter, { events, fresh }: Batch): Statements {
    const first = fresh === true ? 0 : maxStrikes;
    return statementsOf(writer, events, (c) => (this.#filling.get(c) ?? first) < maxStrikes, new Map());
  }

  async #write(batch: Batch, writer: BsonWriter, prepared: Statements): Promise<ApplyOutcome> {
    const collections = await this.#meet(batch);
    const refused = new Map<StoreEvent, string>();
    let statements = prepared;
    for (let conflicts = 0; ;) {
      const unparked = this.#unparked(batch.events, statements.parked);
      const result = await runTransaction(this.#places, this.#session, {
        shard: this.shard,
        epoch: this.epoch,
        batch,
        statements,
        writer,
        unparked,
        collections,
        validated: this.#validated,
      });
      if (result.kind === 'written') {
        for (const parked of unparked) this.#parked.delete(parkedName(parked));
        for (const parked of statements.parked) this.#parked.set(parkedName(parked), parked);
        return { kind: 'applied', parked: statements.parked };
      }
      const single = batch.events.length <= 1;
      switch (result.kind) {
        case 'elsewhere':
          return await this.#elsewhere();
        case 'too-large':
          if (!single) return { kind: 'too-large' };
          refuse(refused, batch.events[0], 'the document is too large for one transaction of this server');
          break;
        case 'not-empty':
          this.#filling.set(result.collection, (this.#filling.get(result.collection) ?? 0) + 1);
          break;
        case 'validated':
          this.#validated.add(result.collection);
          continue;
        case 'refused':
          // Each costs a transaction: many are found sooner in smaller batches.
          if (refused.size >= maxRefused && !single) return { kind: 'too-large' };
          refuse(refused, result.event, result.reason);
          break;
        case 'unfit':
          if (!single) return { kind: 'too-large' };
          refuse(refused, batch.events[0], result.reason);
          break;
        case 'conflict':
          if (++conflicts < maxConflicts) continue;
          if (!single) return { kind: 'too-large' };
          throw conflictError(result);
      }
      // Upserts, whatever the first attempt was: they cannot meet a key that is there.
      statements = statementsOf(writer, batch.events, () => false, refused);
    }
  }

  async #elsewhere(): Promise<ApplyOutcome> {
    const document = await readPosition(this.#places, this.shard);
    if (document === null) return { kind: 'lost' };
    return { kind: document.epoch > this.epoch ? 'fenced' : 'stale' };
  }

  /** Makes sure of the collections that this process writes to for the first time; the new list, if there is one. */
  async #meet(batch: Batch): Promise<readonly KnownCollection[] | null> {
    let changed = false;
    for (const { target } of batch.events) {
      if (this.#met.has(target.collection)) continue;
      const found = await ensureCollection(this.#places.data, target.collection);
      this.#met.add(target.collection);
      if (found.empty) this.#filling.set(target.collection, 0);
      if (this.#collections.has(target.collection)) continue;
      this.#collections.set(target.collection, {
        collection: target.collection,
        table: target.table,
        uuid: found.uuid,
      });
      changed = true;
    }
    return changed ? this.collections : null;
  }

  /** Keys of the batch that stand parked and are written well now. */
  #unparked(events: readonly StoreEvent[], parkedNow: readonly ParkedKey[]): ParkedKey[] {
    if (this.#parked.size === 0) return [];
    const still = new Set(parkedNow.map(parkedName));
    const found = new Map<string, ParkedKey>();
    for (const event of events) {
      const name = parkedName({ table: event.target.table, key: event.key.toString('utf8') });
      const parked = this.#parked.get(name);
      if (parked !== undefined && !still.has(name)) found.set(name, parked);
    }
    return [...found.values()];
  }
}

function refuse(refused: Map<StoreEvent, string>, event: StoreEvent | undefined, reason: string): void {
  if (event === undefined || refused.has(event)) {
    throw new LockstepError('LS-MONGO-WRITE', `MongoDB refuses a batch: ${reason}`);
  }
  refused.set(event, reason);
}

function conflictError(conflict: Extract<Unwritten, { kind: 'conflict' }>): LockstepError {
  return mongoError(conflict.cause, 'write a batch: another client keeps writing the same documents');
}

function parkedName(parked: Pick<ParkedKey, 'table' | 'key'>): string {
  return `${parked.table}\0${parked.key}`;
}

export function parkedOf(document: ParkedDocument): ParkedKey {
  return { table: document._id.table, key: document._id.key, reason: document.reason, seq: document.seq };
}
