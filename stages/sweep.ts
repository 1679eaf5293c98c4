/**
 * A sweep from outside its chunks: which tables it takes, when a table is done, what it found in all. Everything stands in
 * MySQL, so a sweep that ended in between is taken up where it was.
 */
import { LockstepError } from '../core/errors.js';
import { driftIn } from '../core/drift.js';
import type { StoreName } from '../core/store.js';
import type { AskedBy, LeftOutReason, SweepScope } from '../core/sweep.js';
import { chunkRows } from '../core/sweepPace.js';
import type { Queries } from '../stores/mysql/connection.js';
import { isUnderWay, readCopies, type Copy } from '../stores/mysql/copies.js';
import { estimateRows } from '../stores/mysql/copyRows.js';
import { forgetOldResults } from '../stores/mysql/oldResults.js';
import { firstUnfinished, nextPart, unfinishedChunks } from '../stores/mysql/sweepChunks.js';
import { countSweepDrift, healStrangers, healUnseen } from '../stores/mysql/sweepDrift.js';
import {
  finishTable,
  leaveTableOut,
  lockSweepTable,
  readSweepTables,
  resetTable,
  type SweepTable,
} from '../stores/mysql/sweepTables.js';
import {
  carrySweep,
  endAbandoned,
  endCarried,
  insertSweep,
  lastSweep,
  moveSweep,
  readCarried,
  readSweep,
  type CarriedSweep,
  type Carrier,
} from '../stores/mysql/sweeps.js';
import { recordSwept } from '../stores/mysql/swept.js';
import { errorNumber } from '../stores/mysql/failure.js';
import { readCapturedTables, readDefinition, type CapturedTable } from '../stores/mysql/state.js';
import { whyAside, type SweepDeps } from './sweepContext.js';

export interface SweepAsked {
  /** A fresh UUID; an unfinished sweep of the same scope is taken up instead. */
  readonly sweep: string;
  readonly scope: SweepScope;
  readonly askedBy: AskedBy;
  /** Whoever carries it. */
  readonly carrier: Carrier;
}

export interface SweepBegun {
  readonly sweep: string;
  /** Tables whose rows are to be swept, the smallest first. */
  readonly tables: readonly {
    readonly name: string;
    /** As many as there seem to be. */
    readonly chunks: number;
    /** The first that is not finished. */
    readonly next: number;
    readonly through: boolean;
  }[];
  /** The part of what each store holds that is to be looked through next; null: all were. */
  readonly entries: Readonly<Partial<Record<StoreName, number | null>>>;
}

/** A sweep that was broken off longer ago says little of today. */
const takeUpWithinMs = 24 * 3_600_000;
/** Deletes before a sweep, which adds more than others. */
const forgottenAtOnce = 500;

/** Throws LS-TABLE-UNKNOWN for a table in scope that is not captured. */
export async function beginSweep(deps: SweepDeps, asked: SweepAsked, now: number): Promise<SweepBegun> {
  const { mysql, config } = deps;
  const { stateDatabase } = config.mysql;
  const captured = await readCapturedTables(mysql, stateDatabase);
  const { scope } = asked;
  const unknown = (scope.tables ?? []).filter((table) => !captured.some(({ name }) => name === table));
  if (unknown.length > 0) throw new LockstepError('LS-TABLE-UNKNOWN', `not captured: ${unknown.join(', ')}`);
  const sweep = await takenUp(mysql, stateDatabase, asked, now);
  if ((await readSweep(mysql, stateDatabase, sweep)) === null) {
    await forgetOldResults(mysql, stateDatabase, forgottenAtOnce);
  }
  const copies = new Map((await readCopies(mysql, stateDatabase)).map((copy) => [copy.tableId, copy]));
  const { paused, pausedTables } = await deps.circumstances();
  const inScope = captured.filter(({ name }) => scope.tables === null || scope.tables.includes(name));
  const aside = (copy: Copy | undefined): boolean => copy === undefined || isUnderWay(copy, config);
  const rows: Parameters<typeof insertSweep>[3][number][] = [];
  for (const table of inScope) {
    const copy = copies.get(table.id);
    const reason = paused || pausedTables.includes(table.name) ? 'paused' : aside(copy) ? 'copying' : null;
    rows.push({
      name: table.name,
      reason,
      definition: table.definition,
      copyRun: copy?.run ?? null,
      rowsEstimated: reason === null ? await estimated(deps, table) : 0,
    });
  }
  await mysql.transaction((queries) => insertSweep(queries, stateDatabase, { ...asked, id: sweep }, rows));
  await carrySweep(mysql, stateDatabase, sweep, asked.carrier);
  const tables = (await readSweepTables(mysql, stateDatabase, sweep)).filter(({ state }) => state === 'due');
  const begun: SweepBegun['tables'][number][] = [];
  for (const { name, rowsEstimated, chunks, cutAll } of tables.toSorted((a, b) => a.rowsEstimated - b.rowsEstimated)) {
    const next = chunks === 0 ? 0 : await firstUnfinished(mysql, stateDatabase, sweep, name, chunks);
    const through = cutAll && next === chunks;
    begun.push({ name, chunks: Math.max(1, Math.ceil(rowsEstimated / chunkRows(config.validate))), next, through });
  }
  const entries: Partial<Record<StoreName, number | null>> = {};
  for (const store of scope.stores) entries[store] = await nextPart(mysql, stateDatabase, sweep, store);
  return { sweep, tables: begun, entries };
}

async function takenUp(queries: Queries, stateDatabase: string, asked: SweepAsked, now: number): Promise<string> {
  if (asked.askedBy === 'command') await endAbandoned(queries, stateDatabase, asked.sweep, asked.scope.tables);
  const last = await lastSweep(queries, stateDatabase, asked.scope);
  const fits = last?.state === 'ended' && now - last.startedAt < takeUpWithinMs;
  return fits ? last.id : asked.sweep;
}

async function estimated({ mysql, config }: SweepDeps, table: CapturedTable): Promise<number> {
  const definition = await readDefinition(mysql, config.mysql.stateDatabase, table.definition);
  if (definition === null) return 0;
  try {
    return await estimateRows(mysql, definition);
  } catch (error) {
    // Dropped since: its first chunk will tell.
    if (errorNumber(error) === 1146) return 0;
    throw error;
  }
}

export type TakenAgain = { readonly kind: 'again' } | { readonly kind: 'aside'; readonly reason: LeftOutReason };

/** A table that could not be judged: begun anew as it is now, or left for later while it is being copied. */
export async function takeAgain(deps: SweepDeps, sweep: string, name: string): Promise<TakenAgain> {
  const { mysql, config } = deps;
  const { stateDatabase } = config.mysql;
  const table = (await readCapturedTables(mysql, stateDatabase)).find((one) => one.name === name);
  if (table === undefined) return { kind: 'aside', reason: 'dropped' };
  const { paused, pausedTables } = await deps.circumstances();
  if (paused || pausedTables.includes(name)) return { kind: 'aside', reason: 'paused' };
  const copy = (await readCopies(mysql, stateDatabase)).find(({ tableId }) => tableId === table.id);
  const now = { name, tableId: table.id, hash: table.definition, copyRun: copy?.run ?? null };
  const reason = await whyAside({ config, mysql, stateDatabase }, now);
  if (reason !== null) return { kind: 'aside', reason };
  await mysql.transaction((queries) =>
    resetTable(queries, stateDatabase, sweep, { name, definition: table.definition, copyRun: now.copyRun }),
  );
  return { kind: 'again' };
}

export async function leaveOut(
  { mysql, config }: Pick<SweepDeps, 'mysql' | 'config'>,
  sweep: string,
  name: string,
  reason: LeftOutReason,
): Promise<void> {
  await leaveTableOut(mysql, config.mysql.stateDatabase, sweep, name, reason);
}

export interface SweepCounts {
  readonly drift: number;
  /** Tables that were left out. */
  readonly leftOut: number;
}

/** Every pass is through: tables are done, what is open of them and was not seen again is healed. Safe to repeat. */
export async function finishSweep(
  { mysql, config }: Pick<SweepDeps, 'mysql' | 'config'>,
  sweep: string,
  scope: SweepScope,
): Promise<SweepCounts> {
  const { stateDatabase } = config.mysql;
  const tables = await readSweepTables(mysql, stateDatabase, sweep);
  for (const table of tables) {
    if (table.state !== 'due') continue;
    await mysql.transaction(async (queries) => {
      const locked = await lockSweepTable(queries, stateDatabase, sweep, table.name);
      // Somebody who was taken for dead has come back, or this is the second time.
      if (locked !== null && locked.state !== 'due') return;
      if (locked === null || (await unfinishedChunks(queries, stateDatabase, sweep, table.name)) > 0) {
        throw new LockstepError('LS-INTERNAL', `sweep ${sweep} was to be finished before ${table.name} was through`);
      }
      await closeTable(queries, stateDatabase, sweep, scope, locked);
    });
  }
  if (scope.tables === null) await healStrangers(mysql, stateDatabase, sweep, scope.stores);
  await moveSweep(mysql, stateDatabase, sweep, 'done');
  const counts = await countSweepDrift(mysql, stateDatabase, sweep);
  return {
    drift: counts.reduce((sum, entry) => sum + driftIn(entry.counts), 0),
    leftOut: (await readSweepTables(mysql, stateDatabase, sweep)).filter(({ state }) => state === 'left-out').length,
  };
}

async function closeTable(
  queries: Queries,
  stateDatabase: string,
  sweep: string,
  { stores }: SweepScope,
  table: SweepTable,
): Promise<void> {
  const counts = await countSweepDrift(queries, stateDatabase, sweep);
  for (const store of stores) {
    const found = counts.find((entry) => entry.table === table.name && entry.store === store);
    await healUnseen(queries, stateDatabase, { table: table.name, store, beganAt: table.beganAt ?? 0 });
    if (table.marker === null || table.beganAt === null) continue;
    await recordSwept(queries, stateDatabase, {
      name: table.name,
      store,
      sweep,
      marker: table.marker,
      drift: found === undefined ? 0 : driftIn(found.counts),
      beganAt: table.beganAt,
    });
  }
  await finishTable(queries, stateDatabase, sweep, table.name);
}

export async function endSweep({ mysql, config }: Pick<SweepDeps, 'mysql' | 'config'>, sweep: string): Promise<void> {
  await moveSweep(mysql, config.mysql.stateDatabase, sweep, 'ended');
}

/** A workflow that was terminated told nobody: what it carried has ended, and the next sweep of its scope takes it up. */
export async function endUncarried(
  { mysql, config }: Pick<SweepDeps, 'mysql' | 'config'>,
  runningAmong: (workflows: readonly string[]) => Promise<ReadonlySet<string>>,
): Promise<void> {
  const { stateDatabase } = config.mysql;
  const carried = await readCarried(mysql, stateDatabase).catch(nothingYet);
  if (carried.length === 0) return;
  const running = await runningAmong(carried.map(({ workflow }) => workflow));
  for (const sweep of carried) if (!running.has(sweep.workflow)) await endCarried(mysql, stateDatabase, sweep);
}

/** A state database of before: the next start brings it up to date. */
function nothingYet(error: unknown): readonly CarriedSweep[] {
  if (errorNumber(error) === 1054 || errorNumber(error) === 1146) return [];
  throw error;
}
