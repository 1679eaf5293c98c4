/**
 * Waits until everything that was committed in MySQL before the call is in the stores: a marker goes into the change log,
 * capture answers with the ends of the partitions, and each store's own positions tell when it has passed them. Nothing
 * here trusts a clock or another stage's word.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { LockstepError } from '../core/errors.js';
import {
  hasPassed,
  splitPartitionName,
  type OffsetVector,
  type PartitionName,
  type Position,
  type Positions,
} from '../core/position.js';
import type { Store, StoreName } from '../core/store.js';
import type { Queries } from '../stores/mysql/connection.js';
import { insertMarker, readMarker } from '../stores/mysql/markers.js';

export interface WaitDeps {
  readonly queries: Queries;
  readonly stateDatabase: string;
  readonly stores: readonly Pick<Store, 'name' | 'readState'>[];
  readonly shards: number;
  /** Topics of tables that nobody waits for, because they are paused. */
  readonly leftOut?: ReadonlySet<string>;
  /** Topics that are waited for; all where it is absent. */
  readonly only?: (topic: string) => boolean;
}

export type WaitOutcome =
  | { readonly kind: 'passed'; readonly ms: number }
  | { readonly kind: 'timed-out'; readonly ms: number; readonly behind: readonly Behind[] }
  | { readonly kind: 'stopped' };

/** Who had not passed the marker, and how far it was. */
export type Behind =
  | { readonly who: 'capture' }
  | { readonly who: StoreName; readonly topics: readonly string[]; readonly events: number };

const mostPauseMs = 20;

/** The marker is written before this returns; `passed` awaits it. */
export async function writeMarker(deps: Pick<WaitDeps, 'queries' | 'stateDatabase'>): Promise<string> {
  const id = randomUUID();
  await insertMarker(deps.queries, deps.stateDatabase, id);
  return id;
}

export async function wait(deps: WaitDeps, timeoutMs: number, signal: AbortSignal): Promise<WaitOutcome> {
  return awaitMarker(deps, await writeMarker(deps), timeoutMs, signal);
}

export async function awaitMarker(
  deps: WaitDeps,
  marker: string,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<WaitOutcome> {
  const began = performance.now();
  const elapsed = (): number => performance.now() - began;
  let vector: OffsetVector | null = null;
  let looked: Looked = { behind: [{ who: 'capture' }], failure: null };
  for (let pause = 2; !signal.aborted; pause = Math.min(mostPauseMs, pause * 1.3)) {
    vector ??= await readMarker(deps.queries, deps.stateDatabase, marker);
    if (vector !== null) looked = await lookAtStores(deps, vector, timeoutMs - elapsed());
    if (looked.behind.length === 0) return { kind: 'passed', ms: elapsed() };
    if (elapsed() >= timeoutMs) {
      if (looked.failure !== null) throw looked.failure;
      return { kind: 'timed-out', ms: elapsed(), behind: looked.behind };
    }
    await sleep(Math.min(pause, Math.max(1, timeoutMs - elapsed())));
  }
  return { kind: 'stopped' };
}

interface Looked {
  readonly behind: readonly Behind[];
  /** A store that cannot be asked now may be back before the time is over. */
  readonly failure: LockstepError | null;
}

async function lookAtStores(deps: WaitDeps, all: OffsetVector, patienceMs: number): Promise<Looked> {
  const isWanted = (topic: string): boolean => deps.leftOut?.has(topic) !== true && deps.only?.(topic) !== false;
  const vector = new Map([...all].filter(([name]) => isWanted(splitPartitionName(name).topic)));
  const tooLate = sleep(Math.max(1, patienceMs), null, { ref: false });
  let failure: LockstepError | null = null;
  const behind = await Promise.all(
    deps.stores.map(async (store) => {
      try {
        const positions = await Promise.race([positionsIn(store, deps.shards), tooLate]);
        return behindOf(store.name, positions ?? new Map(), vector);
      } catch (error) {
        if (!(error instanceof LockstepError) || !error.retryable) throw error;
        failure = error;
        return behindOf(store.name, new Map(), vector);
      }
    }),
  );
  return { behind: behind.filter((entry) => entry !== null), failure };
}

/**
 * Each partition's position as the shard that owns it tells: another shard may hold an old one of it. A shard that has lost
 * something stands at the log's end without holding what is before it: it has no position until its copies are due.
 */
export async function positionsIn(store: Pick<Store, 'readState'>, shards: number): Promise<Positions> {
  const states = await Promise.all(Array.from({ length: shards }, (_, shard) => store.readState(shard)));
  const positions = new Map<PartitionName, Position>();
  for (const [shard, state] of states.entries()) {
    if (state === null || state.gaps.length > 0) continue;
    for (const [name, position] of state.positions) {
      if (splitPartitionName(name).partition % shards === shard) positions.set(name, position);
    }
  }
  return positions;
}

export function behindOf(store: StoreName, positions: Positions, vector: OffsetVector): Behind | null {
  const topics = new Set<string>();
  let events = 0;
  for (const [name, offset] of vector) {
    if (hasPassed(positions, new Map([[name, offset]]))) continue;
    topics.add(splitPartitionName(name).topic);
    events += offset - (positions.get(name)?.offset ?? 0);
  }
  return topics.size === 0 ? null : { who: store, topics: [...topics].toSorted(), events };
}
