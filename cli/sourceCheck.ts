/** What only the source's tables and lockstep's own database can tell: names in overrides, other pipelines, tables left out. */
import type { Config } from '../core/config.js';
import { checkOverrides } from '../core/configChecks.js';
import { problem, problemOf, warning, type Problem } from '../core/problem.js';
import type { OpenProblem } from '../core/status.js';
import { metaProblems, selectionProblems } from '../stages/install.js';
import { openMysql, type Mysql } from '../stores/mysql/connection.js';
import { readTables } from '../stores/mysql/definitions.js';
import { leftOut } from '../stores/mysql/eligibility.js';
import { stateDatabaseIsOurs } from '../stores/mysql/migrate.js';
import { readRowImages, rowImageProblems } from '../stores/mysql/rowImage.js';
import { readServer } from '../stores/mysql/server.js';
import { readMeta } from '../stores/mysql/state.js';
import { readSource } from '../stages/tableSource.js';

export async function checkSource(config: Config): Promise<readonly Problem[]> {
  const mysql = openMysql(config.mysql, { connections: 2 });
  try {
    const deps = { config, mysql };
    const source = await readSource(deps);
    const names = source.tables.map(({ definition }) => definition.table);
    const mistakes = checkOverrides(config, names);
    return [
      ...mistakes.map(({ path, problem: wrong }) => problem('LS-CONFIG-INVALID', `${path} ${wrong}`)),
      ...(await ownerProblems(config, mysql)),
      ...selectionProblems(source, deps),
      ...(await leftOutProblems(config, mysql)),
      ...(await imageProblems(config, mysql, { sessions: true })),
    ];
  } catch (error) {
    return [problemOf(error)];
  } finally {
    await mysql.close();
  }
}

async function ownerProblems(config: Config, mysql: Mysql): Promise<readonly Problem[]> {
  const { stateDatabase } = config.mysql;
  if (!(await stateDatabaseIsOurs(mysql, stateDatabase))) {
    return [problem('LS-STATE-FOREIGN', `database ${stateDatabase} exists and was not made by lockstep`)];
  }
  const [meta, { serverUuid }] = await Promise.all([readMeta(mysql, stateDatabase), readServer(mysql)]);
  return meta === null ? [] : metaProblems(meta, { config, mysql }, serverUuid);
}

/** What `status` says again and again: cheap to ask, and true until somebody changes the source. */
export async function standingProblems(config: Config, mysql: Mysql): Promise<readonly OpenProblem[]> {
  const [tables, images] = await Promise.all([
    leftOutProblems(config, mysql),
    imageProblems(config, mysql, { sessions: false }),
  ]);
  return [...tables, ...images];
}

async function imageProblems(
  config: Config,
  mysql: Mysql,
  options: { readonly sessions: boolean },
): Promise<readonly Problem[]> {
  const images = await readRowImages(mysql, config.mysql.database, options);
  if (images.virtualColumns.length === 0 || (images.global === 'FULL' && images.sessions.length === 0)) return [];
  const tables = await readTables(mysql, config.mysql.database);
  const captured = new Set(
    tables.filter((facts) => leftOut(facts, config.tables) === null).map(({ definition }) => definition.table),
  );
  return rowImageProblems(images, (table) => captured.has(table));
}

/** Tables that the configuration selects and that cannot be captured. */
async function leftOutProblems(config: Config, mysql: Mysql): Promise<readonly OpenProblem[]> {
  const tables = await readTables(mysql, config.mysql.database);
  return tables.flatMap((facts) => {
    const out = leftOut(facts, config.tables);
    if (out === null || out.reason === 'excluded') return [];
    const { table, explanation } = out;
    return [{ ...warning('LS-TABLE-LEFT-OUT', `table ${table} is left out: ${explanation}`), table }];
  });
}
