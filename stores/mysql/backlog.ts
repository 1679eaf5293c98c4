/** How far the change log's newest row is from its oldest: two reads at the ends of the key, whatever lies between. */
import { asCount } from './cell.js';
import type { Queries } from './connection.js';
import { quoteTable } from './quote.js';

export interface BacklogSpan {
  /** An upper bound of the rows that wait for capture; numbers that no row was given count as well. */
  readonly rows: number;
  /** seq of the oldest; what the next look may begin at. */
  readonly oldest: number;
}

/**
 * from: the `oldest` of the look before, 0 at first. It spares the walk over rows that are gone but not purged, which costs
 * 70 µs a thousand while any old snapshot is open; a row that commits late below it may be missed by an estimate.
 */
export async function backlogSpan(queries: Queries, stateDatabase: string, from: number): Promise<BacklogSpan> {
  const end = (order: 'ASC' | 'DESC'): string =>
    `(SELECT seq FROM ${quoteTable(stateDatabase, 'change_log')} WHERE seq >= ? ORDER BY seq ${order} LIMIT 1)`;
  const [row] = await queries.rows(`SELECT IFNULL(${end('DESC')}, 0), IFNULL(${end('ASC')}, 0)`, [from, from]);
  const [newest, oldest] = [asCount(row?.[0]), asCount(row?.[1])];
  return newest === 0 ? { rows: 0, oldest: from } : { rows: newest - oldest + 1, oldest };
}
