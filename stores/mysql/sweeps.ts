/**
 * Statements on `sweeps`, `sweep_tables` and `sweep_chunks`: how far a sweep has come. A chunk's result and the drift that
 * it found are one transaction, so a sweep that was killed goes on behind the last chunk that stands here.
 */
import type { OffsetVector } from '../../core/position.js';
import type { StoreName } from '../../core/store.js';
import type { AskedBy, ChunkCounts, LeftOutReason, SweepPass, SweepScope } from '../../core/sweep.js';
import { asBytesOrNull, asCount, asCountOrNull, asText, asTextOrNull, type Row } from './cell.js';
import type { Queries } from './connection.js';
import { decodeBoundary, encodeBoundary, type Boundary } from './keyWalk.js';
import { quoteTable } from './quote.js';

export interface Sweep {
  readonly id: string;
  readonly scope: SweepScope;
  readonly askedBy: AskedBy;
  readonly state: 'running' | 'done' | 'ended';
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  readonly finishedAt: number | null;
}

export interface SweepTable {
  readonly name: string;
  readonly state: 'due' | 'done' | 'left-out';
  readonly reason: LeftOutReason | null;
  /** 32 hex digits. */
  readonly definition: string | null;
  readonly copyRun: string | null;
  readonly rowsEstimated: number;
  readonly chunks: number;
  readonly next: Boundary | null;
  readonly cutAll: boolean;
  readonly marker: OffsetVector | null;
  readonly beganAt: number | null;
}

export interface SweepChunk {
  readonly number: number;
  /** Of the pass `rows`: boundaries. */
  readonly after: string | null;
  readonly upTo: string | null;
  readonly counts: ChunkCounts | null;
}

const sweepColumns = `id, scope, asked_by, state, CAST(UNIX_TIMESTAMP(started_at) * 1000 AS UNSIGNED),
  CAST(UNIX_TIMESTAMP(finished_at) * 1000 AS UNSIGNED)`;

function scopeText({ tables, stores }: SweepScope): string {
  return JSON.stringify({ stores: stores.toSorted(), tables: tables === null ? null : tables.toSorted() });
}

/** Nothing when it is there already. */
export async function insertSweep(
  queries: Queries,
  stateDatabase: string,
  sweep: Pick<Sweep, 'id' | 'scope' | 'askedBy'>,
  tables: readonly Pick<SweepTable, 'name' | 'reason' | 'definition' | 'copyRun' | 'rowsEstimated'>[],
): Promise<void> {
  await queries.run(
    `INSERT IGNORE INTO ${quoteTable(stateDatabase, 'sweeps')} (id, scope, asked_by) VALUES (?, ?, ?)`,
    [sweep.id, scopeText(sweep.scope), sweep.askedBy],
  );
  if (tables.length === 0) return;
  await queries.run(
    `INSERT IGNORE INTO ${quoteTable(stateDatabase, 'sweep_tables')}
       (sweep, name, state, reason, definition, copy_run, rows_estimated) VALUES ?`,
    [
      tables.map(({ name, reason, definition, copyRun, rowsEstimated }) => [
        sweep.id,
        name,
        reason === null ? 'due' : 'left-out',
        reason,
        definition === null ? null : Buffer.from(definition, 'hex'),
        copyRun,
        rowsEstimated,
      ]),
    ],
  );
}

/** The newest sweep that has begun, whatever became of it. */
export async function lastSweep(queries: Queries, stateDatabase: string, scope?: SweepScope): Promise<Sweep | null> {
  const rows = await queries.rows(
    `SELECT ${sweepColumns} FROM ${quoteTable(stateDatabase, 'sweeps')}
      WHERE ${scope === undefined ? 'TRUE' : 'scope = CAST(? AS JSON)'} ORDER BY started_at DESC, id LIMIT 1`,
    scope === undefined ? [] : [scopeText(scope)],
  );
  return rows[0] === undefined ? null : asSweep(rows[0]);
}

export async function readSweep(queries: Queries, stateDatabase: string, id: string): Promise<Sweep | null> {
  const rows = await queries.rows(`SELECT ${sweepColumns} FROM ${quoteTable(stateDatabase, 'sweeps')} WHERE id = ?`, [
    id,
  ]);
  return rows[0] === undefined ? null : asSweep(rows[0]);
}

export async function moveSweep(
  queries: Queries,
  stateDatabase: string,
  id: string,
  state: Sweep['state'],
): Promise<void> {
  await queries.run(
    `UPDATE ${quoteTable(stateDatabase, 'sweeps')}
        SET state = ?, finished_at = IF(? = 'running', NULL, CURRENT_TIMESTAMP(6)) WHERE id = ?`,
    [state, state, id],
  );
}

/** Old sweeps and what they found and healed, so that the tables do not grow for ever. */
export async function forgetOldSweeps(queries: Queries, stateDatabase: string, days: number): Promise<void> {
  const old = await queries.rows(
    `SELECT id FROM ${quoteTable(stateDatabase, 'sweeps')}
      WHERE started_at < CURRENT_TIMESTAMP(6) - INTERVAL ? DAY ORDER BY started_at LIMIT 100`,
    [days],
  );
  for (const [id] of old) {
    for (const table of ['sweep_chunks', 'sweep_tables']) {
      await queries.run(`DELETE FROM ${quoteTable(stateDatabase, table)} WHERE sweep = ?`, [asText(id)]);
    }
    await queries.run(`DELETE FROM ${quoteTable(stateDatabase, 'sweeps')} WHERE id = ?`, [asText(id)]);
  }
  await queries.run(
    `DELETE FROM ${quoteTable(stateDatabase, 'drift')}
      WHERE found_at < CURRENT_TIMESTAMP(6) - INTERVAL ? DAY AND healed_at IS NOT NULL LIMIT 10000`,
    [days],
  );
  await queries.run(
    `DELETE FROM ${quoteTable(stateDatabase, 'repairs')} WHERE at < CURRENT_TIMESTAMP(6) - INTERVAL ? DAY LIMIT 10000`,
    [days],
  );
}

const tableColumns = `name, state, reason, definition, copy_run, rows_estimated, chunks, next_key, cut_all, marker,
  CAST(UNIX_TIMESTAMP(began_at) * 1000 AS UNSIGNED)`;

export async function readSweepTables(
  queries: Queries,
  stateDatabase: string,
  sweep: string,
): Promise<readonly SweepTable[]> {
  const rows = await queries.rows(
    `SELECT ${tableColumns} FROM ${quoteTable(stateDatabase, 'sweep_tables')} WHERE sweep = ? ORDER BY name`,
    [sweep],
  );
  return rows.map(asTable);
}

/** The table's row, locked for the transaction. */
export async function lockSweepTable(
  queries: Queries,
  stateDatabase: string,
  sweep: string,
  name: string,
): Promise<SweepTable | null> {
  const rows = await queries.rows(
    `SELECT ${tableColumns} FROM ${quoteTable(stateDatabase, 'sweep_tables')} WHERE sweep = ? AND name = ? FOR UPDATE`,
    [sweep, name],
  );
  return rows[0] === undefined ? null : asTable(rows[0]);
}

/** The marker that everything of the table was read behind. The first one stands. */
export async function beginTable(
  queries: Queries,
  stateDatabase: string,
  sweep: string,
  name: string,
  marker: OffsetVector,
): Promise<void> {
  await queries.run(
    `UPDATE ${quoteTable(stateDatabase, 'sweep_tables')} SET marker = ?, began_at = CURRENT_TIMESTAMP(6)
      WHERE sweep = ? AND name = ? AND marker IS NULL`,
    [JSON.stringify(Object.fromEntries(marker)), sweep, name],
  );
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

/** The table is swept from its beginning again, as it is now; what this sweep had found of it is forgotten. */
export async function resetTable(
  queries: Queries,
  stateDatabase: string,
  sweep: string,
  table: Pick<SweepTable, 'name' | 'definition' | 'copyRun'>,
): Promise<void> {
  await dropChunks(queries, stateDatabase, sweep, table.name, 'rows');
  await queries.run(
    `DELETE FROM ${quoteTable(stateDatabase, 'drift')} WHERE sweep = ? AND name = ? AND found_by = 'sweep' AND open = 1`,
    [sweep, table.name],
  );
  await queries.run(
    `UPDATE ${quoteTable(stateDatabase, 'sweep_tables')}
        SET state = 'due', reason = NULL, definition = ?, copy_run = ?, chunks = 0, next_key = NULL, cut_all = FALSE,
            marker = NULL, began_at = NULL WHERE sweep = ? AND name = ?`,
    [table.definition === null ? null : Buffer.from(table.definition, 'hex'), table.copyRun, sweep, table.name],
  );
}

export async function leaveTableOut(
  queries: Queries,
  stateDatabase: string,
  sweep: string,
  name: string,
  reason: LeftOutReason,
): Promise<void> {
  await queries.run(
    `UPDATE ${quoteTable(stateDatabase, 'sweep_tables')} SET state = 'left-out', reason = ? WHERE sweep = ? AND name = ?`,
    [reason, sweep, name],
  );
}

export async function finishTable(queries: Queries, stateDatabase: string, sweep: string, name: string): Promise<void> {
  await queries.run(
    `UPDATE ${quoteTable(stateDatabase, 'sweep_tables')} SET state = 'done' WHERE sweep = ? AND name = ? AND state = 'due'`,
    [sweep, name],
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

export interface Swept {
  readonly name: string;
  readonly store: StoreName;
  readonly sweep: string;
  /** Milliseconds since 1970; null: never right as a whole. */
  readonly through: number | null;
  readonly marker: OffsetVector;
  readonly drift: number;
}

/** A table and store were swept as a whole. With drift, what it was right through before stands. */
export async function recordSwept(
  queries: Queries,
  stateDatabase: string,
  swept: Omit<Swept, 'through'> & { readonly beganAt: number },
): Promise<void> {
  const { name, store, sweep, marker, drift, beganAt } = swept;
  await queries.run(
    `INSERT INTO ${quoteTable(stateDatabase, 'swept')} (name, store, sweep, through, marker, drift)
     VALUES (?, ?, ?, IF(? = 0, FROM_UNIXTIME(? / 1000), NULL), ?, ?) AS newer
     ON DUPLICATE KEY UPDATE sweep = newer.sweep, through = IFNULL(newer.through, swept.through), marker = newer.marker,
       drift = newer.drift`,
    [name, store, sweep, drift, beganAt, JSON.stringify(Object.fromEntries(marker)), drift],
  );
}

export async function readSwept(queries: Queries, stateDatabase: string): Promise<readonly Swept[]> {
  const rows = await queries.rows(
    `SELECT name, store, sweep, CAST(UNIX_TIMESTAMP(through) * 1000 AS UNSIGNED), marker, drift
       FROM ${quoteTable(stateDatabase, 'swept')} ORDER BY name, store`,
  );
  return rows.map((row) => ({
    name: asText(row[0]),
    store: asText(row[1]) as StoreName,
    sweep: asText(row[2]),
    through: asCountOrNull(row[3] ?? null),
    marker: vectorOf(asText(row[4])),
    drift: asCount(row[5]),
  }));
}

function vectorOf(text: string): OffsetVector {
  return new Map(Object.entries(JSON.parse(text) as Record<string, number>));
}

function asSweep(row: Row): Sweep {
  return {
    id: asText(row[0]),
    scope: JSON.parse(asText(row[1])) as SweepScope,
    askedBy: asText(row[2]) as AskedBy,
    state: asText(row[3]) as Sweep['state'],
    startedAt: asCount(row[4]),
    finishedAt: asCountOrNull(row[5] ?? null),
  };
}

function asTable(row: Row): SweepTable {
  const next = asTextOrNull(row[7] ?? null);
  const marker = asTextOrNull(row[9] ?? null);
  return {
    name: asText(row[0]),
    state: asText(row[1]) as SweepTable['state'],
    reason: asTextOrNull(row[2] ?? null) as LeftOutReason | null,
    definition: asBytesOrNull(row[3] ?? null)?.toString('hex') ?? null,
    copyRun: asTextOrNull(row[4] ?? null),
    rowsEstimated: asCount(row[5]),
    chunks: asCount(row[6]),
    next: next === null ? null : decodeBoundary(next),
    cutAll: asCount(row[8]) === 1,
    marker: marker === null ? null : vectorOf(marker),
    beganAt: asCountOrNull(row[10] ?? null),
  };
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
