/**
 * Runs a file of DDL, each statement between what has to come before it (triggers that do not name what it takes away, so that
 * no change is logged by its key alone) and what follows (triggers, history, validators). Whatever instruction it dies at, the
 * pipeline's next look mends what it finds, and the same file goes on where it stopped.
 */
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { LockstepError } from '../core/errors.js';
import type { Store } from '../core/store.js';
import { applied, type AppliedFile, readApplied, writeApplied } from '../stores/mysql/applies.js';
import type { Mysql, Session } from '../stores/mysql/connection.js';
import { givingWayAtFirst } from '../stores/mysql/patience.js';
import { quoteName } from '../stores/mysql/quote.js';
import { tableText } from '../stores/mysql/scratch.js';
import { readServer } from '../stores/mysql/server.js';
import { readCapturedTables } from '../stores/mysql/state.js';
import { leaveTable, takeTable } from '../stores/mysql/tableLock.js';
import { triggerSession } from '../stores/mysql/triggerInstall.js';
import { hasRunPlan, planStatement, readFile, short, type PlanDeps, type StatementPlan } from './schemaPlan.js';
import { bringStores } from './tableForms.js';
import { settleTable } from './tables.js';
import { watchTriggers } from './watch.js';

export interface ApplyDeps extends PlanDeps {
  /** As the account that may change the tables. */
  readonly owner: Mysql;
  readonly stores: readonly Pick<Store, 'name' | 'prepareTables'>[];
}

export type ApplyStep = 'planned' | 'noted' | 'prepared' | 'altered' | 'followed' | 'recorded';

export interface ApplyHooks {
  /** After each step of each statement: for progress, and for tests that end the process there. */
  step(step: ApplyStep, index: number, plan: StatementPlan): void;
}

export interface ApplyResult {
  readonly statements: number;
  /** Statements that had run before this call. */
  readonly before: number;
  readonly tables: readonly string[];
}

/** How long a statement may wait at a time; while it does, the application's next statements queue behind it. */
const waitMs = 100;
const settlingRounds = 10;

export async function applySchema(
  deps: ApplyDeps,
  text: string,
  options: { readonly again: boolean; readonly patienceMs: number },
  hooks: ApplyHooks,
): Promise<ApplyResult> {
  const { config, mysql } = deps;
  const { stateDatabase } = config.mysql;
  if ((await readCapturedTables(mysql, stateDatabase)).length === 0) {
    throw new LockstepError('LS-NOT-INSTALLED', `database ${stateDatabase} holds no pipeline`);
  }
  const statements = readFile(text, config.mysql.database);
  const hash = createHash('sha256').update(text).digest('hex').slice(0, 32);
  const found = await readApplied(mysql, stateDatabase, hash);
  let state: AppliedFile = found === null || (found.finished && options.again) ? applied(0) : found;
  const before = state.done;
  const tables = new Set<string>();
  for (const [index, statement] of statements.entries()) {
    if (index < state.done) continue;
    const ran = state.running?.index === index && (await hasRun(deps, state));
    // On a table that has it behind it, a statement cannot be tried.
    const plan = ran ? hasRunPlan(deps, statement) : await planStatement(deps, statement, new Map());
    hooks.step('planned', index, plan);
    for (const table of plan.tables) tables.add(table);
    if (!ran) await runStatement(deps, plan, { index, hash, ...options }, hooks);
    await follow(deps, plan, options.patienceMs);
    hooks.step('followed', index, plan);
    state = { ...applied(index + 1), finished: index + 1 === statements.length };
    await writeApplied(mysql, stateDatabase, hash, state);
    hooks.step('recorded', index, plan);
  }
  return { statements: statements.length, before, tables: [...tables] };
}

/** A statement that was being run when an earlier call ended: DDL is whole or not at all, so its tables tell. */
async function hasRun({ config, owner }: ApplyDeps, { running }: AppliedFile): Promise<boolean> {
  if (running === null) return false;
  for (const [table, text] of Object.entries(running.before)) {
    if ((await tableText(owner, config.mysql.database, table)) !== text) return true;
  }
  return false;
}

interface Run {
  readonly index: number;
  readonly hash: string;
  readonly patienceMs: number;
}

/** Looks of the pipeline leave these tables alone meanwhile: the locks go with the session, whatever becomes of it. */
async function runStatement(deps: ApplyDeps, plan: StatementPlan, run: Run, hooks: ApplyHooks): Promise<void> {
  const { config, mysql, owner } = deps;
  const { stateDatabase, database } = config.mysql;
  const session = await triggerSession(mysql);
  const taken: string[] = [];
  try {
    for (const table of plan.tables) {
      if (!(await takeTable(session, stateDatabase, table, 30))) {
        throw new LockstepError('LS-MYSQL-LOCK-WAIT', `another process has been changing table ${table} for 30 s`);
      }
      taken.push(table);
    }
    const texts = await Promise.all(plan.tables.map(async (table) => [table, await tableText(owner, database, table)]));
    const before = Object.fromEntries(texts) as Record<string, string | null>;
    const running = { index: run.index, before };
    await writeApplied(mysql, stateDatabase, run.hash, { done: run.index, running, finished: false });
    hooks.step('noted', run.index, plan);
    // Under another policy nothing of the change may reach the stores before somebody has looked, or at all.
    if (plan.without !== null && plan.policy === 'evolve') await prepareTriggers(deps, session, plan.without);
    hooks.step('prepared', run.index, plan);
    await carryOut(deps, plan, run.patienceMs);
    hooks.step('altered', run.index, plan);
    for (const table of taken) await leaveTable(session, stateDatabase, table);
  } finally {
    session.destroy();
  }
}

/** Rows logged from here on lack what goes; the copy waits until the statement has run and its triggers stand. */
async function prepareTriggers(
  deps: ApplyDeps,
  session: Session,
  without: NonNullable<StatementPlan['without']>,
): Promise<void> {
  const { account } = await readServer(session);
  await settleTable(deps, session, { definition: without, copy: 'columns-changed' }, account, { release: false });
}

async function carryOut({ config, owner }: ApplyDeps, { statement }: StatementPlan, patienceMs: number): Promise<void> {
  const session = await owner.session({ lockWaitTimeout: 60 });
  const giveUpAt = Date.now() + patienceMs;
  try {
    await session.run(`USE ${quoteName(config.mysql.database)}`);
    await session.run('SET SESSION sql_mode = @@GLOBAL.sql_mode, time_zone = @@GLOBAL.time_zone');
    for (let attempt = 0; ; attempt++) {
      try {
        await givingWayAtFirst(owner, session, waitMs, () => session.run(statement.text));
        return;
      } catch (error) {
        const waited = error instanceof LockstepError && error.code === 'LS-MYSQL-LOCK-WAIT';
        if (!waited || Date.now() > giveUpAt) throw failure(statement.text, error);
      }
      await sleep(Math.min(2_000, 200 * 2 ** attempt));
    }
  } finally {
    session.destroy();
  }
}

function failure(text: string, error: unknown): LockstepError {
  const reason = error instanceof Error ? error.message : String(error);
  return new LockstepError('LS-SCHEMA-APPLY', `${short(text)}: ${reason}`, { cause: error });
}

/** What a look of the pipeline would do seconds later; both may do it at once. */
async function follow(deps: ApplyDeps, { tables }: StatementPlan, patienceMs: number): Promise<void> {
  // A table that its policy holds is held from here on; its triggers need not wait for the streams to hear of it.
  const isPaused = (): boolean => true;
  for (let round = 1; ; round++) {
    const { changed, removed, problems } = await watchTriggers({ ...deps, isPaused });
    const open = problems.filter(({ table }) => tables.includes(table));
    const moved = [...changed, ...removed].some((table) => tables.includes(table));
    if (open.length === 0 && !moved) break;
    if (round === settlingRounds) {
      const [first] = open;
      throw new LockstepError('LS-TRIGGERS-UNSETTLED', first?.message ?? `tables ${tables.join(', ')} keep changing`);
    }
    if (open.length > 0) await sleep(500);
  }
  await followInStores(deps, tables, patienceMs);
}

async function followInStores(deps: ApplyDeps, tables: readonly string[], patienceMs: number): Promise<void> {
  const giveUpAt = Date.now() + patienceMs;
  for (;;) {
    const unprepared = await bringStores(deps, (table) => !tables.includes(table));
    const [first] = unprepared;
    if (first === undefined) return;
    const hopeless = unprepared.find(({ held }) => !held);
    if (hopeless !== undefined || Date.now() > giveUpAt)
      throw new LockstepError('LS-SCHEMA-STORE', (hopeless ?? first).reason);
    await sleep(500);
  }
}
