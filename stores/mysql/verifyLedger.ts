/** What verify keeps in MySQL: how far it is, and what it found, in one transaction. */
import type { StoreName } from '../../core/store.js';
import type { Drift, KeyText } from '../../core/drift.js';
import type { OffsetVector } from '../../core/position.js';
import type { Verified } from '../../core/verified.js';
import { asCount, asText } from './cell.js';
import type { Mysql, Queries } from './connection.js';
import { readCopies } from './copies.js';
import { hashOf, healDrift, recordDrift, statementRows } from './drift.js';
import { insertMarker, readMarker } from './markers.js';
import { quoteTable } from './quote.js';
import { readCapturedTables } from './state.js';
import { claimVerified, readVerifiedBy, saveVerified } from './verified.js';

/** A key that was found wrong and is not right yet. */
export interface OpenFinding {
  readonly table: string;
  readonly key: KeyText;
  /** It was logged again, once or more. */
  readonly repaired: boolean;
  /** It was not since it was last found wrong. */
  readonly due: boolean;
}

/** Of one store. Only the run that claimed a shard last may write. */
export interface VerifyLedger {
  /** run: a fresh UUID. */
  claim(shard: number, run: string): Promise<Verified>;
  /** Null when another run has claimed it. */
  read(shard: number, run: string): Promise<Verified | null>;
  /** What was found and how far it was verified, in one transaction. False: another run has claimed it. */
  save(shard: number, run: string, verified: Verified, found: readonly Drift[]): Promise<boolean>;
  /** What verify found, whoever else did; the oldest ones. */
  open(limit: number): Promise<readonly OpenFinding[]>;
  /** Nothing when another run has claimed the shard: what this one saw right may be wrong by now. */
  heal(shard: number, run: string, table: string, keys: readonly KeyText[]): Promise<void>;
  /** Tables that are being copied: what the store lacks of them may be on its way. */
  copying(): Promise<ReadonlySet<string>>;
  /** Returns MySQL's time before it was placed, milliseconds since 1970. */
  placeMarker(id: string): Promise<number>;
  readMarker(id: string): Promise<OffsetVector | null>;
}

export function openLedger(mysql: Mysql, store: StoreName): VerifyLedger {
  const { stateDatabase } = mysql.config;
  return {
    claim: (shard, run) => claimVerified(mysql, stateDatabase, { store, shard }, run),
    read: (shard, run) => readVerifiedBy(mysql, stateDatabase, { store, shard }, run),
    save: (shard, run, verified, found) =>
      mysql.transaction(async (queries) => {
        if (!(await saveVerified(queries, stateDatabase, { store, shard }, run, verified))) return false;
        await recordDrift(queries, stateDatabase, found, { by: 'verify', sweep: null });
        await takeUp(queries, stateDatabase, found);
        return true;
      }),
    open: (limit) => readOpen(mysql, stateDatabase, store, limit),
    heal: (shard, run, table, keys) =>
      mysql.transaction(async (queries) => {
        if ((await readVerifiedBy(queries, stateDatabase, { store, shard }, run)) === null) return;
        await healDrift(queries, stateDatabase, table, store, keys);
      }),
    async copying() {
      const [tables, copies] = await Promise.all([
        readCapturedTables(mysql, stateDatabase),
        readCopies(mysql, stateDatabase),
      ]);
      const names = new Map(tables.map(({ id, name }) => [id, name]));
      return new Set(copies.flatMap((copy) => (copy.phase === 'done' ? [] : (names.get(copy.tableId) ?? []))));
    },
    async placeMarker(id) {
      const [row] = await mysql.rows('SELECT UNIX_TIMESTAMP(CURRENT_TIMESTAMP(6)) * 1000');
      await insertMarker(mysql, stateDatabase, id);
      return Number(asText(row?.[0]));
    },
    readMarker: (id) => readMarker(mysql, stateDatabase, id),
  };
}

/** What a sweep had found before is verify's to follow up from now on, after a restart too. */
async function takeUp(queries: Queries, stateDatabase: string, found: readonly Drift[]): Promise<void> {
  for (let from = 0; from < found.length; from += statementRows) {
    const some = found.slice(from, from + statementRows);
    await queries.run(
      `UPDATE ${quoteTable(stateDatabase, 'drift')} SET found_by = 'verify'
        WHERE (name, store, key_hash, open) IN (?) AND found_by <> 'verify'`,
      [some.map(({ table, store, key }) => [table, store, hashOf(key), 1])],
    );
  }
}

async function readOpen(
  queries: Queries,
  stateDatabase: string,
  store: StoreName,
  limit: number,
): Promise<readonly OpenFinding[]> {
  const rows = await queries.rows(
    `SELECT name, \`key\`, repaired_at IS NOT NULL, repaired_at IS NULL OR repaired_at < seen_at
       FROM ${quoteTable(stateDatabase, 'drift')}
      WHERE store = ? AND open = 1 AND found_by = 'verify' ORDER BY id LIMIT ${limit}`,
    [store],
  );
  return rows.map(([table, key, repaired, due]) => ({
    table: asText(table),
    key: asText(key),
    repaired: asCount(repaired) === 1,
    due: asCount(due) === 1,
  }));
}
