/**
 * Statements on `ingests`: which content goes into which table, which road it takes, and who may write for it. Names and
 * counts only; the plan holds paths, never a row.
 */
import type { IngestOptions, IngestPlan } from '../../core/ingest.js';
import type { IngestPhase, IngestReport, IngestRoad } from '../../core/ingestReport.js';
import { asCount, asText, asTextOrNull, type Row } from './cell.js';
import type { Queries } from './connection.js';
import { errorNumber } from './failure.js';
import { quoteTable } from './quote.js';

export interface Ingest {
  readonly id: number;
  /** Short, unique in the state database: commands and workflow ids name it so. */
  readonly name: string;
  readonly table: string;
  readonly again: number;
  readonly plan: IngestPlan;
  readonly options: IngestOptions;
  readonly phase: IngestPhase;
  readonly road: IngestRoad;
  readonly held: boolean;
  readonly epoch: number;
  readonly copyRun: string | null;
  readonly report: IngestReport | null;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
}

export type NewIngest = Pick<Ingest, 'name' | 'table' | 'again' | 'plan' | 'options' | 'road' | 'held'>;

const columns = `id, name, table_name, again, plan, options, phase, road, held, epoch, copy_run, report,
  CAST(UNIX_TIMESTAMP(started_at) * 1000 AS UNSIGNED)`;

export async function readIngest(queries: Queries, stateDatabase: string, name: string): Promise<Ingest | null> {
  const [row] = await queries.rows(`SELECT ${columns} FROM ${ingests(stateDatabase)} WHERE name = ?`, [name]);
  return row === undefined ? null : asIngest(row);
}

/** The newest first. */
export async function readIngests(queries: Queries, stateDatabase: string, limit: number): Promise<readonly Ingest[]> {
  const rows = await ifThere(() =>
    queries.rows(`SELECT ${columns} FROM ${ingests(stateDatabase)} ORDER BY id DESC LIMIT ${limit}`),
  );
  return (rows ?? []).map(asIngest);
}

/** Nobody moves it or takes it over before the transaction ends. */
export async function lockIngest(queries: Queries, stateDatabase: string, name: string): Promise<Ingest | null> {
  const [row] = await queries.rows(`SELECT ${columns} FROM ${ingests(stateDatabase)} WHERE name = ? FOR UPDATE`, [
    name,
  ]);
  return row === undefined ? null : asIngest(row);
}

/** The last one of this content into this table; locked, as by lockIngest. */
export async function readIngestOf(
  queries: Queries,
  stateDatabase: string,
  table: string,
  contentHash: string,
): Promise<Ingest | null> {
  const [row] = await queries.rows(
    `SELECT ${columns} FROM ${ingests(stateDatabase)} WHERE table_name = ? AND content = ? ORDER BY again DESC LIMIT 1 FOR UPDATE`,
    [table, Buffer.from(contentHash, 'hex')],
  );
  return row === undefined ? null : asIngest(row);
}

export async function addIngest(queries: Queries, stateDatabase: string, ingest: NewIngest): Promise<void> {
  const { name, table, again, plan, options, road, held } = ingest;
  await queries.run(
    `INSERT INTO ${ingests(stateDatabase)} (name, table_name, content, again, plan, options, phase, road, held)
     VALUES (?, ?, ?, ?, ?, ?, 'loading', ?, ?)`,
    [
      name,
      table,
      Buffer.from(plan.contentHash, 'hex'),
      again,
      JSON.stringify(plan),
      JSON.stringify(options),
      road,
      held,
    ],
  );
}

/** Goes on with one that did not come to its end. */
export async function reopenIngest(
  queries: Queries,
  stateDatabase: string,
  id: number,
  to: Pick<Ingest, 'plan' | 'options' | 'road' | 'held'>,
): Promise<void> {
  await queries.run(
    `UPDATE ${ingests(stateDatabase)} SET plan = ?, options = ?, phase = 'loading', road = ?, held = ?, report = NULL, finished_at = NULL
      WHERE id = ?`,
    [JSON.stringify(to.plan), JSON.stringify(to.options), to.road, to.held, id],
  );
}

/** In a transaction: whoever raised the epoch last may write; returns it. Waits until the transactions of a predecessor have ended. */
export async function raiseIngestEpoch(queries: Queries, stateDatabase: string, id: number): Promise<number> {
  await queries.run(`UPDATE ${ingests(stateDatabase)} SET epoch = epoch + 1 WHERE id = ?`, [id]);
  const [row] = await queries.rows(`SELECT epoch FROM ${ingests(stateDatabase)} WHERE id = ?`, [id]);
  return asCount(row?.[0]);
}

/** Inside a chunk's transaction: nobody can take over before it has ended. */
export async function ownsIngest(
  queries: Queries,
  stateDatabase: string,
  { id, epoch }: Pick<Ingest, 'id' | 'epoch'>,
): Promise<boolean> {
  const [row] = await queries.rows(`SELECT epoch FROM ${ingests(stateDatabase)} WHERE id = ? FOR SHARE`, [id]);
  return row !== undefined && asCount(row[0]) === epoch;
}

export async function moveIngest(
  queries: Queries,
  stateDatabase: string,
  id: number,
  to: {
    readonly phase?: IngestPhase;
    readonly held?: boolean;
    readonly copyRun?: string;
    readonly report?: IngestReport;
  },
): Promise<void> {
  const changes: readonly (readonly [string, string | number | boolean])[] = [
    ...(to.phase === undefined ? [] : [['phase = ?', to.phase] as const]),
    ...(to.held === undefined ? [] : [['held = ?', to.held] as const]),
    ...(to.copyRun === undefined ? [] : [['copy_run = ?', to.copyRun] as const]),
    ...(to.report === undefined
      ? []
      : [['finished_at = CURRENT_TIMESTAMP(6), report = ?', JSON.stringify(to.report)] as const]),
  ];
  await queries.run(`UPDATE ${ingests(stateDatabase)} SET ${changes.map(([text]) => text).join(', ')} WHERE id = ?`, [
    ...changes.map(([, value]) => value),
    id,
  ]);
}

/** Tables whose triggers wait for the end of a direct load. None where nothing was installed yet. */
export async function readHeldTables(queries: Queries, stateDatabase: string): Promise<ReadonlySet<string>> {
  const rows = await ifThere(() =>
    queries.rows(`SELECT DISTINCT table_name FROM ${ingests(stateDatabase)} WHERE held`),
  );
  return new Set((rows ?? []).map((row) => asText(row[0])));
}

/** Whoever decides whether a table gets triggers takes this turn first, for the length of a transaction. */
export async function takeTableTurn(queries: Queries, stateDatabase: string): Promise<void> {
  await queries.rows(`SELECT id FROM ${quoteTable(stateDatabase, 'meta')} WHERE id = 1 FOR UPDATE`);
}

function asIngest(row: Row): Ingest {
  const report = asTextOrNull(row[11] ?? null);
  return {
    id: asCount(row[0]),
    name: asText(row[1]),
    table: asText(row[2]),
    again: asCount(row[3]),
    plan: JSON.parse(asText(row[4])) as IngestPlan,
    options: JSON.parse(asText(row[5])) as IngestOptions,
    phase: asText(row[6]) as IngestPhase,
    road: asText(row[7]) as IngestRoad,
    held: asCount(row[8]) === 1,
    epoch: asCount(row[9]),
    copyRun: asTextOrNull(row[10] ?? null),
    report: report === null ? null : (JSON.parse(report) as IngestReport),
    startedAt: asCount(row[12]),
  };
}

function ingests(stateDatabase: string): string {
  return quoteTable(stateDatabase, 'ingests');
}

/** Unknown table, unknown database. */
async function ifThere<T>(work: () => Promise<T>): Promise<T | null> {
  try {
    return await work();
  } catch (error) {
    if (errorNumber(error) === 1146 || errorNumber(error) === 1049) return null;
    throw error;
  }
}
