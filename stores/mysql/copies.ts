/**
 * Statements on `copies`: which tables are due for a copy, and how far each copy has come. A wish for a copy is durable
 * before anything acts on it, and a newer run supersedes an older one at its next chunk.
 */
import { createHash } from 'node:crypto';
import type { Config } from '../../core/config.js';
import { asCount, asCountOrNull, asText, type Row } from './cell.js';
import type { Queries, Value } from './connection.js';
import { decodeBoundary, encodeBoundary, type Boundary } from './keyWalk.js';
import { quoteTable } from './quote.js';

/**
 * `waiting`: its triggers are not in place yet, so a copy would miss changes. `old-keys`: what the stores hold under a former
 * key of the table is deleted first. `clear`: the table was dropped, and the stores are to let its rows go.
 */
export type CopyPhase = 'waiting' | 'needed' | 'old-keys' | 'rows' | 'skipped' | 'orphans' | 'done' | 'clear';

/** Why a table is copied. */
export type CopyReason =
  | 'new-table'
  /** A trigger was missing or altered. */
  | 'trigger-gap'
  | 'columns-changed'
  /** A store or the log lost something. */
  | 'loss'
  | 'source-changed'
  /** The witness saw changes that the triggers did not. */
  | 'escaped'
  | 'asked'
  /** It was loaded directly: only what differs in a store is logged. */
  | 'loaded'
  /** Nothing is copied: its rows are to leave the stores. */
  | 'dropped';

/** Copies that mend something: with `resync.automatic` off they wait until somebody asks for them. */
const mending: readonly CopyReason[] = ['trigger-gap', 'loss', 'source-changed'];

export function heldReasons({ resync }: Pick<Config, 'resync'>): readonly CopyReason[] {
  return resync.automatic ? [] : mending;
}

export interface Copy {
  readonly tableId: number;
  readonly run: string;
  readonly phase: CopyPhase;
  readonly reason: CopyReason;
  /** Boundary behind the last chunk; null before the first. */
  readonly after: Boundary | null;
  /**
   * The table's last key at a moment when its triggers stood: rows behind it came later, and are captured. Empty: it had no
   * row. null: nobody has looked.
   */
  readonly last: Boundary | null;
  readonly rowsCopied: number;
  readonly rowsEstimated: number;
  readonly orphans: number;
  /** Whether a store held anything of the table when the copy began. */
  readonly lookForOrphans: boolean;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  readonly finishedAt: number | null;
  /** The table was copied to its end before. */
  readonly doneBefore: boolean;
}

/** A copy that waits until it is asked for changes nothing meanwhile. */
export function isUnderWay(
  { phase, reason, doneBefore }: Pick<Copy, 'phase' | 'reason' | 'doneBefore'>,
  config: Pick<Config, 'resync'>,
): boolean {
  return phase !== 'done' && !(phase === 'needed' && doneBefore && heldReasons(config).includes(reason));
}

const columns = `run, phase, reason, next_key, rows_copied, rows_estimated, orphans, look_for_orphans,
  CAST(UNIX_TIMESTAMP(started_at) * 1000 AS UNSIGNED), CAST(UNIX_TIMESTAMP(finished_at) * 1000 AS UNSIGNED), table_id, done_before,
  IF(last_run = run, last_key, NULL)`;

export async function readCopies(queries: Queries, stateDatabase: string): Promise<readonly Copy[]> {
  const rows = await queries.rows(`SELECT ${columns} FROM ${quoteTable(stateDatabase, 'copies')} ORDER BY table_id`);
  return rows.map(asCopy);
}

export async function readCopy(queries: Queries, stateDatabase: string, tableId: number): Promise<Copy | null> {
  const [row] = await queries.rows(`SELECT ${columns} FROM ${quoteTable(stateDatabase, 'copies')} WHERE table_id = ?`, [
    tableId,
  ]);
  return row === undefined ? null : asCopy(row);
}

/**
 * The copy's row, locked for the transaction, so that nothing has to wait for it later while holding rows of the
 * application. Never waits: LS-MYSQL-LOCK-WAIT when another process has it.
 */
export async function lockCopy(queries: Queries, stateDatabase: string, tableId: number): Promise<Copy | null> {
  const [row] = await queries.rows(
    `SELECT ${columns} FROM ${quoteTable(stateDatabase, 'copies')} WHERE table_id = ? FOR UPDATE NOWAIT`,
    [tableId],
  );
  return row === undefined ? null : asCopy(row);
}

function asCopy(row: Row): Copy {
  return {
    run: asText(row[0]),
    phase: asPhase(asText(row[1])),
    reason: asText(row[2]) as CopyReason,
    after: boundaryOrNull(row[3]),
    rowsCopied: asCount(row[4]),
    rowsEstimated: asCount(row[5]),
    orphans: asCount(row[6]),
    lookForOrphans: asCount(row[7]) === 1,
    startedAt: asCount(row[8]),
    finishedAt: asCountOrNull(row[9] ?? null),
    tableId: asCount(row[10]),
    doneBefore: asCount(row[11]) === 1,
    last: boundaryOrNull(row[12]),
  };
}

function boundaryOrNull(cell: Row[number] | undefined): Boundary | null {
  return cell === null || cell === undefined ? null : decodeBoundary(asText(cell));
}

/**
 * Makes a copy due, from the beginning; one under way stops at its next chunk. A table whose triggers are not in place goes
 * on waiting for them. run: a fresh UUID.
 */
export async function requestCopy(
  queries: Queries,
  stateDatabase: string,
  wish: {
    readonly tableId: number;
    readonly run: string;
    readonly reason: CopyReason;
    readonly phase?: 'waiting' | 'needed' | 'clear';
  },
): Promise<void> {
  await queries.run(
    `INSERT INTO ${quoteTable(stateDatabase, 'copies')} (table_id, run, phase, reason) VALUES (?, ?, ?, ?) AS wish
     ON DUPLICATE KEY UPDATE run = wish.run, phase = IF(copies.phase = 'waiting', 'waiting', wish.phase), reason = wish.reason, next_key = NULL, rows_copied = 0,
       rows_estimated = 0, orphans = 0, look_for_orphans = TRUE, started_at = CURRENT_TIMESTAMP(6), finished_at = NULL`,
    [wish.tableId, wish.run, wish.phase ?? 'needed', wish.reason],
  );
  await queries.run(`DELETE FROM ${quoteTable(stateDatabase, 'skipped')} WHERE table_id = ?`, [wish.tableId]);
}

/** Where the copy of one run ends; another run of the table has nothing of it. */
export interface CopyEnd {
  readonly run: string;
  readonly last: Boundary;
}

/** The triggers stand: a waiting copy may begin. end: null where nobody has looked. */
export async function releaseCopy(
  queries: Queries,
  stateDatabase: string,
  tableId: number,
  end: CopyEnd | null,
): Promise<void> {
  await queries.run(
    `UPDATE ${quoteTable(stateDatabase, 'copies')} SET phase = 'needed', last_run = ?, last_key = ?
      WHERE table_id = ? AND phase = 'waiting'`,
    [end?.run ?? null, end === null ? null : encodeBoundary(end.last), tableId],
  );
}

/** What a transaction that has locked the copy's row may change of it. */
export async function moveCopy(
  queries: Queries,
  stateDatabase: string,
  tableId: number,
  to: {
    readonly phase?: CopyPhase;
    readonly after?: Boundary;
    readonly last?: Boundary;
    readonly moreRows?: number;
    readonly moreOrphans?: number;
    readonly rowsEstimated?: number;
    readonly lookForOrphans?: boolean;
  },
): Promise<void> {
  const changes: readonly (readonly [string, Value])[] = [
    ...(to.phase === undefined ? [] : [['phase = ?', to.phase] as const]),
    ...(to.after === undefined ? [] : [['next_key = ?', encodeBoundary(to.after)] as const]),
    ...(to.last === undefined ? [] : [['last_run = run, last_key = ?', encodeBoundary(to.last)] as const]),
    ...(to.moreRows === undefined ? [] : [['rows_copied = rows_copied + ?', to.moreRows] as const]),
    ...(to.moreOrphans === undefined ? [] : [['orphans = orphans + ?', to.moreOrphans] as const]),
    ...(to.rowsEstimated === undefined ? [] : [['rows_estimated = ?', to.rowsEstimated] as const]),
    ...(to.lookForOrphans === undefined ? [] : [['look_for_orphans = ?', to.lookForOrphans] as const]),
    ['finished_at = IF(?, CURRENT_TIMESTAMP(6), finished_at)', to.phase === 'done'],
    ['done_before = done_before OR ?', to.phase === 'done'],
  ];
  await queries.run(
    `UPDATE ${quoteTable(stateDatabase, 'copies')} SET ${changes.map(([text]) => text).join(', ')} WHERE table_id = ?`,
    [...changes.map(([, value]) => value), tableId],
  );
}

export async function addSkipped(
  queries: Queries,
  stateDatabase: string,
  tableId: number,
  keys: readonly Boundary[],
): Promise<void> {
  await queries.run(
    `INSERT IGNORE INTO ${quoteTable(stateDatabase, 'skipped')} (table_id, key_hash, \`key\`) VALUES ?`,
    [keys.map((key) => [tableId, hashOf(key), encodeBoundary(key)])],
  );
}

export async function readSkipped(
  queries: Queries,
  stateDatabase: string,
  tableId: number,
  limit: number,
): Promise<readonly Boundary[]> {
  const rows = await queries.rows(
    `SELECT \`key\` FROM ${quoteTable(stateDatabase, 'skipped')} WHERE table_id = ? LIMIT ?`,
    [tableId, limit],
  );
  return rows.map((row) => decodeBoundary(asText(row[0])));
}

export async function removeSkipped(
  queries: Queries,
  stateDatabase: string,
  tableId: number,
  key: Boundary,
): Promise<void> {
  await queries.run(`DELETE FROM ${quoteTable(stateDatabase, 'skipped')} WHERE table_id = ? AND key_hash = ?`, [
    tableId,
    hashOf(key),
  ]);
}

/** Nothing is due for the table any more. */
export async function forgetCopy(queries: Queries, stateDatabase: string, tableId: number): Promise<void> {
  await queries.run(`DELETE FROM ${quoteTable(stateDatabase, 'copies')} WHERE table_id = ?`, [tableId]);
}

function hashOf(key: Boundary): Buffer {
  return createHash('sha256').update(encodeBoundary(key)).digest().subarray(0, 16);
}

function asPhase(text: string): CopyPhase {
  switch (text) {
    case 'waiting':
    case 'needed':
    case 'old-keys':
    case 'rows':
    case 'skipped':
    case 'orphans':
    case 'done':
    case 'clear':
      return text;
    default:
      throw new TypeError(`unknown phase of a copy: ${text}`);
  }
}
