/**
 * Until every store has applied what was logged of a table before the call. Whoever looks for keys that a store should not
 * hold has to wait for this first: an insert that is still on its way would arrive after the look, with its key gone.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { LockstepError } from '../core/errors.js';
import { tableTopic } from '../core/names.js';
import { hasPassed, splitPartitionName, type OffsetVector } from '../core/position.js';
import type { Store } from '../core/store.js';
import { readCopy } from '../stores/mysql/copies.js';
import { readMarker } from '../stores/mysql/markers.js';
import { Superseded, type CopyContext } from './copyState.js';
import { positionsIn, writeMarker } from './wait.js';

const mostPauseMs = 200;
const beatEveryMs = 200;

/** Returns at an abort, too. A store that is away is waited for. */
export async function untilCaughtUp(context: CopyContext, stores: readonly Pick<Store, 'readState'>[]): Promise<void> {
  if (stores.length === 0) return;
  const { session, stateDatabase, tableId, run, signal } = context;
  const marker = await writeMarker({ queries: session, stateDatabase });
  // A store that is away answers late.
  const beating = setInterval(() => context.beat(), beatEveryMs);
  try {
    let vector: OffsetVector | null = null;
    for (let pause = 5; !signal.aborted; pause = Math.min(mostPauseMs, pause * 1.5)) {
      vector ??= await readMarker(session, stateDatabase, marker);
      if (vector !== null && (await allPassed(context, stores, vector))) return;
      if ((await readCopy(session, stateDatabase, tableId))?.run !== run) throw new Superseded();
      await sleep(pause);
    }
  } finally {
    clearInterval(beating);
  }
}

async function allPassed(
  { config, definition }: CopyContext,
  stores: readonly Pick<Store, 'readState'>[],
  vector: OffsetVector,
): Promise<boolean> {
  const topic = tableTopic(config.kafka.topicPrefix, definition.database, definition.table);
  const own = new Map([...vector].filter(([name]) => splitPartitionName(name).topic === topic));
  try {
    const found = await Promise.all(stores.map((store) => positionsIn(store, config.apply.shards)));
    return found.every((positions) => hasPassed(positions, own));
  } catch (error) {
    if (!(error instanceof LockstepError) || !error.retryable) throw error;
    return false;
  }
}
