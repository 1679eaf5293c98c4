/** Which copies are due now, small tables first: most tables stream after seconds, whatever the largest one takes. */
import { asText } from './cell.js';
import type { Mysql } from './connection.js';
import type { CopyReason } from './copies.js';
import { quoteTable } from './quote.js';

export interface DueCopy {
  readonly table: string;
  readonly run: string;
}

/**
 * Those whose triggers are not in place (`waiting`) are not due yet, nor those that wait until somebody asks. Sizes are the
 * server's cached statistics.
 */
export async function readDueCopies(
  mysql: Mysql,
  limit: number,
  held: readonly CopyReason[] = [],
): Promise<readonly DueCopy[]> {
  const { database, stateDatabase } = mysql.config;
  const rows = await mysql.rows(
    `SELECT t.name, c.run
       FROM ${quoteTable(stateDatabase, 'copies')} c
       JOIN ${quoteTable(stateDatabase, 'tables')} t ON t.id = c.table_id
       LEFT JOIN information_schema.TABLES i ON i.TABLE_SCHEMA = ? AND i.TABLE_NAME = t.name
      WHERE (t.removed_at IS NULL AND c.phase NOT IN ('waiting', 'done', 'clear') ${held.length === 0 ? '' : 'AND NOT (c.done_before AND c.reason IN (?))'}) OR (t.removed_at IS NOT NULL AND c.phase = 'clear')
      ORDER BY COALESCE(i.DATA_LENGTH, 0), t.name LIMIT ${limit}`,
    held.length === 0 ? [database] : [database, held],
  );
  return rows.map((row) => ({ table: asText(row[0]), run: asText(row[1]) }));
}
