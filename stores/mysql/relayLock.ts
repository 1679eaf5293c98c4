/**
 * One relay a state database: a named lock that stops two live ones from fencing each other in turn. Correctness never
 * rests on it: Kafka fences. A frozen holder keeps its lock as long as its connection lives, so it is disconnected.
 */
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { LockstepError } from '../../core/errors.js';
import { asCountOrNull } from './cell.js';
import type { Queries } from './connection.js';
import { errorNumber } from './failure.js';

/** MySQL allows 64 characters; the database's name alone may have as many. */
export function relayLockName(stateDatabase: string): string {
  return `lockstep.capture.${createHash('sha256').update(stateDatabase).digest('hex').slice(0, 32)}`;
}

/** Holds the lock for as long as this session lives. A holder that does not let go within the patience is disconnected. */
export async function takeRelayLock(queries: Queries, stateDatabase: string, patienceMs = 1_000): Promise<void> {
  const name = relayLockName(stateDatabase);
  const giveUpAt = Date.now() + patienceMs + 10_000;
  for (let endAt = Date.now() + patienceMs; ; await sleep(25)) {
    const [row] = await queries.rows('SELECT GET_LOCK(?, 0), IS_USED_LOCK(?)', [name, name]);
    if (row?.[0] === 1) return;
    if (Date.now() > giveUpAt) {
      throw new LockstepError('LS-MYSQL-LOCK-WAIT', 'another capture of this state database does not let go');
    }
    const holder = asCountOrNull(row?.[1] ?? null);
    if (holder !== null && Date.now() >= endAt) {
      await disconnect(queries, holder);
      endAt = Date.now() + patienceMs;
    }
  }
}

const noSuchThread = 1094;

async function disconnect(queries: Queries, thread: number): Promise<void> {
  try {
    await queries.run(`KILL ${thread}`);
  } catch (error) {
    if (errorNumber(error) !== noSuchThread) throw error;
  }
}
