/**
 * A part of what a store holds, looked up in MySQL: entries without a row are settled like rows that differ. Names that no
 * table has, or whose table was dropped, come to light here alone.
 */
import type { Definition } from '../core/definition.js';
import type { Drift, KeyText } from '../core/drift.js';
import type { Entry, StoreName } from '../core/store.js';
import { addChunk, noCounts, type ChunkCounts } from '../core/sweep.js';
import { targetOf } from '../core/target.js';
import { codeOf } from '../core/errors.js';
import type { Queries } from '../stores/mysql/connection.js';
import { readTables } from '../stores/mysql/definitions.js';
import { errorNumber } from '../stores/mysql/failure.js';
import { readKnownTables, type KnownTable } from '../stores/mysql/state.js';
import { dropChunks, finishChunk, readChunk } from '../stores/mysql/sweepChunks.js';
import { recordSweepDrift } from '../stores/mysql/sweepDrift.js';
import { lockSweep } from '../stores/mysql/sweeps.js';
import { insertSweepTables, leaveTableOut, readSweepTables } from '../stores/mysql/sweepTables.js';
import { withCauses } from './driftEvidence.js';
import { keysThatStay } from './sweepDropped.js';
import { parkedAmong } from './parkedAmong.js';
import { Stopped } from './passing.js';
import { misfit, orphan, rowlessAmong } from './rowless.js';
import { seenBetween } from './seenBetween.js';
import { settle } from './settle.js';
import {
  openTable,
  refuseIfAside,
  stopIfAborted,
  TableAside,
  withSweep,
  type SweepContext,
  type SweepDeps,
  type SweepRun,
} from './sweepContext.js';

export interface EntriesChunk {
  readonly sweep: string;
  readonly store: StoreName;
  /** Null: everything that the store holds. */
  readonly tables: readonly string[] | null;
  readonly number: number;
}

export type EntriesOutcome =
  | { readonly kind: 'swept'; readonly drift: number; readonly last: boolean }
  /** The store was restarted: from the first part again. */
  | { readonly kind: 'again' }
  | { readonly kind: 'stopped' };

/** What all tables' chunks of a store are recorded under. */
export const everyName = '*';
/** Entries of a part, and of one read. */
const partEntries = 50_000;
const groupEntries = 5_000;

export async function sweepEntries(deps: SweepDeps, chunk: EntriesChunk, run: SweepRun): Promise<EntriesOutcome> {
  const current = new Set<string>();
  return withSweep(deps, [chunk.store], current, run, async (context) => {
    try {
      return await sweepPart(context, chunk, current);
    } catch (error) {
      if (error instanceof Stopped) return { kind: 'stopped' };
      if (codeOf(error) !== 'LS-SWEEP-PLACE-LOST') throw error;
      await dropChunks(context.mysql, context.stateDatabase, chunk.sweep, everyName, chunk.store);
      return { kind: 'again' };
    }
  });
}

async function sweepPart(context: SweepContext, chunk: EntriesChunk, current: Set<string>): Promise<EntriesOutcome> {
  const { mysql, stateDatabase, stores } = context;
  const { sweep, store: pass, number } = chunk;
  const place = { name: everyName, pass };
  const done = await readChunk(mysql, stateDatabase, sweep, { ...place, number });
  if (done !== null && done.counts !== null) return { kind: 'swept', drift: 0, last: done.upTo === null };
  const before = number === 0 ? null : await readChunk(mysql, stateDatabase, sweep, { ...place, number: number - 1 });
  if (number > 0 && before === null) return { kind: 'again' };
  const [store] = stores;
  if (store === undefined) return { kind: 'swept', drift: 0, last: true };

  const known = await knownTables(context, chunk);
  const seen = await seenBetween(context, chunk.sweep, chunk.store);
  const tables = [...known.values()].flatMap(({ definition, table }) =>
    !table.removed && seen.get(table.name) === table.definition
      ? []
      : [{ definition, target: targetOf(table.name, context.config) }],
  );
  const after = before?.upTo ?? null;
  const options = { limit: groupEntries, everything: chunk.tables === null };
  let next = after;
  let read = 0;
  let found: Found = { drift: [], counts: noCounts };
  let looking: Promise<Found> = Promise.resolve(found);
  // The next group is read while the one before is looked up.
  do {
    const [group, looked] = await both(store.entries(tables, next, options), looking);
    found = together(found, looked);
    looking = lookUp(context, chunk, known, group.entries, current);
    next = group.next;
    read += group.entries.length;
  } while (next !== null && read < partEntries);
  found = together(found, await looking);
  stopIfAborted(context);
  await mysql.transaction(async (queries) => {
    if (!(await isStillDue(queries, stateDatabase, chunk, after))) return;
    await recordSweepDrift(queries, stateDatabase, sweep, found.drift);
    await finishChunk(queries, stateDatabase, sweep, { ...place, number, counts: found.counts, upTo: next });
  });
  return { kind: 'swept', drift: found.drift.length, last: next === null };
}

/** As for chunks of rows: what a worker that hung brings is nobody's any more. */
async function isStillDue(
  queries: Queries,
  stateDatabase: string,
  { sweep, store: pass, number }: EntriesChunk,
  after: string | null,
): Promise<boolean> {
  if ((await lockSweep(queries, stateDatabase, sweep)) !== 'running') return false;
  const place = { name: everyName, pass };
  if ((await readChunk(queries, stateDatabase, sweep, { ...place, number })) !== null) return false;
  if (number === 0) return true;
  const before = await readChunk(queries, stateDatabase, sweep, { ...place, number: number - 1 });
  return before !== null && before.upTo === after;
}

interface Owned {
  readonly table: KnownTable;
  readonly definition: Definition;
  /** Not in MySQL any more. */
  readonly dropped: boolean;
}

/** Tables whose entries lockstep answers for: those in scope that it captures, and those that were dropped. */
async function knownTables(
  { config, mysql, stateDatabase, definitionOf }: SweepContext,
  { tables }: EntriesChunk,
): Promise<ReadonlyMap<string, Owned>> {
  const there = new Set((await readTables(mysql, config.mysql.database)).map(({ definition }) => definition.table));
  const owned = new Map<string, Owned>();
  for (const table of await readKnownTables(mysql, stateDatabase)) {
    if (tables !== null && !tables.includes(table.name)) continue;
    // Left out by the configuration: nobody's drift.
    if (table.removed && there.has(table.name)) continue;
    const definition = await definitionOf(table.definition);
    if (definition !== null) owned.set(table.name, { table, definition, dropped: table.removed });
  }
  return owned;
}

interface Found {
  readonly drift: readonly Drift[];
  readonly counts: ChunkCounts;
}

function together(a: Found, b: Found): Found {
  return { drift: [...a.drift, ...b.drift], counts: addChunk(a.counts, b.counts) };
}

/** Ends when both have ended, also where one fails: nothing goes on behind the activity's back. */
async function both<A, B>(a: Promise<A>, b: Promise<B>): Promise<readonly [A, B]> {
  await Promise.allSettled([a, b]);
  return Promise.all([a, b]);
}

async function lookUp(
  context: SweepContext,
  chunk: EntriesChunk,
  known: ReadonlyMap<string, Owned>,
  entries: readonly Entry[],
  current: Set<string>,
): Promise<Found> {
  const byTable = new Map<string, Entry[]>();
  for (const entry of entries) {
    const list = byTable.get(entry.table);
    if (list === undefined) byTable.set(entry.table, [entry]);
    else list.push(entry);
  }
  const left = new Set(
    (await readSweepTables(context.mysql, context.stateDatabase, chunk.sweep))
      .filter(({ state }) => state === 'left-out')
      .map(({ name }) => name),
  );
  const strangers: Record<string, number> = {};
  const drift: Drift[] = [];
  let rechecked = 0;
  let parked = 0;
  for (const [name, list] of byTable) {
    context.beat();
    const owned = known.get(name);
    if (owned === undefined) strangers[name] = (strangers[name] ?? 0) + list.length;
    else if (owned.dropped) drift.push(...(await ofDropped(context, chunk, owned, list)));
    else if (!left.has(name)) {
      current.add(name);
      try {
        const one = await lookUpTable(context, chunk.store, owned, list);
        drift.push(...one.drift);
        rechecked += one.rechecked;
        parked += one.parked;
      } catch (error) {
        const reason =
          error instanceof TableAside ? error.reason : tableGone.has(errorNumber(error)) ? 'changed' : null;
        if (reason === null) throw error;
        await leaveTableOut(context.mysql, context.stateDatabase, chunk.sweep, name, reason);
      } finally {
        current.delete(name);
      }
    }
  }
  const counted = Object.keys(strangers).length === 0 ? {} : { strangers };
  return { drift, counts: { ...noCounts, rechecked, parked, ...counted } };
}

/** A table whose rows are just leaving the stores is left out by name. */
async function ofDropped(
  context: SweepContext,
  { sweep, store: name }: EntriesChunk,
  owned: Owned,
  entries: readonly Entry[],
): Promise<readonly Drift[]> {
  const { mysql, stateDatabase, stores } = context;
  const table = owned.table.name;
  const [store] = stores;
  const keys = entries.flatMap(({ isKey, key }) => (isKey ? [key] : []));
  const stay = store === undefined ? null : await keysThatStay(context, store, owned, keys).catch(nothingIfAside);
  if (stay === null) {
    const left = { name: table, reason: 'dropped', definition: null, copyRun: null, rowsEstimated: 0 } as const;
    await insertSweepTables(mysql, stateDatabase, sweep, [left]);
    return [];
  }
  const misfits = entries.flatMap(({ isKey, key }) => (isKey ? [] : [key]));
  return [...stay, ...misfits].map((key) => orphan(name, table, key, 'its table was dropped'));
}

/** The pipeline was paused: the store is meant to lag. */
function nothingIfAside(error: unknown): null {
  if (error instanceof TableAside) return null;
  throw error;
}

const tableGone = new Set([1054, 1146]);

async function lookUpTable(
  context: SweepContext,
  store: StoreName,
  { table, definition }: Owned,
  entries: readonly Entry[],
): Promise<{ readonly drift: readonly Drift[]; readonly rechecked: number; readonly parked: number }> {
  const { keys, misfits } = await rowlessAmong(context, definition, entries);
  const extra = new Map<KeyText, readonly StoreName[]>(keys.map((key) => [key, [store]]));
  if (extra.size + misfits.length === 0) return { drift: [], rechecked: 0, parked: 0 };
  const swept = await openTable(context, table);
  const settled = await settle(context, swept, extra);
  const aside = await parkedAmong(context, swept, settled.drift);
  const found = settled.drift.filter(({ key }) => !aside.has(key));
  if (found.length + misfits.length > 0) await refuseIfAside(context, swept);
  const drift = await withCauses(context, swept, found);
  return {
    drift: [...drift, ...misfits.map((key) => misfit(store, table.name, key))],
    rechecked: extra.size,
    parked: aside.size,
  };
}
