/** Tables change in every way while applications write to them: nothing fails, nothing is lost, and the stores follow. */
import { Redis } from 'ioredis';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { MongoClient } from 'mongodb';
import { createConnection, type RowDataPacket } from 'mysql2/promise';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { SchemaView } from '../../stages/schemaView.js';
import { differencesWithin } from '../support/convergence.js';
import { createPipeline } from '../support/pipeline.js';
import type { Pipeline } from '../support/pipeline.js';
import { until } from '../support/processes.js';
import { startTraffic } from '../support/schemaTraffic.js';

const stack = inject('stack');
let pipeline: Pipeline;
let mongo: MongoClient;

beforeAll(async () => {
  pipeline = await createPipeline(stack, {
    label: 'ddl',
    tables: { exclude: ['away'] },
    overrides: {
      held: { schema: { policy: 'pause' } },
      kept: { schema: { policy: 'ignore' } },
      indexed: { schema: { indexes: 'mirror' } },
    },
  });
  mongo = await MongoClient.connect(stack.mongo.uri);
  await pipeline.root.query(`
    CREATE TABLE busy (id INT PRIMARY KEY, n INT, gone VARCHAR(9) DEFAULT 'g', old_name TEXT, d DOUBLE DEFAULT 0.5);
    CREATE TABLE swapped (id INT PRIMARY KEY, n INT);
    CREATE TABLE rekeyed (id INT PRIMARY KEY, code VARCHAR(20) NOT NULL, n INT);
    CREATE TABLE held (id INT PRIMARY KEY, n INT);
    CREATE TABLE kept (id INT PRIMARY KEY, n INT);
    CREATE TABLE indexed (id INT PRIMARY KEY, a INT, b VARCHAR(20), UNIQUE KEY ab (a, b DESC));
    INSERT INTO busy (id, n) VALUES (1, 1), (2, 2);
    INSERT INTO swapped VALUES (1, 1), (2, 2), (3, 3);
    INSERT INTO rekeyed VALUES (1, 'one', 1), (2, 'two', 2), (3, 'three', 3);
    INSERT INTO held VALUES (1, 1), (2, 2);
    INSERT INTO kept VALUES (1, 1), (2, 2);
    CREATE TABLE planned (id INT PRIMARY KEY, n INT, gone VARCHAR(9) DEFAULT 'g', old_name VARCHAR(20) DEFAULT 'o');
    CREATE TABLE leaving (id INT PRIMARY KEY);
    INSERT INTO planned (id, n) VALUES (1, 1), (2, 2);
    INSERT INTO leaving VALUES (1);
    CREATE TABLE calm (id INT PRIMARY KEY, n INT);
    CREATE TABLE doomed (id INT PRIMARY KEY, n INT);
    INSERT INTO calm VALUES (1, 1);
    INSERT INTO doomed WITH RECURSIVE seq (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM seq WHERE id < 900) SELECT id, id FROM seq;
    INSERT INTO indexed VALUES (1, 1, 'x'), (2, 2, 'y');
  `);
  pipeline.worker();
  await pipeline.run('start', '--wait');
});

afterAll(async () => {
  await mongo.close();
  await pipeline.remove();
});

async function view(table: string): Promise<SchemaView> {
  return JSON.parse((await pipeline.run('schema', '--table', table, '--json')).stdout) as SchemaView;
}

/**
 * Until the newest change of the table is of this kind. Called right after the statement: prints how long it took. Asks MySQL
 * and not the command line: a process started twenty times a second is a load that slows what is waited for.
 */
async function noticed(table: string, kind: string, timeoutMs = 30_000): Promise<void> {
  const changedAt = Date.now();
  await until(
    `${kind} of ${table} is in the history`,
    async () => {
      const [newest] = await historyOf(table);
      if (newest === undefined || !newest.kinds.includes(kind)) return false;
      console.log(`${kind} of ${table}: noticed after ${newest.at - changedAt} ms`);
      return true;
    },
    { timeoutMs },
  ).catch(async (error: unknown) => {
    const { stdout } = await pipeline.run('schema', '--json', '--limit', '6');
    const { changes } = JSON.parse(stdout) as SchemaView;
    throw new Error(`${String(error)}: ${JSON.stringify(changes)}`, { cause: error });
  });
}

/** The newest first; `at` in milliseconds by MySQL's clock. */
async function historyOf(table: string): Promise<readonly { readonly kinds: string[]; readonly at: number }[]> {
  const [rows] = await pipeline.root.query<RowDataPacket[]>(
    `SELECT changes, CAST(UNIX_TIMESTAMP(noticed_at) * 1000 AS UNSIGNED) at FROM ${pipeline.stateDatabase}.schema_changes
      WHERE table_name = ? ORDER BY id DESC`,
    [table],
  );
  return rows.map((row) => ({
    kinds: (JSON.parse(String(row['changes'])) as { kind: string }[]).map(({ kind }) => kind),
    at: Number(row['at']),
  }));
}

/** As a migration tool does it: MySQL may take an ALTER for the victim where a trigger is dropped that moment (docs/mysql.md). */
async function alter(table: string, change: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await pipeline.root.query(`ALTER TABLE ${table} ${change}`);
      return;
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'ER_LOCK_DEADLOCK' || attempt === 3) throw error;
      console.log(`ALTER TABLE ${table} ${change}: deadlock`);
      await sleep(200);
    }
  }
}

async function differences(): Promise<readonly string[]> {
  // What gh-ost leaves behind is not captured.
  return await differencesWithin({ ...pipeline.targets(), exclude: ['away', '_swapped_del'] }, 90_000);
}

test(
  'columns come, go, are renamed and change their type under writers: no statement fails, all is followed',
  { timeout: 400_000 },
  async () => {
    const traffic = startTraffic(pipeline, 'busy', 4);
    const ddl: readonly (readonly [string, string])[] = [
      ["ADD COLUMN fresh VARCHAR(20) DEFAULT 'new'", 'column-added'],
      ['DROP COLUMN gone', 'column-dropped'],
      ['RENAME COLUMN old_name TO new_name', 'column-renamed'],
      ['MODIFY d VARCHAR(40)', 'column-changed'],
      ['CONVERT TO CHARACTER SET latin1', 'column-changed'],
    ];
    try {
      for (const [change, kind] of ddl) {
        await alter('busy', change);
        await noticed('busy', kind);
      }
    } finally {
      await traffic.stop();
    }
    expect(traffic.failures).toEqual([]);
    expect(traffic.statements()).toBeGreaterThan(50);
    expect(await differences()).toEqual([]);
    const document = await mongo
      .db(pipeline.database)
      .collection('busy')
      .findOne({ _id: 1 as never });
    expect(Object.keys(document ?? {})).toEqual(['_id', 'id', 'n', 'new_name', 'd', 'fresh']);
    const checked = await pipeline.cli('schema', 'check', '--table', 'busy', '--json');
    expect([checked.code, checked.stdout]).toEqual([0, '{"tables":1,"disagreements":[]}\n']);
  },
);

test('the key changes: rows leave their old keys, and none is lost', { timeout: 240_000 }, async () => {
  const traffic = startTraffic(pipeline, 'rekeyed', 2);
  await alter('rekeyed', 'DROP PRIMARY KEY, ADD PRIMARY KEY (code)');
  await noticed('rekeyed', 'key-changed');
  await alter('rekeyed', 'DROP PRIMARY KEY, ADD PRIMARY KEY (code, id)');
  await noticed('rekeyed', 'key-changed');
  await traffic.stop();
  expect(traffic.failures).toEqual([]);
  expect(await differences()).toEqual([]);
});

test('a table is swapped as gh-ost does it, and as pt-online-schema-change does it', { timeout: 240_000 }, async () => {
  const traffic = startTraffic(pipeline, 'swapped', 2);
  await pipeline.root.query(`
    CREATE TABLE _swapped_gho LIKE swapped;
    ALTER TABLE _swapped_gho ADD extra INT DEFAULT 7;
    LOCK TABLES swapped WRITE, _swapped_gho WRITE;
    INSERT INTO _swapped_gho (id, n) SELECT id, n FROM swapped;
    RENAME TABLE swapped TO _swapped_del, _swapped_gho TO swapped;
    UNLOCK TABLES`);
  await noticed('swapped', 'column-added');
  await pipeline.root.query(`
    CREATE TABLE _swapped_new LIKE swapped;
    ALTER TABLE _swapped_new DROP COLUMN extra;
    CREATE TRIGGER pt_osc_del AFTER DELETE ON swapped FOR EACH ROW DELETE IGNORE FROM _swapped_new WHERE id <=> OLD.id;
    CREATE TRIGGER pt_osc_upd AFTER UPDATE ON swapped FOR EACH ROW REPLACE INTO _swapped_new (id, n) VALUES (NEW.id, NEW.n);
    CREATE TRIGGER pt_osc_ins AFTER INSERT ON swapped FOR EACH ROW REPLACE INTO _swapped_new (id, n) VALUES (NEW.id, NEW.n);
    INSERT LOW_PRIORITY IGNORE INTO _swapped_new (id, n) SELECT id, n FROM swapped LOCK IN SHARE MODE;
    RENAME TABLE swapped TO _swapped_old, _swapped_new TO swapped;
    DROP TABLE _swapped_old`);
  await noticed('swapped', 'column-dropped');
  await traffic.stop();
  expect(traffic.failures).toEqual([]);
  expect(await differences()).toEqual([]);
});

test('tables are renamed, dropped and created', { timeout: 240_000 }, async () => {
  await pipeline.root.query('CREATE TABLE young (id INT PRIMARY KEY, n INT)');
  await noticed('young', 'table-created');
  await pipeline.root.query('INSERT INTO young VALUES (1, 1)');
  await pipeline.root.query('RENAME TABLE young TO grown');
  await noticed('grown', 'table-renamed');
  await pipeline.root.query('INSERT INTO grown VALUES (2, 2)');
  expect(await differences()).toEqual([]);
  await pipeline.root.query('DROP TABLE grown');
  await noticed('grown', 'table-dropped');
});

test(
  'a change is in the history within 5 s, however long the looks take that go on meanwhile',
  { timeout: 240_000 },
  async () => {
    const holder = await createConnection({
      uri: stack.mysql.uri,
      database: pipeline.database,
      multipleStatements: true,
    });
    const stuck = Array.from({ length: 8 }, (_, i) => `stuck${i}`);
    try {
      // Their triggers wait for this transaction, table after table, a second or two each.
      await holder.query(
        `${stuck.map((name) => `CREATE TABLE ${name} (id INT PRIMARY KEY);`).join('')} BEGIN; ` +
          stuck.map((name) => `SELECT * FROM ${name};`).join(''),
      );
      await noticed('stuck7', 'table-created');
      await alter('calm', 'ADD x INT');
      await noticed('calm', 'column-added', 5_000);
      await pipeline.root.query('RENAME TABLE calm TO calmer');
      await noticed('calmer', 'table-renamed', 5_000);
      await pipeline.root.query('DROP TABLE calmer');
      await noticed('calmer', 'table-dropped', 5_000);
      const [triggers] = await pipeline.root.query<RowDataPacket[]>(
        'SELECT COUNT(*) n FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = ? AND EVENT_OBJECT_TABLE IN (?)',
        [pipeline.database, stuck],
      );
      expect(Number(triggers[0]?.['n'])).toBeLessThan(stuck.length * 3);
    } finally {
      await holder.end();
    }
    expect(await differences()).toEqual([]);
  },
);

test(
  'a dropped table leaves both stores, through a kill -9 on the way, and may come back',
  { timeout: 240_000 },
  async () => {
    const redis = new Redis(stack.redis.uri);
    const collection = mongo.db(pipeline.database).collection('doomed');
    const keys = async (): Promise<number> => (await redis.keys(`${pipeline.name}:doomed:*`)).length;
    try {
      expect([await collection.countDocuments(), await keys()]).toEqual([900, 900]);
      await pipeline.root.query('DROP TABLE doomed');
      await until('its going has begun', async () => (await phaseOf('doomed')) === 'clear', { everyMs: 5 });
      await pipeline.workers[0]?.kill();
      pipeline.worker();
      // The look that the kill broke off times out first, then the next is due.
      const patience = { timeoutMs: 90_000 };
      await until('it has left MongoDB', async () => (await collection.countDocuments()) === 0, patience);
      await until('it has left Redis', async () => (await keys()) === 0, patience);
      await until('nothing is left to do', async () => (await phaseOf('doomed')) === null, patience);
      expect((await historyOf('doomed'))[0]?.kinds).toEqual(['table-dropped']);
      await pipeline.root.query(
        "CREATE TABLE doomed (code VARCHAR(9) PRIMARY KEY); INSERT INTO doomed VALUES ('back'), ('1')",
      );
      await noticed('doomed', 'table-created');
      expect(await differences()).toEqual([]);
      expect([await collection.countDocuments(), await keys()]).toEqual([2, 2]);
    } finally {
      redis.disconnect();
    }
  },
);

/** Of the table's copy; null where there is none. */
async function phaseOf(table: string): Promise<string | null> {
  const [rows] = await pipeline.root.query<RowDataPacket[]>(
    `SELECT c.phase FROM ${pipeline.stateDatabase}.copies c JOIN ${pipeline.stateDatabase}.tables t ON t.id = c.table_id
      WHERE t.name = ?`,
    [table],
  );
  return rows[0] === undefined ? null : String(rows[0]['phase']);
}

/** `schema apply` of a file with this text, by an account that may change tables. */
async function applyFile(text: string, ...options: readonly string[]): ReturnType<Pipeline['cli']> {
  const file = join(pipeline.folder, 'change.sql');
  await writeFile(file, text);
  return await pipeline.cli('schema', 'apply', file, '--mysql', stack.mysql.uri, ...options);
}

async function columnsOf(table: string): Promise<readonly string[]> {
  const [rows] = await pipeline.root.query<RowDataPacket[]>(
    'SELECT COLUMN_NAME name FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION',
    [pipeline.database, table],
  );
  return rows.map((row) => String(row['name']));
}

test('`schema apply` refuses a file that cannot be run before it runs any of it', async () => {
  const before = await columnsOf('planned');
  const cases: readonly (readonly [text: string, code: number, said: RegExp])[] = [
    [
      'ALTER TABLE planned ADD a INT; UPDATE planned SET n = 1',
      2,
      /LS-USAGE.*statement 2 \(UPDATE planned SET n = 1\)/s,
    ],
    ['ALTER TABLE mysql.user ADD a INT', 2, /statement 1 .*it is for database mysql/s],
    ["ALTER TABLE planned ADD a VARCHAR(9) DEFAULT 'never closed", 2, /LS-USAGE/],
    ['ALTER TABLE planned DROP nothing', 1, /LS-SCHEMA-APPLY.*ALTER TABLE planned DROP nothing: .*nothing/s],
  ];
  for (const [text, code, said] of cases) {
    const refused = await applyFile(text);
    expect([refused.code, refused.stderr]).toEqual([code, expect.stringMatching(said)]);
    expect(await columnsOf('planned')).toEqual(before);
  }
  // lockstep's own account may not change tables, and --mysql names another.
  await writeFile(join(pipeline.folder, 'change.sql'), 'ALTER TABLE planned ADD a INT');
  const forbidden = await pipeline.cli('schema', 'apply', join(pipeline.folder, 'change.sql'));
  expect([forbidden.code, forbidden.stderr]).toEqual([1, expect.stringMatching(/ALTER.*denied/is)]);
  expect(await columnsOf('planned')).toEqual(before);
});

test(
  '`schema apply` shows its plan, then carries it out under writers and through a kill -9 of the worker',
  { timeout: 240_000 },
  async () => {
    const text = `
      ALTER TABLE planned DROP gone, ADD fresh VARCHAR(20) DEFAULT 'new';
      ALTER TABLE planned RENAME COLUMN old_name TO new_name; -- with a comment
      ALTER TABLE planned MODIFY n VARCHAR(20);
      CREATE TABLE born (id INT PRIMARY KEY, v VARCHAR(9) DEFAULT 'b');
      DROP TABLE leaving;`;
    const before = await columnsOf('planned');
    const planned = await applyFile(text, '--plan');
    expect(planned.code).toBe(0);
    const said = planned.stdout.split('\n').map((line) => line.trim());
    expect(said[0]).toBe("1/5  ALTER TABLE planned DROP gone, ADD fresh VARCHAR(20) DEFAULT 'new'");
    expect(said).toContain('column gone dropped (varchar(9)); column fresh added (varchar(20))  MySQL: instant');
    expect(said).toContain('1. triggers without gone');
    expect(said).toContain('2. the rows of leaving leave the stores, through the log');
    expect(await columnsOf('planned')).toEqual(before);

    const traffic = startTraffic(pipeline, 'planned', 3);
    const running = applyFile(text, '--json');
    try {
      await until('the first statement has run', async () => (await columnsOf('planned')).includes('fresh'), {
        everyMs: 5,
      });
      await pipeline.workers.at(-1)?.kill();
      pipeline.worker();
      const done = await running;
      expect(done).toMatchObject({ code: 0 });
      expect(JSON.parse(done.stdout)).toEqual({ statements: 5, before: 0, tables: ['planned', 'born', 'leaving'] });
    } finally {
      await running;
      await traffic.stop();
    }
    expect(traffic.failures).toEqual([]);
    await pipeline.root.query('INSERT INTO born (id) VALUES (1)');
    expect(await differences()).toEqual([]);
    const documents = await mongo.db(pipeline.database).collection('planned').find().toArray();
    expect([...new Set(documents.map((document) => Object.keys(document).join()))]).toEqual([
      '_id,id,n,new_name,fresh',
    ]);
    expect([...new Set(documents.map((document) => typeof document['n']))]).toEqual(['string']);
    const checked = await pipeline.cli('schema', 'check', '--table', 'planned', '--json');
    expect([checked.code, checked.stdout]).toEqual([0, '{"tables":1,"disagreements":[]}\n']);
    const again = await applyFile(text, '--json');
    expect(JSON.parse(again.stdout)).toMatchObject({ statements: 5, before: 5 });
  },
);

test('under `pause` the stores wait until somebody has looked, under `ignore` for good', async () => {
  await alter('held', 'ADD later INT DEFAULT 5; INSERT INTO held VALUES (3, 3, 3)');
  await alter('kept', 'ADD later INT DEFAULT 5; INSERT INTO kept VALUES (3, 3, 3)');
  await until('the table is held', async () => (await view('held')).tables[0]?.held === true);
  await until('status says so', async () => /LS-SCHEMA-HELD/.test((await pipeline.run('status', '--json')).stdout));
  await until('ignored', async () => (await view('kept')).changes[0]?.consequence === 'ignored');
  await pipeline.run('resume', 'held');
  const held = mongo.db(pipeline.database).collection('held');
  await until('the stores followed', async () => (await held.countDocuments({ later: { $in: [3, 5] } })) === 3);
  expect((await view('held')).tables[0]?.held).toBe(false);
  expect((await view('kept')).tables[0]?.ignored).toEqual(['later']);
  const kept = mongo.db(pipeline.database).collection('kept');
  await until('the row is there', async () => (await kept.countDocuments()) === 3);
  expect((await kept.find().toArray()).map((document) => Object.keys(document))).toEqual(
    Array.from({ length: 3 }, () => ['_id', 'id', 'n']),
  );
});

test('MongoDB has validators that hold others and not lockstep, and the indexes of MySQL', async () => {
  const indexed = mongo.db(pipeline.database).collection('indexed');
  await until('the index is mirrored', async () =>
    (await indexed.indexes()).some(
      ({ name, key }) => name === 'lockstep_ab' && JSON.stringify(key) === '{"a":1,"b":-1}',
    ),
  );
  expect((await indexed.indexes()).find(({ name }) => name === 'lockstep_ab')?.unique).toBeUndefined();
  await expect(indexed.insertOne({ _id: 9 as never, id: 'text' })).rejects.toThrow(/validation/);
  const checked = await pipeline.cli('schema', 'check', '--table', 'indexed');
  expect([checked.code, checked.stdout]).toEqual([0, 'the schemas of 1 tables agree\n']);
  await indexed.insertOne({ _id: 9 as never, id: 'text' }, { bypassDocumentValidation: true });
  const wrong = await pipeline.cli('schema', 'check', '--table', 'indexed', '--json');
  expect(wrong.code).toBe(3);
  const { disagreements } = JSON.parse(wrong.stdout) as { disagreements: { subject: string; found: string }[] };
  expect(disagreements.map(({ subject, found }) => `${subject}: ${found}`)).toEqual([
    'id: string',
    'a: no such field',
    'b: no such field',
  ]);
  await indexed.deleteOne({ _id: 9 as never });
});
