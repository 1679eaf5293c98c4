/**
 * Who may change a table's triggers now: a named lock of the session, gone with it. It only keeps two from undoing each
 * other's work; nothing is wrong when it is lost.
 */
import { createHash } from 'node:crypto';
import type { Queries } from './connection.js';

/** False when another session has it. waitSeconds: 0 by default. */
export async function takeTable(
  queries: Queries,
  stateDatabase: string,
  table: string,
  waitSeconds = 0,
): Promise<boolean> {
  const [row] = await queries.rows('SELECT GET_LOCK(?, ?)', [nameOf(stateDatabase, table), waitSeconds]);
  return row?.[0] === 1;
}

export async function leaveTable(queries: Queries, stateDatabase: string, table: string): Promise<void> {
  await queries.rows('SELECT RELEASE_LOCK(?)', [nameOf(stateDatabase, table)]);
}

/** At most 64 characters. */
function nameOf(stateDatabase: string, table: string): string {
  return `lockstep.table.${createHash('sha256').update(`${stateDatabase}\0${table}`).digest('hex').slice(0, 40)}`;
}
