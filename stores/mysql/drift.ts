/** Statements on `drift`: what was found, and whether it is healed. */
import { createHash } from 'node:crypto';
import type { Drift, DriftCause, DriftEvidence, DriftKind, FoundBy, KeyText } from '../../core/drift.js';
import type { StoreName } from '../../core/store.js';
import { asCount, asCountOrNull, asText, type Row } from './cell.js';
import type { Queries } from './connection.js';
import { quoteTable } from './quote.js';

export interface DriftFound {
  readonly by: FoundBy;
  /** Of the sweep; null for verify. */
  readonly sweep: string | null;
}

export interface RecordedDrift extends Drift {
  readonly id: number;
  readonly foundBy: FoundBy;
  /** Milliseconds since 1970. */
  readonly foundAt: number;
  /** When it was last found to be there still. */
  readonly seenAt: number;
  readonly repairedAt: number | null;
  readonly healedAt: number | null;
}

/** Rows of one statement. */
export const statementRows = 500;

export function hashOf(key: KeyText): Buffer {
  return createHash('sha256').update(key).digest().subarray(0, 16);
}

/** A key that is open already keeps the time it was first found, and takes what is known of it now. */
export async function recordDrift(
  queries: Queries,
  stateDatabase: string,
  drift: readonly Drift[],
  found: DriftFound,
): Promise<void> {
  for (let from = 0; from < drift.length; from += statementRows) {
    const rows = drift.slice(from, from + statementRows).map((d) => {
      const { table, store, key, kind, cause, evidence } = d;
      return [table, store, hashOf(key), key, kind, cause, JSON.stringify(evidence), found.by, found.sweep];
    });
    await queries.run(
      `INSERT INTO ${quoteTable(stateDatabase, 'drift')}
         (name, store, key_hash, \`key\`, kind, cause, evidence, found_by, sweep) VALUES ? AS newer
       ON DUPLICATE KEY UPDATE cause = IF(drift.kind = newer.kind, drift.cause, newer.cause), kind = newer.kind, evidence = newer.evidence,
         sweep = IFNULL(newer.sweep, drift.sweep), seen_at = CURRENT_TIMESTAMP(6)`,
      [rows],
    );
  }
}

/** These keys of a table are right again in a store, or not there any more as they should. Null: in every store. */
export async function healDrift(
  queries: Queries,
  stateDatabase: string,
  table: string,
  store: StoreName | null,
  keys: readonly KeyText[],
): Promise<number> {
  let healed = 0;
  for (let from = 0; from < keys.length; from += statementRows) {
    const { affectedRows } = await queries.run(
      `UPDATE ${quoteTable(stateDatabase, 'drift')} SET healed_at = CURRENT_TIMESTAMP(6)
        WHERE name = ? AND open = 1 AND key_hash IN (?) ${store === null ? '' : 'AND store = ?'}`,
      [table, keys.slice(from, from + statementRows).map((key) => hashOf(key)), ...(store === null ? [] : [store])],
    );
    healed += affectedRows;
  }
  return healed;
}

export const driftColumns = `id, name, store, \`key\`, kind, cause, evidence, found_by,
  CAST(UNIX_TIMESTAMP(found_at) * 1000 AS UNSIGNED), CAST(UNIX_TIMESTAMP(seen_at) * 1000 AS UNSIGNED),
  CAST(UNIX_TIMESTAMP(repaired_at) * 1000 AS UNSIGNED), CAST(UNIX_TIMESTAMP(healed_at) * 1000 AS UNSIGNED)`;

export interface DriftFilter {
  readonly table?: string;
  readonly store?: StoreName;
  readonly key?: KeyText;
  readonly open?: true;
  /** Only entries with a higher id: to walk them in order. */
  readonly afterId?: number;
}

/** In the order of their ids. */
export async function readDrift(
  queries: Queries,
  stateDatabase: string,
  filter: DriftFilter,
  limit: number,
): Promise<readonly RecordedDrift[]> {
  const { table, store, key, open, afterId } = filter;
  const conditions: readonly (readonly [string, string | number | Buffer])[] = [
    ...(table === undefined ? [] : [['name = ?', table] as const]),
    ...(store === undefined ? [] : [['store = ?', store] as const]),
    ...(key === undefined ? [] : [['key_hash = ?', hashOf(key)] as const]),
    ...(open === undefined ? [] : [['open = ?', 1] as const]),
    ...(afterId === undefined ? [] : [['id > ?', afterId] as const]),
  ];
  const where = conditions.length === 0 ? 'TRUE' : conditions.map(([text]) => text).join(' AND ');
  const rows = await queries.rows(
    `SELECT ${driftColumns} FROM ${quoteTable(stateDatabase, 'drift')} WHERE ${where} ORDER BY id LIMIT ${limit}`,
    conditions.map(([, value]) => value),
  );
  return rows.map(asDrift);
}

export interface OpenDrift {
  readonly table: string;
  readonly store: StoreName;
  readonly kind: DriftKind;
  readonly foundBy: FoundBy;
  readonly count: number;
}

/** What is open, counted. */
export async function countDrift(queries: Queries, stateDatabase: string): Promise<readonly OpenDrift[]> {
  const rows = await queries.rows(
    `SELECT name, store, kind, found_by, COUNT(*) FROM ${quoteTable(stateDatabase, 'drift')}
      WHERE open = 1 GROUP BY name, store, kind, found_by ORDER BY name, store, kind`,
  );
  return rows.map((row) => ({
    table: asText(row[0]),
    store: asText(row[1]) as StoreName,
    kind: asText(row[2]) as DriftKind,
    foundBy: asText(row[3]) as FoundBy,
    count: asCount(row[4]),
  }));
}

export function asDrift(row: Row): RecordedDrift {
  return {
    id: asCount(row[0]),
    table: asText(row[1]),
    store: asText(row[2]) as StoreName,
    key: asText(row[3]),
    kind: asText(row[4]) as DriftKind,
    cause: asText(row[5]) as DriftCause,
    evidence: JSON.parse(asText(row[6])) as DriftEvidence,
    foundBy: asText(row[7]) as FoundBy,
    foundAt: asCount(row[8]),
    seenAt: asCount(row[9]),
    repairedAt: asCountOrNull(row[10] ?? null),
    healedAt: asCountOrNull(row[11] ?? null),
  };
}
