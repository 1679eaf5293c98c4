/** Keys that capture set aside, with the reason. A later change of the key that can be published removes it again. */
import { createHash } from 'node:crypto';
import type { FreedKey } from '../../core/stateRecord.js';
import { asBytes, asCount, asText } from './cell.js';
import type { Queries } from './connection.js';
import { quoteTable } from './quote.js';

export interface ParkedChange {
  readonly tableId: number;
  readonly key: Buffer;
  readonly reason: string;
  readonly seq: number;
}

/** 32 hex digits, for the key's place in `parked`. */
export function keyHash(key: Buffer): string {
  return createHash('sha256').update(key).digest('hex').slice(0, 32);
}

export async function parkKeys(
  queries: Queries,
  stateDatabase: string,
  changes: readonly ParkedChange[],
): Promise<void> {
  if (changes.length === 0) return;
  await queries.run(
    `INSERT INTO ${quoteTable(stateDatabase, 'parked')} (table_id, key_hash, \`key\`, reason, seq) VALUES ? AS newer
     ON DUPLICATE KEY UPDATE reason = newer.reason, seq = newer.seq, at = CURRENT_TIMESTAMP(6)`,
    [
      changes.map(({ tableId, key, reason, seq }) => [
        tableId,
        Buffer.from(keyHash(key), 'hex'),
        key,
        reason.slice(0, 1000),
        seq,
      ]),
    ],
  );
}

const freedAtOnce = 500;

/** Only what was parked at or before the change that freed the key. */
export async function freeKeys(queries: Queries, stateDatabase: string, keys: readonly FreedKey[]): Promise<void> {
  for (let from = 0; from < keys.length; from += freedAtOnce) {
    const some = keys.slice(from, from + freedAtOnce);
    const conditions = some.map(() => '(table_id = ? AND key_hash = ? AND seq <= ?)').join(' OR ');
    await queries.run(
      `DELETE FROM ${quoteTable(stateDatabase, 'parked')} WHERE ${conditions}`,
      some.flatMap(({ tableId, keyHash: hash, seq }) => [tableId, Buffer.from(hash, 'hex'), seq]),
    );
  }
}

/** `<table id> <key hash>` of every parked key. */
export async function readParkedKeys(queries: Queries, stateDatabase: string): Promise<Set<string>> {
  const rows = await queries.rows(`SELECT table_id, key_hash FROM ${quoteTable(stateDatabase, 'parked')}`);
  return new Set(rows.map((row) => parkedKey(asCount(row[0]), asBytes(row[1]).toString('hex'))));
}

export function parkedKey(tableId: number, hash: string): string {
  return `${tableId} ${hash}`;
}

/** For status; newest first. */
export async function readParked(
  queries: Queries,
  stateDatabase: string,
  limit: number,
): Promise<{ tableId: number; key: string; reason: string; seq: number }[]> {
  const rows = await queries.rows(
    `SELECT table_id, \`key\`, reason, seq FROM ${quoteTable(stateDatabase, 'parked')} ORDER BY at DESC LIMIT ${limit}`,
  );
  return rows.map((row) => ({
    tableId: asCount(row[0]),
    key: asText(row[1]),
    reason: asText(row[2]),
    seq: asCount(row[3]),
  }));
}
