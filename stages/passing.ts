/**
 * Markers and stores that pass them, for many waiters at once: one query a round asks for every marker, one read a store
 * for every position. Nothing is ever concluded from time: who waits, waits until it is so, or until the sweep is told
 * that it cannot be.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { LockstepError } from '../core/errors.js';
import { hasPassed, type OffsetVector } from '../core/position.js';
import type { Store, StoreName } from '../core/store.js';
import type { Queries } from '../stores/mysql/connection.js';
import { insertMarker, readMarkers, readWaitingMarkers } from '../stores/mysql/markers.js';
import { positionsIn } from './wait.js';

export interface PassingDeps {
  readonly queries: Queries;
  readonly stateDatabase: string;
  readonly stores: readonly Pick<Store, 'name' | 'readState'>[];
  readonly shards: number;
  readonly signal: AbortSignal;
  /** Called in every round. */
  readonly beat: () => void;
  /** Asked now and then by whoever waits for long: throws where waiting is in vain. */
  readonly reconsider: () => Promise<void>;
}

export interface Marked {
  /** Ends of the log; what committed before the marker lies before them. */
  readonly ends: OffsetVector;
  /** Its own. A change of the same incarnation with a larger seq was made after the marker was asked for. */
  readonly seq: number;
}

interface Written {
  readonly id: string;
  readonly seq: number;
}

interface Waiter {
  /** True once it has what it waits for; asked with the marker, where it waits for one. */
  readonly look: (round: Round, marker: Written | null) => boolean;
  readonly fail: (error: unknown) => void;
}

interface Round {
  readonly vectors: ReadonlyMap<string, OffsetVector>;
  readonly positions: ReadonlyMap<StoreName, OffsetVector>;
}

const pauseMs = { first: 3, most: 25 };
const reconsiderAfterMs = 1_500;
/** A store that does not answer may be back in a moment: a restart, an election. */
const awayMs = 20_000;
/** The change log may be long while capture is away: it is looked through seldom. */
const searchEveryMs = 10_000;

export class Stopped extends Error {
  override readonly name = 'Stopped';
}

export class Passing {
  readonly #deps: PassingDeps;
  readonly #markers = new Map<Written, Waiter>();
  readonly #passes = new Map<Waiter, StoreName>();
  readonly #awaySince = new Map<StoreName, number>();
  #running = false;
  #closed = false;
  #searchAt = 0;

  constructor(deps: PassingDeps) {
    this.#deps = deps;
  }

  /** Writes a marker and returns what it resolved to. */
  async marked(): Promise<Marked> {
    const written = await this.#write();
    return new Promise((resolve, reject) => {
      this.#markers.set(written, {
        look: ({ vectors }, marker) => {
          const ends = marker === null ? undefined : vectors.get(marker.id);
          if (marker === null || ends === undefined) return false;
          resolve({ ends, seq: marker.seq });
          return true;
        },
        fail: reject,
      });
      this.#run();
    });
  }

  async resolved(): Promise<OffsetVector> {
    return (await this.marked()).ends;
  }

  /** Nobody waits any more. */
  close(): void {
    this.#closed = true;
    this.#failAll(new Stopped('the sweep has ended'));
  }

  async #write(): Promise<Written> {
    const id = randomUUID();
    return { id, seq: await insertMarker(this.#deps.queries, this.#deps.stateDatabase, id) };
  }

  async passed(store: StoreName, vector: OffsetVector): Promise<void> {
    if (vector.size === 0) return;
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        look: ({ positions }) => {
          const at = positions.get(store);
          if (at === undefined || !reached(at, vector)) return false;
          resolve();
          return true;
        },
        fail: reject,
      };
      this.#passes.set(waiter, store);
      this.#run();
    });
  }

  #run(): void {
    if (this.#closed) this.#failAll(new Stopped('the sweep has ended'));
    if (this.#running) return;
    this.#running = true;
    const again = (): void => {
      this.#running = false;
      if (this.#markers.size + this.#passes.size > 0) this.#run();
    };
    this.#rounds().then(again, (error: unknown) => {
      this.#failAll(error);
      again();
    });
  }

  #failAll(error: unknown): void {
    const all = [...this.#markers.values(), ...this.#passes.keys()];
    this.#markers.clear();
    this.#passes.clear();
    for (const waiter of all) waiter.fail(error);
  }

  async #rounds(): Promise<void> {
    let reconsiderAt = Date.now() + reconsiderAfterMs;
    for (let pause = pauseMs.first; this.#markers.size + this.#passes.size > 0;) {
      if (this.#deps.signal.aborted) throw new Stopped('the sweep stops');
      this.#deps.beat();
      const moved = this.#tell(await this.#look());
      pause = moved ? pauseMs.first : Math.min(pauseMs.most, pause * 1.3);
      if (moved) reconsiderAt = Date.now() + reconsiderAfterMs;
      else if (Date.now() > reconsiderAt) {
        await this.#deps.reconsider();
        await this.#replaceLost();
        reconsiderAt = Date.now() + reconsiderAfterMs;
      }
      if (this.#markers.size + this.#passes.size > 0) await sleep(pause);
    }
  }

  async #look(): Promise<Round> {
    const { queries, stateDatabase, stores, shards } = this.#deps;
    const wanted = new Set(this.#passes.values());
    const [vectors, read] = await Promise.all([
      readMarkers(
        queries,
        stateDatabase,
        [...this.#markers.keys()].map(({ id }) => id),
      ),
      Promise.all(
        stores
          .filter(({ name }) => wanted.has(name))
          .map(async (store) => [store.name, await this.#positions(store, shards)] as const),
      ),
    ]);
    const positions = new Map(read.flatMap(([name, at]) => (at === null ? [] : [[name, at] as const])));
    return { vectors, positions };
  }

  /** Null while the store does not answer, for as long as that may pass. */
  async #positions(store: Pick<Store, 'name' | 'readState'>, shards: number): Promise<OffsetVector | null> {
    try {
      const positions = await positionsIn(store, shards);
      this.#awaySince.delete(store.name);
      return new Map([...positions].map(([name, { offset }]) => [name, offset]));
    } catch (error) {
      if (!(error instanceof LockstepError) || !error.retryable) throw error;
      const since = this.#awaySince.get(store.name) ?? Date.now();
      this.#awaySince.set(store.name, since);
      if (Date.now() - since > awayMs) throw error;
      return null;
    }
  }

  /**
   * A marker that is neither answered nor waiting was lost with the change log: truncated, restored, another server. One
   * that is written later tells as much, so a false alarm does no harm.
   */
  async #replaceLost(): Promise<void> {
    if (this.#markers.size === 0 || Date.now() < this.#searchAt) return;
    this.#searchAt = Date.now() + searchEveryMs;
    const { queries, stateDatabase } = this.#deps;
    const markers = [...this.#markers.keys()];
    const ids = markers.map(({ id }) => id);
    const waiting = await readWaitingMarkers(queries, stateDatabase, ids);
    const answered = await readMarkers(queries, stateDatabase, ids);
    for (const marker of markers) {
      const waiter = this.#markers.get(marker);
      if (waiter === undefined || waiting.has(marker.id) || answered.has(marker.id)) continue;
      this.#markers.set(await this.#write(), waiter);
      this.#markers.delete(marker);
    }
  }

  #tell(round: Round): boolean {
    let moved = false;
    for (const [marker, waiter] of this.#markers) if (waiter.look(round, marker)) moved = this.#markers.delete(marker);
    for (const waiter of this.#passes.keys()) if (waiter.look(round, null)) moved = this.#passes.delete(waiter);
    return moved;
  }
}

function reached(positions: OffsetVector, vector: OffsetVector): boolean {
  return hasPassed(new Map([...positions].map(([name, offset]) => [name, { offset, ordinal: 0 }])), vector);
}
