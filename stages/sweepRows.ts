/**
 * One chunk of a table's rows, held against the stores. Each batch is read in one statement, a marker is written behind it,
 * and the stores are read once they have passed that; several batches are on their way at a time. What does not look equal
 * is settled; what drifts is recorded in the transaction that finishes the chunk.
 */
import type { KeyText } from '../core/drift.js';
import type { StoreName } from '../core/store.js';
import { chunkRows } from '../core/sweepPace.js';
import { addChunk, noCounts, type ChunkCounts, type LeftOutReason } from '../core/sweep.js';
import type { Queries } from '../stores/mysql/connection.js';
import { chunkEnd } from '../stores/mysql/copyRows.js';
import { errorNumber } from '../stores/mysql/failure.js';
import { decodeBoundary, type Boundary } from '../stores/mysql/keyWalk.js';
import { readRows, type RowsRead } from '../stores/mysql/readRows.js';
import { readKnownTables } from '../stores/mysql/state.js';
import { cutChunk, finishChunk, readChunk } from '../stores/mysql/sweepChunks.js';
import { recordSweepDrift } from '../stores/mysql/sweepDrift.js';
import { beginTable, lockSweepTable } from '../stores/mysql/sweepTables.js';
import { withCauses } from './driftEvidence.js';
import { parkedAmong } from './parkedAmong.js';
import { Stopped } from './passing.js';
import { ownPart, settle } from './settle.js';
import {
  openTable,
  refuseIfAside,
  stopIfAborted,
  TableAside,
  withSweep,
  type SweepContext,
  type SweepDeps,
  type SweepRun,
  type SweptTable,
} from './sweepContext.js';

export interface RowsChunk {
  readonly sweep: string;
  readonly stores: readonly StoreName[];
  readonly table: string;
  readonly number: number;
}

export type ChunkOutcome =
  /** `last`: no chunk lies behind it. */
  | { readonly kind: 'swept'; readonly counts: ChunkCounts; readonly drift: number; readonly last: boolean }
  /** There is no such chunk. */
  | { readonly kind: 'none' }
  | { readonly kind: 'aside'; readonly reason: LeftOutReason }
  | { readonly kind: 'stopped' };

/** Batches that are on their way to a verdict at a time. */
const inFlight = 4;
/** A column, a table that is not there any more. */
const tableChanged = new Set([1054, 1146]);

/** Repeating a finished chunk returns what it found. */
export async function sweepRows(deps: SweepDeps, chunk: RowsChunk, run: SweepRun): Promise<ChunkOutcome> {
  return withSweep(deps, chunk.stores, new Set([chunk.table]), run, async (context) => {
    try {
      return await sweepChunk(context, chunk);
    } catch (error) {
      if (error instanceof TableAside) return { kind: 'aside', reason: error.reason };
      if (error instanceof Stopped) return { kind: 'stopped' };
      if (tableChanged.has(errorNumber(error))) return { kind: 'aside', reason: 'changed' };
      throw error;
    }
  });
}

async function sweepChunk(context: SweepContext, chunk: RowsChunk): Promise<ChunkOutcome> {
  const { mysql, stateDatabase } = context;
  const table = await tableOf(context, chunk.table);
  const cut = await claim(context, table, chunk);
  if (cut === null) return { kind: 'none' };
  if (cut.counts !== null) return { kind: 'swept', counts: cut.counts, drift: 0, last: cut.upTo === null };
  const { counts, suspects } = await compareRows(context, table, cut);
  const settled = await settle(context, table, suspects);
  const parked = await parkedAmong(context, table, settled.drift);
  const found = settled.drift.filter((one) => !parked.has(one.key));
  if (found.length > 0) await refuseIfAside(context, table);
  const drift = await withCauses(context, table, found);
  if (drift.length > 0) await refuseIfAside(context, table);
  stopIfAborted(context);
  const whole = { ...counts, expired: counts.expired + settled.expired, parked: parked.size };
  await mysql.transaction(async (queries) => {
    if (!(await isStillDue(queries, context, table, chunk))) return;
    await recordSweepDrift(queries, stateDatabase, chunk.sweep, drift);
    await finishChunk(queries, stateDatabase, chunk.sweep, {
      name: chunk.table,
      pass: 'rows',
      number: chunk.number,
      counts: whole,
    });
  });
  return { kind: 'swept', counts: whole, drift: drift.length, last: cut.upTo === null };
}

async function tableOf(context: SweepContext, name: string): Promise<SweptTable> {
  const known = (await readKnownTables(context.mysql, context.stateDatabase)).find((one) => one.name === name);
  if (known === undefined || known.removed) throw new TableAside('dropped');
  return openTable(context, known);
}

interface Cut {
  readonly after: Boundary | null;
  readonly upTo: Boundary | null;
  /** Not null: it is finished. */
  readonly counts: ChunkCounts | null;
}

/** The range of the chunk, cut when it is asked for first. Null: the table ends before it. */
async function claim(
  context: SweepContext,
  table: SweptTable,
  { sweep, table: name, number }: RowsChunk,
): Promise<Cut | null> {
  const { mysql, stateDatabase, passing } = context;
  if (number === 0) await beginTable(mysql, stateDatabase, sweep, name, ownPart(await passing.resolved(), table.topic));
  return mysql.transaction(async (queries) => {
    for (;;) {
      const state = await lockSweepTable(queries, stateDatabase, sweep, name);
      if (state === null) throw new TableAside('dropped');
      if (state.definition !== table.hash || state.copyRun !== table.copyRun) throw new TableAside('changed');
      const chunk = await readChunk(queries, stateDatabase, sweep, { name, pass: 'rows', number });
      if (chunk !== null) return { after: asBoundary(chunk.after), upTo: asBoundary(chunk.upTo), counts: chunk.counts };
      if (state.cutAll) return null;
      const end = await chunkEnd(queries, table.definition, state.next, chunkRows(context.config.validate));
      // The last one has no end: what is inserted behind it while it is read belongs to it.
      const more = end !== null && (await chunkEnd(queries, table.definition, end, 1)) !== null;
      await cutChunk(queries, stateDatabase, sweep, state, more ? end : null);
    }
  });
}

/**
 * Whether the chunk waits for this verdict, locked for the transaction. A worker that hung comes back with what it saw long
 * ago: another one has finished the chunk, or the table was begun anew.
 */
async function isStillDue(
  queries: Queries,
  { stateDatabase }: SweepContext,
  { hash, copyRun }: SweptTable,
  { sweep, table: name, number }: RowsChunk,
): Promise<boolean> {
  const state = await lockSweepTable(queries, stateDatabase, sweep, name);
  if (state?.state !== 'due' || state.definition !== hash || state.copyRun !== copyRun) return false;
  const chunk = await readChunk(queries, stateDatabase, sweep, { name, pass: 'rows', number });
  return chunk !== null && chunk.counts === null;
}

function asBoundary(text: string | null): Boundary | null {
  return text === null ? null : decodeBoundary(text);
}

interface Compared {
  readonly counts: ChunkCounts;
  readonly suspects: Map<KeyText, StoreName[]>;
}

async function compareRows(context: SweepContext, table: SweptTable, cut: Cut): Promise<Compared> {
  const suspects = new Map<KeyText, StoreName[]>();
  let counts = noCounts;
  const working = new Set<Promise<void>>();
  let after = cut.after;
  let more = true;
  while (more) {
    stopIfAborted(context);
    context.beat();
    const limit = await context.pace.turn(context.mysql, context.signal);
    const read = await readRows(context.mysql, table.definition, after, limit, cut.upTo);
    context.pace.spent(limit, read.rows.length);
    const batch = compareBatch(context, table, read, suspects).then((compared) => {
      counts = addChunk(counts, compared);
      working.delete(batch);
    });
    // A failure is met where it is awaited.
    batch.catch(() => undefined);
    working.add(batch);
    after = read.last;
    more = after !== null;
    if (working.size >= inFlight) await Promise.race(working);
  }
  await Promise.all(working);
  return { counts: { ...counts, rechecked: suspects.size }, suspects };
}

async function compareBatch(
  context: SweepContext,
  table: SweptTable,
  { rows }: RowsRead,
  suspects: Map<KeyText, StoreName[]>,
): Promise<ChunkCounts> {
  if (rows.length === 0) return noCounts;
  const written = performance.now();
  const vector = await context.passing.resolved();
  const own = ownPart(vector, table.topic);
  let expired = 0;
  await Promise.all(
    context.stores.map(async (store) => {
      await context.passing.passed(store.name, own);
      const verdicts = await store.compareRows(table.target, table.definition, rows);
      for (const [i, verdict] of verdicts.entries()) {
        if (verdict.kind === 'equal') continue;
        if (verdict.kind === 'expired') {
          expired += 1;
          continue;
        }
        const key = rows[i]?.key.toString() ?? '';
        suspects.set(key, [...(suspects.get(key) ?? []), store.name]);
      }
    }),
  );
  context.pace.marked(vector, performance.now() - written);
  return { ...noCounts, rows: rows.length, expired };
}
