/** DDL run by lockstep: prepared, followed, told before; and a process killed after any step of it is gone on with. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { MongoClient } from 'mongodb';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import type { Definition } from '../../core/definition.js';
import { codeOf } from '../../core/errors.js';
import { describeChanges } from '../../core/schemaChange.js';
import type { Store } from '../../core/store.js';
import { install } from '../../stages/install.js';
import { applySchema, type ApplyStep } from '../../stages/schemaApply.js';
import { planStatement, readFile } from '../../stages/schemaPlan.js';
import { watchTriggers } from '../../stages/watch.js';
import { openMongoStore } from '../../stores/mongo/store.js';
import { asText } from '../../stores/mysql/cell.js';
import { readChanges } from '../../stores/mysql/schemaHistory.js';
import { packageRoot } from '../../temporal-compose/place.js';
import { createRig, type Rig } from './mysqlRig.js';

let rig: Rig;

beforeEach(async () => {
  rig = await createRig();
  await rig.run(
    'CREATE TABLE {src}.t (id INT PRIMARY KEY, v VARCHAR(20), gone INT, n INT)',
    "INSERT INTO {src}.t VALUES (1, 'one', 1, 1)",
  );
  await rig.install();
  await rig.mysql.run(`UPDATE ${rig.state}.copies SET phase = 'done'`);
});

afterEach(() => rig.drop());

const choice = { again: false, patienceMs: 10_000 };

function run(text: string, options = choice, onStep: (step: ApplyStep) => Promise<void> | void = () => undefined) {
  const deps = { config: rig.config, mysql: rig.mysql, owner: rig.mysql, stores: [] };
  return applySchema(deps, text, options, { step: (step) => void onStep(step) });
}

async function columns(table: string): Promise<string[]> {
  const rows = await rig.mysql.rows(
    'SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION',
    [rig.source, table],
  );
  return rows.map((row) => asText(row[0]));
}

async function history(table: string): Promise<string[]> {
  const changes = await readChanges(rig.mysql, rig.state, { table, limit: 100 });
  return changes.toReversed().map(({ changes: list }) => describeChanges(list));
}

test('the plan tells what would be, and touches nothing', async () => {
  const known = new Map<string, Definition | null>();
  const file = `ALTER TABLE t DROP gone, ADD x INT DEFAULT 1; ALTER TABLE t MODIFY v VARCHAR(40);
    CREATE TABLE made (id INT PRIMARY KEY); CREATE INDEX i ON t (n); DROP TABLE t`;
  const plans = [];
  for (const statement of readFile(file, rig.source)) {
    plans.push(await planStatement({ config: rig.config, mysql: rig.mysql }, statement, known));
  }
  expect(plans.map(({ changes }) => changes)).toEqual([
    'column gone dropped (int); column x added (int)',
    '',
    'created',
    '',
    'dropped',
  ]);
  expect(plans[0]?.algorithm).toBe('instant');
  expect(plans[0]?.steps).toEqual([
    'triggers without gone',
    'the statement',
    'triggers of the new definition',
    'a copy of about 1 rows through the log',
  ]);
  expect(await columns('t')).toEqual(['id', 'v', 'gone', 'n']);
  const left = await rig.mysql.rows(
    "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_NAME LIKE 'plan%'",
    [rig.state],
  );
  expect(left).toEqual([]);
});

test.each([
  ['evolve', 'MODIFY id VARCHAR(40) COLLATE utf8mb4_bin', 'a copy of about 0 rows through the log'],
  ['pause', 'MODIFY id VARCHAR(40) COLLATE utf8mb4_bin', 'a copy of about 0 rows through the log'],
  ['ignore', 'MODIFY id VARCHAR(40) COLLATE utf8mb4_bin', 'a copy of about 0 rows through the log'],
  ['evolve', 'MODIFY v VARCHAR(40) COLLATE utf8mb4_bin', 'no copy: rows look the same'],
  ['ignore', 'MODIFY v INT', 'no copy: the policy is ignore'],
  ['pause', 'MODIFY v INT', 'the table is held: the stores follow after lockstep resume'],
  ['ignore', 'MODIFY id VARBINARY(40)', 'the table is held: the stores follow after lockstep resume'],
  [
    'evolve',
    'MODIFY id VARBINARY(40)',
    'what lies under the old key is deleted, then a copy of about 0 rows through the log',
  ],
] as const)('under %s the plan of %s ends with: %s', async (policy, change, last) => {
  await rig.run('CREATE TABLE {src}.k (id VARCHAR(40) COLLATE utf8mb4_0900_ai_ci PRIMARY KEY, v VARCHAR(40))');
  const config = { ...rig.config, overrides: { k: { schema: { policy } } } };
  await install({ config, mysql: rig.mysql });
  const [statement] = readFile(`ALTER TABLE k ${change}`, rig.source);
  const plan = await planStatement({ config, mysql: rig.mysql }, statement!, new Map());
  expect(plan.steps.at(-1)).toBe(last);
});

test('what a statement takes away is out of the triggers before: no change is logged by its key alone', async () => {
  let n = 10;
  const write = async (): Promise<void> => {
    n += 1;
    await rig.run(`INSERT INTO {src}.t (id, n) VALUES (${n}, ${n})`);
  };
  const writes: Promise<void>[] = [];
  await run('ALTER TABLE t DROP gone; ALTER TABLE t RENAME COLUMN v TO w, ADD v2 INT', choice, () => {
    writes.push(write());
  });
  await Promise.all(writes);
  const log = await rig.log();
  expect(log.length).toBe(writes.length);
  expect(log.filter(({ op }) => op === '?')).toEqual([]);
  expect(await columns('t')).toEqual(['id', 'w', 'n', 'v2']);
});

test('each statement is followed before the next: tables, triggers, history', async () => {
  const result = await run(
    'CREATE TABLE made (id INT PRIMARY KEY, a INT); ALTER TABLE made ADD b INT; RENAME TABLE made TO other',
  );
  expect(result).toEqual({ statements: 3, before: 0, tables: ['made', 'other'] });
  await rig.run('INSERT INTO {src}.other VALUES (1, 2, 3)');
  expect((await rig.log()).at(-1)?.after).toBe('{"id":1,"a":2,"b":3}');
  expect(await history('made')).toEqual(['table created', 'column b added (int)', 'table renamed from made to other']);
  expect(
    await run('CREATE TABLE made (id INT PRIMARY KEY, a INT); ALTER TABLE made ADD b INT; RENAME TABLE made TO other'),
  ).toMatchObject({ before: 3 });
});

test('what MySQL refuses stops the file with the statement named; corrected, it goes on behind it', async () => {
  const bad = 'ALTER TABLE t ADD a INT; ALTER TABLE t DROP nothing';
  await expect(run(bad)).rejects.toThrow(/ALTER TABLE t DROP nothing: .*nothing/);
  expect(await columns('t')).toContain('a');
  expect(await run(bad).catch((error: unknown) => codeOf(error))).toBe('LS-SCHEMA-APPLY');
  const usage = (text: string): Promise<unknown> => run(text).catch((error: unknown) => codeOf(error));
  expect(await usage('UPDATE t SET n = 1')).toBe('LS-USAGE');
  expect(await usage('ALTER TABLE elsewhere.t ADD x INT')).toBe('LS-USAGE');
  expect(await usage('')).toBe('LS-USAGE');
});

test('a table that a transaction holds is waited for, giving way to its writers', async () => {
  const session = await rig.mysql.session();
  await session.run('START TRANSACTION');
  await session.run(`UPDATE ${rig.source}.t SET n = 2 WHERE id = 1`);
  const short = run('ALTER TABLE t ADD a INT', { again: false, patienceMs: 500 });
  await expect(short).rejects.toThrow(/ALTER TABLE t ADD a INT/);
  await session.run('COMMIT');
  session.destroy();
  await run('ALTER TABLE t ADD a INT');
  expect(await columns('t')).toContain('a');
});

test('a collection that a transaction holds, as one of a killed process, is waited for', async () => {
  const { uri } = inject('stack').mongo;
  const mongo = { uri, database: rig.source, stateDatabase: `${rig.source}_state`, tls: null };
  const store = openMongoStore(mongo, rig.config.pipeline);
  const client = new MongoClient(uri);
  const collection = client.db(rig.source).collection('t');
  await client.db(rig.source).createCollection('t');
  const holder = client.startSession();
  holder.startTransaction();
  await collection.insertOne({ n: 1 }, { session: holder });
  const tries: boolean[] = [];
  const observed: Pick<Store, 'name' | 'prepareTables'> = {
    name: 'mongo',
    async prepareTables(forms) {
      const found = await store.prepareTables(forms);
      tries.push(...found.map(({ held }) => held));
      if (holder.inTransaction()) await holder.abortTransaction();
      return found;
    },
  };
  try {
    const deps = { config: { ...rig.config, mongo }, mysql: rig.mysql, owner: rig.mysql, stores: [observed] };
    await applySchema(deps, 'ALTER TABLE t ADD a INT', choice, { step: () => undefined });
    expect(tries).toEqual([true]);
    const [info] = await client.db(rig.source).listCollections({ name: 't' }).toArray();
    expect(JSON.stringify(info)).toContain('$jsonSchema');
  } finally {
    await holder.endSession();
    await client.db(rig.source).dropDatabase();
    await client.close();
    await store.close();
  }
});

describe('killed after', () => {
  const steps: readonly ApplyStep[] = ['planned', 'noted', 'prepared', 'altered', 'followed', 'recorded'];
  const text = 'ALTER TABLE t DROP gone, ADD x INT; ALTER TABLE t RENAME COLUMN x TO y';

  test.each(steps)(
    '%s: the same file goes on, each statement runs once, and a look alone would mend it',
    async (step) => {
      expect(await inChild(step)).toBe('');
      // What the pipeline would do if nobody ever came back.
      const isPaused = (): boolean => false;
      await watchTriggers({ config: rig.config, mysql: rig.mysql, isPaused });
      await rig.clearLog();
      await rig.run('INSERT INTO {src}.t (id, n) VALUES (5, 5)');
      const after = JSON.parse((await rig.log()).at(-1)?.after ?? '') as object;
      expect(Object.keys(after)).toEqual(await columns('t'));
      expect(JSON.parse(await inChild(null))).toMatchObject({ statements: 2 });
      expect(await columns('t')).toEqual(['id', 'v', 'n', 'y']);
      expect((await watchTriggers({ config: rig.config, mysql: rig.mysql })).changed).toEqual([]);
      expect(JSON.parse(await inChild(null))).toMatchObject({ before: 2 });
    },
  );

  /** What it prints; nothing when it was killed. */
  async function inChild(dieAfter: ApplyStep | null): Promise<string> {
    const child = join(packageRoot(), 'dist', 'test', 'store', 'schemaApplyChild.js');
    expect(existsSync(child), 'npm run build first').toBe(true);
    const job = JSON.stringify({ config: rig.config, text, dieAfter, index: 0 });
    const running = spawn(process.execPath, [child, job], { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    running.stdout.on('data', (data: Buffer) => (output += data.toString()));
    await new Promise((resolve) => running.on('exit', resolve));
    return output;
  }
});
