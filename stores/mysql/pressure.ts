/** How busy MySQL is, and how long a transaction of one row takes in it now. */
import { asCount } from './cell.js';
import type { Queries } from './connection.js';

/** Statements that run now, the one that asks among them. */
export async function readThreadsRunning(queries: Queries): Promise<number> {
  const [row] = await queries.rows(`SHOW GLOBAL STATUS LIKE 'Threads_running'`);
  return asCount(row?.[1]);
}
