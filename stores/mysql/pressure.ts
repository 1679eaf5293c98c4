/** Who else works on MySQL just now. */
import { asCount } from './cell.js';
import type { Queries } from './connection.js';

/**
 * Statements that run now and are not lockstep's. Not `Threads_running`: that counts every replica's and the witness's
 * reader of the binary log as one that runs all the time, and lockstep's own sessions too. Other accounts' sessions are
 * seen by the right PROCESS. Null where the server keeps no list (performance_schema=OFF).
 */
export async function readOthersRunning(queries: Queries): Promise<number | null> {
  const [row] = await queries.rows(
    `SELECT COUNT(*), IFNULL(SUM(p.COMMAND NOT IN ('Sleep', 'Daemon', 'Connect', 'Binlog Dump', 'Binlog Dump GTID')
          AND p.USER NOT IN ('system user', 'event_scheduler')
          AND NOT EXISTS (SELECT 1 FROM performance_schema.session_account_connect_attrs a
                           WHERE a.PROCESSLIST_ID = p.ID AND a.ATTR_NAME = 'program_name' AND a.ATTR_VALUE = 'lockstep')), 0)
       FROM performance_schema.processlist p`,
  );
  return asCount(row?.[0]) === 0 ? null : asCount(row?.[1]);
}

/** Every statement that runs now, the one that asks among them. */
export async function readThreadsRunning(queries: Queries): Promise<number> {
  const [row] = await queries.rows(`SHOW GLOBAL STATUS LIKE 'Threads_running'`);
  return asCount(row?.[1]);
}
