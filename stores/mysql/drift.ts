/** Statements on `drift` and `repairs`: what was found, whether it is healed, and what was re-logged for it. */
import { createHash } from 'node:crypto';
import type { Drift, DriftCause, DriftCounts, DriftEvidence, DriftKind, FoundBy, KeyText } from '../../core/drift.js';
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

const statementRows = 500;

function hashOf(key: KeyText): Buffer {
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

const columns = `id, name, store, \`key\`, kind, cause, evidence, found_by,
  CAST(UNIX_TIMESTAMP(found_at) * 1000 AS UNSIGNED), CAST(UNIX_TIMESTAMP(seen_at) * 1000 AS UNSIGNED),
  CAST(UNIX_TIMESTAMP(repaired_at) * 1000 AS UNSIGNED), CAST(UNIX_TIMESTAMP(healed_at) * 1000 AS UNSIGNED)`;

export interface DriftFilter {
  readonly table?: string;
  readonly store?: StoreName;
  readonly key?: KeyText;
  /** Found, or found still, by this sweep. */
  readonly sweep?: string;
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
  const { table, store, key, sweep, open, afterId } = filter;
  const conditions: readonly (readonly [string, string | number | Buffer])[] = [
    ...(table === undefined ? [] : [['name = ?', table] as const]),
    ...(store === undefined ? [] : [['store = ?', store] as const]),
    ...(key === undefined ? [] : [['key_hash = ?', hashOf(key)] as const]),
    ...(sweep === undefined ? [] : [['sweep = ?', sweep] as const]),
    ...(open === undefined ? [] : [['open = ?', 1] as const]),
    ...(afterId === undefined ? [] : [['id > ?', afterId] as const]),
  ];
  const where = conditions.length === 0 ? 'TRUE' : conditions.map(([text]) => text).join(' AND ');
  const rows = await queries.rows(
    `SELECT ${columns} FROM ${quoteTable(stateDatabase, 'drift')} WHERE ${where} ORDER BY id LIMIT ${limit}`,
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

function asDrift(row: Row): RecordedDrift {
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

export type RepairOutcome = 'logged' | 'deleted' | 'skipped';

export interface Repaired {
  readonly key: KeyText;
  readonly outcome: RepairOutcome;
}

/** Keeps what was done, and marks what is open of these keys as repaired. */
export async function recordRepairs(
  queries: Queries,
  stateDatabase: string,
  table: string,
  repaired: readonly Repaired[],
  asked: DriftFound,
): Promise<void> {
  for (let from = 0; from < repaired.length; from += statementRows) {
    const some = repaired.slice(from, from + statementRows);
    await queries.run(
      `INSERT INTO ${quoteTable(stateDatabase, 'repairs')} (name, key_hash, outcome, asked_by, sweep) VALUES ?`,
      [some.map(({ key, outcome }) => [table, hashOf(key), outcome, asked.by, asked.sweep])],
    );
    const done = some.filter(({ outcome }) => outcome !== 'skipped').map(({ key }) => hashOf(key));
    if (done.length === 0) continue;
    await queries.run(
      `UPDATE ${quoteTable(stateDatabase, 'drift')} SET repaired_at = CURRENT_TIMESTAMP(6)
        WHERE name = ? AND open = 1 AND key_hash IN (?)`,
      [table, done],
    );
  }
}

/** Keys that were re-logged in the last so many seconds, by whomever. */
export async function countRepairs(queries: Queries, stateDatabase: string, seconds: number): Promise<number> {
  const [row] = await queries.rows(
    `SELECT COUNT(*) FROM ${quoteTable(stateDatabase, 'repairs')}
      WHERE at > CURRENT_TIMESTAMP(6) - INTERVAL ? SECOND AND outcome <> 'skipped'`,
    [seconds],
  );
  return asCount(row?.[0]);
}

/** The repairs of one key, newest first: outcome and milliseconds since 1970. */
export async function readRepairs(
  queries: Queries,
  stateDatabase: string,
  table: string,
  key: KeyText,
  limit: number,
): Promise<readonly { readonly outcome: RepairOutcome; readonly at: number; readonly by: FoundBy }[]> {
  const rows = await queries.rows(
    `SELECT outcome, CAST(UNIX_TIMESTAMP(at) * 1000 AS UNSIGNED), asked_by FROM ${quoteTable(stateDatabase, 'repairs')}
      WHERE name = ? AND key_hash = ? ORDER BY id DESC LIMIT ${limit}`,
    [table, hashOf(key)],
  );
  return rows.map((row) => ({
    outcome: asText(row[0]) as RepairOutcome,
    at: asCount(row[1]),
    by: asText(row[2]) as FoundBy,
  }));
}

export interface SweepDrift {
  readonly table: string;
  readonly store: StoreName;
  readonly counts: DriftCounts;
  /** Of them: healed since. */
  readonly healed: number;
}

/** What a sweep found, counted, healed since or not. */
export async function countSweepDrift(
  queries: Queries,
  stateDatabase: string,
  sweep: string,
): Promise<readonly SweepDrift[]> {
  const rows = await queries.rows(
    `SELECT name, store, CAST(SUM(kind = 'missing') AS UNSIGNED), CAST(SUM(kind = 'extra') AS UNSIGNED),
            CAST(SUM(kind = 'different') AS UNSIGNED), CAST(SUM(healed_at IS NOT NULL) AS UNSIGNED)
       FROM ${quoteTable(stateDatabase, 'drift')} WHERE sweep = ? GROUP BY name, store ORDER BY name, store`,
    [sweep],
  );
  return rows.map((row) => ({
    table: asText(row[0]),
    store: asText(row[1]) as StoreName,
    counts: { missing: asCount(row[2]), extra: asCount(row[3]), different: asCount(row[4]) },
    healed: asCount(row[5]),
  }));
}

/** A table was swept as a whole: what is open of it and was not seen again is right now. */
export async function healUnseen(
  queries: Queries,
  stateDatabase: string,
  swept: { readonly table: string; readonly store: StoreName; readonly sweep: string; readonly beganAt: number },
): Promise<void> {
  await queries.run(
    `UPDATE ${quoteTable(stateDatabase, 'drift')} SET healed_at = CURRENT_TIMESTAMP(6)
      WHERE name = ? AND store = ? AND open = 1 AND IFNULL(sweep, '') <> ? AND seen_at < FROM_UNIXTIME(? / 1000)`,
    [swept.table, swept.store, swept.sweep, swept.beganAt],
  );
}

/** A whole sweep is through: what was open of tables that are not captured any more and was not seen again is gone. */
export async function healStrangers(
  queries: Queries,
  stateDatabase: string,
  sweep: string,
  stores: readonly StoreName[],
): Promise<void> {
  await queries.run(
    `UPDATE ${quoteTable(stateDatabase, 'drift')} SET healed_at = CURRENT_TIMESTAMP(6)
      WHERE open = 1 AND IFNULL(sweep, '') <> ? AND store IN (?)
        AND name NOT IN (SELECT name FROM ${quoteTable(stateDatabase, 'sweep_tables')} WHERE sweep = ?)
        AND seen_at < (SELECT started_at FROM ${quoteTable(stateDatabase, 'sweeps')} WHERE id = ?)`,
    [sweep, stores, sweep, sweep],
  );
}

/** Open drift of a sweep whose repair is due, or was made: in the order of ids. */
export async function readSweepDrift(
  queries: Queries,
  stateDatabase: string,
  sweep: string,
  { repaired, afterId, limit }: { readonly repaired: boolean; readonly afterId: number; readonly limit: number },
): Promise<readonly RecordedDrift[]> {
  const due = 'repaired_at IS NULL OR repaired_at < seen_at';
  const rows = await queries.rows(
    `SELECT ${columns} FROM ${quoteTable(stateDatabase, 'drift')}
      WHERE sweep = ? AND open = 1 AND ${repaired ? `NOT (${due})` : `(${due})`} AND id > ? ORDER BY id LIMIT ${limit}`,
    [sweep, afterId],
  );
  return rows.map(asDrift);
}
