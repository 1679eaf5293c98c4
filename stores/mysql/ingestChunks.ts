/**
 * Statements on `ingest_chunks` and what goes with it. A chunk's row is written in the transaction that writes its rows,
 * so it alone tells whether they are in; `landed` follows once every store holds them.
 */
import type { Reject, RejectReason, ResumePoint } from '../../core/ingest.js';
import { noCounts, type IngestCounts, type IngestProgress } from '../../core/ingestReport.js';
import { asBytes, asCount, asText, asTextOrNull } from './cell.js';
import type { Queries } from './connection.js';
import { quoteTable } from './quote.js';

/** What a chunk's rows lie under: numbers that MySQL drew or the file gave without a gap, or one key text `{"pk1":…}` each. */
export type RowKeys =
  | { readonly kind: 'numbers'; readonly column: string; readonly from: string; readonly to: string }
  | { readonly kind: 'texts'; readonly texts: readonly string[] };

export interface ChunkEntry {
  readonly number: number;
  readonly accepted: number;
  readonly altered: number;
  readonly bytes: number;
  /** SHA-256 over the accepted rows' given columns as the file gives them. */
  readonly digest: Buffer;
  readonly keys: RowKeys;
  readonly next: ResumePoint | null;
  readonly rejects: readonly (Reject & { readonly file: number })[];
}

export interface OpenChunk {
  readonly number: number;
  readonly accepted: number;
  readonly keys: RowKeys;
}

export interface Landed {
  readonly number: number;
  readonly changed: number;
  readonly parked: number;
}

/** Fails with 1062 where the chunk is in already. */
export async function addChunk(
  queries: Queries,
  stateDatabase: string,
  ingest: number,
  chunk: ChunkEntry,
  packetBytes: number,
): Promise<void> {
  const { number, accepted, altered, bytes, digest, keys, next, rejects } = chunk;
  await queries.run(
    `INSERT INTO ${chunks(stateDatabase)} (ingest, number, accepted, rejected, altered, bytes, digest, row_keys, next_point, landed)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    [
      ingest,
      number,
      accepted,
      rejects.length,
      altered,
      bytes,
      digest,
      accepted === 0 ? null : JSON.stringify(keys),
      next === null ? null : JSON.stringify(next),
      accepted === 0,
    ],
  );
  const most = packetBytes / 8;
  for (const group of groups(rejects, most)) {
    await queries.run(
      `INSERT INTO ${rejected(stateDatabase)} (ingest, chunk, place, file, line, reason, column_name, detail, raw) VALUES ?`,
      [
        group.map(({ place, file, line, reason, column, detail, raw }) => [
          ingest,
          number,
          place,
          file,
          line,
          reason,
          column,
          detail === null ? null : detail.slice(0, 1000),
          raw.length > most ? `${raw.slice(0, most)}… (cut here: ${raw.length} characters)` : raw,
        ]),
      ],
    );
  }
}

type PlacedReject = ChunkEntry['rejects'][number] & { readonly place: number };

/** So many of them a statement that it stays well below what MySQL takes; a character is up to four bytes there. */
function groups(rejects: ChunkEntry['rejects'], most: number): PlacedReject[][] {
  const found: PlacedReject[][] = [];
  let characters = Infinity;
  for (const [place, reject] of rejects.entries()) {
    const size = Math.min(reject.raw.length, most) + 200;
    if (characters + size > most) {
      found.push([]);
      characters = 0;
    }
    characters += size;
    found.at(-1)?.push({ ...reject, place });
  }
  return found;
}

/** Where reading goes on: `first` before any chunk is in, null when all are. */
export async function readNextPoint(
  queries: Queries,
  stateDatabase: string,
  ingest: number,
): Promise<ResumePoint | null | 'first'> {
  const [row] = await queries.rows(
    `SELECT next_point FROM ${chunks(stateDatabase)} WHERE ingest = ? ORDER BY number DESC LIMIT 1`,
    [ingest],
  );
  if (row === undefined) return 'first';
  const text = asTextOrNull(row[0] ?? null);
  return text === null ? null : (JSON.parse(text) as ResumePoint);
}

/** In MySQL, and not known to be in every store. */
export async function readOpenChunks(
  queries: Queries,
  stateDatabase: string,
  ingest: number,
  limit: number,
): Promise<readonly OpenChunk[]> {
  const rows = await queries.rows(
    `SELECT number, accepted, row_keys FROM ${chunks(stateDatabase)}
      WHERE ingest = ? AND NOT landed AND row_keys IS NOT NULL ORDER BY number LIMIT ${limit}`,
    [ingest],
  );
  return rows.map((row) => ({
    number: asCount(row[0]),
    accepted: asCount(row[1]),
    keys: JSON.parse(asText(row[2])) as RowKeys,
  }));
}

/** Their keys are not needed any more. Of a chunk that has landed before, the first word stands. */
export async function markLanded(
  queries: Queries,
  stateDatabase: string,
  ingest: number,
  landed: readonly Landed[],
): Promise<void> {
  if (landed.length === 0) return;
  const count = (of: 'changed' | 'parked'): string => {
    const cases = landed.filter((chunk) => chunk[of] > 0).map((chunk) => `WHEN ${chunk.number} THEN ${chunk[of]}`);
    return cases.length === 0 ? '0' : `CASE number ${cases.join(' ')} ELSE 0 END`;
  };
  await queries.run(
    `UPDATE ${chunks(stateDatabase)} SET landed = TRUE, row_keys = NULL, changed = ${count('changed')}, parked = ${count('parked')}
      WHERE ingest = ? AND NOT landed AND number IN (?)`,
    [ingest, landed.map(({ number }) => number)],
  );
}

/** The whole table was proven: nothing is open any more. */
export async function landRest(queries: Queries, stateDatabase: string, ingest: number): Promise<void> {
  await queries.run(
    `UPDATE ${chunks(stateDatabase)} SET landed = TRUE, row_keys = NULL WHERE ingest = ? AND NOT landed`,
    [ingest],
  );
}

export async function readCounts(queries: Queries, stateDatabase: string, ingest: number): Promise<IngestCounts> {
  const [row] = await queries.rows(
    `SELECT COUNT(*), IFNULL(SUM(accepted), 0), IFNULL(SUM(rejected), 0), IFNULL(SUM(landed), 0), IFNULL(SUM(bytes), 0),
            IFNULL(SUM(altered), 0), IFNULL(SUM(changed), 0), IFNULL(SUM(parked), 0)
       FROM ${chunks(stateDatabase)} WHERE ingest = ?`,
    [ingest],
  );
  if (row === undefined) return noCounts;
  const [inMysql, accepted, refused, landed, bytes, altered, changed, parked] = row.map(asCount);
  return {
    chunks: inMysql ?? 0,
    accepted: accepted ?? 0,
    rejected: refused ?? 0,
    landed: landed ?? 0,
    bytes: bytes ?? 0,
    altered: altered ?? 0,
    changed: changed ?? 0,
    parked: parked ?? 0,
  };
}

/** Accepted rows of chunks of which nobody knows whether they are in every store. */
export async function countNotLanded(queries: Queries, stateDatabase: string, ingest: number): Promise<number> {
  const [row] = await queries.rows(
    `SELECT IFNULL(SUM(accepted), 0) FROM ${chunks(stateDatabase)} WHERE ingest = ? AND NOT landed`,
    [ingest],
  );
  return asCount(row?.[0]);
}

/** Digests of the chunks in their order, 32 bytes each. */
export async function* readDigests(queries: Queries, stateDatabase: string, ingest: number): AsyncIterable<Buffer> {
  for (let from = 0; ;) {
    const rows = await queries.rows(
      `SELECT number, digest FROM ${chunks(stateDatabase)} WHERE ingest = ? AND number >= ? ORDER BY number LIMIT 1000`,
      [ingest, from],
    );
    for (const row of rows) yield asBytes(row[1]);
    const last = rows.at(-1);
    if (last === undefined) return;
    from = asCount(last[0]) + 1;
  }
}

export interface StoredReject extends Reject {
  readonly file: number;
}

/** In the order of the files. */
export async function* readRejects(
  queries: Queries,
  stateDatabase: string,
  ingest: number,
): AsyncIterable<StoredReject> {
  for (let [chunk, place] = [0, -1]; ;) {
    const rows = await queries.rows(
      `SELECT chunk, place, file, line, reason, column_name, detail, raw FROM ${rejected(stateDatabase)}
        WHERE ingest = ? AND (chunk > ? OR (chunk = ? AND place > ?)) ORDER BY chunk, place LIMIT 500`,
      [ingest, chunk, chunk, place],
    );
    for (const row of rows) {
      yield {
        file: asCount(row[2]),
        line: asCount(row[3]),
        reason: asText(row[4]) as RejectReason,
        column: asTextOrNull(row[5] ?? null),
        detail: asTextOrNull(row[6] ?? null),
        raw: asText(row[7]),
      };
    }
    const last = rows.at(-1);
    if (last === undefined) return;
    [chunk, place] = [asCount(last[0]), asCount(last[1])];
  }
}

export async function countReasons(
  queries: Queries,
  stateDatabase: string,
  ingest: number,
): Promise<Readonly<Record<string, number>>> {
  const rows = await queries.rows(
    `SELECT reason, COUNT(*) FROM ${rejected(stateDatabase)} WHERE ingest = ? GROUP BY reason ORDER BY 2 DESC`,
    [ingest],
  );
  return Object.fromEntries(rows.map((row) => [asText(row[0]), asCount(row[1])]));
}

export async function writeProgress(
  queries: Queries,
  stateDatabase: string,
  ingest: number,
  progress: IngestProgress,
): Promise<void> {
  await queries.run(
    `INSERT INTO ${quoteTable(stateDatabase, 'ingest_progress')} (ingest, progress) VALUES (?, ?) AS newer
     ON DUPLICATE KEY UPDATE progress = newer.progress`,
    [ingest, JSON.stringify(progress)],
  );
}

/** silentMs: since it was written. */
export async function readProgress(
  queries: Queries,
  stateDatabase: string,
  ingest: number,
): Promise<(IngestProgress & { readonly silentMs: number }) | null> {
  const [row] = await queries.rows(
    `SELECT progress, TIMESTAMPDIFF(MICROSECOND, at, CURRENT_TIMESTAMP(6)) DIV 1000
       FROM ${quoteTable(stateDatabase, 'ingest_progress')} WHERE ingest = ?`,
    [ingest],
  );
  if (row === undefined) return null;
  return { ...(JSON.parse(asText(row[0])) as IngestProgress), silentMs: Math.max(0, asCount(row[1])) };
}

function chunks(stateDatabase: string): string {
  return quoteTable(stateDatabase, 'ingest_chunks');
}

function rejected(stateDatabase: string): string {
  return quoteTable(stateDatabase, 'ingest_rejects');
}
