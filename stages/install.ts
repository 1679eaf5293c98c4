/**
 * Makes a database captured: own tables, definitions, triggers. Everything is checked before the first write; after that
 * each step is safe twice, so a run that was interrupted is simply run again.
 */
import { randomUUID } from 'node:crypto';
import type { Config } from '../core/config.js';
import type { DefinitionHash } from '../core/definition.js';
import { LockstepError } from '../core/errors.js';
import { checkForms } from '../core/formChecks.js';
import { tableTopic } from '../core/names.js';
import { problem, problemsAsError, type Problem } from '../core/problem.js';
import { checkMysql } from '../stores/mysql/check.js';
import { requestCopy } from '../stores/mysql/copies.js';
import type { LeftOut } from '../stores/mysql/eligibility.js';
import { migrate, stateDatabaseIsOurs } from '../stores/mysql/migrate.js';
import { readSchemas } from '../stores/mysql/schemaHistory.js';
import { readServer } from '../stores/mysql/server.js';
import { adoptServer, claimMeta, readCapturedTables, readMeta, type Meta } from '../stores/mysql/state.js';
import { foreignTriggers } from '../stores/mysql/triggerState.js';
import { heldTables } from './heldTables.js';
import { noticesOf, recordNotices } from './schemaNotices.js';
import { planTables, type Source } from './tablePlan.js';
import { planOf, readPlan, readSource, type TablesDeps } from './tableSource.js';
import { settleTables, type TableProblem } from './tables.js';
import { rememberBeginning } from './witnessBeginning.js';

export interface InstallDeps extends TablesDeps {
  /** Accepts a server with another server_uuid as the source from now on; every table is copied again. */
  readonly adoptSource?: boolean;
  /** The caller is about to make a table: there need not be one yet. */
  readonly makesTable?: boolean;
  readonly beat?: () => void;
}

export interface InstalledTable {
  readonly id: number;
  readonly name: string;
  readonly definition: DefinitionHash;
  readonly topic: string;
}

export interface InstallReport {
  readonly serverUuid: string;
  readonly tables: readonly InstalledTable[];
  readonly leftOut: readonly LeftOut[];
  /** Tables that were captured before and are not any more. */
  readonly removed: readonly string[];
  /** Tables whose triggers are not in place yet; the continuous check goes on trying. */
  readonly problems: readonly TableProblem[];
  /** Tables that changed and that the stores leave alone until they are resumed. */
  readonly held: readonly string[];
}

/** Checks everything, and makes lockstep's own tables; no table of the application is touched. Returns the server's UUID. */
export async function prepareState(deps: InstallDeps): Promise<string> {
  await refuseWhatCannotWork(deps);
  await migrate(deps.mysql);
  return await claim(deps);
}

export async function install(deps: InstallDeps): Promise<InstallReport> {
  const { config, mysql } = deps;
  const serverUuid = await prepareState(deps);
  await rememberBeginning(mysql, config);
  const settled = await settle(deps);
  const { leftOut } = await readPlan(deps);
  const held = (await heldTables(mysql)).map(({ table }) => table);
  const tables = await readCapturedTables(mysql, config.mysql.stateDatabase);
  const topic = (name: string): string => tableTopic(config.kafka.topicPrefix, config.mysql.database, name);
  return {
    serverUuid,
    tables: tables.map((table) => ({ ...table, topic: topic(table.name) })),
    leftOut,
    held,
    ...settled,
  };
}

/** Throws one error that names everything; nothing has been written then. */
async function refuseWhatCannotWork(deps: InstallDeps): Promise<void> {
  const { config, mysql } = deps;
  const { stateDatabase } = config.mysql;
  refuse(await checkMysql(config.mysql));
  const { serverUuid } = await readServer(mysql);
  if (!(await stateDatabaseIsOurs(mysql, stateDatabase))) {
    refuse([problem('LS-STATE-FOREIGN', `database ${stateDatabase} exists and was not made by lockstep`)]);
  }
  const meta = await readMeta(mysql, stateDatabase);
  refuse([
    ...(meta === null ? [] : metaProblems(meta, deps, serverUuid)),
    ...selectionProblems(await readSource(deps), deps).filter(
      ({ code }) => code !== 'LS-TABLES-NONE' || deps.makesTable !== true,
    ),
  ]);
}

function refuse(problems: readonly Problem[]): void {
  const error = problemsAsError(problems);
  if (error !== undefined) throw error;
}

export function metaProblems(meta: Meta, deps: InstallDeps, serverUuid: string): readonly Problem[] {
  const { config } = deps;
  const state = `the state database ${config.mysql.stateDatabase}`;
  const differences = [
    ['pipeline', meta.pipeline, config.pipeline],
    ['source database', meta.sourceDatabase, config.mysql.database],
    ['topic prefix', meta.topicPrefix, config.kafka.topicPrefix],
  ].filter(([, there, here]) => there !== here);
  if (differences.length > 0) {
    const text = differences.map(([what, there, here]) => `${what} ${there} (here: ${here})`).join(', ');
    return [problem('LS-STATE-OTHER-PIPELINE', `${state} belongs to ${text}`)];
  }
  if (meta.serverUuid !== serverUuid && deps.adoptSource !== true) {
    return [problem('LS-SOURCE-CHANGED', `${state} was filled on server ${meta.serverUuid}; this is ${serverUuid}`)];
  }
  return [];
}

export function selectionProblems(source: Source, { config }: TablesDeps): readonly Problem[] {
  const wrong = checkForms(
    config,
    source.tables.map((facts) => facts.definition),
  );
  const forms = wrong.map(({ path, problem: what }) => problem('LS-CONFIG-INVALID', `${path} ${what}`));
  return [...forms, ...tableProblems(source, config)];
}

function tableProblems(source: Source, config: Config): readonly Problem[] {
  const { stateDatabase } = config.mysql;
  const plan = planTables(source, config.tables, stateDatabase);
  const leftOut = new Set(plan.leftOut.map((entry) => entry.table));
  const selected = source.tables.map((facts) => facts.definition.table).filter((table) => !leftOut.has(table));
  if (selected.length === 0) {
    const reasons = plan.leftOut.map((entry) => `${entry.table}: ${entry.explanation}`).join('; ');
    return [problem('LS-TABLES-NONE', `no table of ${config.mysql.database} can be captured. ${reasons}`)];
  }
  const taken = selected.filter((table) => foreignTriggers(source.triggers.get(table) ?? [], stateDatabase).length > 0);
  if (taken.length === 0) return [];
  return [problem('LS-TABLE-CAPTURED-TWICE', `another state database captures ${taken.join(', ')} already`)];
}

/** Two starters at once: the first one's claim stands, the other is refused by name. */
async function claim(deps: InstallDeps): Promise<string> {
  const { config, mysql } = deps;
  const { serverUuid } = await readServer(mysql);
  const meta = await claimMeta(mysql, {
    pipeline: config.pipeline,
    sourceDatabase: config.mysql.database,
    topicPrefix: config.kafka.topicPrefix,
    serverUuid,
  });
  if (meta === null) throw new LockstepError('LS-INTERNAL', 'the meta row vanished while it was claimed');
  refuse(metaProblems(meta, deps, serverUuid));
  if (meta.serverUuid !== serverUuid) await adopt(deps, serverUuid);
  return serverUuid;
}

/** Before anything runs: the server that answers is the source from now on, and every table is due for a copy. */
export async function adoptSource(deps: TablesDeps): Promise<void> {
  const { mysql, config } = deps;
  const meta = await readMeta(mysql, config.mysql.stateDatabase);
  const { serverUuid } = await readServer(mysql);
  if (meta === null || meta.serverUuid === serverUuid) return;
  refuse(metaProblems(meta, { ...deps, adoptSource: true }, serverUuid));
  await adopt(deps, serverUuid);
}

async function adopt({ config, mysql }: TablesDeps, serverUuid: string): Promise<void> {
  const { stateDatabase } = config.mysql;
  await rememberBeginning(mysql, config);
  await mysql.transaction(async (queries) => {
    for (const { id } of await readCapturedTables(queries, stateDatabase)) {
      await requestCopy(queries, stateDatabase, { tableId: id, run: randomUUID(), reason: 'source-changed' });
    }
    await adoptServer(queries, stateDatabase, serverUuid);
  });
}

/** Tables that change while they are settled are looked at again. */
async function settle(deps: InstallDeps): Promise<Pick<InstallReport, 'removed' | 'problems'>> {
  const removed: string[] = [];
  // Nothing streams into a table that is held: what is due for it is prepared at once.
  const settling = { ...deps, isPaused: () => true };
  const firstTime = (await readSchemas(deps.mysql, deps.config.mysql.stateDatabase)).size === 0;
  for (let round = 0; ; round++) {
    const source = await readSource(settling);
    const plan = planOf(settling, source);
    await recordNotices(deps.mysql, noticesOf(source, plan, deps.config, firstTime));
    const settled = await settleTables(settling, plan, deps.beat);
    removed.push(...settled.removed);
    if (round === 3 || settled.problems.length > 0 || settled.changed.length === 0) {
      return { removed, problems: settled.problems };
    }
  }
}
