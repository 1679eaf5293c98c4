/**
 * The witness beside real triggers: silent about everything that they log, exact about everything that they do not, whoever
 * is killed meanwhile, and plain about what it cannot know.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createConnection } from 'mysql2/promise';
import { afterEach, beforeEach, expect, inject, test } from 'vitest';
import type { Config } from '../../core/config.js';
import type { WitnessOutcome } from '../../core/outcome.js';
import { copyTable } from '../../stages/snapshot.js';
import { runWitness, type WitnessHooks } from '../../stages/witness.js';
import { asText } from '../../stores/mysql/cell.js';
import { readCopies, requestCopy } from '../../stores/mysql/copies.js';
import { readDefinition, readCapturedTables } from '../../stores/mysql/state.js';
import { rowJson, keyJson } from '../../stores/mysql/rowJson.js';
import { quoteTable } from '../../stores/mysql/quote.js';
import { readWitnessStatus } from '../../stores/mysql/witnessState.js';
import { packageRoot } from '../../temporal-compose/place.js';
import { until } from '../support/processes.js';
import { runWorkload } from '../support/workload.js';
import { workloadTables } from '../support/workloadTables.js';
import { createRig, eventually, type Rig } from './mysqlRig.js';

type Escaped = Parameters<WitnessHooks['escaped']>[0];

let rig: Rig;
beforeEach(async () => {
  rig = await createRig();
});
afterEach(async () => {
  await rig.drop();
});

interface Watch {
  readonly escaped: Escaped[];
  /** Times that a look was asked for. */
  looks: number;
  readonly done: Promise<WitnessOutcome>;
  stop(): Promise<WitnessOutcome>;
}

function watch(config: Config = rig.config): Watch {
  const abort = new AbortController();
  const escaped: Escaped[] = [];
  const nothing = (): void => undefined;
  const started: Watch = {
    escaped,
    looks: 0,
    done: runWitness({ config, mysql: rig.mysql }, abort.signal, {
      beat: nothing,
      lookNow: () => void (started.looks += 1),
      escaped: (escape) => void escaped.push(escape),
      witnessed: nothing,
    }),
    stop: async () => {
      abort.abort();
      return await started.done;
    },
  };
  started.done.catch(nothing);
  return started;
}

const family = [
  'CREATE TABLE {src}.parent (id INT PRIMARY KEY, v VARCHAR(20))',
  `CREATE TABLE {src}.child (id INT PRIMARY KEY, parent_id INT, v VARCHAR(20),
     FOREIGN KEY (parent_id) REFERENCES {src}.parent (id) ON DELETE CASCADE)`,
];

function isLockTimeout(error: unknown): false {
  if ((error as { errno?: number }).errno === 1205) return false;
  throw error;
}

test('says nothing of what triggers log: a workload, copies beside it, triggers that are exchanged', async () => {
  for (const { ddl } of workloadTables) await rig.run(ddl.replace('CREATE TABLE ', 'CREATE TABLE {src}.'));
  await rig.run(...family, "INSERT INTO {src}.parent VALUES (1, 'a')", "INSERT INTO {src}.child VALUES (7, 1, 'b')");
  await rig.install();
  const witness = watch();
  const abort = new AbortController();
  const uri = inject('stack').mysql.uri;
  const workload = runWorkload({ uri, database: rig.source, seed: 7, connections: 6, signal: abort.signal });
  for (const table of ['accounts', 'stock', 'codes']) await copy(table);
  // Another definition: new triggers stand beside the old ones for a moment, and log every change twice.
  // With short patience, again and again: what waits for long behind the workload's transactions holds them up in turn.
  const administrator = await createConnection({ uri, database: rig.source });
  await administrator.query('SET SESSION lock_wait_timeout = 1');
  for (const ddl of [
    'ALTER TABLE members ADD COLUMN late INT NOT NULL DEFAULT 7',
    'ALTER TABLE stock ADD COLUMN late INT',
  ]) {
    await until(ddl, () => administrator.query(ddl).then(() => true, isLockTimeout), { timeoutMs: 60_000 });
  }
  await administrator.end();
  await rig.install();
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  abort.abort();
  const { committed } = await workload;
  expect(committed).toBeGreaterThan(200);
  // What is behind all of it in the log has been seen: so everything before has.
  await rig.run('DELETE FROM {src}.parent WHERE id = 1');
  await until('the cascade is seen', () => Promise.resolve(witness.escaped.some(({ table }) => table === 'child')));
  expect(witness.escaped).toEqual([{ table: 'child', cause: 'foreign-key', keys: 1 }]);
  expect(witness.looks).toBeGreaterThan(0);
  expect(await witness.stop()).toEqual({ kind: 'stopped' });
});

test('says nothing of updates that print nothing new, and sees what escaped beside them', async () => {
  await rig.run(
    ...family,
    `CREATE TABLE {src}.odd (id INT PRIMARY KEY, parent_id INT, doc JSON, e ENUM('', 'a'), n INT,
       FOREIGN KEY (parent_id) REFERENCES {src}.parent (id) ON DELETE SET NULL)`,
    "INSERT INTO {src}.parent VALUES (1, 'a'), (2, 'b')",
    "INSERT INTO {src}.odd VALUES (1, 1, NULL, '', 0), (2, 2, NULL, '', 0)",
  );
  await rig.install();
  const witness = watch();
  const odd = `${rig.source}.odd`;
  // SQL NULL and the JSON value null are one in row JSON: MySQL has row events, and the log rows are twins byte by byte.
  await transaction(
    `UPDATE ${odd} SET doc = 'null' WHERE id = 1`,
    `UPDATE ${odd} SET doc = NULL WHERE id = 1`,
    `UPDATE ${odd} SET doc = 'null' WHERE id = 1`,
    `UPDATE ${odd} SET doc = doc WHERE id = 1`,
  );
  await transaction(`UPDATE IGNORE ${odd} SET e = 0 WHERE id = 1`, `UPDATE ${odd} SET e = ''`);
  await transaction(
    `INSERT INTO ${odd} VALUES (1, 1, NULL, '', 0) AS new ON DUPLICATE KEY UPDATE doc = new.doc`,
    `REPLACE INTO ${odd} VALUES (1, 1, CAST('null' AS JSON), '', 0), (1, 1, NULL, '', 0)`,
    `UPDATE ${odd} SET doc = '{"a":1}' WHERE id = 1`,
    `UPDATE ${odd} SET doc = '{"a":1.0}', n = n + 1 WHERE id = 1`,
  );
  await transaction(
    `UPDATE ${odd} SET n = n WHERE id = 2`,
    `UPDATE ${odd} SET doc = '{"b":1}' WHERE id = 2`,
    `UPDATE ${odd} SET doc = JSON_SET(doc, '$.b', 2) WHERE id = 2`,
    `DELETE FROM ${rig.source}.parent WHERE id = 2`,
  );
  await until('the cascade is seen', () => Promise.resolve(witness.escaped.length > 0));
  expect(witness.escaped).toEqual([{ table: 'odd', cause: 'foreign-key', keys: 1 }]);
  await until('it is healed', async () => (await misled('odd')).length === 0);
  await witness.stop();
});

test('killed at any moment, it misses no cascade among changes that triggers log', async () => {
  await rig.run(...family);
  await rig.install();
  const crew = await startCrew(rig.config);
  const app = await createConnection({ uri: inject('stack').mysql.uri, database: rig.source });
  try {
    for (let round = 1; round <= 40; round++) {
      const children = Array.from({ length: 10 }, (_, i) => [round * 100 + i, round, 'new']);
      await app.beginTransaction();
      await app.query('INSERT INTO parent VALUES (?, ?)', [round, 'p']);
      await app.query('INSERT INTO child VALUES ?', [children]);
      await app.query('UPDATE child SET v = ? WHERE parent_id = ? AND id % 3 = 0', ['changed', round]);
      await app.commit();
      // In one transaction: what is logged and what escapes, of the same key too.
      if (round % 2 === 0) {
        await app.beginTransaction();
        await app.query('UPDATE child SET v = ? WHERE id = ?', ['last words', round * 100]);
        await app.query('DELETE FROM parent WHERE id = ?', [round]);
        await app.commit();
      }
      if (round % 8 === 0) await crew.replace();
      await new Promise((resolve) => setTimeout(resolve, 40));
    }
    await until('the log tells of every row', async () => (await misled('child')).length === 0, { timeoutMs: 30_000 });
    expect(await misled('child')).toEqual([]);
    expect(crew.kills).toBeGreaterThan(3);
    // Each of them once, however often it was read.
    expect(await escapedKeys('child')).toBe(200);
  } finally {
    await app.end();
    await crew.stop();
  }
});

test('frozen for longer than its successor needs, and woken: nothing is missed and nothing counted twice', async () => {
  await rig.run(...family);
  await rig.install();
  const crew = await startCrew(rig.config);
  try {
    await deleteParent(1);
    await until('it is healed', async () => (await misled('child')).length === 0);
    crew.freeze();
    // On its way to the frozen one, which holds it in its socket.
    for (let id = 2; id <= 6; id++) await deleteParent(id);
    const frozen = crew.successor();
    await until('its successor heals', async () => (await misled('child')).length === 0, { timeoutMs: 30_000 });
    expect(await escapedKeys('child')).toBe(60);
    // As if it had slept for minutes.
    await rig.mysql.run(`UPDATE ${rig.state}.escapes SET last_at = last_at - INTERVAL 5 MINUTE`);
    frozen.kill('SIGCONT');
    await until('the frozen one has ended', () => Promise.resolve(frozen.exitCode !== null), { timeoutMs: 30_000 });
    await deleteParent(7);
    await until('it goes on', async () => (await escapedKeys('child')) >= 70);
    await until('all is healed', async () => (await misled('child')).length === 0);
    expect(await escapedKeys('child')).toBe(70);
  } finally {
    await crew.stop();
  }
});

test('what it reads again minutes later, since it died before its position moved, is healed again and counted once', async () => {
  await rig.run(...family);
  await rig.install();
  const row = `SELECT file, at_offset FROM ${rig.state}.witness`;
  const [[file = '', offset = 0] = []] = await rig.mysql.rows(row);
  const first = watch();
  for (let id = 1; id <= 3; id++) await deleteParent(id);
  await until('all is seen', async () => (await escapedKeys('child')) === 30);
  await first.stop();
  await rig.mysql.run(`UPDATE ${rig.state}.witness SET file = ?, at_offset = ?`, [file, offset]);
  await rig.mysql.run(`UPDATE ${rig.state}.escapes SET last_at = last_at - INTERVAL 5 MINUTE`);
  await rig.clearLog();
  const second = watch();
  await deleteParent(4);
  await until('all is healed again', async () => {
    const deleted = new Set(
      (await rig.log()).flatMap(({ op, key, before }) => (op === 'd' && before === null ? [key] : [])),
    );
    return deleted.size === 40;
  });
  await second.stop();
  expect(await escapedKeys('child')).toBe(40);
  expect(second.escaped).toEqual([{ table: 'child', cause: 'foreign-key', keys: 10 }]);
});

test.each([
  ['INT', 'RENAME COLUMN id TO ident'],
  ['DOUBLE', 'RENAME COLUMN id TO ident'],
  ['INT', 'MODIFY COLUMN a INT FIRST'],
])('rows from before a key of %s changed (%s) are read as they were', async (type, ddl) => {
  await rig.run(
    ...family,
    `CREATE TABLE {src}.t (id ${type} NOT NULL, a INT, PRIMARY KEY (id))`,
    "INSERT INTO {src}.parent VALUES (1, 'a')",
    "INSERT INTO {src}.child VALUES (7, 1, 'b')",
  );
  await rig.install();
  // Nobody watches: what comes next is read once the table is another one.
  await rig.run(
    'INSERT INTO {src}.t VALUES (1, 10), (2, 20)',
    'UPDATE {src}.t SET a = 30 WHERE id = 2',
    'DELETE FROM {src}.t WHERE id = 1',
    `ALTER TABLE {src}.t ${ddl}`,
  );
  await rig.install();
  await rig.run('INSERT INTO {src}.t VALUES (5, 6)', 'UPDATE {src}.t SET a = 31', 'DELETE FROM {src}.parent');
  const witness = watch();
  await until('the cascade is seen', () => Promise.resolve(witness.escaped.some(({ table }) => table === 'child')));
  expect(witness.escaped).toEqual([{ table: 'child', cause: 'foreign-key', keys: 1 }]);
  await witness.stop();
});

test('a binary log that is gone: every table is due for a copy, and it goes on from the end', async () => {
  await rig.run(...family);
  await rig.install();
  await rig.mysql.run(`UPDATE ${rig.state}.copies SET phase = 'done', finished_at = NOW(6)`);
  await rig.mysql.run(`UPDATE ${rig.state}.witness SET file = 'binlog.999999'`);
  const witness = watch();
  await until('it watches again', async () => {
    const row = await readWitnessStatus(rig.mysql, rig.state);
    return row?.state === 'watching' && row.position?.includes('999999') === false;
  });
  const copies = await readCopies(rig.mysql, rig.state);
  expect(copies.map(({ phase, reason }) => [phase, reason])).toEqual([
    ['needed', 'escaped'],
    ['needed', 'escaped'],
  ]);
  const { escapes } = (await readWitnessStatus(rig.mysql, rig.state)) ?? { escapes: [] };
  expect(escapes.map(({ cause, healedAt }) => [cause, healedAt])).toEqual([
    ['binlog-lost', null],
    ['binlog-lost', null],
  ]);
  await witness.stop();
});

test('stands down without the right to read the log, and begins once it is granted', async () => {
  await rig.run(...family);
  await rig.install();
  const user = rig.source.slice(0, 30);
  await rig.mysql.run(`CREATE USER '${user}'@'%' IDENTIFIED BY 'secret-7'`);
  try {
    for (const database of [rig.source, rig.state])
      await rig.mysql.run(`GRANT ALL ON \`${database}\`.* TO '${user}'@'%'`);
    const uri = new URL(rig.config.mysql.uri);
    uri.username = user;
    uri.password = 'secret-7';
    const config = { ...rig.config, mysql: { ...rig.config.mysql, uri: uri.href } };
    const { openMysql } = await import('../../stores/mysql/connection.js');
    const mysql = openMysql(config.mysql, { connections: 2 });
    const hooks = {
      beat: () => undefined,
      lookNow: () => undefined,
      escaped: () => undefined,
      witnessed: () => undefined,
    };
    const refused = await runWitness({ config, mysql }, new AbortController().signal, hooks);
    expect(refused).toMatchObject({
      kind: 'stands-down',
      reason: expect.stringContaining('REPLICATION SLAVE') as string,
    });
    expect((await readWitnessStatus(rig.mysql, rig.state))?.state).toBe('standing-down');
    await rig.mysql.run(`GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO '${user}'@'%'`);
    const abort = new AbortController();
    const watching = runWitness({ config, mysql }, abort.signal, hooks);
    await until('it watches', async () => (await readWitnessStatus(rig.mysql, rig.state))?.state === 'watching');
    abort.abort();
    expect(await watching).toEqual({ kind: 'stopped' });
    await mysql.close();
  } finally {
    await rig.mysql.run(`DROP USER '${user}'@'%'`);
  }
});

test('switched off, it says so', async () => {
  await rig.run(...family);
  await rig.install();
  expect(await watch({ ...rig.config, witness: false }).done).toEqual({ kind: 'off' });
  expect((await readWitnessStatus(rig.mysql, rig.state))?.state).toBe('off');
});

test('compressed transactions are read', async () => {
  await rig.run(
    ...family,
    "INSERT INTO {src}.parent VALUES (1, 'a')",
    "INSERT INTO {src}.child VALUES (7, 1, 'b'), (8, 1, 'c')",
  );
  await rig.install();
  const witness = watch();
  const session = await rig.mysql.session();
  await session.run('SET SESSION binlog_transaction_compression = ON');
  await session.run(`UPDATE ${rig.source}.child SET v = 'seen'`);
  await session.run(`DELETE FROM ${rig.source}.parent`);
  session.destroy();
  await until('the cascade is seen', () => Promise.resolve(witness.escaped.length > 0));
  expect(witness.escaped).toEqual([{ table: 'child', cause: 'foreign-key', keys: 2 }]);
  await witness.stop();
});

test('cascades that fire triggers (enable_cascade_triggers) have their log rows', async () => {
  await rig.run(
    ...family,
    "INSERT INTO {src}.parent VALUES (1, 'a'), (2, 'b')",
    "INSERT INTO {src}.child VALUES (7, 1, 'b'), (8, 1, 'c'), (9, 2, 'd')",
  );
  await rig.install();
  const witness = watch();
  const session = await rig.mysql.session();
  await session.run('SET SESSION enable_cascade_triggers = ON');
  await session.run(`DELETE FROM ${rig.source}.parent WHERE id = 1`);
  await session.run('SET SESSION enable_cascade_triggers = OFF');
  await session.run(`DELETE FROM ${rig.source}.parent WHERE id = 2`);
  session.destroy();
  await until('the cascade is seen', () => Promise.resolve(witness.escaped.length > 0));
  expect(witness.escaped).toEqual([{ table: 'child', cause: 'foreign-key', keys: 1 }]);
  await witness.stop();
});

async function transaction(...statements: readonly string[]): Promise<void> {
  await rig.mysql.transaction(async (queries) => {
    for (const statement of statements) await queries.run(statement);
  });
}

/** With its ten children. */
async function deleteParent(id: number): Promise<void> {
  const children = Array.from({ length: 10 }, (_, i) => `(${id * 100 + i}, ${id}, 'c')`).join(', ');
  await rig.run(`INSERT INTO {src}.parent VALUES (${id}, 'p')`, `INSERT INTO {src}.child VALUES ${children}`);
  await rig.run(`DELETE FROM {src}.parent WHERE id = ${id}`);
}

async function escapedKeys(table: string): Promise<number> {
  const { escapes } = (await readWitnessStatus(rig.mysql, rig.state)) ?? { escapes: [] };
  return escapes.reduce((sum, { table: of, keys }) => sum + (of === table ? (keys ?? 0) : 0), 0);
}

async function copy(table: string): Promise<void> {
  const captured = (await readCapturedTables(rig.mysql, rig.state)).find(({ name }) => name === table);
  const run = `copy-of-${table}`;
  await requestCopy(rig.mysql, rig.state, { tableId: captured?.id ?? 0, run, reason: 'asked' });
  const beat = (): void => undefined;
  await copyTable({ config: rig.config, mysql: rig.mysql, stores: [] }, { table, run }, new AbortController().signal, {
    beat,
  });
}

/** Keys of which the change log, read to its end, tells something else than the table. */
async function misled(table: string): Promise<readonly string[]> {
  const captured = (await readCapturedTables(rig.mysql, rig.state)).find(({ name }) => name === table);
  const definition = await readDefinition(rig.mysql, rig.state, captured?.definition ?? '');
  if (captured === undefined || definition === null) throw new Error(`${table} is not captured`);
  const told = new Map<string, string>();
  for (const { table: of, op, key, after } of await rig.log()) {
    if (of !== table || key === null) continue;
    if (op === 'd') told.delete(key);
    else told.set(key, after ?? '');
  }
  const rows = await rig.mysql.rows(
    `SELECT ${keyJson(definition, 't')}, ${rowJson(definition, 't')} FROM ${quoteTable(rig.source, table)} t`,
  );
  const there = new Map(rows.map((row) => [asText(row[0]), asText(row[1])]));
  return [...new Set([...told.keys(), ...there.keys()])].filter((key) => told.get(key) !== there.get(key));
}

interface Crew {
  kills: number;
  /** kill -9, and another one at once. */
  replace(): Promise<void>;
  freeze(): void;
  /** Starts another one beside; the one that was, still frozen. */
  successor(): ChildProcess;
  stop(): Promise<void>;
}

/** Witnesses as processes: from the build. */
async function startCrew(config: Config): Promise<Crew> {
  const folder = await mkdtemp(join(tmpdir(), 'lockstep-witness-'));
  const file = join(folder, 'config.json');
  await writeFile(file, JSON.stringify(config), { mode: 0o600 });
  const program = join(packageRoot(), 'dist', 'test', 'support', 'witnessProcess.js');
  if (!existsSync(program)) throw new Error(`${program} is missing: npm run build`);
  const start = (): ChildProcess =>
    spawn(process.execPath, [program, file], { stdio: ['ignore', 'ignore', 'inherit'] });
  let child = start();
  const left: ChildProcess[] = [];
  const killed = async (one = child): Promise<void> => {
    if (one.exitCode !== null || one.signalCode !== null) return;
    const gone = new Promise((resolve) => one.once('exit', resolve));
    one.kill('SIGKILL');
    await gone;
  };
  const crew: Crew = {
    kills: 0,
    async replace() {
      await eventually(async () =>
        (await readWitnessStatus(rig.mysql, rig.state))?.state === 'watching' ? true : undefined,
      );
      await killed();
      crew.kills += 1;
      child = start();
    },
    freeze: () => void child.kill('SIGSTOP'),
    successor() {
      const before = child;
      left.push(before);
      child = start();
      return before;
    },
    async stop() {
      for (const one of [child, ...left]) await killed(one);
      await rm(folder, { recursive: true, force: true });
    },
  };
  return crew;
}
