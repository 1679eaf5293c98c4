/**
 * Statements on `copies`: which tables are due for a copy, and how far each copy has come. A wish for a copy is durable
 * before anything acts on it, and a newer run supersedes an older one at its next chunk.
 */
import { asCount, asText, asTextOrNull } from './cell.js';
import type { Queries } from './connection.js';
import { quoteTable } from './quote.js';

/** `waiting`: its triggers are not in place yet, so a copy would miss changes. */
export type CopyPhase = 'waiting' | 'needed' | 'rows' | 'skipped' | 'orphans' | 'done';

/** Why a table is copied. */
export type CopyReason =
  | 'new-table'
  /** A trigger was missing or altered. */
  | 'trigger-gap'
  | 'columns-changed'
  /** A store or the log lost something. */
  | 'loss'
  | 'source-changed'
  | 'asked';

export interface Copy {
  readonly tableId: number;
  readonly run: string;
  readonly phase: CopyPhase;
  readonly reason: CopyReason;
  /** Key JSON of the last row of the last chunk; null before the first. */
  readonly nextKey: string | null;
  readonly rowsCopied: number;
  readonly rowsEstimated: number;
  readonly orphans: number;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  readonly finishedAt: number | null;
}

const columns = `table_id, run, phase, reason, next_key, rows_copied, rows_estimated, orphans,
  CAST(UNIX_TIMESTAMP(started_at) * 1000 AS UNSIGNED), CAST(UNIX_TIMESTAMP(finished_at) * 1000 AS UNSIGNED)`;

export async function readCopies(queries: Queries, stateDatabase: string): Promise<readonly Copy[]> {
  const rows = await queries.rows(`SELECT ${columns} FROM ${quoteTable(stateDatabase, 'copies')} ORDER BY table_id`);
  return rows.map((row) => ({
    tableId: asCount(row[0]),
    run: asText(row[1]),
    phase: asPhase(asText(row[2])),
    reason: asText(row[3]) as CopyReason,
    nextKey: asTextOrNull(row[4] ?? null),
    rowsCopied: asCount(row[5]),
    rowsEstimated: asCount(row[6]),
    orphans: asCount(row[7]),
    startedAt: asCount(row[8]),
    finishedAt: row[9] === null ? null : asCount(row[9]),
  }));
}

export async function readCopy(queries: Queries, stateDatabase: string, tableId: number): Promise<Copy | null> {
  return (await readCopies(queries, stateDatabase)).find((copy) => copy.tableId === tableId) ?? null;
}

/** Makes a copy due, from the beginning; one under way stops at its next chunk. run: a fresh UUID. */
export async function requestCopy(
  queries: Queries,
  stateDatabase: string,
  wish: {
    readonly tableId: number;
    readonly run: string;
    readonly reason: CopyReason;
    readonly phase?: 'waiting' | 'needed';
  },
): Promise<void> {
  await queries.run(
    `INSERT INTO ${quoteTable(stateDatabase, 'copies')} (table_id, run, phase, reason) VALUES (?, ?, ?, ?) AS wish
     ON DUPLICATE KEY UPDATE run = wish.run, phase = wish.phase, reason = wish.reason, next_key = NULL, rows_copied = 0,
       rows_estimated = 0, orphans = 0, started_at = CURRENT_TIMESTAMP(6), finished_at = NULL`,
    [wish.tableId, wish.run, wish.phase ?? 'needed', wish.reason],
  );
  await queries.run(`DELETE FROM ${quoteTable(stateDatabase, 'skipped')} WHERE table_id = ?`, [wish.tableId]);
}

/** The triggers stand: a waiting copy may begin. */
export async function releaseCopy(queries: Queries, stateDatabase: string, tableId: number): Promise<void> {
  await queries.run(
    `UPDATE ${quoteTable(stateDatabase, 'copies')} SET phase = 'needed' WHERE table_id = ? AND phase = 'waiting'`,
    [tableId],
  );
}

function asPhase(text: string): CopyPhase {
  switch (text) {
    case 'waiting':
    case 'needed':
    case 'rows':
    case 'skipped':
    case 'orphans':
    case 'done':
      return text;
    default:
      throw new TypeError(`unknown phase of a copy: ${text}`);
  }
}
