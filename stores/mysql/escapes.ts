/** Statements on `escapes`: what escaped the triggers, why, and when it was healed. Counted once however often it is read. */
import { createHash } from 'node:crypto';
import type { Escape, EscapeCause, Healing } from '../../core/witness.js';
import { asCount, asCountOrNull, asText } from './cell.js';
import type { BinlogPlace } from './binlogStream.js';
import type { Queries } from './connection.js';
import { requestCopy } from './copies.js';
import { quoteTable } from './quote.js';

export interface EscapeWish {
  readonly tableId: number;
  readonly cause: EscapeCause;
  /** Transaction by transaction, in the log's order. */
  readonly found: readonly Escaped[];
  readonly healing: Healing;
  /** A copy under way must end first. */
  readonly again: boolean;
}

/** What escaped in one transaction. */
export interface Escaped {
  /** Null: only the table is known. */
  readonly keys: number | null;
  /** End of the transaction. */
  readonly place: BinlogPlace;
}

export interface Recorded {
  readonly id: number;
  /** What was not counted before. */
  readonly fresh: readonly Escaped[];
}

/** Escapes of one table and cause within this long, or before the last was healed, are one. */
const spellSeconds = 60;
/** Rows of healed escapes that are kept. */
const kept = 1_000;

/**
 * Each transaction is counted once, whoever reads it again and however much later: a witness that was killed before its
 * position moved, or one that was frozen and wakes beside its successor.
 */
export async function recordEscape(queries: Queries, stateDatabase: string, wish: EscapeWish): Promise<Recorded> {
  const escapes = quoteTable(stateDatabase, 'escapes');
  const { tableId, cause, healing, again } = wish;
  const [newest] = await queries.rows(
    `SELECT id, file, at_offset, healed_at IS NULL OR last_at > NOW(6) - INTERVAL ${spellSeconds} SECOND FROM ${escapes}
      WHERE table_id = ? AND cause = ? ORDER BY id DESC LIMIT 1 FOR UPDATE`,
    [tableId, cause],
  );
  const counted = newest === undefined ? null : { file: asText(newest[1]), offset: asCount(newest[2]) };
  const fresh = wish.found.filter(({ place }) => counted === null || isBehind(place, counted));
  const keys = sumOf(fresh);
  const last = fresh.at(-1)?.place;
  if (last !== undefined && (newest === undefined || asCount(newest[3]) === 0)) {
    const { insertId } = await queries.run(
      `INSERT INTO ${escapes} (table_id, cause, key_count, healing, file, at_offset, again) VALUES (?, ?, ?, ?, ?, ?, ?)`,
      [tableId, cause, keys, healing, last.file, last.offset, again],
    );
    return { id: insertId, fresh };
  }
  const id = asCount(newest?.[0]);
  await queries.run(
    `UPDATE ${escapes} SET again = again OR ?, healing = IF(healing = 'copy' AND healed_at IS NULL, 'copy', ?), healed_at = NULL
      WHERE id = ?`,
    [again, healing, id],
  );
  if (last !== undefined) {
    await queries.run(
      `UPDATE ${escapes} SET last_at = CURRENT_TIMESTAMP(6), key_count = key_count + ?, file = ?, at_offset = ? WHERE id = ?`,
      [keys, last.file, last.offset, id],
    );
  }
  return { id, fresh };
}

/** Null where one of them is only known as its table. */
export function sumOf(found: readonly Escaped[]): number | null {
  let sum = 0;
  for (const { keys } of found) {
    if (keys === null) return null;
    sum += keys;
  }
  return sum;
}

/** Numbers of files are padded to six digits and grow beyond. */
function isBehind(a: BinlogPlace, b: BinlogPlace): boolean {
  if (a.file.length !== b.file.length) return a.file.length > b.file.length;
  return a.file === b.file ? a.offset > b.offset : a.file > b.file;
}

/** Another log begins, whose places are not behind those of the one before. */
export async function forgetPlaces(queries: Queries, stateDatabase: string): Promise<void> {
  await queries.run(`UPDATE ${quoteTable(stateDatabase, 'escapes')} SET file = '', at_offset = 0`);
}

export async function healEscape(queries: Queries, stateDatabase: string, id: number): Promise<void> {
  await queries.run(
    `UPDATE ${quoteTable(stateDatabase, 'escapes')} SET healed_at = CURRENT_TIMESTAMP(6) WHERE id = ? AND healing = 'rows'`,
    [id],
  );
}

/** Escapes whose table's copy is done since; and copies that had to wait for one under way are made due. True: some are. */
export async function settleEscapes(queries: Queries, stateDatabase: string, newRun: () => string): Promise<boolean> {
  const escapes = quoteTable(stateDatabase, 'escapes');
  const copies = quoteTable(stateDatabase, 'copies');
  const waiting = await queries.rows(
    `SELECT DISTINCT e.table_id FROM ${escapes} e JOIN ${copies} c ON c.table_id = e.table_id
      WHERE e.healed_at IS NULL AND e.again AND c.phase = 'done'`,
  );
  for (const [id] of waiting) {
    const tableId = asCount(id);
    await requestCopy(queries, stateDatabase, { tableId, run: newRun(), reason: 'escaped' });
    await queries.run(`UPDATE ${escapes} SET again = FALSE WHERE table_id = ? AND again`, [tableId]);
  }
  await queries.run(
    `UPDATE ${escapes} e JOIN ${copies} c ON c.table_id = e.table_id SET e.healed_at = c.finished_at
      WHERE e.healed_at IS NULL AND e.healing = 'copy' AND NOT e.again AND c.phase = 'done' AND c.finished_at >= e.last_at`,
  );
  // Of a table that is not captured any more nothing is left to heal.
  await queries.run(
    `UPDATE ${escapes} e JOIN ${quoteTable(stateDatabase, 'tables')} t ON t.id = e.table_id
        SET e.healed_at = t.removed_at WHERE e.healed_at IS NULL AND t.removed_at IS NOT NULL`,
  );
  return waiting.length > 0;
}

/** How many escapes are not healed. */
export async function countOpen(queries: Queries, stateDatabase: string): Promise<number> {
  const [row] = await queries.rows(
    `SELECT COUNT(*) FROM ${quoteTable(stateDatabase, 'escapes')} WHERE healed_at IS NULL`,
  );
  return asCount(row?.[0]);
}

export async function forgetOldEscapes(queries: Queries, stateDatabase: string): Promise<void> {
  const escapes = quoteTable(stateDatabase, 'escapes');
  const [row] = await queries.rows(`SELECT MAX(id) FROM ${escapes}`);
  const newest = asCountOrNull(row?.[0] ?? null) ?? 0;
  await queries.run(`DELETE FROM ${escapes} WHERE id <= ? AND healed_at IS NOT NULL`, [Math.max(0, newest - kept)]);
}

/** The open ones first, then the newest. */
export async function readEscapes(queries: Queries, stateDatabase: string, limit: number): Promise<readonly Escape[]> {
  const rows = await queries.rows(
    `SELECT t.name, e.cause, e.key_count, e.healing, UNIX_TIMESTAMP(e.since_at), UNIX_TIMESTAMP(e.last_at),
            UNIX_TIMESTAMP(e.healed_at)
       FROM ${quoteTable(stateDatabase, 'escapes')} e JOIN ${quoteTable(stateDatabase, 'tables')} t ON t.id = e.table_id
      ORDER BY e.healed_at IS NULL DESC, e.id DESC LIMIT ${limit}`,
  );
  return rows.map((row) => ({
    table: asText(row[0]),
    cause: asText(row[1]) as EscapeCause,
    keys: asCountOrNull(row[2] ?? null),
    healing: asText(row[3]) as Healing,
    since: isoTime(asText(row[4])),
    lastAt: isoTime(asText(row[5])),
    healedAt: row[6] === null ? null : isoTime(asText(row[6])),
  }));
}

function isoTime(seconds: string): string {
  return new Date(Number(seconds) * 1000).toISOString();
}

function xidHash(xid: string): Buffer {
  return createHash('sha256').update(xid).digest().subarray(0, 16);
}

/** Of an XA transaction that is prepared. findings: text of the witness's own. */
export async function keepPrepared(
  queries: Queries,
  stateDatabase: string,
  xid: string,
  findings: string,
): Promise<void> {
  await queries.run(
    `INSERT INTO ${quoteTable(stateDatabase, 'escapes_prepared')} (xid_hash, xid, findings) VALUES (?, ?, ?) AS now
     ON DUPLICATE KEY UPDATE findings = now.findings`,
    [xidHash(xid), xid.slice(0, 400), findings],
  );
}

export async function readPrepared(queries: Queries, stateDatabase: string): Promise<ReadonlyMap<string, string>> {
  const rows = await queries.rows(`SELECT xid, findings FROM ${quoteTable(stateDatabase, 'escapes_prepared')}`);
  return new Map(rows.map((row) => [asText(row[0]), asText(row[1])]));
}

export async function forgetPrepared(queries: Queries, stateDatabase: string, xid: string): Promise<void> {
  await queries.run(`DELETE FROM ${quoteTable(stateDatabase, 'escapes_prepared')} WHERE xid_hash = ?`, [xidHash(xid)]);
}
