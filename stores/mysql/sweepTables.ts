/** Statements on `sweep_tables`: how far a sweep has come in each table, and why one was left out. */
import type { OffsetVector } from '../../core/position.js';
import type { LeftOutReason } from '../../core/sweep.js';
import { asBytesOrNull, asCount, asCountOrNull, asText, asTextOrNull, type Row } from './cell.js';
import type { Queries } from './connection.js';
import { decodeBoundary, type Boundary } from './keyWalk.js';
import { quoteTable } from './quote.js';
import { dropChunks } from './sweepChunks.js';
import { forgetFound } from './sweepDrift.js';
import { decodeVector, encodeVector } from './vector.js';

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
  /** More of it drifted than may be repaired unasked. */
  readonly tooMuch: boolean;
}

export type NewSweepTable = Pick<SweepTable, 'name' | 'reason' | 'definition' | 'copyRun' | 'rowsEstimated'>;

/** Nothing of what is there already. */
export async function insertSweepTables(
  queries: Queries,
  stateDatabase: string,
  sweep: string,
  tables: readonly NewSweepTable[],
): Promise<void> {
  if (tables.length === 0) return;
  await queries.run(
    `INSERT IGNORE INTO ${quoteTable(stateDatabase, 'sweep_tables')}
       (sweep, name, state, reason, definition, copy_run, rows_estimated) VALUES ?`,
    [
      tables.map(({ name, reason, definition, copyRun, rowsEstimated }) => [
        sweep,
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

const tableColumns = `name, state, reason, definition, copy_run, rows_estimated, chunks, next_key, cut_all, marker,
  CAST(UNIX_TIMESTAMP(began_at) * 1000 AS UNSIGNED), too_much`;

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
    [encodeVector(marker), sweep, name],
  );
}

/** The table is swept from its beginning again, as it is now; what this sweep had found of it is forgotten. */
export async function resetTable(
  queries: Queries,
  stateDatabase: string,
  sweep: string,
  table: Pick<SweepTable, 'name' | 'definition' | 'copyRun'>,
): Promise<void> {
  // First, as whoever finishes a chunk: the row's lock puts them in an order.
  await queries.run(
    `UPDATE ${quoteTable(stateDatabase, 'sweep_tables')}
        SET state = 'due', reason = NULL, definition = ?, copy_run = ?, chunks = 0, next_key = NULL, cut_all = FALSE,
            marker = NULL, began_at = NULL, too_much = FALSE WHERE sweep = ? AND name = ?`,
    [table.definition === null ? null : Buffer.from(table.definition, 'hex'), table.copyRun, sweep, table.name],
  );
  await dropChunks(queries, stateDatabase, sweep, table.name, 'rows');
  await forgetFound(queries, stateDatabase, sweep, table.name);
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

export async function markTooMuch(
  queries: Queries,
  stateDatabase: string,
  sweep: string,
  names: readonly string[],
): Promise<void> {
  if (names.length === 0) return;
  await queries.run(
    `UPDATE ${quoteTable(stateDatabase, 'sweep_tables')} SET too_much = TRUE WHERE sweep = ? AND name IN (?)`,
    [sweep, names],
  );
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
    marker: marker === null ? null : decodeVector(marker),
    beganAt: asCountOrNull(row[10] ?? null),
    tooMuch: asCount(row[11]) === 1,
  };
}
