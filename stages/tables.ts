/**
 * Brings triggers, definitions and records of all tables to what the configuration selects. Used at every start and
 * continuously; looks at what is installed instead of remembering it, so an interrupted run is simply run again.
 * The wish for a copy is durable before triggers are touched, and released only once they stand: a crash in between can
 * neither forget the copy nor let it begin too early.
 */
import { randomUUID } from 'node:crypto';
import type { Config } from '../core/config.js';
import { definitionHash, type Definition } from '../core/definition.js';
import { LockstepError } from '../core/errors.js';
import { withForms } from '../core/forms.js';
import { problemOf, type Problem } from '../core/problem.js';
import type { Mysql, Queries, Session } from '../stores/mysql/connection.js';
import { readCopies, readCopy, releaseCopy, requestCopy, type CopyReason } from '../stores/mysql/copies.js';
import { readTables } from '../stores/mysql/definitions.js';
import { readServer } from '../stores/mysql/server.js';
import {
  readCapturedTables,
  readDefinitionsOf,
  recordTable,
  removeTable,
  useDefinition,
  type CapturedTable,
} from '../stores/mysql/state.js';
import {
  applyDifference,
  patiently,
  readTriggers,
  triggerSession,
  withExactBodies,
} from '../stores/mysql/triggerInstall.js';
import { compareTriggers, type InstalledTrigger } from '../stores/mysql/triggerState.js';
import { dropTrigger, triggersOf, type TriggerScope } from '../stores/mysql/triggers.js';
import { planTables, type Source, type TablePlan, type TableWork } from './tablePlan.js';

export interface TablesDeps {
  readonly config: Config;
  readonly mysql: Mysql;
  /** How long one table's triggers are tried for; then the table is reported, and the next look tries again. */
  readonly patienceMs?: number;
}

const defaultPatienceMs = 5_000;

export async function readSource({ config, mysql }: TablesDeps): Promise<Source> {
  const { database, stateDatabase } = mysql.config;
  // Triggers before definitions: a table altered in between looks changed at the next look, never settled too early.
  const listed = await readTriggers(mysql, database);
  const tables = (await readTables(mysql, database)).map((facts) => ({
    ...facts,
    definition: withForms(facts.definition, config),
  }));
  const captured = await readCapturedTables(mysql, stateDatabase);
  const { account: definer } = await readServer(mysql);
  const ids = new Map(captured.map((table) => [table.name, table.id]));
  const triggers = new Map<string, readonly InstalledTrigger[]>(listed);
  for (const { definition } of tables) {
    const tableId = ids.get(definition.table);
    const found = listed.get(definition.table);
    if (tableId === undefined || found === undefined) continue;
    const expected = triggersOf(definition, { stateDatabase, tableId, definer });
    triggers.set(definition.table, await withExactBodies(mysql, database, found, expected));
  }
  const current = new Set(tables.map(({ definition }) => definitionHash(definition)));
  const outdated = captured.map((table) => table.definition).filter((hash) => !current.has(hash));
  const copies = captured.length === 0 ? [] : await readCopies(mysql, stateDatabase);
  return {
    tables,
    triggers,
    captured,
    definitions: await readDefinitionsOf(mysql, stateDatabase, outdated),
    waiting: new Set(copies.filter((copy) => copy.phase === 'waiting').map((copy) => copy.tableId)),
    definer,
  };
}

export async function readPlan(deps: TablesDeps): Promise<TablePlan> {
  return planTables(await readSource(deps), deps.config.tables, deps.config.mysql.stateDatabase);
}

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
  const problems: TableProblem[] = [];
  const attempt = async (table: string, work: () => Promise<void>): Promise<boolean> => {
    beat();
    try {
      await work();
      return true;
    } catch (error) {
      if (!(error instanceof LockstepError) || error.code !== 'LS-MYSQL-LOCK-WAIT') throw error;
      problems.push({ ...problemOf(error), table });
      return false;
    }
  };
  try {
    const done: TableWork[] = [];
    for (const work of plan.work) {
      if (await attempt(work.definition.table, () => settleTable(deps, session, work, plan.definer))) done.push(work);
    }
    for (const trigger of plan.strayTriggers) {
      await attempt(trigger, () =>
        patiently(deps.mysql, session, dropTrigger(deps.mysql.config.database, trigger), soon(deps)),
      );
    }
    for (const table of plan.removed) await removeTable(deps.mysql, deps.mysql.config.stateDatabase, table.id);
    return {
      copies: done.flatMap(({ definition, copy }) =>
        copy === null ? [] : [{ table: definition.table, reason: copy }],
      ),
      changed: done.map(({ definition }) => definition.table),
      removed: plan.removed.map((table: CapturedTable) => table.name),
      problems,
    };
  } finally {
    session.destroy();
  }
}

async function settleTable(
  deps: TablesDeps,
  session: Session,
  { definition, copy }: TableWork,
  definer: string,
): Promise<void> {
  const { mysql } = deps;
  const { stateDatabase } = mysql.config;
  const id = await mysql.transaction(async (queries) => {
    const table = await recordTable(queries, stateDatabase, definition);
    // Of a table that was let go and comes back, the log and the stores may still hold what was deleted unseen.
    const reason = table.cameBack ? 'trigger-gap' : copy;
    if (reason !== null) await requestCopy(queries, stateDatabase, waiting(table.id, reason));
    return table.id;
  });
  await exchangeTriggers(deps, session, definition, { stateDatabase, tableId: id, definer });
  await mysql.transaction(async (queries) => {
    await useDefinition(queries, stateDatabase, id, definitionHash(definition));
    await releaseCopy(queries, stateDatabase, id);
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
}

function soon({ patienceMs }: TablesDeps): number {
  return Date.now() + (patienceMs ?? defaultPatienceMs);
}
