/** What verify keeps in MySQL: how far it is, and what it found, in one transaction. */
import type { StoreName } from '../../core/store.js';
import type { Drift, KeyText } from '../../core/drift.js';
import type { OffsetVector } from '../../core/position.js';
import type { Verified } from '../../core/verified.js';
import { asText } from './cell.js';
import type { Mysql } from './connection.js';
import { readCopies } from './copies.js';
import { healDrift, readDrift, recordDrift } from './drift.js';
import { insertMarker, readMarker } from './markers.js';
import { readCapturedTables } from './state.js';
import { claimVerified, readVerifiedBy, saveVerified } from './verified.js';

/** A key that was found wrong and is not right yet. */
export interface OpenFinding {
  readonly table: string;
  readonly key: KeyText;
  readonly repaired: boolean;
}

/** Of one store. Only the run that claimed a shard last may write. */
export interface VerifyLedger {
  /** run: a fresh UUID. */
  claim(shard: number, run: string): Promise<Verified>;
  /** Null when another run has claimed it. */
  read(shard: number, run: string): Promise<Verified | null>;
  /** What was found and how far it was verified, in one transaction. False: another run has claimed it. */
  save(shard: number, run: string, verified: Verified, found: readonly Drift[]): Promise<boolean>;
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
        return true;
      }),
    async open(limit) {
      const found = await readDrift(mysql, stateDatabase, { store, open: true }, limit);
      return found
        .filter(({ foundBy }) => foundBy === 'verify')
        .map(({ table, key, repairedAt }) => ({ table, key, repaired: repairedAt !== null }));
    },
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
