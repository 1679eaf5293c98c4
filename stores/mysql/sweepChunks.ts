/**
 * Statements on `sweep_chunks`: what of a sweep is done. A chunk's result and the drift that it found are one transaction, so
 * a sweep that was killed goes on behind the last chunk that stands here.
 */
import type { StoreName } from '../../core/store.js';
import type { ChunkCounts, SweepPass } from '../../core/sweep.js';
import { asCount, asText, asTextOrNull, type Row } from './cell.js';
import type { Queries } from './connection.js';
import { encodeBoundary, type Boundary } from './keyWalk.js';
import { quoteTable } from './quote.js';
import type { SweepTable } from './sweepTables.js';

export interface SweepChunk {
  readonly number: number;
  /** Of the pass `rows`: boundaries. */
  readonly after: string | null;
  readonly upTo: string | null;
  readonly counts: ChunkCounts | null;
}

/** Another chunk of rows, behind those that were cut before. */
export async function cutChunk(
  queries: Queries,
  stateDatabase: string,
  sweep: string,
  table: SweepTable,
  upTo: Boundary | null,
): Promise<void> {
  await queries.run(
    `INSERT INTO ${quoteTable(stateDatabase, 'sweep_chunks')} (sweep, name, pass, number, after_key, up_to)
     VALUES (?, ?, 'rows', ?, ?, ?)`,
    [sweep, table.name, table.chunks, textOf(table.next), textOf(upTo)],
  );
  await queries.run(
    `UPDATE ${quoteTable(stateDatabase, 'sweep_tables')} SET chunks = chunks + 1, next_key = ?, cut_all = ?
      WHERE sweep = ? AND name = ?`,
    [textOf(upTo), upTo === null, sweep, table.name],
  );
}

function textOf(boundary: Boundary | null): string | null {
  return boundary === null ? null : encodeBoundary(boundary);
}

export async function readChunk(
  queries: Queries,
  stateDatabase: string,
  sweep: string,
  { name, pass, number }: { readonly name: string; readonly pass: SweepPass; readonly number: number },
): Promise<SweepChunk | null> {
  const rows = await queries.rows(
    `SELECT number, after_key, up_to, IF(finished_at IS NULL, NULL, counts)
       FROM ${quoteTable(stateDatabase, 'sweep_chunks')} WHERE sweep = ? AND name = ? AND pass = ? AND number = ?`,
    [sweep, name, pass, number],
  );
  const row = rows[0];
  return row === undefined ? null : asChunk(row);
}

/** Finished, with what it found in the same transaction. `upTo` of a pass over a store: where it goes on. */
export async function finishChunk(
  queries: Queries,
  stateDatabase: string,
  sweep: string,
  chunk: {
    readonly name: string;
    readonly pass: SweepPass;
    readonly number: number;
    readonly counts: ChunkCounts;
    readonly upTo?: string | null;
  },
): Promise<void> {
  const { name, pass, number, counts, upTo } = chunk;
  await queries.run(
    `INSERT INTO ${quoteTable(stateDatabase, 'sweep_chunks')} (sweep, name, pass, number, up_to, counts, finished_at)
     VALUES (?, ?, ?, ?, ?, ?, CURRENT_TIMESTAMP(6)) AS newer
     ON DUPLICATE KEY UPDATE counts = newer.counts, finished_at = newer.finished_at`,
    [sweep, name, pass, number, upTo ?? null, JSON.stringify(counts)],
  );
}

export async function dropChunks(
  queries: Queries,
  stateDatabase: string,
  sweep: string,
  name: string,
  pass: SweepPass,
): Promise<void> {
  await queries.run(
    `DELETE FROM ${quoteTable(stateDatabase, 'sweep_chunks')} WHERE sweep = ? AND name = ? AND pass = ?`,
    [sweep, name, pass],
  );
}

export interface FinishedChunk {
  readonly name: string;
  readonly pass: SweepPass;
  readonly counts: ChunkCounts;
}

export async function readFinishedChunks(
  queries: Queries,
  stateDatabase: string,
  sweep: string,
): Promise<readonly FinishedChunk[]> {
  const rows = await queries.rows(
    `SELECT name, pass, counts FROM ${quoteTable(stateDatabase, 'sweep_chunks')}
      WHERE sweep = ? AND finished_at IS NOT NULL ORDER BY name, pass, number`,
    [sweep],
  );
  return rows.map((row) => ({
    name: asText(row[0]),
    pass: asText(row[1]) as SweepPass,
    counts: JSON.parse(asText(row[2])) as ChunkCounts,
  }));
}

/** Chunks of a table's rows that are cut and not finished. */
export async function unfinishedChunks(
  queries: Queries,
  stateDatabase: string,
  sweep: string,
  name: string,
): Promise<number> {
  const [row] = await queries.rows(
    `SELECT COUNT(*) FROM ${quoteTable(stateDatabase, 'sweep_chunks')}
      WHERE sweep = ? AND name = ? AND pass = 'rows' AND finished_at IS NULL`,
    [sweep, name],
  );
  return asCount(row?.[0]);
}

/** Number of the first chunk of a table's rows that is not finished; `chunks` when all are. */
export async function firstUnfinished(
  queries: Queries,
  stateDatabase: string,
  sweep: string,
  name: string,
  chunks: number,
): Promise<number> {
  const [row] = await queries.rows(
    `SELECT IFNULL(MIN(number), ?) FROM ${quoteTable(stateDatabase, 'sweep_chunks')}
      WHERE sweep = ? AND name = ? AND pass = 'rows' AND finished_at IS NULL`,
    [chunks, sweep, name],
  );
  return asCount(row?.[0]);
}

/** Of a pass over a store, whose parts follow each other: the next one; null behind the last. */
export async function nextPart(
  queries: Queries,
  stateDatabase: string,
  sweep: string,
  store: StoreName,
): Promise<number | null> {
  const rows = await queries.rows(
    `SELECT number, up_to IS NULL FROM ${quoteTable(stateDatabase, 'sweep_chunks')}
      WHERE sweep = ? AND pass = ? ORDER BY number DESC LIMIT 1`,
    [sweep, store],
  );
  const row = rows[0];
  if (row === undefined) return 0;
  return asCount(row[1]) === 1 ? null : asCount(row[0]) + 1;
}

function asChunk(row: Row): SweepChunk {
  const counts = asTextOrNull(row[3] ?? null);
  return {
    number: asCount(row[0]),
    after: asTextOrNull(row[1] ?? null),
    upTo: asTextOrNull(row[2] ?? null),
    counts: counts === null ? null : (JSON.parse(counts) as ChunkCounts),
  };
}
