/**
 * Which shards of which stores were initialised once. Kept outside the stores: one that is empty although it stands here
 * has lost its data, and must not be taken for a new one.
 */
import type { StoreName } from '../../core/store.js';
import type { Queries } from './connection.js';
import { quoteTable } from './quote.js';

export async function wasInitialised(
  queries: Queries,
  stateDatabase: string,
  store: StoreName,
  shard: number,
): Promise<boolean> {
  const rows = await queries.rows(`SELECT 1 FROM ${quoteTable(stateDatabase, 'stores')} WHERE name = ? AND shard = ?`, [
    store,
    shard,
  ]);
  return rows.length > 0;
}

/** Before the store itself is written to. */
export async function recordInitialised(
  queries: Queries,
  stateDatabase: string,
  store: StoreName,
  shard: number,
): Promise<void> {
  await queries.run(`INSERT IGNORE INTO ${quoteTable(stateDatabase, 'stores')} (name, shard) VALUES (?, ?)`, [
    store,
    shard,
  ]);
}
