/**
 * Repair: keys are logged again as MySQL has them now, and take the road of every change. Nothing else ever writes into a
 * store to mend it. Safe to repeat: an `r` carries the row as it is, and a delete is only logged for a key without a row.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { KeyText } from '../core/drift.js';
import { LockstepError } from '../core/errors.js';
import type { Mysql } from '../stores/mysql/connection.js';
import { loggedKeys, logWhere } from '../stores/mysql/copyRows.js';
import { readTables } from '../stores/mysql/definitions.js';
import type { Repaired } from '../stores/mysql/repairs.js';
import { errorNumber } from '../stores/mysql/failure.js';
import { atKeyText } from '../stores/mysql/keyLookup.js';
import { readDefinition, readKnownTables } from '../stores/mysql/state.js';
import { isPassing } from './copyState.js';
import { logKeyDelete, logKeyDeletes, type KeyScope } from './repairKey.js';

export interface RepairDeps {
  readonly mysql: Mysql;
}

export interface RepairOptions {
  readonly signal?: AbortSignal;
  /** Called at least every 300 ms while all is well. */
  readonly beat?: () => void;
  /** Row JSON of what was there, for the deletes among them: whoever read the log knows it. */
  readonly before?: (key: KeyText) => Promise<Buffer | null>;
}

export interface RepairReport {
  /** Re-logged with their row. */
  readonly logged: number;
  /** Logged as a delete: they have no row. */
  readonly deleted: number;
  /** Not to be told as keys of the table, of a table that lockstep does not capture, or left by an abort. */
  readonly skipped: readonly KeyText[];
  /** Key by key, in the order they were done. */
  readonly done: readonly Repaired[];
}

/** Rows of one transaction: their locks are held for milliseconds. */
const groupKeys = 100;
const pauseMs = 20;
const noSuchTable = 1146;
/** Seconds in an idle transaction until the server rolls it back: a frozen process does not keep an application's rows. */
const idleInTransaction = 2;
const never = new AbortController().signal;

/** Throws LS-TABLE-UNKNOWN for a table that was never captured. A key is logged once, however often it is named. */
export async function repairKeys(
  deps: RepairDeps,
  table: string,
  keys: readonly KeyText[],
  options: RepairOptions = {},
): Promise<RepairReport> {
  const known = [...new Set(keys)];
  const session = await deps.mysql.session({ sqlMode: 'ALLOW_INVALID_DATES', idleInTransaction });
  try {
    const scope = await scopeOf(deps, table, session, options);
    if (scope === null) return reportOf(known.map((key) => ({ key, outcome: 'skipped' })));
    const done: Repaired[] = [];
    for (let from = 0; from < known.length; from += groupKeys) {
      done.push(...(await repairGroup(scope, known.slice(from, from + groupKeys), options)));
    }
    return reportOf(done);
  } finally {
    session.destroy();
  }
}

/** Null for a table that exists and that the configuration leaves out: its keys in the stores are nobody's drift. */
async function scopeOf(
  { mysql }: RepairDeps,
  table: string,
  session: KeyScope['session'],
  { signal = never, beat }: RepairOptions,
): Promise<KeyScope | null> {
  const { database, stateDatabase } = mysql.config;
  const known = (await readKnownTables(session, stateDatabase)).find(({ name }) => name === table);
  if (known === undefined) throw new LockstepError('LS-TABLE-UNKNOWN', `${table} was never captured`);
  if (known.removed && (await readTables(session, database, table)).length > 0) return null;
  const definition = await readDefinition(session, stateDatabase, known.definition);
  if (definition === null) throw new LockstepError('LS-INTERNAL', `the definition of ${table} is not recorded`);
  return { stateDatabase, tableId: known.id, definition, session, signal, beat: beat ?? (() => undefined) };
}

/** The rows that can be locked at once in one statement, then whatever is left one by one. */
async function repairGroup(
  scope: KeyScope,
  keys: readonly KeyText[],
  { before }: RepairOptions,
): Promise<readonly Repaired[]> {
  const conditions = new Map(keys.map((key) => [key, atKeyText(scope.definition, key)]));
  const present = await logPresent(
    scope,
    [...conditions.values()].filter((condition) => condition !== null),
  );
  const absent = [...conditions].flatMap(([key, condition]) =>
    condition === null || present.has(key) ? [] : [{ key, condition }],
  );
  const together = before === undefined && absent.length > 1 && !scope.signal.aborted;
  const deleted = together && (await logKeyDeletes(scope, absent));
  const done: Repaired[] = [];
  for (const [key, condition] of conditions) {
    scope.beat();
    if (present.has(key)) done.push({ key, outcome: 'logged' });
    else if (deleted && condition !== null) done.push({ key, outcome: 'deleted' });
    else if (condition === null || scope.signal.aborted) done.push({ key, outcome: 'skipped' });
    else done.push({ key, outcome: await logKeyDelete(scope, key, condition, (await before?.(key)) ?? null) });
  }
  return done;
}

async function logPresent(scope: KeyScope, conditions: readonly string[]): Promise<ReadonlySet<KeyText>> {
  if (conditions.length === 0 || scope.signal.aborted) return new Set();
  const where = conditions.map((condition) => `(${condition})`).join(' OR ');
  for (;;) {
    scope.beat();
    try {
      return await scope.session.transaction(async (queries) =>
        loggedKeys(queries, scope, await logWhere(queries, scope, where, { skipLocked: true })),
      );
    } catch (error) {
      // The table was dropped: none of its keys has a row.
      if (errorNumber(error) === noSuchTable) return new Set();
      if (!isPassing(error) || scope.signal.aborted) throw error;
      await sleep(pauseMs);
    }
  }
}

function reportOf(done: readonly Repaired[]): RepairReport {
  const of = (outcome: Repaired['outcome']): readonly KeyText[] =>
    done.filter((one) => one.outcome === outcome).map(({ key }) => key);
  return { logged: of('logged').length, deleted: of('deleted').length, skipped: of('skipped'), done };
}
