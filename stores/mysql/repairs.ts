/** Statements on `repairs`: keys that were logged again because they drifted. */
import type { FoundBy, KeyText } from '../../core/drift.js';
import { asCount, asText } from './cell.js';
import type { Queries } from './connection.js';
import { hashOf, statementRows, type DriftFound } from './drift.js';
import { quoteTable } from './quote.js';

export type RepairOutcome = 'logged' | 'deleted' | 'skipped';

export interface Repaired {
  readonly key: KeyText;
  readonly outcome: RepairOutcome;
}

/** Keeps what was done, and marks what is open of these keys as repaired. */
export async function recordRepairs(
  queries: Queries,
  stateDatabase: string,
  table: string,
  repaired: readonly Repaired[],
  asked: DriftFound,
): Promise<void> {
  for (let from = 0; from < repaired.length; from += statementRows) {
    const some = repaired.slice(from, from + statementRows);
    await queries.run(
      `INSERT INTO ${quoteTable(stateDatabase, 'repairs')} (name, key_hash, outcome, asked_by, sweep) VALUES ?`,
      [some.map(({ key, outcome }) => [table, hashOf(key), outcome, asked.by, asked.sweep])],
    );
    const done = some.filter(({ outcome }) => outcome !== 'skipped').map(({ key }) => hashOf(key));
    if (done.length === 0) continue;
    await queries.run(
      `UPDATE ${quoteTable(stateDatabase, 'drift')} SET repaired_at = CURRENT_TIMESTAMP(6)
        WHERE name = ? AND open = 1 AND key_hash IN (?)`,
      [table, done],
    );
  }
}

/** Keys that were re-logged in the last so many seconds, by whomever. */
export async function countRepairs(queries: Queries, stateDatabase: string, seconds: number): Promise<number> {
  const [row] = await queries.rows(
    `SELECT COUNT(*) FROM ${quoteTable(stateDatabase, 'repairs')}
      WHERE at > CURRENT_TIMESTAMP(6) - INTERVAL ? SECOND AND outcome <> 'skipped'`,
    [seconds],
  );
  return asCount(row?.[0]);
}

/** The repairs of one key, newest first: outcome and milliseconds since 1970. */
export async function readRepairs(
  queries: Queries,
  stateDatabase: string,
  table: string,
  key: KeyText,
  limit: number,
): Promise<readonly { readonly outcome: RepairOutcome; readonly at: number; readonly by: FoundBy }[]> {
  const rows = await queries.rows(
    `SELECT outcome, CAST(UNIX_TIMESTAMP(at) * 1000 AS UNSIGNED), asked_by FROM ${quoteTable(stateDatabase, 'repairs')}
      WHERE name = ? AND key_hash = ? ORDER BY id DESC LIMIT ${limit}`,
    [table, hashOf(key)],
  );
  return rows.map((row) => ({
    outcome: asText(row[0]) as RepairOutcome,
    at: asCount(row[1]),
    by: asText(row[2]) as FoundBy,
  }));
}
