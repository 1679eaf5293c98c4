/** Statements on `verified`. One process at a time writes a shard's row: whoever claimed it last. */
import type { PartitionName, Position } from '../../core/position.js';
import type { StoreName } from '../../core/store.js';
import { nothingVerified, type Verified, type VerifiedShard } from '../../core/verified.js';
import { asCount, asCountOrNull, asText, type Row } from './cell.js';
import type { Queries } from './connection.js';
import { errorNumber } from './failure.js';
import { quoteTable } from './quote.js';

const columns = `store, shard, epoch, incarnation, applied, positions, events, differences, unverified,
  CAST(UNIX_TIMESTAMP(through) * 1000 AS UNSIGNED), behind, CAST(UNIX_TIMESTAMP(saved_at) * 1000 AS UNSIGNED)`;

/** What stands there, nothing at first. From now on only this run writes the row. run: a fresh UUID. */
export async function claimVerified(
  queries: Queries,
  stateDatabase: string,
  of: { readonly store: StoreName; readonly shard: number },
  run: string,
): Promise<Verified> {
  const table = quoteTable(stateDatabase, 'verified');
  await queries.run(
    `INSERT INTO ${table} (store, shard, run, positions, behind) VALUES (?, ?, ?, '{}', '{}') AS claim
     ON DUPLICATE KEY UPDATE run = claim.run`,
    [of.store, of.shard, run],
  );
  return (await readVerifiedBy(queries, stateDatabase, of, run)) ?? nothingVerified;
}

/** Null when another run has claimed the row, or there is none. */
export async function readVerifiedBy(
  queries: Queries,
  stateDatabase: string,
  of: { readonly store: StoreName; readonly shard: number },
  run: string,
): Promise<Verified | null> {
  const [row] = await queries.rows(
    `SELECT ${columns} FROM ${quoteTable(stateDatabase, 'verified')} WHERE store = ? AND shard = ? AND run = ?`,
    [of.store, of.shard, run],
  );
  return row === undefined ? null : asVerified(row);
}

/** False when another process has claimed the row. */
export async function saveVerified(
  queries: Queries,
  stateDatabase: string,
  of: { readonly store: StoreName; readonly shard: number },
  run: string,
  to: Verified,
): Promise<boolean> {
  // saved_at always differs, so that a row which matches is a row that is changed.
  const { affectedRows } = await queries.run(
    `UPDATE ${quoteTable(stateDatabase, 'verified')}
        SET epoch = ?, incarnation = ?, applied = ?, positions = ?, events = ?, differences = ?, unverified = ?,
            through = FROM_UNIXTIME(?), behind = ?, saved_at = CURRENT_TIMESTAMP(6)
      WHERE store = ? AND shard = ? AND run = ?`,
    [
      to.epoch,
      to.incarnation,
      to.applied,
      JSON.stringify(Object.fromEntries([...to.positions].map(([name, p]) => [name, [p.offset, p.ordinal]]))),
      to.events,
      to.differences,
      to.unverified,
      to.through === null ? null : to.through / 1000,
      JSON.stringify(to.behind),
      of.store,
      of.shard,
      run,
    ],
  );
  return affectedRows > 0;
}

/** Of every store and shard; empty where nothing was installed yet. */
export async function readVerified(queries: Queries, stateDatabase: string): Promise<readonly VerifiedShard[]> {
  try {
    const rows = await queries.rows(
      `SELECT ${columns} FROM ${quoteTable(stateDatabase, 'verified')} ORDER BY store, shard`,
    );
    return rows.map(asVerified);
  } catch (error) {
    if (errorNumber(error) === 1049 || errorNumber(error) === 1146) return [];
    throw error;
  }
}

function asVerified(row: Row): VerifiedShard {
  const positions = JSON.parse(asText(row[5])) as Readonly<Record<string, readonly [number, number]>>;
  return {
    store: asText(row[0]) as StoreName,
    shard: asCount(row[1]),
    epoch: asCount(row[2]),
    incarnation: asText(row[3]),
    applied: asCount(row[4]),
    positions: new Map(
      Object.entries(positions).map(([name, [offset, ordinal]]): [PartitionName, Position] => [
        name,
        { offset, ordinal },
      ]),
    ),
    events: asCount(row[6]),
    differences: asCount(row[7]),
    unverified: asCount(row[8]),
    through: asCountOrNull(row[9] ?? null),
    behind: JSON.parse(asText(row[10])) as Readonly<Record<string, number | null>>,
    savedAt: asCount(row[11]),
  };
}
