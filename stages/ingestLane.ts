/**
 * The direct road into one store: rows that MySQL has committed, written a batch at a time through shards of the ingest's
 * own, which hold no position. Each write is conditional on the shard's epoch, as apply's are: once an ingest is closed
 * (or taken over), nothing that a predecessor still has in hand can overwrite a newer row.
 */
import type { ApplyOutcome, Batch, Store, StoreEvent } from '../core/store.js';
import { emptyLag } from '../core/lag.js';
import { LockstepError } from '../core/errors.js';
import { IngestTaken } from './ingestChunk.js';

/** Shards of apply are numbered from 0; those of ingests lie far above. */
const firstShard = 1_000_000;
const lanesAtMost = 4;
/** MongoDB writes two transactions at a time faster than one; Redis runs one script after the other anyway. */
const lanesOf = { mongo: 3, redis: 1 } as const;

export function ingestShards(ingest: number, store: Pick<Store, 'name'>): readonly number[] {
  return Array.from({ length: lanesOf[store.name] }, (_, lane) => firstShard + ingest * lanesAtMost + lane);
}

interface Lane {
  readonly shard: number;
  epoch: number;
  pending: number;
}

export class DirectWriter {
  readonly store: Store;
  readonly #lanes: readonly Lane[];
  #applied = 0;

  private constructor(store: Store, lanes: readonly Lane[]) {
    this.store = store;
    this.#lanes = lanes;
  }

  static async open(store: Store, ingest: number): Promise<DirectWriter> {
    const lanes: Lane[] = [];
    for (const shard of ingestShards(ingest, store)) {
      lanes.push({ shard, epoch: await own(store, shard), pending: 0 });
    }
    return new DirectWriter(store, lanes);
  }

  /** Returns the key texts that the store cannot hold. Events of one key must not be under way twice. */
  async write(events: readonly StoreEvent[], fresh: boolean): Promise<ReadonlySet<string>> {
    const parked = new Set<string>();
    const batches = cut(events, this.store.limits);
    await Promise.all(
      batches.map(async (batch) => {
        const lane = this.#lanes.reduce((a, b) => (b.pending < a.pending ? b : a));
        lane.pending++;
        try {
          for (const key of await this.#send(lane, batch, fresh)) parked.add(key);
        } finally {
          lane.pending--;
        }
      }),
    );
    return parked;
  }

  /** A successor breaks off what is under way: whoever hears nothing of its write asks whether it is still its own. */
  async #apply({ shard, epoch }: Lane, batch: Batch): Promise<ApplyOutcome> {
    try {
      return await this.store.apply(shard, epoch, batch);
    } catch (error) {
      if (await this.#hasSuccessor(shard, epoch)) return { kind: 'fenced' };
      throw error;
    }
  }

  async #hasSuccessor(shard: number, epoch: number): Promise<boolean> {
    try {
      const state = await this.store.readState(shard);
      return state !== null && state.epoch > epoch;
    } catch {
      // The failure of the write is the one to tell.
      return false;
    }
  }

  async #send(lane: Lane, events: readonly StoreEvent[], fresh: boolean): Promise<readonly string[]> {
    this.#applied += events.length;
    const progress = { applied: this.#applied, lastEventAt: events.at(-1)?.at ?? 0, lag: emptyLag() };
    const batch: Batch = { events, moves: [], progress, gaps: null, fresh };
    const outcome = await this.#apply(lane, batch);
    switch (outcome.kind) {
      case 'applied':
        return outcome.parked.map(({ key }) => key);
      case 'too-large': {
        const half = Math.ceil(events.length / 2);
        const first = await this.#send(lane, events.slice(0, half), fresh);
        return [...first, ...(await this.#send(lane, events.slice(half), fresh))];
      }
      case 'fenced':
        throw new IngestTaken();
      case 'stale':
      case 'lost':
        throw new LockstepError(
          'LS-INGEST-STORE-LOST',
          `${this.store.name} lost its state while rows were loaded into it`,
        );
    }
  }
}

/** No predecessor can write any more, and none can begin again. Safe to repeat. */
export async function closeLanes(store: Store, ingest: number): Promise<void> {
  for (const shard of ingestShards(ingest, store)) {
    await store.takeOver(shard);
    await store.dismiss(shard);
  }
}

async function own(store: Store, shard: number): Promise<number> {
  for (;;) {
    const taken = await store.takeOver(shard);
    if (taken.kind === 'owned') return taken.epoch;
    const progress = { applied: 0, lastEventAt: 0, lag: emptyLag() };
    const made = await store.initialise(shard, { incarnation: 'ingest', positions: new Map(), progress, gaps: [] });
    if (made.kind === 'owned') return made.epoch;
  }
}

function cut(events: readonly StoreEvent[], limits: Store['limits']): StoreEvent[][] {
  const batches: StoreEvent[][] = [];
  let bytes = 0;
  for (const event of events) {
    const size = event.key.length + (event.after?.length ?? 0);
    const last = batches.at(-1);
    if (last === undefined || last.length >= limits.events || bytes + size > limits.bytes) {
      batches.push([event]);
      bytes = size;
    } else {
      last.push(event);
      bytes += size;
    }
  }
  return batches;
}
