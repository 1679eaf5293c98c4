/**
 * Forgets what sweeps and verify left behind long ago, so that none of their tables grows for ever. What is open stays,
 * however old it is.
 */
import { asText } from './cell.js';
import type { Queries } from './connection.js';
import { quoteTable } from './quote.js';

/** For so long a result can be asked for. */
export const keepDays = 90;
/** Rows of one statement: milliseconds, and no lock is held for longer. */
const atOnce = 2_000;

/**
 * Runs at most so many deletes that find something. False: there may be more. Safe to repeat, and to run in many processes at once.
 */
export async function forgetOldResults(queries: Queries, stateDatabase: string, most: number): Promise<boolean> {
  let left = most;
  const before = `CURRENT_TIMESTAMP(6) - INTERVAL ${keepDays} DAY`;
  const forget = async (table: string, where: string, values: readonly string[] = []): Promise<boolean> => {
    while (left > 0) {
      const { affectedRows } = await queries.run(
        `DELETE FROM ${quoteTable(stateDatabase, table)} WHERE ${where} LIMIT ${atOnce}`,
        [...values],
      );
      // One that finds nothing costs nothing: what was begun comes to its end however few are allowed.
      if (affectedRows > 0) left -= 1;
      if (affectedRows < atOnce) return true;
    }
    return false;
  };
  const old = await queries.rows(
    `SELECT id FROM ${quoteTable(stateDatabase, 'sweeps')} WHERE started_at < ${before} ORDER BY started_at LIMIT ${most}`,
  );
  for (const [id] of old) {
    for (const table of ['sweep_found', 'sweep_chunks', 'sweep_tables']) {
      if (!(await forget(table, 'sweep = ?', [asText(id)]))) return false;
    }
    // Last: a sweep that was not wholly forgotten is found again.
    if (!(await forget('sweeps', 'id = ?', [asText(id)]))) return false;
  }
  return (
    old.length < most &&
    (await forget('drift', `found_at < ${before} AND healed_at < ${before}`)) &&
    (await forget('repairs', `at < ${before}`))
  );
}
