/** Installing, refusing, healing and uninstalling on a real server. */
import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, expect, inject, test } from 'vitest';
import type { Config } from '../../core/config.js';
import { codeOf } from '../../core/errors.js';
import { checkMysql } from '../../stores/mysql/check.js';
import { asText } from '../../stores/mysql/cell.js';
import { openMysql } from '../../stores/mysql/connection.js';
import { readCopies, requestCopy } from '../../stores/mysql/copies.js';
import { migrate } from '../../stores/mysql/migrate.js';
import { upgraded } from '../../stores/mysql/upgrade.js';
import { readCapturedTables } from '../../stores/mysql/state.js';
import { adoptSource, install } from '../../stages/install.js';
import { copyTable } from '../../stages/snapshot.js';
import { readPlan } from '../../stages/tableSource.js';
import { settleTables } from '../../stages/tables.js';
import { uninstall } from '../../stages/uninstall.js';
import { watchTriggers } from '../../stages/watch.js';
import { createRig, type Rig } from './mysqlRig.js';

let rig: Rig;

beforeEach(async () => {
  rig = await createRig({}, { ownState: true });
  await rig.run(
    'CREATE TABLE {src}.a (id INT PRIMARY KEY, v VARCHAR(20), w INT)',
    'CREATE TABLE {src}.b (id INT, k VARCHAR(9), PRIMARY KEY (k, id))',
  );
});

afterEach(() => rig.drop());

async function triggers(): Promise<string[]> {
  const rows = await rig.mysql.rows(
    `SELECT CONCAT(EVENT_OBJECT_TABLE, ':', TRIGGER_NAME) FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = ? ORDER BY 1`,
    [rig.source],
  );
  return rows.map((row) => asText(row[0]));
}

async function databases(): Promise<string[]> {
  const rows = await rig.mysql.rows('SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME LIKE ?', [
    `${rig.state}%`,
  ]);
  return rows.map((row) => asText(row[0]));
}

async function phases(): Promise<Record<string, string>> {
  const tables = new Map((await readCapturedTables(rig.mysql, rig.state)).map((table) => [table.id, table.name]));
  const copies = await readCopies(rig.mysql, rig.state);
  return Object.fromEntries(copies.map((copy) => [tables.get(copy.tableId) ?? '?', `${copy.phase} ${copy.reason}`]));
}

async function allDone(): Promise<void> {
  await rig.mysql.run(`UPDATE ${rig.state}.copies SET phase = 'done'`);
}

const deps = (changes: Partial<Config> = {}): { config: Config; mysql: Rig['mysql'] } => ({
  config: { ...rig.config, ...changes },
  mysql: rig.mysql,
});

async function codeFrom(promise: Promise<unknown>): Promise<string | undefined> {
  return promise.then(
    () => undefined,
    (error: unknown) => codeOf(error),
  );
}

test('every eligible table gets its triggers, the others a reason; a second run changes nothing', async () => {
  await rig.run(
    'CREATE TABLE {src}.keyless (v INT)',
    'CREATE TABLE {src}.mem (id INT PRIMARY KEY) ENGINE=MEMORY',
    'CREATE TABLE {src}._a_gho (id INT PRIMARY KEY)',
    'CREATE TABLE {src}.oid (id INT PRIMARY KEY, _id INT)',
    'CREATE TABLE {src}.oid_key (_id INT PRIMARY KEY)',
    'CREATE TABLE {src}.skip_me (id INT PRIMARY KEY)',
    'CREATE VIEW {src}.view_a AS SELECT * FROM {src}.a',
  );
  const changes = { tables: { include: ['*'], exclude: ['skip*'] } };
  const report = await install(deps(changes));
  expect(report.tables.map((table) => [table.name, table.topic])).toEqual([
    ['a', `p3.${rig.source}.a`],
    ['b', `p3.${rig.source}.b`],
    ['oid_key', `p3.${rig.source}.oid_key`],
  ]);
  expect(Object.fromEntries(report.leftOut.map((entry) => [entry.table, entry.reason]))).toEqual({
    keyless: 'no-primary-key',
    mem: 'not-innodb',
    _a_gho: 'ghost-table',
    oid: 'column-named-id',
    skip_me: 'excluded',
  });
  expect(report.problems).toEqual([]);
  const installed = await triggers();
  expect(installed).toHaveLength(9);
  expect(await phases()).toEqual({ a: 'needed new-table', b: 'needed new-table', oid_key: 'needed new-table' });
  const runs = (await readCopies(rig.mysql, rig.state)).map((copy) => copy.run);
  expect(await install(deps(changes))).toEqual(report);
  expect(await triggers()).toEqual(installed);
  expect((await readCopies(rig.mysql, rig.state)).map((copy) => copy.run)).toEqual(runs);
});

test('two starters at once end in one installation', async () => {
  const reports = await Promise.all([install(deps()), install(deps()), install(deps())]);
  expect(new Set(reports.map((report) => JSON.stringify(report.tables))).size).toBe(1);
  expect(await triggers()).toHaveLength(6);
});

test('another pipeline, prefix or source on the same state database is refused by name, and nothing is touched', async () => {
  await install(deps());
  const before = await triggers();
  await expect(install(deps({ pipeline: 'other' }))).rejects.toThrow(/pipeline p3 \(here: other\)/);
  expect(await codeFrom(install(deps({ pipeline: 'other' })))).toBe('LS-STATE-OTHER-PIPELINE');
  const kafka = { ...rig.config.kafka, topicPrefix: 'elsewhere' };
  expect(await codeFrom(install(deps({ kafka })))).toBe('LS-STATE-OTHER-PIPELINE');
  expect(await codeFrom(uninstall(deps({ pipeline: 'other' })))).toBe('LS-STATE-OTHER-PIPELINE');
  expect(await triggers()).toEqual(before);
});

test('a clone is refused until it is adopted; then every table is copied again', async () => {
  await install(deps());
  await allDone();
  await rig.mysql.run(`UPDATE ${rig.state}.meta SET server_uuid = '00000000-0000-0000-0000-000000000000'`);
  expect(await codeFrom(install(deps()))).toBe('LS-SOURCE-CHANGED');
  expect(await codeFrom(watchTriggers(deps()))).toBe('LS-SOURCE-CHANGED');
  expect(await codeFrom(adoptSource(deps({ pipeline: 'other' })))).toBe('LS-STATE-OTHER-PIPELINE');
  await adoptSource(deps());
  await install(deps());
  expect(await phases()).toEqual({ a: 'needed source-changed', b: 'needed source-changed' });
  await watchTriggers(deps());
});

test('a table that another state database captures is refused, and nothing is written', async () => {
  await install(deps());
  const state = `${rig.state}_2`;
  const second = { ...rig.config, pipeline: 'second', mysql: { ...rig.config.mysql, stateDatabase: state } };
  expect(await codeFrom(install({ config: second, mysql: rig.mysql }))).toBe('LS-TABLE-CAPTURED-TWICE');
  expect(await databases()).toEqual([rig.state]);
  expect(await triggers()).toHaveLength(6);
});

test('a state database with someone else’s tables is refused', async () => {
  await rig.mysql.run(`CREATE DATABASE ${rig.state}`);
  await rig.mysql.run(`CREATE TABLE ${rig.state}.meta (id INT PRIMARY KEY)`);
  expect(await codeFrom(install(deps()))).toBe('LS-STATE-FOREIGN');
  expect(await triggers()).toEqual([]);
});

test('a database without any eligible table is refused with each reason', async () => {
  await expect(install(deps({ tables: { include: ['nothing'], exclude: [] } }))).rejects.toThrow(
    /a: the configuration/,
  );
  expect(await databases()).toEqual([]);
});

test('a run that was interrupted anywhere is completed by the next', async () => {
  await install(deps());
  const [first, second] = await triggers();
  for (const gone of [first, second]) await rig.run(`DROP TRIGGER {src}.\`${gone?.split(':')[1]}\``);
  await rig.mysql.run(`UPDATE ${rig.state}.copies SET phase = 'waiting'`);
  await rig.mysql.run(`DELETE FROM ${rig.state}.migrations`);
  await install(deps());
  expect(await triggers()).toHaveLength(6);
  expect(Object.values(await phases()).map((phase) => phase.split(' ')[0])).toEqual(['needed', 'needed']);
});

test('watch puts a missing trigger back, and the copy that this makes necessary is due', async () => {
  await install(deps());
  await allDone();
  const name = (await triggers())[0]?.split(':')[1] ?? '';
  expect(await watchTriggers(deps())).toMatchObject({ copies: [], changed: [], problems: [] });
  await rig.run(`DROP TRIGGER {src}.\`${name}\``);
  expect(await watchTriggers(deps())).toMatchObject({
    copies: [{ table: 'a', reason: 'trigger-gap' }],
    changed: ['a'],
  });
  expect(await phases()).toEqual({ a: 'needed trigger-gap', b: 'done new-table' });
  expect(await triggers()).toHaveLength(6);
});

test('watch replaces a trigger that was altered under its name', async () => {
  await install(deps());
  await allDone();
  const entry = (await triggers()).find((trigger) => trigger.includes('_u_')) ?? '';
  const name = entry.split(':')[1] ?? '';
  await rig.run(`DROP TRIGGER {src}.\`${name}\``);
  await rig.run(`CREATE TRIGGER {src}.\`${name}\` AFTER UPDATE ON {src}.a FOR EACH ROW SET @nothing = 1`);
  expect(await watchTriggers(deps())).toMatchObject({ copies: [{ table: 'a', reason: 'trigger-gap' }] });
  await rig.clearLog();
  await rig.run("INSERT INTO {src}.a VALUES (1,'x',1)", "UPDATE {src}.a SET v = 'y'");
  expect((await rig.log()).map((row) => row.op)).toEqual(['c', 'u']);
});

test('watch takes in a new table, lets a vanished one go, and follows the configuration', async () => {
  await install(deps());
  await allDone();
  await rig.run('CREATE TABLE {src}.c (id INT PRIMARY KEY)', 'DROP TABLE {src}.b');
  expect(await watchTriggers(deps())).toMatchObject({ copies: [{ table: 'c', reason: 'new-table' }], removed: ['b'] });
  const ids = new Map((await readCapturedTables(rig.mysql, rig.state)).map((table) => [table.name, table.id]));
  const excluding = { tables: { include: ['*'], exclude: ['a'] } };
  expect(await watchTriggers(deps(excluding))).toMatchObject({ removed: ['a'] });
  expect((await triggers()).every((trigger) => trigger.startsWith('c:'))).toBe(true);
  await watchTriggers(deps());
  expect(await phases()).toMatchObject({ a: 'needed trigger-gap' });
  // The change log may still name the table by the id it had.
  expect((await readCapturedTables(rig.mysql, rig.state)).find((table) => table.name === 'a')?.id).toBe(ids.get('a'));
});

test('a renamed table takes its triggers along: they are replaced, and both names are in order', async () => {
  await install(deps());
  await allDone();
  await rig.run('RENAME TABLE {src}.a TO {src}.z');
  expect(await watchTriggers(deps())).toMatchObject({ copies: [{ table: 'z', reason: 'new-table' }], removed: ['a'] });
  await rig.clearLog();
  await rig.run("INSERT INTO {src}.z VALUES (1,'x',1)");
  expect((await rig.log()).map((row) => [row.table, row.op])).toEqual([['z', 'c']]);
});

test('triggers that go between the plan and its work cost a copy', async () => {
  await rig.install();
  await rig.mysql.run(`UPDATE ${rig.state}.copies SET phase = 'done'`);
  await rig.run('ALTER TABLE {src}.a MODIFY w BIGINT NOT NULL');
  const deps = { config: rig.config, mysql: rig.mysql };
  const plan = await readPlan(deps);
  // As an online schema change does, which swaps in a table without them.
  for (const name of (await triggers()).filter((t) => t.startsWith('a:')))
    await rig.run(`DROP TRIGGER {src}.${name.slice(2)}`);
  await settleTables(deps, { ...plan, work: plan.work.map((work) => ({ ...work, copy: null })) });
  const due = (await readCopies(rig.mysql, rig.state)).filter(({ phase }) => phase !== 'done');
  expect(due.map(({ phase, reason }) => [phase, reason])).toEqual([['needed', 'trigger-gap']]);
});

test('a table that was captured before comes back as one whose changes were missed', async () => {
  await rig.install();
  const without = { config: { ...rig.config, tables: { include: ['b'], exclude: [] } }, mysql: rig.mysql };
  expect((await watchTriggers(without)).removed).toEqual(['a']);
  expect((await watchTriggers({ config: rig.config, mysql: rig.mysql })).changed).toEqual(['a']);
  const copies = await readCopies(rig.mysql, rig.state);
  expect(copies.map(({ reason }) => reason).toSorted()).toEqual(['new-table', 'trigger-gap']);
});

test('changed columns: a new definition and new triggers; a copy only where rows look different', async () => {
  await install(deps());
  await allDone();
  await rig.run('ALTER TABLE {src}.a MODIFY v VARCHAR(200) NULL');
  expect(await watchTriggers(deps())).toMatchObject({ copies: [], changed: ['a'] });
  await rig.run('ALTER TABLE {src}.a ADD x INT DEFAULT 5');
  expect(await watchTriggers(deps())).toMatchObject({ copies: [{ table: 'a', reason: 'columns-changed' }] });
  await rig.clearLog();
  await rig.run("INSERT INTO {src}.a VALUES (1,'x',1,2)");
  expect((await rig.log())[0]?.after).toBe('{"id":1,"v":"x","w":1,"x":2}');
  const [row] = await rig.mysql.rows(`SELECT COUNT(*) FROM ${rig.state}.definitions`);
  expect(row?.[0]).toBe(4);
});

test('a table that a long transaction holds is reported and left for the next look, without stalling its writers', async () => {
  const holder = await rig.mysql.session();
  await holder.run('START TRANSACTION');
  await holder.rows(`SELECT * FROM ${rig.source}.a`);
  let slowest = 0;
  let writing = true;
  const writer = (async () => {
    for (let id = 1; writing; id++) {
      const start = performance.now();
      await rig.mysql.run(`INSERT INTO ${rig.source}.a VALUES (?, 'x', 1)`, [id]);
      slowest = Math.max(slowest, performance.now() - start);
    }
  })();
  const report = await install(deps());
  writing = false;
  await writer;
  expect(report.problems.map((problem) => [problem.table, problem.code])).toEqual([['a', 'LS-MYSQL-LOCK-WAIT']]);
  expect(await phases()).toEqual({ a: 'waiting new-table', b: 'needed new-table' });
  // Far below a wait for the holder, however often it is tried; what else runs on the machine counts in as well.
  expect(slowest).toBeLessThan(2_000);
  await holder.run('COMMIT');
  await holder.close();
  expect(await watchTriggers(deps())).toMatchObject({ problems: [], changed: ['a'] });
  expect(await phases()).toEqual({ a: 'needed trigger-gap', b: 'needed new-table' });
}, 60_000);

test('uninstall removes triggers and state, and may be repeated', async () => {
  await install(deps());
  await rig.run('CREATE TRIGGER {src}.their_own AFTER INSERT ON {src}.a FOR EACH ROW SET @x = 1');
  expect(await uninstall(deps())).toEqual({ triggers: 6, stateDropped: true });
  expect(await triggers()).toEqual(['a:their_own']);
  expect(await databases()).toEqual([]);
  expect(await uninstall(deps())).toEqual({ triggers: 0, stateDropped: false });
  expect(await codeFrom(watchTriggers(deps()))).toBe('LS-NOT-INSTALLED');
});

test('a wish for a copy supersedes the one before', async () => {
  await install(deps());
  const [table] = await readCapturedTables(rig.mysql, rig.state);
  await requestCopy(rig.mysql, rig.state, { tableId: table!.id, run: 'r1', reason: 'asked' });
  await requestCopy(rig.mysql, rig.state, { tableId: table!.id, run: 'r2', reason: 'loss' });
  expect((await readCopies(rig.mysql, rig.state))[0]).toMatchObject({
    run: 'r2',
    phase: 'needed',
    reason: 'loss',
    after: null,
  });
});

test('what an earlier version installed is brought to the shape of this one at its first use, and once', async () => {
  const mysql = upgraded(rig.mysql);
  expect(await mysql.rows('SELECT 1')).toEqual([[1]]);
  expect(await databases()).toEqual([]);
  await install(deps());
  await rig.run(
    `ALTER TABLE ${rig.state}.copies DROP COLUMN last_key, DROP COLUMN last_run`,
    `DELETE FROM ${rig.state}.migrations WHERE number >= 9`,
  );
  expect(await codeFrom(readCopies(rig.mysql, rig.state))).toBe('LS-MYSQL-STATEMENT');
  const both = await Promise.all([readCopies(mysql, rig.state), readCopies(upgraded(rig.mysql), rig.state)]);
  expect(both.map((copies) => copies.length)).toEqual([2, 2]);
});

test('a table that cannot be read keeps no other from being captured', async () => {
  await rig.run('ALTER TABLE {src}.a DISCARD TABLESPACE');
  await install(deps());
  expect(await phases()).toEqual({ a: 'needed new-table', b: 'needed new-table' });
  await rig.run("INSERT INTO {src}.b VALUES (1, 'x')");
  expect((await rig.log()).map(({ key }) => key)).toEqual(['{"k":"x","id":1}']);
});

test('concurrent migrations are one', async () => {
  await Promise.all([1, 2, 3, 4].map(() => migrate(rig.mysql)));
  const rows = await rig.mysql.rows(`SELECT number FROM ${rig.state}.migrations`);
  expect(rows.length).toBeGreaterThan(0);
});

/** A user with exactly these rights; runs the check as it. */
async function checkAs(...grants: readonly string[]): Promise<readonly string[]> {
  const user = `p3_${randomBytes(4).toString('hex')}`;
  await rig.mysql.run(`CREATE USER ${user} IDENTIFIED BY 'secret'`);
  try {
    for (const grant of grants) await rig.run(`GRANT ${grant.replaceAll('{state}', rig.state)} TO ${user}`);
    const url = new URL(inject('stack').mysql.uri);
    url.username = user;
    url.password = 'secret';
    const problems = await checkMysql({ ...rig.config.mysql, uri: url.href });
    return problems.map((problem) => `${problem.severity} ${problem.code} ${problem.fix.split(' TO ')[0]}`);
  } finally {
    await rig.mysql.run(`DROP USER ${user}`);
  }
}

test('a user with the documented rights passes; a missing one is named with its GRANT', async () => {
  const state = 'SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX ON `{state}`.*';
  expect(await checkAs('SELECT, TRIGGER ON {src}.*', state, 'PROCESS ON *.*')).toEqual([]);
  expect(await checkAs('SELECT ON {src}.*', state, 'PROCESS ON *.*')).toEqual([
    `error LS-MYSQL-PRIVILEGE GRANT TRIGGER ON \`${rig.source}\`.*`,
  ]);
  expect(await checkAs('SELECT, TRIGGER ON {src}.*', state)).toEqual([
    'warning LS-MYSQL-PRIVILEGE GRANT PROCESS ON *.*',
  ]);
  expect((await checkAs()).map((problem) => problem.split(' ', 2).join(' '))).toContain('error LS-MYSQL-DATABASE');
});

test('with the documented rights alone a table is installed, written by an application without any, and copied', async () => {
  const [own, app] = [`p3_${randomBytes(4).toString('hex')}`, `p3_${randomBytes(4).toString('hex')}`];
  const as = (user: string): string => {
    const url = new URL(inject('stack').mysql.uri);
    url.username = user;
    url.password = 'secret';
    return url.href;
  };
  for (const user of [own, app]) await rig.mysql.run(`CREATE USER ${user} IDENTIFIED BY 'secret'`);
  await rig.run(
    `GRANT SELECT, TRIGGER ON {src}.* TO ${own}`,
    `GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX ON ${rig.state}.* TO ${own}`,
    `GRANT PROCESS ON *.* TO ${own}`,
    `GRANT SELECT, INSERT, UPDATE, DELETE ON {src}.* TO ${app}`,
    "INSERT INTO {src}.a VALUES (1,'before',1)",
  );
  const config = { ...rig.config, mysql: { ...rig.config.mysql, uri: as(own) } };
  const mysql = openMysql(config.mysql);
  const application = openMysql({ ...config.mysql, uri: as(app) });
  try {
    expect((await install({ config, mysql })).problems).toEqual([]);
    await application.run(`INSERT INTO ${rig.source}.a VALUES (2,'after',1)`);
    await application.run(`UPDATE ${rig.source}.a SET v = 'changed' WHERE id = 2`);
    const { run } = (await readCopies(mysql, rig.state))[0]!;
    const hooks = { beat: (): void => undefined };
    const outcome = await copyTable(
      { config, mysql, stores: [] },
      { table: 'a', run },
      new AbortController().signal,
      hooks,
    );
    // The row that came behind it is in the log already.
    expect(outcome).toEqual({ kind: 'copied', rows: 1, orphans: 0 });
    expect((await rig.log()).map((row) => row.op)).toEqual(['c', 'u', 'r']);
    expect(await watchTriggers({ config, mysql })).toMatchObject({ changed: [], problems: [] });
    expect(await uninstall({ config, mysql })).toEqual({ triggers: 6, stateDropped: true });
  } finally {
    await mysql.close();
    await application.close();
    for (const user of [own, app]) await rig.mysql.run(`DROP USER ${user}`);
  }
});

test('wrong password, unreachable server and unknown database are told apart', async () => {
  const uri = inject('stack').mysql.uri;
  const at = async (change: (url: URL) => void, database = rig.source): Promise<string | undefined> => {
    const url = new URL(uri);
    change(url);
    return (await checkMysql({ ...rig.config.mysql, uri: url.href, database }))[0]?.code;
  };
  expect(await at((url) => void (url.password = 'wrong'))).toBe('LS-MYSQL-ACCESS');
  expect(await at((url) => void (url.port = '1'))).toBe('LS-MYSQL-UNREACHABLE');
  expect(await at(() => undefined, 'no_such_database')).toBe('LS-MYSQL-DATABASE');
});
