/** What waits in the change log: rows, their age, and what they take of the server's disk. */
import { codeOf } from '../../core/errors.js';
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
 * How far the newest row is from the oldest: two reads at the ends of the key, whatever lies between.
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

export interface Backlog {
  /** Rows that wait, counted up to `countUpTo`. */
  readonly rows: number;
  /** Age of the oldest in milliseconds; 0 without one. */
  readonly oldestMs: number;
  /** On the server's disk. */
  readonly bytes: number;
}

export async function readBacklog(queries: Queries, stateDatabase: string, countUpTo = 10_000): Promise<Backlog> {
  const table = quoteTable(stateDatabase, 'change_log');
  const [count] = await queries.rows(`SELECT COUNT(*) FROM (SELECT 1 FROM ${table} LIMIT ${countUpTo + 1}) waiting`);
  const [oldest] = await queries.rows(
    `SELECT CAST(TIMESTAMPDIFF(MICROSECOND, at, CURRENT_TIMESTAMP(6)) / 1000 AS SIGNED) FROM ${table} ORDER BY seq LIMIT 1`,
  );
  const rows = asCount(count?.[0]);
  return {
    rows,
    oldestMs: oldest === undefined ? 0 : Math.max(0, asCount(oldest[0])),
    bytes: await changeLogBytes(queries, stateDatabase),
  };
}

/**
 * What waiting rows take of the change log's file: its free extents are left out, since the file itself never shrinks.
 * Without PROCESS only the statistics answer, which lag behind.
 */
export async function changeLogBytes(queries: Queries, stateDatabase: string): Promise<number> {
  const [table] = await queries.rows(
    `SELECT DATA_LENGTH, DATA_FREE FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_NAME = 'change_log'`,
    [stateDatabase],
  );
  const free = asCount(table?.[1] ?? 0);
  try {
    const [file] = await queries.rows('SELECT FILE_SIZE FROM information_schema.INNODB_TABLESPACES WHERE NAME = ?', [
      `${stateDatabase}/change_log`,
    ]);
    if (file !== undefined) return Math.max(0, asCount(file[0]) - free);
  } catch (error) {
    if (codeOf(error) !== 'LS-MYSQL-PRIVILEGE') throw error;
  }
  return asCount(table?.[0] ?? 0);
}
