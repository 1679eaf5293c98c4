/**
 * One text for everything that a look at the source's tables depends on, so that a change shows without reading it all. One
 * statement: MySQL hashes, and a few numbers cross the network.
 */
import { asTextOrNull } from './cell.js';
import type { Mysql } from './connection.js';

const parts: readonly string[] = [
  `SELECT CONCAT_WS('|', TABLE_NAME, TABLE_TYPE, ENGINE) x FROM information_schema.TABLES WHERE TABLE_SCHEMA = ?`,
  `SELECT CONCAT_WS('|', TABLE_NAME, ORDINAL_POSITION, COLUMN_NAME, COLUMN_TYPE, IS_NULLABLE, CHARACTER_SET_NAME,
          COLLATION_NAME, EXTRA, GENERATION_EXPRESSION) x FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ?`,
  `SELECT CONCAT_WS('|', TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX, COLUMN_NAME, COLLATION, INDEX_TYPE, IS_VISIBLE) x
     FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = ?`,
  `SELECT CONCAT_WS('|', TRIGGER_NAME, EVENT_OBJECT_TABLE, DEFINER) x FROM information_schema.TRIGGERS
    WHERE TRIGGER_SCHEMA = ?`,
];

export async function schemaFingerprint(mysql: Mysql): Promise<string> {
  const { database } = mysql.config;
  // A sum beside the exclusive or: two equal lines, or two that change places, would cancel each other out.
  const hashes = parts.map((part) => `SELECT COUNT(*), BIT_XOR(CRC32(x)), SUM(CRC32(REVERSE(x))) FROM (${part}) p`);
  const rows = await mysql.rows(
    hashes.join(' UNION ALL '),
    parts.map(() => database),
  );
  return rows.map((row) => row.map((cell) => asTextOrNull(cell) ?? '').join(',')).join(';');
}
