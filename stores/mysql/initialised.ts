/** Which shards of which store were initialised once: an empty store that stands here has lost its data. */
import { quoteTable } from './quote.js';
import type { Queries } from './connection.js';

export async function wasInitialised(
  queries: Queries,
  stateDatabase: string,
  store: string,
  shard: number,
): Promise<boolean> {
  const [row] = await queries.rows(
    `SELECT 1 FROM ${quoteTable(stateDatabase, 'stores')} WHERE name = ? AND shard = ?`,
    [store, shard],
  );
  return row !== undefined;
}

export async function recordInitialised(
  queries: Queries,
  stateDatabase: string,
  store: string,
  shard: number,
): Promise<void> {
  await queries.run(`INSERT IGNORE INTO ${quoteTable(stateDatabase, 'stores')} (name, shard) VALUES (?, ?)`, [
    store,
    shard,
  ]);
}
