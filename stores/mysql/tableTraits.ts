/** What of a table decides how rows can be brought into it together: triggers of the application, checks, numbering. */
import { asCount, asText } from './cell.js';
import type { Queries } from './connection.js';
import { isOurName } from './triggers.js';

export interface TableTraits {
  /** The application's own BEFORE or AFTER INSERT triggers, which an update must not fire. */
  readonly insertTriggers: boolean;
  readonly checks: boolean;
  /** Distance of the numbers that one statement draws. */
  readonly autoIncrementStep: number;
  /** No statement may be longer: MySQL drops the connection. */
  readonly packetBytes: number;
}

export async function readTraits(queries: Queries, database: string, table: string): Promise<TableTraits> {
  const triggers = await queries.rows(
    `SELECT TRIGGER_NAME FROM information_schema.TRIGGERS
      WHERE EVENT_OBJECT_SCHEMA = ? AND EVENT_OBJECT_TABLE = ? AND EVENT_MANIPULATION = 'INSERT'`,
    [database, table],
  );
  const [checks] = await queries.rows(
    `SELECT COUNT(*) FROM information_schema.TABLE_CONSTRAINTS
      WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? AND CONSTRAINT_TYPE = 'CHECK'`,
    [database, table],
  );
  const [server] = await queries.rows('SELECT @@auto_increment_increment, @@max_allowed_packet');
  return {
    insertTriggers: triggers.some((row) => !isOurName(asText(row[0]))),
    checks: asCount(checks?.[0]) > 0,
    autoIncrementStep: asCount(server?.[0]),
    packetBytes: asCount(server?.[1]),
  };
}
