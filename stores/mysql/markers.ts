/**
 * Markers: a row of the change log that capture answers with the ends of all partitions at its Kafka commit. What
 * committed before the marker lies before those ends, so a store whose positions passed them has applied it.
 */
import type { OffsetVector } from '../../core/position.js';
import { asText } from './cell.js';
import type { Queries } from './connection.js';
import { quoteTable } from './quote.js';
import { decodeVector, encodeVector } from './vector.js';

/** id: a fresh UUID. Commits with the transaction of `queries`, if there is one. Returns its seq. */
export async function insertMarker(queries: Queries, stateDatabase: string, id: string): Promise<number> {
  const { insertId } = await queries.run(
    `INSERT INTO ${quoteTable(stateDatabase, 'change_log')} (identity, table_id, op, \`key\`, definition)
     VALUES (RANDOM_BYTES(8), 0, 'm', ?, ?)`,
    [id, Buffer.alloc(16)],
  );
  return insertId;
}

/** The first answer stands: a marker that is resolved again after a crash keeps what waiters may have read. */
export async function resolveMarkers(
  queries: Queries,
  stateDatabase: string,
  ids: readonly string[],
  vector: OffsetVector,
): Promise<void> {
  if (ids.length === 0) return;
  const text = encodeVector(vector);
  await queries.run(`INSERT IGNORE INTO ${quoteTable(stateDatabase, 'markers')} (id, vector) VALUES ?`, [
    ids.map((id) => [id, text]),
  ]);
}

/** Null while capture has not published it. */
export async function readMarker(queries: Queries, stateDatabase: string, id: string): Promise<OffsetVector | null> {
  const [row] = await queries.rows(`SELECT vector FROM ${quoteTable(stateDatabase, 'markers')} WHERE id = ?`, [id]);
  return row === undefined ? null : decodeVector(asText(row[0]));
}

/** Those of the markers that capture has published. */
export async function readMarkers(
  queries: Queries,
  stateDatabase: string,
  ids: readonly string[],
): Promise<ReadonlyMap<string, OffsetVector>> {
  if (ids.length === 0) return new Map();
  const rows = await queries.rows(`SELECT id, vector FROM ${quoteTable(stateDatabase, 'markers')} WHERE id IN (?)`, [
    ids,
  ]);
  return new Map(rows.map((row) => [asText(row[0]), decodeVector(asText(row[1]))]));
}

/** Those of the markers that stand in the change log: capture has not come to them. */
export async function readWaitingMarkers(
  queries: Queries,
  stateDatabase: string,
  ids: readonly string[],
): Promise<ReadonlySet<string>> {
  if (ids.length === 0) return new Set();
  const rows = await queries.rows(
    `SELECT \`key\` FROM ${quoteTable(stateDatabase, 'change_log')} WHERE op = 'm' AND \`key\` IN (?)`,
    [ids],
  );
  return new Set(rows.map((row) => asText(row[0])));
}

export async function forgetOldMarkers(queries: Queries, stateDatabase: string, olderThanHours: number): Promise<void> {
  await queries.run(
    `DELETE FROM ${quoteTable(stateDatabase, 'markers')}
      WHERE resolved_at < CURRENT_TIMESTAMP(6) - INTERVAL ${olderThanHours} HOUR ORDER BY resolved_at LIMIT 1000`,
  );
}
