/**
 * Brings triggers, definitions and records of all tables to what the configuration selects. Used at every start and
 * continuously; looks at what is installed instead of remembering it, so an interrupted run is simply run again.
 * The wish for a copy is durable before triggers are touched, and released only once they stand: a crash in between can
 * neither forget the copy nor let it begin too early.
 */
import { randomUUID } from 'node:crypto';
import { definitionHash, type Definition } from '../core/definition.js';
import { LockstepError } from '../core/errors.js';
import { problem, problemOf, type Problem } from '../core/problem.js';
import { policyOf } from '../core/schemaPolicy.js';
import type { Mysql, Queries, Session } from '../stores/mysql/connection.js';
import { readCopy, releaseCopy, requestCopy, type CopyReason } from '../stores/mysql/copies.js';
import { changesKey } from '../stores/mysql/definitionChange.js';
import { errorNumber } from '../stores/mysql/failure.js';
import { readHeldTables, takeTableTurn } from '../stores/mysql/ingests.js';
import { addOldKey } from '../stores/mysql/oldKeys.js';
import { recordTable, removeTable, useDefinition, type CapturedTable } from '../stores/mysql/state.js';
import {
  applyDifference,
  readTriggers,
  removeTrigger,
  triggerSession,
  withExactBodies,
} from '../stores/mysql/triggerInstall.js';
import { compareTriggers, isSettled } from '../stores/mysql/triggerState.js';
import { quoteTable } from '../stores/mysql/quote.js';
import { takeTable, leaveTable } from '../stores/mysql/tableLock.js';
import { triggersOf, type TriggerScope } from '../stores/mysql/triggers.js';
import type { TablePlan, TableWork } from './tablePlan.js';
import { endOf } from './copyState.js';
import { readSource, type TablesDeps } from './tableSource.js';

const defaultPatienceMs = 5_000;

export interface Settled {
  /** Tables whose copy became due. */
  readonly copies: readonly { readonly table: string; readonly reason: CopyReason }[];
  readonly changed: readonly string[];
  readonly removed: readonly string[];
  /** Trouble stays in its table. */
  readonly problems: readonly TableProblem[];
}

export interface TableProblem extends Problem {
  readonly table: string;
}

/** Carries the plan out. */
export async function settleTables(
  deps: TablesDeps,
  plan: TablePlan,
  beat: () => void = () => undefined,
): Promise<Settled> {
  if (plan.work.length + plan.removed.length + plan.strayTriggers.length === 0) {
    return { copies: [], changed: [], removed: [], problems: [] };
  }
  const session = await triggerSession(deps.mysql);
  const problems = new Map<string, TableProblem>();
  const attempt = async (table: string, work: () => Promise<boolean>): Promise<boolean> => {
    beat();
    try {
      problems.delete(table);
      return await work();
    } catch (error) {
      const found = asTableProblem(error, table);
      if (found === null) throw error;
      problems.set(table, found);
      return false;
    }
  };
  try {
    // First: a table that was swapped away still has the triggers whose names its successor needs.
    for (const trigger of plan.strayTriggers) {
      await attempt(trigger, async () => {
        await removeTrigger(deps.mysql, session, trigger, soon(deps));
        return true;
      });
    }
    const done: TableWork[] = [];
    const settle = async (work: TableWork): Promise<void> => {
      const { table } = work.definition;
      if (await attempt(table, () => inTurn(deps, session, work, plan.definer))) done.push(work);
    };
    for (const work of plan.work) await settle(work);
    // Names that another table held may be free now.
    const unsettled = [...problems.values()].filter(({ code }) => code === 'LS-TRIGGERS-UNSETTLED');
    for (const work of plan.work) {
      if (unsettled.some(({ table }) => table === work.definition.table)) await settle(work);
    }
    for (const table of plan.removed) await letGo(deps, table);
    return {
      copies: done.flatMap(({ definition, copy }) =>
        copy === null ? [] : [{ table: definition.table, reason: copy }],
      ),
      changed: done.map(({ definition }) => definition.table),
      removed: plan.removed.map((table: CapturedTable) => table.name),
      problems: [...problems.values()],
    };
  } finally {
    session.destroy();
  }
}

/** Of a table that was dropped, rows leave the stores too; of one that is left out, they stay. */
async function letGo({ config, mysql }: TablesDeps, { id, name }: CapturedTable): Promise<void> {
  const { stateDatabase } = config.mysql;
  const dropped = policyOf(name, config) === 'evolve' && (await isGone(mysql, name));
  await mysql.transaction(async (queries) => {
    await removeTable(queries, stateDatabase, id);
    if (!dropped) return;
    await requestCopy(queries, stateDatabase, { tableId: id, run: randomUUID(), reason: 'dropped', phase: 'clear' });
  });
}

/** A table that lockstep has lost the right to see looks dropped, too: MySQL tells the two apart when it is asked. */
async function isGone(mysql: Mysql, table: string): Promise<boolean> {
  try {
    await mysql.rows(`SELECT 1 FROM ${quoteTable(mysql.config.database, table)} LIMIT 0`);
    return false;
  } catch (error) {
    const code = error instanceof LockstepError ? error.code : undefined;
    if (errorNumber(error) === 1146) return true;
    // A whole database that is gone is no statement about its tables.
    if (code === 'LS-MYSQL-PRIVILEGE' || code === 'LS-MYSQL-DATABASE') return false;
    throw error;
  }
}

/** Unknown column, unknown table, no base table: it was altered or swapped since the plan was made. */
const alteredMeanwhile = new Set([1054, 1146, 1347]);

/** What stays in its table; null for what stops everything. */
function asTableProblem(error: unknown, table: string): TableProblem | null {
  if (alteredMeanwhile.has(errorNumber(error))) {
    return {
      ...problem('LS-TRIGGERS-UNSETTLED', `table ${table} was altered while its triggers were exchanged`),
      table,
    };
  }
  if (!(error instanceof LockstepError)) return null;
  const passes = error.code === 'LS-MYSQL-LOCK-WAIT' || error.code === 'LS-TRIGGERS-UNSETTLED';
  return passes ? { ...problemOf(error), table } : null;
}

/** False when another process had the table in hand: it is waited for, and the next look sees what it did. */
async function inTurn(deps: TablesDeps, session: Session, work: TableWork, definer: string): Promise<boolean> {
  const { stateDatabase } = deps.mysql.config;
  const { table } = work.definition;
  if (!(await takeTable(session, stateDatabase, table))) {
    const seconds = Math.ceil((deps.patienceMs ?? defaultPatienceMs) / 1_000);
    if (await takeTable(session, stateDatabase, table, seconds)) await leaveTable(session, stateDatabase, table);
    return false;
  }
  try {
    await settleTable(deps, session, work, definer);
    return true;
  } finally {
    await leaveTable(session, stateDatabase, table);
  }
}

/**
 * Puts the triggers on a table that was loaded directly and is still held, with a copy due that proves it, or with a whole
 * one. Safe to repeat. Throws LS-MYSQL-LOCK-WAIT where the application does not let go of the table.
 */
export async function settleLoaded(deps: TablesDeps, table: string, copy: CopyReason): Promise<void> {
  const { stateDatabase } = deps.mysql.config;
  const source = await readSource(deps);
  const found = source.tables.find(({ definition }) => definition.table === table);
  if (found === undefined) throw new LockstepError('LS-TABLE-UNKNOWN', `there is no table ${table}`);
  const session = await triggerSession(deps.mysql);
  try {
    if (!(await takeTable(session, stateDatabase, table))) {
      throw new LockstepError('LS-MYSQL-LOCK-WAIT', `another process has table ${table} in hand`);
    }
    const work = { definition: found.definition, copy };
    await settleTable(deps, session, work, source.definer, { release: true, loaded: true });
    await leaveTable(session, stateDatabase, table);
  } finally {
    session.destroy();
  }
}

/** A table that is loaded directly is left to the load, which settles it at its end. */
export async function settleTable(
  deps: TablesDeps,
  session: Session,
  { definition, copy }: Pick<TableWork, 'definition' | 'copy'>,
  definer: string,
  options: { readonly release: boolean; readonly loaded?: boolean } = { release: true },
): Promise<void> {
  const { mysql } = deps;
  const { stateDatabase } = mysql.config;
  const id = await mysql.transaction(async (queries) => {
    await takeTableTurn(queries, stateDatabase);
    if (options.loaded !== true && (await readHeldTables(queries, stateDatabase)).has(definition.table)) return null;
    const table = await recordTable(queries, stateDatabase, definition);
    // Of a table that was let go and comes back, the log and the stores may still hold what was deleted unseen. The closing
    // comparison of a load waits until all that is applied.
    const reason = table.cameBack && options.loaded !== true ? 'trigger-gap' : copy;
    if (reason !== null) await requestCopy(queries, stateDatabase, waiting(table.id, reason));
    if (table.before !== null && changesKey(table.before, definition)) {
      await addOldKey(queries, stateDatabase, table.id, definitionHash(table.before));
    }
    return table.id;
  });
  if (id === null) return;
  await exchangeTriggers(deps, session, definition, { stateDatabase, tableId: id, definer });
  const end = await endOf(session, { stateDatabase, tableId: id, definition });
  await mysql.transaction(async (queries) => {
    await useDefinition(queries, stateDatabase, id, definitionHash(definition));
    if (options.release) await releaseCopy(queries, stateDatabase, id, end);
  });
}

function waiting(tableId: number, reason: CopyReason): Parameters<typeof requestCopy>[2] {
  return { tableId, run: randomUUID(), phase: 'waiting', reason };
}

/** Unless one waits already, for the triggers that are about to be put in place. */
async function ensureCopy(queries: Queries, { stateDatabase, tableId }: TriggerScope): Promise<void> {
  const copy = await readCopy(queries, stateDatabase, tableId);
  if (copy?.phase !== 'waiting') await requestCopy(queries, stateDatabase, waiting(tableId, 'trigger-gap'));
}

async function exchangeTriggers(
  deps: TablesDeps,
  session: Session,
  definition: Definition,
  scope: TriggerScope,
): Promise<void> {
  const { mysql } = deps;
  const { table } = definition;
  const { database } = mysql.config;
  const expected = triggersOf(definition, scope);
  const listed = (await readTriggers(mysql, database, table)).get(table) ?? [];
  const installed = await withExactBodies(mysql, database, listed, expected);
  const difference = compareTriggers(table, expected, installed, scope.stateDatabase);
  // They may have gone since the plan was made: an online schema change swaps in a table that has none.
  if (difference.gap) {
    await mysql.transaction((queries) => ensureCopy(queries, scope));
  }
  await applyDifference(mysql, session, difference, soon(deps));
  await proveSettled(deps, definition, scope);
}

/** A trigger of the name may stand on another table: one that was swapped away. */
async function proveSettled({ mysql }: TablesDeps, definition: Definition, scope: TriggerScope): Promise<void> {
  const { table } = definition;
  const { database } = mysql.config;
  const expected = triggersOf(definition, scope);
  const listed = (await readTriggers(mysql, database, table)).get(table) ?? [];
  const installed = await withExactBodies(mysql, database, listed, expected);
  if (isSettled(compareTriggers(table, expected, installed, scope.stateDatabase))) return;
  throw new LockstepError('LS-TRIGGERS-UNSETTLED', `table ${table} was swapped while its triggers were exchanged`);
}

function soon({ patienceMs }: TablesDeps): number {
  return Date.now() + (patienceMs ?? defaultPatienceMs);
}
