/**
 * Which shards of which stores were initialised once, and of how many. Kept outside the stores: one that is empty although
 * it stands here has lost its data, and must not be taken for a new one.
 */
import type { StoreName } from '../../core/store.js';
import { asCount } from './cell.js';
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

/** Before the store itself is written to. A shard that stands there keeps what stands there. */
export async function recordInitialised(
  queries: Queries,
  stateDatabase: string,
  store: StoreName,
  shard: number,
  shards: number,
): Promise<void> {
  await queries.run(
    `INSERT IGNORE INTO ${quoteTable(stateDatabase, 'stores')} (name, shard, shards) VALUES (?, ?, ?)`,
    [store, shard, shards],
  );
}

/** Into how many shards the store was divided; null before its first. */
export async function readShards(queries: Queries, stateDatabase: string, store: StoreName): Promise<number | null> {
  const [row] = await queries.rows(`SELECT MAX(shards) FROM ${quoteTable(stateDatabase, 'stores')} WHERE name = ?`, [
    store,
  ]);
  const shards = row?.[0] ?? null;
  return shards === null ? null : asCount(shards);
}

/** From now on it is divided into so many, each of which was initialised once. */
export async function recordShards(
  queries: Queries,
  stateDatabase: string,
  store: StoreName,
  shards: number,
): Promise<void> {
  await queries.run(`DELETE FROM ${quoteTable(stateDatabase, 'stores')} WHERE name = ?`, [store]);
  for (let shard = 0; shard < shards; shard++) await recordInitialised(queries, stateDatabase, store, shard, shards);
}
