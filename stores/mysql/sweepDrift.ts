/** Statements on `drift` as sweeps see it: what one found, what of it is due for repair, and what a whole pass heals. */
import type { DriftCounts } from '../../core/drift.js';
import type { StoreName } from '../../core/store.js';
import { asCount, asText } from './cell.js';
import type { Queries } from './connection.js';
import { asDrift, driftColumns, type RecordedDrift } from './drift.js';
import { quoteTable } from './quote.js';

export interface SweepDrift {
  readonly table: string;
  readonly store: StoreName;
  readonly counts: DriftCounts;
  /** Of them: healed since. */
  readonly healed: number;
}

/** What a sweep found, counted, healed since or not. */
export async function countSweepDrift(
  queries: Queries,
  stateDatabase: string,
  sweep: string,
): Promise<readonly SweepDrift[]> {
  const rows = await queries.rows(
    `SELECT name, store, CAST(SUM(kind = 'missing') AS UNSIGNED), CAST(SUM(kind = 'extra') AS UNSIGNED),
            CAST(SUM(kind = 'different') AS UNSIGNED), CAST(SUM(healed_at IS NOT NULL) AS UNSIGNED)
       FROM ${quoteTable(stateDatabase, 'drift')} WHERE sweep = ? GROUP BY name, store ORDER BY name, store`,
    [sweep],
  );
  return rows.map((row) => ({
    table: asText(row[0]),
    store: asText(row[1]) as StoreName,
    counts: { missing: asCount(row[2]), extra: asCount(row[3]), different: asCount(row[4]) },
    healed: asCount(row[5]),
  }));
}

/** A table was swept as a whole: what is open of it and was not seen again is right now. */
export async function healUnseen(
  queries: Queries,
  stateDatabase: string,
  swept: { readonly table: string; readonly store: StoreName; readonly sweep: string; readonly beganAt: number },
): Promise<void> {
  await queries.run(
    `UPDATE ${quoteTable(stateDatabase, 'drift')} SET healed_at = CURRENT_TIMESTAMP(6)
      WHERE name = ? AND store = ? AND open = 1 AND IFNULL(sweep, '') <> ? AND seen_at < FROM_UNIXTIME(? / 1000)`,
    [swept.table, swept.store, swept.sweep, swept.beganAt],
  );
}

/** A whole sweep is through: what was open of tables that are not captured any more and was not seen again is gone. */
export async function healStrangers(
  queries: Queries,
  stateDatabase: string,
  sweep: string,
  stores: readonly StoreName[],
): Promise<void> {
  await queries.run(
    `UPDATE ${quoteTable(stateDatabase, 'drift')} SET healed_at = CURRENT_TIMESTAMP(6)
      WHERE open = 1 AND IFNULL(sweep, '') <> ? AND store IN (?)
        AND name NOT IN (SELECT name FROM ${quoteTable(stateDatabase, 'sweep_tables')} WHERE sweep = ?)
        AND seen_at < (SELECT started_at FROM ${quoteTable(stateDatabase, 'sweeps')} WHERE id = ?)`,
    [sweep, stores, sweep, sweep],
  );
}

/** Open drift of a sweep whose repair is due, or was made: in the order of ids. */
export async function readSweepDrift(
  queries: Queries,
  stateDatabase: string,
  sweep: string,
  { repaired, afterId, limit }: { readonly repaired: boolean; readonly afterId: number; readonly limit: number },
): Promise<readonly RecordedDrift[]> {
  const due = 'repaired_at IS NULL OR repaired_at < seen_at';
  const rows = await queries.rows(
    `SELECT ${driftColumns} FROM ${quoteTable(stateDatabase, 'drift')}
      WHERE sweep = ? AND open = 1 AND ${repaired ? `NOT (${due})` : `(${due})`} AND id > ? ORDER BY id LIMIT ${limit}`,
    [sweep, afterId],
  );
  return rows.map(asDrift);
}
