/**
 * MongoDB as a store: positions, parked keys and claims in `mongo.stateDatabase`, one collection a table in
 * `mongo.database`. Data and position are always one transaction.
 */
import type { MongoClient } from 'mongodb';
import type { MongoConfig } from '../../core/config.js';
import type { Definition } from '../../core/definition.js';
import { LockstepError } from '../../core/errors.js';
import type {
  ApplyOutcome,
  Batch,
  Content,
  Entries,
  EventVerdict,
  Expected,
  ExpectedEvent,
  Found,
  Held,
  Holding,
  KeyRange,
  Ownership,
  ParkedKey,
  RangeCompared,
  Retaken,
  RowVerdict,
  ShardState,
  Sight,
  SourceRow,
  Store,
  Target,
} from '../../core/store.js';
import type { Disagreement, TableForm, Unprepared } from '../../core/tableForm.js';
import { mongoError, openMongo } from './client.js';
import { lostAmong, uuidsOf } from './collections.js';
import { compareRows, documentText, readAtOnce, verdict } from './documents.js';
import { readEntries, scanKeys } from './ids.js';
import { examine, examineAtMost, judge } from './examine.js';
import { inspectTables } from './inspect.js';
import {
  claim,
  claimsOf,
  createPosition,
  positionsOf,
  raiseEpoch,
  readPassedPosition,
  readPosition,
  type Owned,
} from './ownership.js';
import { compareRange } from './range.js';
import { OwnedShard, parkedOf } from './shard.js';
import { positionId, stateOf } from './shardState.js';
import { prepareTables } from './tableForms.js';
import type { ParkedDocument, Places } from './transaction.js';

export function openMongoStore(config: MongoConfig, pipeline: string): Store {
  return new MongoStore(openMongo(config, pipeline), config, pipeline);
}

class MongoStore implements Store {
  readonly name = 'mongo';
  /** 2,000–7,000 events a transaction are equally fast; from 8 MB on the server's cache may refuse. */
  readonly limits = { events: 5_000, bytes: 8 * 1024 * 1024, inFlight: 2 };
  readonly #client: MongoClient;
  readonly #places: Places;
  readonly #owned = new Map<number, OwnedShard>();
  readonly #building = new Map<string, Promise<void>>();

  constructor(client: MongoClient, config: MongoConfig, pipeline: string) {
    this.#client = client;
    this.#places = { client, data: client.db(config.database), state: client.db(config.stateDatabase), pipeline };
  }

  async takeOver(shard: number): Promise<Ownership> {
    const owned = await raiseEpoch(this.#places, shard, Number.POSITIVE_INFINITY);
    if (owned === 'fenced') throw new LockstepError('LS-INTERNAL', 'an epoch above infinity');
    return await this.#own(shard, owned);
  }

  async retake(shard: number, epoch: number): Promise<Retaken> {
    const owned = await raiseEpoch(this.#places, shard, epoch);
    return owned === 'fenced' ? { kind: 'fenced' } : await this.#own(shard, owned);
  }

  async initialise(shard: number, state: ShardState): Promise<Ownership> {
    try {
      await claim(this.#places);
      return await this.#own(shard, await createPosition(this.#places, shard, state));
    } catch (error) {
      throw mongoError(error, 'create the position document');
    }
  }

  async apply(shard: number, epoch: number, batch: Batch): Promise<ApplyOutcome> {
    return await this.#shard(shard, epoch).apply(batch);
  }

  async reposition(shard: number, epoch: number, to: Omit<ShardState, 'progress'>): Promise<boolean> {
    const owned = this.#shard(shard, epoch);
    try {
      // Only what these gaps note: another collection may have gone since the look, and is for the next one to see.
      const noted = (table: string): boolean => to.gaps.includes(table) || to.gaps.includes('*');
      const lost = new Set(lostAmong(owned.collections, await uuidsOf(this.#places.data)));
      return await owned.reposition(
        to,
        owned.collections.filter((c) => !(lost.has(c) && noted(c.table))),
      );
    } catch (error) {
      throw mongoError(error, 'move the position');
    }
  }

  async look(shard: number, epoch: number): Promise<Holding> {
    try {
      const document = await readPosition(this.#places, shard);
      if (document === null) return { kind: 'lost' };
      if (document.epoch !== epoch) return { kind: document.epoch > epoch ? 'fenced' : 'stale' };
      const lost = lostAmong(document.collections, await uuidsOf(this.#places.data));
      return lost.length === 0 ? { kind: 'held' } : { kind: 'tables-lost', tables: lost.map((c) => c.table) };
    } catch (error) {
      throw mongoError(error, 'look at the position');
    }
  }

  async readState(shard: number): Promise<(ShardState & { readonly epoch: number }) | null> {
    try {
      const document = await readPassedPosition(this.#places, shard);
      return document === null ? null : { ...stateOf(document), epoch: document.epoch };
    } catch (error) {
      throw mongoError(error, 'read the position');
    }
  }

  async parkedKeys(limit: number): Promise<readonly ParkedKey[]> {
    try {
      const parked = this.#places.state.collection<ParkedDocument>('parked');
      const found = await parked.find({ '_id.pipeline': this.#places.pipeline }, { limit }).toArray();
      return found.map(parkedOf);
    } catch (error) {
      throw mongoError(error, 'read the parked keys');
    }
  }

  async *scanKeys(target: Target, definition: Definition): AsyncIterable<readonly string[]> {
    try {
      yield* scanKeys(this.#places.data, target, definition);
    } catch (error) {
      throw mongoError(error, `read the keys of collection ${target.collection}`);
    }
  }

  async compareRows(
    target: Target,
    definition: Definition,
    rows: readonly SourceRow[],
  ): Promise<readonly RowVerdict[]> {
    try {
      return await compareRows(this.#places.data, target, definition, rows);
    } catch (error) {
      throw mongoError(error, `compare collection ${target.collection}`);
    }
  }

  async compareRange(
    target: Target,
    definition: Definition,
    rows: readonly SourceRow[],
    range: KeyRange,
  ): Promise<RangeCompared | null> {
    try {
      return await compareRange(this.#places.data, target, definition, rows, range);
    } catch (error) {
      throw mongoError(error, `compare collection ${target.collection}`);
    }
  }

  async read(target: Target, definition: Definition, keys: readonly Buffer[], shards: number): Promise<Held> {
    try {
      return await readAtOnce(this.#places, target, definition, keys, shards);
    } catch (error) {
      throw mongoError(error, `read documents of collection ${target.collection}`);
    }
  }

  text(bytes: Buffer): string {
    return documentText(bytes);
  }

  judge(_: Target, definition: Definition, content: Content, expected: Expected): RowVerdict {
    return verdict(definition, content, expected);
  }

  async entries(
    tables: readonly { readonly target: Target; readonly definition: Definition }[],
    from: string | null,
    { limit }: { readonly limit: number },
  ): Promise<Entries> {
    try {
      return await readEntries(this.#places.data, tables, from, limit);
    } catch (error) {
      throw mongoError(error, 'read the keys of a collection');
    }
  }

  readonly examineAtMost = examineAtMost;

  async examine(shard: number, keys: readonly ExpectedEvent[]): Promise<Sight> {
    try {
      return await examine(this.#places, shard, keys);
    } catch (error) {
      throw mongoError(error, 'look at what was applied');
    }
  }

  judgeEvent(expected: ExpectedEvent, found: Found): EventVerdict {
    return judge(expected, found);
  }

  async prepareTables(tables: readonly TableForm[]): Promise<readonly Unprepared[]> {
    try {
      return await prepareTables(this.#places.data, tables, this.#building);
    } catch (error) {
      throw mongoError(error, 'prepare the collections');
    }
  }

  async inspectTables(tables: readonly TableForm[], samples: number): Promise<readonly Disagreement[]> {
    try {
      return await inspectTables(this.#places.data, tables, samples);
    } catch (error) {
      throw mongoError(error, 'look at the collections');
    }
  }

  async dismiss(shard: number): Promise<void> {
    const { pipeline, state } = this.#places;
    try {
      await this.#owned.get(shard)?.close();
      this.#owned.delete(shard);
      await positionsOf(this.#places).deleteOne({ _id: positionId(pipeline, shard) });
      await state.collection<ParkedDocument>('parked').deleteMany({ '_id.pipeline': pipeline, '_id.shard': shard });
    } catch (error) {
      throw mongoError(error, "remove a shard's state");
    }
  }

  async forget(): Promise<void> {
    const { pipeline, state } = this.#places;
    try {
      await positionsOf(this.#places).deleteMany({ pipeline });
      await state.collection<ParkedDocument>('parked').deleteMany({ '_id.pipeline': pipeline });
      await claimsOf(this.#places).deleteMany({ pipeline });
    } catch (error) {
      throw mongoError(error, "remove the pipeline's state");
    }
  }

  async close(): Promise<void> {
    for (const owned of this.#owned.values()) await owned.close();
    this.#owned.clear();
    await this.#client.close();
  }

  async #own(shard: number, owned: Owned | null): Promise<Ownership> {
    await this.#owned.get(shard)?.close();
    this.#owned.delete(shard);
    if (owned === null) return { kind: 'empty' };
    try {
      const opened = await OwnedShard.open(this.#places, shard, owned);
      this.#owned.set(shard, opened);
      return { kind: 'owned', epoch: opened.epoch, state: stateOf(owned.document) };
    } catch (error) {
      throw mongoError(error, 'read the parked keys');
    }
  }

  #shard(shard: number, epoch: number): OwnedShard {
    const owned = this.#owned.get(shard);
    if (owned?.epoch !== epoch) {
      throw new LockstepError('LS-INTERNAL', `shard ${shard} is not owned under epoch ${epoch} in this process`);
    }
    return owned;
  }
}
