/**
 * Registers an ingest: the same content into the same table is the same ingest, which goes on where it stands or is refused.
 * Decides its road, in one turn with whoever puts triggers on tables: a table gets them either before a load, which then takes
 * the log, or after it.
 */
import { createHash } from 'node:crypto';
import { LockstepError } from '../core/errors.js';
import type { IngestOptions, IngestPlan } from '../core/ingest.js';
import type { IngestRoad } from '../core/ingestReport.js';
import type { Queries } from '../stores/mysql/connection.js';
import {
  addIngest,
  readHeldTables,
  readIngestOf,
  reopenIngest,
  takeTableTurn,
  type Ingest,
} from '../stores/mysql/ingests.js';
import { readCounts } from '../stores/mysql/ingestChunks.js';
import { readCapturedTables } from '../stores/mysql/state.js';
import { prepareState } from './install.js';
import { readPlan, type TablesDeps } from './tableSource.js';
import { settleTables } from './tables.js';

export interface Registered {
  readonly name: string;
  readonly table: string;
  readonly road: IngestRoad;
  /** Whether a part of it may be in already. */
  readonly continued: boolean;
}

/** A table that is made in the same turn, so that nobody puts triggers on it before its load has begun. */
export interface NewTable {
  readonly table: string;
  readonly make: () => Promise<IngestPlan>;
}

/** Throws LS-INGEST-DONE where all of it is in, LS-INGEST-DIFFERENT, LS-INGEST-BUSY, LS-INGEST-KEYS, LS-TABLE-LEFT-OUT. */
export async function registerIngest(
  deps: TablesDeps,
  asked: IngestPlan | NewTable,
  options: IngestOptions,
): Promise<Registered> {
  const { mysql } = deps;
  const { stateDatabase } = mysql.config;
  const isNew = 'make' in asked;
  const table = isNew ? asked.table : asked.definition.table;
  if (!isNew) refuseUnknownKeys(asked, options);
  await prepareState({ ...deps, makesTable: isNew });
  if (!isNew) await refuseLeftOut(deps, table);
  if (!isNew && options.throughLog) await capture(deps, table);
  return await mysql.transaction(async (queries) => {
    await takeTableTurn(queries, stateDatabase);
    const plan = isNew ? await asked.make() : asked;
    if (isNew) await refuseLeftOut(deps, table);
    const captured = (await readCapturedTables(queries, stateDatabase)).some(({ name }) => name === table);
    const before = await readIngestOf(queries, stateDatabase, table, plan.contentHash);
    if (before?.held === true) return await goOn(queries, stateDatabase, before, plan, options, 'direct');
    const inVain = before !== null && (await broughtNothing(queries, stateDatabase, before));
    const road: IngestRoad = captured ? 'log' : 'direct';
    if ((await readHeldTables(queries, stateDatabase)).has(table)) {
      throw new LockstepError('LS-INGEST-BUSY', `another ingest loads ${table} directly`, { details: { table } });
    }
    if (before !== null && !inVain && before.phase !== 'loaded') {
      return await goOn(queries, stateDatabase, before, plan, options, road);
    }
    if (before !== null && !inVain && !options.again) throw alreadyIn(before);
    const again = before === null ? 0 : before.again + 1;
    const name = nameOf(table, plan.contentHash, again);
    await addIngest(queries, stateDatabase, { name, table, again, plan, options, road, held: road === 'direct' });
    return { name, table, road, continued: false };
  });
}

/** It has ended and no row of it is in, for instance because the file was read in the wrong way: the next one begins anew. */
async function broughtNothing(queries: Queries, stateDatabase: string, { id, phase }: Ingest): Promise<boolean> {
  if (phase === 'loading' || phase === 'finishing') return false;
  return (await readCounts(queries, stateDatabase, id)).accepted === 0;
}

/** Ten hex digits: what a command line, a path in Temporal and a human can hold. */
function nameOf(table: string, contentHash: string, again: number): string {
  return createHash('sha256')
    .update(JSON.stringify([table, contentHash, again]))
    .digest('hex')
    .slice(0, 10);
}

/** The chunks must be those of the first run, wherever the files lie now. */
async function goOn(
  queries: Queries,
  stateDatabase: string,
  before: Ingest,
  plan: IngestPlan,
  options: IngestOptions,
  road: IngestRoad,
): Promise<Registered> {
  if (before.options.mode !== options.mode) {
    const message = `ingest ${before.name} of the same content was begun with --mode ${before.options.mode}`;
    throw new LockstepError('LS-INGEST-DIFFERENT', message, { details: { ingest: before.name } });
  }
  const differing = readingDifferences(before.plan, plan);
  if (differing.length > 0) {
    const message = `ingest ${before.name} of the same content was begun with another ${differing.join(', ')}`;
    throw new LockstepError('LS-INGEST-DIFFERENT', message, { details: { ingest: before.name } });
  }
  const { chunkRows, chunkBytes } = before.plan.reading;
  const files = plan.files.map((file, i) => ({ ...file, chunks: before.plan.files[i]?.chunks ?? file.chunks }));
  const same = { ...plan, files, chunks: before.plan.chunks, reading: { ...plan.reading, chunkRows, chunkBytes } };
  await reopenIngest(queries, stateDatabase, before.id, { plan: same, options, road, held: road === 'direct' });
  return { name: before.name, table: before.table, road, continued: true };
}

/** Settings that would make other rows, or other chunks, of the same content. */
function readingDifferences(before: IngestPlan, now: IngestPlan): string[] {
  const { chunkRows: _, chunkBytes: __, ...reading } = now.reading;
  const names = Object.keys(reading) as (keyof typeof reading)[];
  const others = names.filter((name) => JSON.stringify(before.reading[name]) !== JSON.stringify(reading[name]));
  const fields = (plan: IngestPlan): string => JSON.stringify(plan.columns.map(({ name, field }) => [name, field]));
  return [...others, ...(fields(before) === fields(now) ? [] : ['order of columns'])];
}

function alreadyIn({ name, table, report }: Ingest): LockstepError {
  const rows = report === null ? '' : `: ${report.accepted} rows accepted, ${report.rejected} rejected`;
  return new LockstepError('LS-INGEST-DONE', `ingest ${name} has brought this content into ${table}${rows}`, {
    details: { ingest: name, table, agrees: report?.agrees === true },
  });
}

/** After a crash, rows are found again by their key: the file gives it, or AUTO_INCREMENT draws it. */
function refuseUnknownKeys({ definition, columns, autoIncrement }: IngestPlan, { mode }: IngestOptions): void {
  const given = new Set(columns.map(({ name }) => name));
  const missing = definition.key.filter((name) => !given.has(name) && (mode !== 'insert' || name !== autoIncrement));
  if (missing.length === 0) return;
  const which = `key column${missing.length > 1 ? 's' : ''} ${missing.join(', ')} of ${definition.table}`;
  const why = mode === 'insert' ? 'and MySQL does not number it' : `and --mode ${mode} finds rows by their key`;
  throw new LockstepError('LS-INGEST-KEYS', `the file does not give ${which}, ${why}`, {
    details: { columns: missing },
  });
}

async function refuseLeftOut(deps: TablesDeps, table: string): Promise<void> {
  const left = (await readPlan(deps)).leftOut.find((entry) => entry.table === table);
  if (left === undefined) return;
  throw new LockstepError('LS-TABLE-LEFT-OUT', `table ${table} is left out: ${left.explanation}`, {
    details: { table },
  });
}

/** For the road through the log, a table gets its triggers first. */
async function capture(deps: TablesDeps, table: string): Promise<void> {
  const plan = await readPlan(deps);
  const work = plan.work.filter(({ definition }) => definition.table === table);
  const { problems } = await settleTables(deps, { ...plan, work, removed: [], strayTriggers: [] });
  const [problem] = problems;
  if (problem !== undefined) throw new LockstepError(problem.code, problem.message);
}
