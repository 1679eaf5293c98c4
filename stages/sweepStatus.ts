/** What `status` and the metrics tell of sweeps: the newest one, what drifts now, and through when each table was seen right. */
import { driftIn } from '../core/drift.js';
import type { SweepStatus } from '../core/status.js';
import type { SweepsReading } from '../core/sweepsReading.js';
import type { Queries } from '../stores/mysql/connection.js';
import { countDrift } from '../stores/mysql/drift.js';
import { errorNumber } from '../stores/mysql/failure.js';
import { countSweepDrift, readTooMuch } from '../stores/mysql/sweepDrift.js';
import { lastSweep } from '../stores/mysql/sweeps.js';
import { readSwept } from '../stores/mysql/swept.js';

/** A table, a column that is not there. */
const notThere = new Set([1054, 1146]);

/** Null for a state database of before sweeps: the next start brings it up to date. */
export async function readSweeps(queries: Queries, stateDatabase: string): Promise<SweepsReading | null> {
  try {
    const [sweep, open, tooMuch, swept] = await Promise.all([
      lastSweep(queries, stateDatabase),
      countDrift(queries, stateDatabase),
      readTooMuch(queries, stateDatabase),
      readSwept(queries, stateDatabase),
    ]);
    return {
      sweep: sweep === null ? null : await statusOf(queries, stateDatabase, sweep),
      drift: { open: open.reduce((sum, one) => sum + one.count, 0), tooMuch },
      swept: swept.flatMap(({ name, store, through }) => (through === null ? [] : [{ table: name, store, through }])),
    };
  } catch (error) {
    if (notThere.has(errorNumber(error))) return null;
    throw error;
  }
}

async function statusOf(
  queries: Queries,
  stateDatabase: string,
  { id, state, startedAt, finishedAt }: NonNullable<Awaited<ReturnType<typeof lastSweep>>>,
): Promise<SweepStatus> {
  const found = await countSweepDrift(queries, stateDatabase, id);
  return {
    sweep: id,
    startedAt: new Date(startedAt).toISOString(),
    finishedAt: finishedAt === null ? null : new Date(finishedAt).toISOString(),
    state,
    drift: found.reduce((sum, one) => sum + driftIn(one.counts), 0),
  };
}
