/**
 * Statements on `sweep_found`, and on `drift` as sweeps see it: what one found, what of it is due for repair, and what a
 * whole pass heals. Two sweeps may find the same key at once: it counts for both.
 */
import type { Drift, DriftCounts } from '../../core/drift.js';
import type { StoreName } from '../../core/store.js';
import { asCount, asText } from './cell.js';
import type { Queries } from './connection.js';
import { asDrift, driftColumns, hashOf, recordDrift, statementRows, type RecordedDrift } from './drift.js';
import { quoteTable } from './quote.js';

/** In the transaction that finishes the chunk. */
export async function recordSweepDrift(
  queries: Queries,
  stateDatabase: string,
  sweep: string,
  found: readonly Drift[],
): Promise<void> {
  await recordDrift(queries, stateDatabase, found, { by: 'sweep', sweep });
  for (let from = 0; from < found.length; from += statementRows) {
    const some = found.slice(from, from + statementRows);
    await queries.run(
      `INSERT IGNORE INTO ${quoteTable(stateDatabase, 'sweep_found')} (sweep, drift)
       SELECT ?, id FROM ${quoteTable(stateDatabase, 'drift')} WHERE (name, store, key_hash, open) IN (?)`,
      [sweep, some.map(({ table, store, key }) => [table, store, hashOf(key), 1])],
    );
  }
}

/** What a sweep found of a table is forgotten: it is swept anew. What another one had found stands. */
export async function forgetFound(
  queries: Queries,
  stateDatabase: string,
  sweep: string,
  table: string,
): Promise<void> {
  const drift = quoteTable(stateDatabase, 'drift');
  await queries.run(
    `DELETE FROM ${quoteTable(stateDatabase, 'sweep_found')}
      WHERE sweep = ? AND drift IN (SELECT id FROM ${drift} WHERE name = ?)`,
    [sweep, table],
  );
  await queries.run(`DELETE FROM ${drift} WHERE sweep = ? AND name = ? AND found_by = 'sweep' AND open = 1`, [
    sweep,
    table,
  ]);
}

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
       FROM ${foundBy(stateDatabase)} WHERE f.sweep = ? GROUP BY name, store ORDER BY name, store`,
    [sweep],
  );
  return rows.map((row) => ({
    table: asText(row[0]),
    store: asText(row[1]) as StoreName,
    counts: { missing: asCount(row[2]), extra: asCount(row[3]), different: asCount(row[4]) },
    healed: asCount(row[5]),
  }));
}

/** The first of what a sweep found, in the order of ids. */
export async function readFound(
  queries: Queries,
  stateDatabase: string,
  sweep: string,
  limit: number,
): Promise<readonly RecordedDrift[]> {
  const rows = await queries.rows(
    `SELECT ${driftColumns} FROM ${foundBy(stateDatabase)} WHERE f.sweep = ? ORDER BY id LIMIT ${limit}`,
    [sweep],
  );
  return rows.map(asDrift);
}

/** Open drift of a sweep whose repair is due, or was made: in the order of ids. */
export async function readSweepDrift(
  queries: Queries,
  stateDatabase: string,
  sweep: string,
  of: {
    readonly repaired: boolean;
    readonly afterId: number;
    readonly limit: number;
    /** Tables that are passed over. */
    readonly except?: readonly string[];
  },
): Promise<readonly RecordedDrift[]> {
  const { repaired, afterId, limit, except = [] } = of;
  const due = 'repaired_at IS NULL OR repaired_at < seen_at';
  const rows = await queries.rows(
    `SELECT ${driftColumns} FROM ${foundBy(stateDatabase)}
      WHERE f.sweep = ? AND open = 1 AND ${repaired ? `NOT (${due})` : `(${due})`} AND id > ?
        ${except.length === 0 ? '' : 'AND name NOT IN (?)'} ORDER BY id LIMIT ${limit}`,
    [sweep, afterId, ...(except.length === 0 ? [] : [except])],
  );
  return rows.map(asDrift);
}

/** Keys that a sweep found, that were logged again since, and that drift still. */
export async function countUnmended(queries: Queries, stateDatabase: string, sweep: string): Promise<number> {
  const [row] = await queries.rows(
    `SELECT COUNT(*) FROM ${foundBy(stateDatabase)} WHERE f.sweep = ? AND open = 1 AND repaired_at IS NOT NULL`,
    [sweep],
  );
  return asCount(row?.[0]);
}

function foundBy(stateDatabase: string): string {
  return `${quoteTable(stateDatabase, 'sweep_found')} f JOIN ${quoteTable(stateDatabase, 'drift')} d ON d.id = f.drift`;
}

/** A table was swept as a whole: what is open of it and was not seen again is right now. */
export async function healUnseen(
  queries: Queries,
  stateDatabase: string,
  swept: { readonly table: string; readonly store: StoreName; readonly beganAt: number },
): Promise<void> {
  await queries.run(
    `UPDATE ${quoteTable(stateDatabase, 'drift')} SET healed_at = CURRENT_TIMESTAMP(6)
      WHERE name = ? AND store = ? AND open = 1 AND seen_at < FROM_UNIXTIME(? / 1000)`,
    [swept.table, swept.store, swept.beganAt],
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
      WHERE open = 1 AND store IN (?)
        AND name NOT IN (SELECT name FROM ${quoteTable(stateDatabase, 'sweep_tables')} WHERE sweep = ?)
        AND seen_at < (SELECT started_at FROM ${quoteTable(stateDatabase, 'sweeps')} WHERE id = ?)`,
    [stores, sweep, sweep],
  );
}

/** MySQL's clock, as `healLookedAt` takes it: seconds since 1970 with six decimals. */
export async function readClock(queries: Queries): Promise<string> {
  const [row] = await queries.rows('SELECT UNIX_TIMESTAMP(CURRENT_TIMESTAMP(6))');
  return asText(row?.[0]);
}

/** Looked at again and right: but for what somebody has found to drift since that look began, at `lookedAt`. */
export async function healLookedAt(
  queries: Queries,
  stateDatabase: string,
  ids: readonly number[],
  lookedAt: string,
): Promise<number> {
  let healed = 0;
  for (let from = 0; from < ids.length; from += statementRows) {
    const { affectedRows } = await queries.run(
      `UPDATE ${quoteTable(stateDatabase, 'drift')} SET healed_at = CURRENT_TIMESTAMP(6)
        WHERE id IN (?) AND open = 1 AND seen_at < FROM_UNIXTIME(CAST(? AS DECIMAL(20, 6)))`,
      [ids.slice(from, from + statementRows), lookedAt],
    );
    healed += affectedRows;
  }
  return healed;
}

/** Looked at again and wrong still: its repair is due once more. */
export async function seeAgain(queries: Queries, stateDatabase: string, ids: readonly number[]): Promise<void> {
  for (let from = 0; from < ids.length; from += statementRows) {
    await queries.run(
      `UPDATE ${quoteTable(stateDatabase, 'drift')} SET seen_at = CURRENT_TIMESTAMP(6) WHERE id IN (?) AND open = 1`,
      [ids.slice(from, from + statementRows)],
    );
  }
}

/** Tables of which a sweep, the last one of theirs, found too much to repair it unasked, and that drift still. */
export async function readTooMuch(queries: Queries, stateDatabase: string): Promise<readonly string[]> {
  const rows = await queries.rows(
    `SELECT DISTINCT t.name FROM ${quoteTable(stateDatabase, 'sweep_tables')} t
       JOIN ${quoteTable(stateDatabase, 'swept')} s ON s.sweep = t.sweep AND s.name = t.name
      WHERE t.too_much AND EXISTS
        (SELECT 1 FROM ${quoteTable(stateDatabase, 'drift')} d WHERE d.name = t.name AND d.open = 1)
      ORDER BY t.name`,
  );
  return rows.map(([name]) => asText(name));
}
