/**
 * Forgets what sweeps and verify left behind long ago, so that none of their tables grows for ever. What is open stays,
 * however old it is.
 */
import { asText } from './cell.js';
import type { Queries } from './connection.js';
import { quoteTable } from './quote.js';

/** Rows of one statement: milliseconds, and no lock is held for longer. */
const atOnce = 2_000;

/** Returns the rows that are gone. Safe to repeat, and to run in many processes at once. */
export async function forgetOldResults(
  queries: Queries,
  stateDatabase: string,
  days: number,
  signal?: AbortSignal,
): Promise<number> {
  const before = 'CURRENT_TIMESTAMP(6) - INTERVAL ? DAY';
  const forget = async (table: string, where: string, values: readonly (string | number)[]): Promise<number> => {
    for (let gone = 0; ;) {
      const { affectedRows } = await queries.run(
        `DELETE FROM ${quoteTable(stateDatabase, table)} WHERE ${where} LIMIT ${atOnce}`,
        [...values],
      );
      gone += affectedRows;
      if (affectedRows < atOnce || signal?.aborted === true) return gone;
    }
  };
  let gone = 0;
  const old = await queries.rows(
    `SELECT id FROM ${quoteTable(stateDatabase, 'sweeps')} WHERE started_at < ${before} ORDER BY started_at`,
    [days],
  );
  for (const [id] of old) {
    // The sweep's own row goes last: one that was broken off in between is found again.
    for (const table of ['sweep_chunks', 'sweep_tables']) gone += await forget(table, 'sweep = ?', [asText(id)]);
    gone += await forget('sweeps', 'id = ?', [asText(id)]);
    if (signal?.aborted === true) return gone;
  }
  gone += await forget('drift', `found_at < ${before} AND healed_at < ${before}`, [days, days]);
  return gone + (await forget('repairs', `at < ${before}`, [days]));
}
