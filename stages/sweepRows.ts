/**
 * One chunk of a table's rows, held against the stores. Each batch is read in one statement and the stores behind it; several
 * batches are on their way at a time. What does not look equal is looked at again behind a marker and then settled; what
 * drifts is recorded in the transaction that finishes the chunk.
 */
import type { Drift, KeyText } from '../core/drift.js';
import type { OffsetVector } from '../core/position.js';
import type { Entry, KeyRange, RowVerdict, SourceRow, Store, StoreName } from '../core/store.js';
import { ReadSize } from '../core/readSize.js';
import { chunkRows } from '../core/sweepPace.js';
import { addChunk, noCounts, type ChunkCounts, type LeftOutReason } from '../core/sweep.js';
import type { Queries } from '../stores/mysql/connection.js';
import { chunkEnd } from '../stores/mysql/copyRows.js';
import { errorNumber } from '../stores/mysql/failure.js';
import { decodeBoundary, encodeBoundary, type Boundary } from '../stores/mysql/keyWalk.js';
import { readRows, type RowsRead } from '../stores/mysql/readRows.js';
import { readKnownTables } from '../stores/mysql/state.js';
import { cutChunk, finishChunk, readChunk } from '../stores/mysql/sweepChunks.js';
import { recordSweepDrift } from '../stores/mysql/sweepDrift.js';
import { beginTable, lockSweepTable, readSweepTables } from '../stores/mysql/sweepTables.js';
import { withCauses } from './driftEvidence.js';
import { parkedAmong } from './parkedAmong.js';
import { Stopped } from './passing.js';
import { misfit, rowlessAmong } from './rowless.js';
import { settle } from './settle.js';
import {
  askHowItGoes,
  openTable,
  ownPart,
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
const inFlight = 2;
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
  // What had gone wrong before the table was begun shows only in a store that has come so far.
  await Promise.all(context.stores.map(({ name }) => context.passing.passed(name, cut.begun)));
  const { counts, suspects, extra, between } = await compareRows(context, table, cut);
  const misfits = await suspectExtra(context, table, extra, suspects);
  const settled = await settle(context, table, suspects);
  const parked = await parkedAmong(context, table, settled.drift);
  const found = settled.drift.filter((one) => !parked.has(one.key));
  if (found.length > 0) await refuseIfAside(context, table);
  const drift = [...(await withCauses(context, table, found)), ...misfits];
  if (drift.length > 0) await refuseIfAside(context, table);
  stopIfAborted(context);
  const whole = {
    ...counts,
    rechecked: suspects.size,
    expired: counts.expired + settled.expired,
    parked: parked.size,
    between: [...between],
  };
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
  /** The marker that the whole table is read behind. */
  readonly begun: OffsetVector;
}

/** The range of the chunk, cut when it is asked for first. Null: the table ends before it. */
async function claim(
  context: SweepContext,
  table: SweptTable,
  { sweep, table: name, number }: RowsChunk,
): Promise<Cut | null> {
  const { mysql, stateDatabase, passing } = context;
  const known = (await readSweepTables(mysql, stateDatabase, sweep)).find((one) => one.name === name);
  if (known?.marker === null)
    await beginTable(mysql, stateDatabase, sweep, name, ownPart(await passing.resolved(), table.topic));
  return mysql.transaction(async (queries) => {
    for (;;) {
      const state = await lockSweepTable(queries, stateDatabase, sweep, name);
      if (state === null) throw new TableAside('dropped');
      // Without a marker it was begun anew since.
      if (state.definition !== table.hash || state.copyRun !== table.copyRun || state.marker === null)
        throw new TableAside('changed');
      const chunk = await readChunk(queries, stateDatabase, sweep, { name, pass: 'rows', number });
      if (chunk !== null) {
        const { after, upTo, counts } = chunk;
        return { after: asBoundary(after), upTo: asBoundary(upTo), counts, begun: state.marker };
      }
      if (state.cutAll) return null;
      const end = await chunkEnd(
        queries,
        table.definition,
        { after: state.next, upTo: null },
        chunkRows(context.config.validate),
      );
      // The last one has no end: what is inserted behind it while it is read belongs to it.
      const more = end !== null && (await chunkEnd(queries, table.definition, { after: end, upTo: null }, 1)) !== null;
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

/** What a first look at the chunk found, batch by batch. */
interface Compared {
  counts: ChunkCounts;
  readonly suspects: Map<KeyText, StoreName[]>;
  /** What lies between the rows. */
  readonly extra: Map<StoreName, Entry[]>;
  /** Stores of which everything between the rows was seen. */
  readonly between: Set<StoreName>;
}

async function compareRows(context: SweepContext, table: SweptTable, cut: Cut): Promise<Compared> {
  const between = new Set(context.stores.map(({ name }) => name));
  const compared: Compared = { counts: noCounts, suspects: new Map(), extra: new Map(), between };
  const size = new ReadSize(table.definition);
  const working = new Set<Promise<void>>();
  const begin = (work: Promise<void>): void => {
    // What has failed stays, and is met where it is awaited.
    const noted = work.then(() => void working.delete(noted));
    noted.catch(() => undefined);
    working.add(noted);
  };
  let after = cut.after;
  let more = true;
  while (more) {
    stopIfAborted(context);
    context.beat();
    const allowed = await context.pace.turn(context.mysql, context.signal);
    if (context.pace.asks()) begin(askHowItGoes(context, table.topic));
    const read = await readRows(context.mysql, table.definition, after, size.rows(allowed), cut.upTo);
    context.pace.spent(allowed, read.rows.length);
    size.met(read.rows);
    begin(compareBatch(context, table, read, { after, upTo: read.last ?? cut.upTo }, compared));
    after = read.last;
    // A read that ends with the chunk's last row leaves nothing behind it.
    more = after !== null && !(cut.upTo !== null && encodeBoundary(after) === encodeBoundary(cut.upTo));
    if (working.size >= inFlight) await Promise.race(working);
  }
  await Promise.all(working);
  return compared;
}

/**
 * What equals its row was right when the row was read: the store had come to where the table was begun, and whatever it still
 * lacked then was made later. What does not may be on its way: a marker is written behind the read, and the store looked at
 * again once it has passed it.
 */
async function compareBatch(
  { stores, passing }: SweepContext,
  table: SweptTable,
  { rows }: RowsRead,
  range: KeyRange,
  compared: Compared,
): Promise<void> {
  const { target, definition, topic } = table;
  let marker: Promise<OffsetVector> | null = null;
  let expired = 0;
  /** Rows that do not look equal. */
  const open = (looked: readonly SourceRow[], verdicts: readonly RowVerdict[]): readonly SourceRow[] => {
    expired += verdicts.filter(({ kind }) => kind === 'expired').length;
    return looked.filter((_, i) => verdicts[i]?.kind !== 'equal' && verdicts[i]?.kind !== 'expired');
  };
  await Promise.all(
    stores.map(async (store) => {
      const { verdicts, extra } = await look(store, table, rows, range, compared);
      const first = open(rows, verdicts);
      if (first.length > 0) {
        marker ??= passing.resolved();
        await passing.passed(store.name, ownPart(await marker, topic));
        const still = open(first, await store.compareRows(target, definition, first));
        for (const { key } of still) suspect(compared, key.toString(), store.name);
      }
      if (extra.length > 0) compared.extra.set(store.name, [...(compared.extra.get(store.name) ?? []), ...extra]);
    }),
  );
  compared.counts = addChunk(compared.counts, { ...noCounts, rows: rows.length, expired });
}

/** The rows and, where the store lies in their order, what is between them. */
async function look(
  store: Store,
  { target, definition }: SweptTable,
  rows: readonly SourceRow[],
  range: KeyRange,
  { between }: Pick<Compared, 'between'>,
): Promise<{ readonly verdicts: readonly RowVerdict[]; readonly extra: readonly Entry[] }> {
  const ranged = await store.compareRange(target, definition, rows, range);
  if (ranged !== null) return ranged;
  between.delete(store.name);
  return { verdicts: await store.compareRows(target, definition, rows), extra: [] };
}

/** What lies between the rows and has none; returns what is no key at all. */
async function suspectExtra(
  context: SweepContext,
  table: SweptTable,
  extra: Compared['extra'],
  suspects: Compared['suspects'],
): Promise<readonly Drift[]> {
  const drift: Drift[] = [];
  for (const [store, entries] of extra) {
    const { keys, misfits } = await rowlessAmong(context, table.definition, entries);
    for (const key of keys) suspect({ suspects }, key, store);
    drift.push(...misfits.map((entry) => misfit(store, table.name, entry)));
  }
  return drift;
}

function suspect({ suspects }: Pick<Compared, 'suspects'>, key: KeyText, store: StoreName): void {
  suspects.set(key, [...(suspects.get(key) ?? []), store]);
}
