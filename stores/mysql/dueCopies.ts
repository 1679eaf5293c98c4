/** Which copies are due now, small tables first: most tables stream after seconds, whatever the largest one takes. */
import { asText } from './cell.js';
import type { Mysql } from './connection.js';
import { quoteTable } from './quote.js';

export interface DueCopy {
  readonly table: string;
  readonly run: string;
}

/** Those whose triggers are not in place (`waiting`) are not due yet. Sizes are the server's cached statistics. */
export async function readDueCopies(mysql: Mysql, limit: number): Promise<readonly DueCopy[]> {
  const { database, stateDatabase } = mysql.config;
  const rows = await mysql.rows(
    `SELECT t.name, c.run
       FROM ${quoteTable(stateDatabase, 'copies')} c
       JOIN ${quoteTable(stateDatabase, 'tables')} t ON t.id = c.table_id
       LEFT JOIN information_schema.TABLES i ON i.TABLE_SCHEMA = ? AND i.TABLE_NAME = t.name
      WHERE (t.removed_at IS NULL AND c.phase NOT IN ('waiting', 'done', 'clear')) OR (t.removed_at IS NOT NULL AND c.phase = 'clear')
      ORDER BY COALESCE(i.DATA_LENGTH, 0), t.name LIMIT ${limit}`,
    [database],
  );
  return rows.map((row) => ({ table: asText(row[0]), run: asText(row[1]) }));
}
