/**
 * Repairs what a sweep found, within the limits of whoever asked, and looks at every repaired key again. A repair goes
 * through the change log; a key counts as repaired when the store is seen to be right.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { KeyText } from '../core/drift.js';
import type { StoreName } from '../core/store.js';
import type { RepairLimits } from '../core/sweep.js';
import { backlogSpan } from '../stores/mysql/backlog.js';
import type { RecordedDrift } from '../stores/mysql/drift.js';
import { countRepairs, recordRepairs } from '../stores/mysql/repairs.js';
import { readFinishedChunks } from '../stores/mysql/sweepChunks.js';
import {
  countSweepDrift,
  countUnmended,
  healLookedAt,
  readClock,
  readSweepDrift,
  seeAgain,
} from '../stores/mysql/sweepDrift.js';
import { markTooMuch } from '../stores/mysql/sweepTables.js';
import { readKnownTables } from '../stores/mysql/state.js';
import { scanLog } from './logScan.js';
import { repairKeys } from './repair.js';
import { Stopped } from './passing.js';
import { settle } from './settle.js';
import {
  openTable,
  stopIfAborted,
  TableAside,
  withSweep,
  type SweepContext,
  type SweepDeps,
  type SweepRun,
} from './sweepContext.js';

export interface RepairAsked {
  readonly sweep: string;
  readonly stores: readonly StoreName[];
  /** Null: somebody asked for this repair, and it is made in full. */
  readonly limits: RepairLimits | null;
}

export type RepairOutcome =
  | {
      readonly kind: 'repaired';
      readonly keys: number;
      /** Not to be repaired through the log. */
      readonly skipped: number;
      /** More is due, from so many milliseconds on; null: nothing is. */
      readonly waitMs: number | null;
      /** Tables that drift too much to be repaired unasked. */
      readonly tooMuch: readonly string[];
    }
  | { readonly kind: 'stopped' };

/** Keys of one activity. */
const atOnce = 5_000;
const groupKeys = 500;
/** The minute's repairs are made: how soon there may be room again. */
const againMs = 10_000;
/** So few keys may always be repaired, whatever share of a small table they are. */
const fewKeys = 20;

export async function repairSweep(deps: SweepDeps, asked: RepairAsked, run: SweepRun): Promise<RepairOutcome> {
  return withSweep(deps, asked.stores, new Set(), run, async (context) => {
    try {
      return await repairDue(context, asked);
    } catch (error) {
      if (error instanceof Stopped) return { kind: 'stopped' };
      throw error;
    }
  });
}

async function repairDue(context: SweepContext, { sweep, limits }: RepairAsked): Promise<RepairOutcome> {
  const { mysql, stateDatabase } = context;
  const tooMuch = limits === null ? [] : await tablesOver(context, sweep, limits.maxShare);
  await markTooMuch(mysql, stateDatabase, sweep, tooMuch);
  const left = limits === null ? atOnce : limits.perMinute - (await countRepairs(mysql, stateDatabase, 60));
  let [keys, skipped, afterId] = [0, 0, 0];
  for (;;) {
    stopIfAborted(context);
    const allowed = Math.min(left, atOnce) - keys;
    // Whether anything is due is asked first: nobody waits for leave to do nothing.
    const limit = Math.max(1, Math.min(groupKeys, allowed));
    const due = await readSweepDrift(mysql, stateDatabase, sweep, { repaired: false, afterId, limit, except: tooMuch });
    const last = due.at(-1);
    if (last === undefined) return { kind: 'repaired', keys, skipped, waitMs: null, tooMuch };
    if (allowed <= 0) return { kind: 'repaired', keys, skipped, waitMs: limits === null ? 0 : againMs, tooMuch };
    afterId = last.id;
    await untilCaptureKeepsUp(context);
    for (const [table, entries] of byTable(due)) {
      const report = await repairTable(context, sweep, table, entries);
      keys += report.done;
      skipped += report.skipped;
    }
  }
}

async function repairTable(
  context: SweepContext,
  sweep: string,
  table: string,
  entries: readonly RecordedDrift[],
): Promise<{ readonly done: number; readonly skipped: number }> {
  const { mysql, stateDatabase, signal, beat } = context;
  const known = (await readKnownTables(mysql, stateDatabase)).some(({ name }) => name === table);
  const events = new Map(entries.map(({ key, evidence }) => [key, evidence.event]));
  const keys = [...events.keys()];
  const report = known
    ? await repairKeys(context, table, keys, {
        signal,
        beat,
        before: async (key) => imageAt(context, key, events.get(key)),
      })
    : { done: keys.map((key) => ({ key, outcome: 'skipped' as const })), skipped: keys };
  await mysql.transaction((queries) =>
    recordRepairs(queries, stateDatabase, table, report.done, { by: 'sweep', sweep }),
  );
  return { done: report.done.length - report.skipped.length, skipped: report.skipped.length };
}

/** What the log last said was there: a delete's before-image. */
async function imageAt(
  { reader, signal, beat }: SweepContext,
  key: KeyText,
  event: RecordedDrift['evidence']['event'],
): Promise<Buffer | null> {
  if (event === undefined || event.op === 'd') return null;
  const span = { from: event.offset, to: event.offset + 1 };
  const { events } = await scanLog(reader(), new Map([[event.partition, span]]), new Map([[key, []]]), signal, beat);
  return events.get(key)?.at(-1)?.after ?? null;
}

/** Tables of which more drifts than may be repaired unasked. */
async function tablesOver({ mysql, stateDatabase }: SweepContext, sweep: string, maxShare: number): Promise<string[]> {
  const rows = new Map<string, number>();
  for (const { name, pass, counts } of await readFinishedChunks(mysql, stateDatabase, sweep)) {
    if (pass === 'rows') rows.set(name, (rows.get(name) ?? 0) + counts.rows);
  }
  const over = (await countSweepDrift(mysql, stateDatabase, sweep)).filter(({ table, counts }) => {
    const drift = counts.missing + counts.extra + counts.different;
    return drift > fewKeys && drift > maxShare * (rows.get(table) ?? 0);
  });
  return [...new Set(over.map(({ table }) => table))];
}

/** Live changes queue behind what a repair logs. */
async function untilCaptureKeepsUp(context: SweepContext): Promise<void> {
  const { mysql, stateDatabase, config } = context;
  for (let oldest = 0; ;) {
    stopIfAborted(context);
    context.beat();
    const backlog = await backlogSpan(mysql, stateDatabase, oldest);
    if (backlog.rows <= config.snapshot.maxBacklogRows) return;
    oldest = backlog.oldest;
    await sleep(25);
  }
}

export type RecheckOutcome =
  | {
      readonly kind: 'rechecked';
      /** Of all that the sweep found: right now. */
      readonly healed: number;
      /** Logged again and wrong still: their repair is due once more. */
      readonly left: number;
    }
  | { readonly kind: 'stopped' };

/** Every repaired key is looked at again, like one that a sweep found to differ. Safe to repeat. */
export async function recheckSweep(deps: SweepDeps, asked: RepairAsked, run: SweepRun): Promise<RecheckOutcome> {
  const current = new Set<string>();
  return withSweep(deps, asked.stores, current, run, async (context) => {
    try {
      return await recheck(context, asked.sweep, current);
    } catch (error) {
      if (error instanceof Stopped) return { kind: 'stopped' };
      throw error;
    }
  });
}

async function recheck(context: SweepContext, sweep: string, current: Set<string>): Promise<RecheckOutcome> {
  const { mysql, stateDatabase } = context;
  let afterId = 0;
  for (;;) {
    // What is found to drift still leaves this list: its repair is due again.
    const repaired = await readSweepDrift(mysql, stateDatabase, sweep, {
      repaired: true,
      afterId,
      limit: 2_000,
    });
    const last = repaired.at(-1);
    if (last === undefined) break;
    afterId = last.id;
    for (const [table, entries] of byTable(repaired)) {
      stopIfAborted(context);
      current.add(table);
      const lookedAt = await readClock(mysql);
      const still = await stillDrifting(context, table, entries);
      current.delete(table);
      const idsOf = (drifts: boolean): number[] =>
        entries.flatMap(({ id, store, key }) => (still.has(`${store} ${key}`) === drifts ? [id] : []));
      await healLookedAt(mysql, stateDatabase, idsOf(false), lookedAt);
      await seeAgain(mysql, stateDatabase, idsOf(true));
    }
  }
  // Counted in MySQL, not along the way: whoever takes this up after a kill counts the same.
  const found = await countSweepDrift(mysql, stateDatabase, sweep);
  const left = await countUnmended(mysql, stateDatabase, sweep);
  return { kind: 'rechecked', healed: found.reduce((sum, one) => sum + one.healed, 0), left };
}

/** `<store> <key>` of those that are not right; all of them where the table cannot be judged now. */
async function stillDrifting(
  context: SweepContext,
  name: string,
  entries: readonly RecordedDrift[],
): Promise<ReadonlySet<string>> {
  const all = new Set(entries.map(({ store, key }) => `${store} ${key}`));
  const known = (await readKnownTables(context.mysql, context.stateDatabase)).find((one) => one.name === name);
  if (known === undefined) return all;
  const keys = new Map<KeyText, StoreName[]>();
  for (const { key, store } of entries) keys.set(key, [...(keys.get(key) ?? []), store]);
  try {
    const { drift } = await settle(context, await openTable(context, known), keys);
    return new Set(drift.map(({ store, key }) => `${store} ${key}`));
  } catch (error) {
    if (error instanceof TableAside) return all;
    throw error;
  }
}

function byTable(drift: readonly RecordedDrift[]): ReadonlyMap<string, readonly RecordedDrift[]> {
  const tables = new Map<string, RecordedDrift[]>();
  for (const entry of drift) tables.set(entry.table, [...(tables.get(entry.table) ?? []), entry]);
  return tables;
}
