/** Statements on `sweeps`: which there were, of what, and what became of them. */
import type { AskedBy, SweepScope } from '../../core/sweep.js';
import { asCount, asCountOrNull, asText, type Row } from './cell.js';
import type { Queries } from './connection.js';
import { quoteTable } from './quote.js';
import { insertSweepTables, type NewSweepTable } from './sweepTables.js';

export interface Sweep {
  readonly id: string;
  readonly scope: SweepScope;
  readonly askedBy: AskedBy;
  readonly state: 'running' | 'done' | 'ended';
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  readonly finishedAt: number | null;
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
  tables: readonly NewSweepTable[],
): Promise<void> {
  await queries.run(
    `INSERT IGNORE INTO ${quoteTable(stateDatabase, 'sweeps')} (id, scope, asked_by) VALUES (?, ?, ?)`,
    [sweep.id, scopeText(sweep.scope), sweep.askedBy],
  );
  await insertSweepTables(queries, stateDatabase, sweep.id, tables);
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

/** A run of a workflow: the next one of the same id is somebody else. */
export interface Carrier {
  readonly workflow: string;
  readonly run: string;
}

/** A workflow carries it from now on. One that is done stays so. */
export async function carrySweep(queries: Queries, stateDatabase: string, id: string, by: Carrier): Promise<void> {
  await queries.run(
    `UPDATE ${quoteTable(stateDatabase, 'sweeps')} SET state = 'running', finished_at = NULL, workflow = ?, run = ?
      WHERE id = ? AND state <> 'done'`,
    [by.workflow, by.run, id],
  );
}

export interface CarriedSweep extends Carrier {
  readonly id: string;
}

/** Sweeps that have told of no end, and who carries them. */
export async function readCarried(queries: Queries, stateDatabase: string): Promise<readonly CarriedSweep[]> {
  const rows = await queries.rows(
    `SELECT id, workflow, run FROM ${quoteTable(stateDatabase, 'sweeps')}
      WHERE state = 'running' AND workflow IS NOT NULL AND run IS NOT NULL`,
  );
  return rows.map((row) => ({ id: asText(row[0]), workflow: asText(row[1]), run: asText(row[2]) }));
}

/** Nobody carries it any more. Not when somebody has taken it up since it was read, or it has ended by itself. */
export async function endCarried(
  queries: Queries,
  stateDatabase: string,
  { id, workflow, run }: CarriedSweep,
): Promise<void> {
  await queries.run(
    `UPDATE ${quoteTable(stateDatabase, 'sweeps')} SET state = 'ended', finished_at = CURRENT_TIMESTAMP(6)
      WHERE id = ? AND state = 'running' AND workflow = ? AND run = ?`,
    [id, workflow, run],
  );
}

/** One that is done stays so, whoever wakes late. */
export async function moveSweep(
  queries: Queries,
  stateDatabase: string,
  id: string,
  state: Exclude<Sweep['state'], 'running'>,
): Promise<void> {
  await queries.run(
    `UPDATE ${quoteTable(stateDatabase, 'sweeps')}
        SET state = ?, finished_at = CURRENT_TIMESTAMP(6) WHERE id = ? AND state <> 'done'`,
    [state, id],
  );
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

/**
 * Sweeps of these tables that a command began and that still seem to run have been terminated: there is one at a time, and
 * `id` is it.
 */
export async function endAbandoned(
  queries: Queries,
  stateDatabase: string,
  id: string,
  tables: SweepScope['tables'],
): Promise<void> {
  await queries.run(
    `UPDATE ${quoteTable(stateDatabase, 'sweeps')} SET state = 'ended', finished_at = CURRENT_TIMESTAMP(6)
      WHERE state = 'running' AND asked_by = 'command' AND id <> ? AND JSON_EXTRACT(scope, '$.tables') = CAST(? AS JSON)`,
    [id, JSON.stringify(tables === null ? null : tables.toSorted())],
  );
}

/** Its state, locked for the transaction; null: nobody knows of it. */
export async function lockSweep(queries: Queries, stateDatabase: string, id: string): Promise<Sweep['state'] | null> {
  const [row] = await queries.rows(`SELECT state FROM ${quoteTable(stateDatabase, 'sweeps')} WHERE id = ? FOR UPDATE`, [
    id,
  ]);
  return row === undefined ? null : (asText(row[0]) as Sweep['state']);
}
