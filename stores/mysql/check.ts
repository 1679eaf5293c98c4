/** Everything about the MySQL side that would stop a pipeline, found before anything is written. */
import type { MysqlConfig } from '../../core/config.js';
import { problem, problemOf, warning, type Problem } from '../../core/problem.js';
import { LockstepError } from '../../core/errors.js';
import { whereIs } from './address.js';
import { asText } from './cell.js';
import { openSession, type Queries } from './connection.js';
import { hasGlobal, hasPrivilege, readGrants, type Grants } from './grants.js';
import { quoteName } from './quote.js';
import { isSupportedVersion, readServer, type ServerFacts } from './server.js';

const onSource = ['SELECT', 'TRIGGER'];
const onState = ['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'CREATE', 'DROP', 'ALTER', 'INDEX'];

export async function checkMysql(config: MysqlConfig): Promise<readonly Problem[]> {
  let session;
  try {
    session = await openSession(config);
  } catch (error) {
    // A server too old for our session settings fails here already.
    return [problemOf(error)];
  }
  try {
    const version = asText((await session.rows('SELECT VERSION()'))[0]?.[0]);
    if (!isSupportedVersion(version)) {
      return [problem('LS-MYSQL-VERSION', `MySQL at ${whereIs(config)} is version ${version}`)];
    }
    const server = await readServer(session);
    const grants = await readGrants(session);
    return [
      ...databaseProblems(config, await databaseNames(session)),
      ...serverProblems(config, server, grants),
      ...grantProblems(config, server, grants),
    ];
  } catch (error) {
    if (error instanceof LockstepError) return [problemOf(error)];
    throw error;
  } finally {
    session.destroy();
  }
}

export async function databaseNames(queries: Queries): Promise<ReadonlySet<string>> {
  return new Set((await queries.rows('SELECT SCHEMA_NAME FROM information_schema.SCHEMATA')).map((r) => asText(r[0])));
}

export function databaseProblems(config: MysqlConfig, existing: ReadonlySet<string>): readonly Problem[] {
  const where = whereIs(config);
  if (!existing.has(config.database)) {
    return [
      problem('LS-MYSQL-DATABASE', `database ${config.database} is not on ${where}, or is not visible to this user`),
    ];
  }
  if (config.database === config.stateDatabase) {
    const text = `mysql.stateDatabase and the source are both ${config.database}`;
    return [problem('LS-CONFIG-INVALID', text, 'Give lockstep a database of its own: set mysql.stateDatabase.')];
  }
  if (!/^[A-Za-z0-9_$-]+$/.test(config.stateDatabase)) {
    const text = `mysql.stateDatabase is ${JSON.stringify(config.stateDatabase)}`;
    return [problem('LS-CONFIG-INVALID', text, 'Letters, digits, `_`, `-` and `$` only.')];
  }
  return [];
}

export function serverProblems(config: MysqlConfig, server: ServerFacts, grants: Grants): readonly Problem[] {
  const where = `MySQL at ${whereIs(config)}`;
  const problems: Problem[] = [];
  if (server.readOnly) problems.push(problem('LS-MYSQL-READ-ONLY', `${where} is read only`));
  if (server.binaryLog && !server.trustsCreators && !hasGlobal(grants, 'SUPER')) {
    problems.push(problem('LS-MYSQL-TRUST', `${where} does not let ${server.account} create triggers`));
  }
  if (server.multiPrimary) {
    problems.push(problem('LS-MYSQL-MULTI-PRIMARY', `${where} is a multi-primary group`));
  }
  if (server.binaryLog && server.binlogFormat === 'STATEMENT') {
    problems.push(problem('LS-MYSQL-BINLOG-FORMAT', `${where} has binlog_format=STATEMENT`));
  }
  if (server.autoincLockMode !== 2) {
    problems.push(problem('LS-MYSQL-AUTOINC', `${where} has innodb_autoinc_lock_mode=${server.autoincLockMode}`));
  }
  return problems;
}

export function grantProblems(config: MysqlConfig, server: ServerFacts, grants: Grants): readonly Problem[] {
  const problems: Problem[] = [];
  const missing = (privileges: readonly string[], database: string): readonly string[] =>
    privileges.filter((privilege) => !hasPrivilege(grants, privilege, database));
  const account = quotedAccount(server.account);
  const lacks = (privileges: readonly string[], database: string): Problem =>
    problem(
      'LS-MYSQL-PRIVILEGE',
      `${server.account} lacks ${privileges.join(', ')} on ${database}`,
      `GRANT ${privileges.join(', ')} ON ${quoteName(database)}.* TO ${account};`,
    );
  for (const [privileges, database] of [
    [missing(onSource, config.database), config.database],
    [missing(onState, config.stateDatabase), config.stateDatabase],
  ] as const) {
    if (privileges.length > 0) problems.push(lacks(privileges, database));
  }
  if (!hasGlobal(grants, 'PROCESS')) {
    problems.push(
      warning(
        'LS-MYSQL-PRIVILEGE',
        `${server.account} lacks PROCESS: capture cannot see open transactions and reads its log from the beginning`,
        `GRANT PROCESS ON *.* TO ${account};`,
      ),
    );
  }
  return problems;
}

/** `name@host` as GRANT takes it. */
export function quotedAccount(account: string): string {
  const at = account.lastIndexOf('@');
  return [account.slice(0, at), account.slice(at + 1)].map((part) => `'${part.replaceAll("'", "''")}'`).join('@');
}
