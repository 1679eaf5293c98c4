/** How far the change log's newest row is from its oldest: two reads at the ends of the key, whatever lies between. */
import { asCount } from './cell.js';
import type { Queries } from './connection.js';
import { quoteTable } from './quote.js';

/** An upper bound of the rows that wait for capture; numbers that no row was given count as well. */
export async function backlogSpan(queries: Queries, stateDatabase: string): Promise<number> {
  const end = (order: 'ASC' | 'DESC'): string =>
    `(SELECT seq FROM ${quoteTable(stateDatabase, 'change_log')} ORDER BY seq ${order} LIMIT 1)`;
  const [row] = await queries.rows(`SELECT IFNULL(${end('DESC')}, 0), IFNULL(${end('ASC')}, 0)`);
  const newest = asCount(row?.[0]);
  return newest === 0 ? 0 : newest - asCount(row?.[1]) + 1;
}
