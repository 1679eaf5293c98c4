/**
 * Tells many chunks at a time when the stores have passed their markers: one look a tick at MySQL and the stores, however
 * many wait. A store that is away is waited for.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { LockstepError } from '../core/errors.js';
import { hasPassed, splitPartitionName, type OffsetVector, type Positions } from '../core/position.js';
import type { Store } from '../core/store.js';
import type { Mysql } from '../stores/mysql/connection.js';
import { insertMarker, readMarkers } from '../stores/mysql/markers.js';
import { Stopped } from './ingestLanding.js';
import { positionsIn } from './wait.js';

export interface MarkerDeps {
  readonly mysql: Mysql;
  readonly stateDatabase: string;
  readonly stores: readonly Pick<Store, 'name' | 'readState'>[];
  readonly shards: number;
  /** The table's own topic: nothing else is waited for. */
  readonly topic: string;
  readonly signal: AbortSignal;
  /** What stands in the way; null when nothing does any more. */
  trouble(error: LockstepError | null): void;
}

interface Waiting {
  readonly since: number;
  vector: OffsetVector | null;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

const tickMs = 15;

export class MarkerWatch {
  readonly #deps: MarkerDeps;
  readonly #waiting = new Map<string, Waiting>();
  #runs = false;

  constructor(deps: MarkerDeps) {
    this.#deps = deps;
  }

  /** Milliseconds that the oldest has been waited for. */
  get lagMs(): number {
    const [oldest] = this.#waiting.values();
    return oldest === undefined ? 0 : performance.now() - oldest.since;
  }

  async write(): Promise<string> {
    const id = randomUUID();
    await insertMarker(this.#deps.mysql, this.#deps.stateDatabase, id);
    return id;
  }

  passed(marker: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.set(marker, { since: performance.now(), vector: null, resolve, reject });
      if (!this.#runs) void this.#run();
    });
  }

  /** Never fails: what it meets is told to those who wait. */
  async #run(): Promise<void> {
    this.#runs = true;
    try {
      while (this.#waiting.size > 0) {
        if (this.#deps.signal.aborted) throw new Stopped();
        await this.#look();
        if (this.#waiting.size > 0) await sleep(tickMs);
      }
    } catch (error) {
      const waiting = [...this.#waiting.values()];
      this.#waiting.clear();
      for (const { reject } of waiting) reject(error);
    } finally {
      this.#runs = false;
    }
  }

  async #look(): Promise<void> {
    const { mysql, stateDatabase, stores, shards, topic } = this.#deps;
    const open = [...this.#waiting].filter(([, { vector }]) => vector === null).map(([id]) => id);
    try {
      for (const [id, vector] of await readMarkers(mysql, stateDatabase, open)) {
        const waiting = this.#waiting.get(id);
        if (waiting === undefined) continue;
        waiting.vector = new Map([...vector].filter(([name]) => splitPartitionName(name).topic === topic));
      }
      if ([...this.#waiting.values()].every(({ vector }) => vector === null)) return;
      const positions = await Promise.all(stores.map((store) => positionsIn(store, shards)));
      this.#settle(positions);
      this.#deps.trouble(null);
    } catch (error) {
      if (!(error instanceof LockstepError) || !error.retryable) throw error;
      this.#deps.trouble(error);
    }
  }

  #settle(positions: readonly Positions[]): void {
    for (const [id, { vector, resolve }] of this.#waiting) {
      if (vector === null || !positions.every((of) => hasPassed(of, vector))) continue;
      this.#waiting.delete(id);
      resolve();
    }
  }
}
