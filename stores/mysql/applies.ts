/** Statements on schema_applies: how far a file of DDL has run. */
import { asCount, asTextOrNull } from './cell.js';
import type { Queries } from './connection.js';
import { quoteTable } from './quote.js';

/** The statement that is being run, and its tables before it, as `SHOW CREATE TABLE` has them. */
export interface RunningStatement {
  readonly index: number;
  readonly before: Readonly<Record<string, string | null>>;
}

export interface AppliedFile {
  /** Statements that have run. */
  readonly done: number;
  readonly running: RunningStatement | null;
  readonly finished: boolean;
}

/** At rest, with so many statements behind it. */
export function applied(done: number): AppliedFile {
  return { done, running: null, finished: false };
}

export async function readApplied(
  queries: Queries,
  stateDatabase: string,
  fileHash: string,
): Promise<AppliedFile | null> {
  const [row] = await queries.rows(
    `SELECT done, running, finished_at IS NOT NULL FROM ${quoteTable(stateDatabase, 'schema_applies')} WHERE file_hash = ?`,
    [Buffer.from(fileHash, 'hex')],
  );
  if (row === undefined) return null;
  const running = asTextOrNull(row[1] ?? null);
  return {
    done: asCount(row[0]),
    // Our own text.
    running: running === null ? null : (JSON.parse(running) as RunningStatement),
    finished: asCount(row[2]) === 1,
  };
}

export async function writeApplied(
  queries: Queries,
  stateDatabase: string,
  fileHash: string,
  { done, running, finished }: AppliedFile,
): Promise<void> {
  await queries.run(
    `INSERT INTO ${quoteTable(stateDatabase, 'schema_applies')} (file_hash, done, running, finished_at)
     VALUES (?, ?, ?, IF(?, CURRENT_TIMESTAMP(6), NULL)) AS new
     ON DUPLICATE KEY UPDATE done = new.done, running = new.running, finished_at = new.finished_at`,
    [Buffer.from(fileHash, 'hex'), done, running === null ? null : JSON.stringify(running), finished],
  );
}
