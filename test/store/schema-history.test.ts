/** What a look makes of changed tables: the history, the policies, former keys, swaps; on a real server, without stores. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { describeChanges } from '../../core/schemaChange.js';
import type { Config } from '../../core/config.js';
import { nothingSeen, watchDefinitions } from '../../stages/definitionWatch.js';
import { install } from '../../stages/install.js';
import { noticeChanges, watchTriggers } from '../../stages/watch.js';
import { asText } from '../../stores/mysql/cell.js';
import { readCopies } from '../../stores/mysql/copies.js';
import { readOldKeys } from '../../stores/mysql/oldKeys.js';
import { schemaFingerprint } from '../../stores/mysql/schemaFingerprint.js';
import { readChanges, readSchemas, recordChange, releaseHeld } from '../../stores/mysql/schemaHistory.js';
import { readCapturedTables } from '../../stores/mysql/state.js';
import { leaveTable, takeTable } from '../../stores/mysql/tableLock.js';
import { until } from '../support/processes.js';
import { seededRandom, testSeed } from '../support/random.js';
import { createRig, type Rig } from './mysqlRig.js';

let rig: Rig;

beforeEach(async () => {
  rig = await createRig({
    overrides: { held: { schema: { policy: 'pause' } }, kept: { schema: { policy: 'ignore' } } },
  });
  await rig.run(
    'CREATE TABLE {src}.t (id INT PRIMARY KEY, v VARCHAR(20), w INT)',
    'CREATE TABLE {src}.held (id INT PRIMARY KEY, n INT)',
    'CREATE TABLE {src}.kept (id INT PRIMARY KEY, n INT)',
  );
  await rig.install();
  await allDone();
});

afterEach(() => rig.drop());

const look = (paused: readonly string[] = [], changes: Partial<Config> = {}): ReturnType<typeof watchTriggers> =>
  watchTriggers({
    config: { ...rig.config, ...changes },
    mysql: rig.mysql,
    isPaused: (table) => paused.includes(table),
  });

async function history(table: string): Promise<string[]> {
  const changes = await readChanges(rig.mysql, rig.state, { table, limit: 100 });
  return changes.toReversed().map((change) => `${change.consequence}: ${describeChanges(change.changes)}`);
}

async function allDone(): Promise<void> {
  await rig.mysql.run(`UPDATE ${rig.state}.copies SET phase = 'done'`);
}

async function copies(): Promise<Record<string, string>> {
  const names = new Map((await readCapturedTables(rig.mysql, rig.state)).map(({ id, name }) => [id, name]));
  const found = await readCopies(rig.mysql, rig.state);
  return Object.fromEntries(found.map((copy) => [names.get(copy.tableId) ?? '?', `${copy.phase} ${copy.reason}`]));
}

async function triggersOn(table: string): Promise<number> {
  const rows = await rig.mysql.rows(
    'SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = ? AND EVENT_OBJECT_TABLE = ?',
    [rig.source, table],
  );
  return rows.filter((row) => asText(row[0]).startsWith('lockstep_')).length;
}

test('every kind of change is recorded once, with what followed from it', async () => {
  await rig.run("ALTER TABLE {src}.t ADD x BIGINT DEFAULT 7, DROP w, MODIFY v VARCHAR(40) NOT NULL DEFAULT ''");
  await look();
  await look();
  await rig.run('ALTER TABLE {src}.t RENAME COLUMN x TO y');
  await look();
  await rig.run('ALTER TABLE {src}.t MODIFY v VARCHAR(50) NOT NULL');
  await look();
  await rig.run('ALTER TABLE {src}.t CONVERT TO CHARACTER SET latin1');
  await look();
  await rig.run('ALTER TABLE {src}.t CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin');
  await look();
  expect(await history('t')).toEqual([
    'copy: captured from here on',
    'copy: column w dropped (int); column v changed from varchar(20), NULL to varchar(40), NOT NULL; column x added (bigint)',
    'copy: column x renamed to y',
    'none: column v changed from varchar(40) to varchar(50)',
    'copy: column v changed from utf8mb4 utf8mb4_0900_ai_ci to latin1 latin1_swedish_ci',
    'none: column v changed from latin1 latin1_swedish_ci to utf8mb4 utf8mb4_bin',
  ]);
  expect((await copies())['t']).toBe('needed columns-changed');
});

test('what changes rows without any event is copied: another expression, a longer BINARY', async () => {
  await rig.run('CREATE TABLE {src}.made (id BINARY(3) PRIMARY KEY, n INT, x INT AS (n + 1) STORED)');
  await look();
  await allDone();
  await rig.run('ALTER TABLE {src}.made MODIFY x INT AS (n + 2) STORED');
  await look();
  expect((await copies())['made']).toBe('needed columns-changed');
  await allDone();
  await rig.run('ALTER TABLE {src}.made MODIFY id BINARY(6)');
  await look();
  expect((await copies())['made']).toBe('needed columns-changed');
  const table = (await readCapturedTables(rig.mysql, rig.state)).find(({ name }) => name === 'made');
  expect(await readOldKeys(rig.mysql, rig.state, table?.id ?? 0)).toHaveLength(1);
  expect((await history('made')).slice(1)).toEqual([
    'copy: column x changed from generated as (`n` + 1) to generated as (`n` + 2)',
    'copy: column id changed from binary(3) to binary(6)',
  ]);
});

test('created, renamed, dropped and left out: each name has its story', async () => {
  await rig.run('CREATE TABLE {src}.young (id INT PRIMARY KEY)');
  await look();
  await rig.run('RENAME TABLE {src}.young TO {src}.grown');
  await look();
  expect(await history('young')).toEqual(['copy: table created', 'forgotten: table renamed from young to grown']);
  expect(await history('grown')).toEqual(['copy: table renamed from young to grown']);
  await look([], { tables: { include: ['*'], exclude: ['kept'] } });
  expect((await history('kept')).at(-1)).toMatch(/^forgotten: not captured any more: the configuration leaves it out/);
  await rig.run('DROP TABLE {src}.grown');
  await look();
  expect((await history('grown')).at(-1)).toBe('forgotten: table dropped');
  expect((await history('kept')).at(-1)).toBe('copy: table created');
});

test('a table that is renamed before its triggers stand is told as renamed; one made anew with its columns is not', async () => {
  const notice = (): Promise<void> => noticeChanges({ config: rig.config, mysql: rig.mysql });
  // A table with the same columns that is not captured is no candidate.
  await rig.run('CREATE TABLE {src}._other_del (id INT PRIMARY KEY)', 'CREATE TABLE {src}.young (id INT PRIMARY KEY)');
  await notice();
  expect(await triggersOn('young')).toBe(0);
  await rig.run('RENAME TABLE {src}.young TO {src}.grown');
  await notice();
  await look();
  expect(await history('young')).toEqual(['copy: table created', 'forgotten: table renamed from young to grown']);
  expect(await history('grown')).toEqual(['copy: table renamed from young to grown']);
  await rig.run('CREATE TABLE {src}.first (id BIGINT PRIMARY KEY)');
  await notice();
  await rig.run(
    `UPDATE ${rig.state}.schema_changes SET noticed_at = noticed_at - INTERVAL 1 MINUTE WHERE table_name = 'first'`,
    'DROP TABLE {src}.first',
    'CREATE TABLE {src}.second (id BIGINT PRIMARY KEY)',
  );
  await look();
  expect(await history('first')).toEqual(['copy: table created', 'forgotten: table dropped']);
  expect(await history('second')).toEqual(['copy: table created']);
});

test('a rename is told as one at whatever moment it comes between looks and notices', { timeout: 60_000 }, async () => {
  const deps = { config: rig.config, mysql: rig.mysql };
  const random = seededRandom(testSeed());
  const again = async (work: () => Promise<unknown>, ended: () => boolean): Promise<void> => {
    while (!ended()) await work();
  };
  for (let i = 0; i < 8; i++) {
    let ended = false;
    await rig.run(`CREATE TABLE {src}.before${i} (id INT PRIMARY KEY)`);
    const looking = [() => watchTriggers(deps), () => noticeChanges(deps)].map((work) => again(work, () => ended));
    await until('it is there', async () => (await history(`before${i}`)).length > 0, { everyMs: 1 });
    await new Promise((resolve) => setTimeout(resolve, random.below(300)));
    await rig.run(`RENAME TABLE {src}.before${i} TO {src}.after${i}`);
    await until('it is known', async () => (await history(`after${i}`)).length > 0, { everyMs: 1 });
    ended = true;
    await Promise.all(looking);
    expect(await history(`after${i}`)).toEqual([`copy: table renamed from before${i} to after${i}`]);
  }
});

test('a notice does not wait for a look: nothing but the history changes by it', async () => {
  await rig.run('ALTER TABLE {src}.t ADD x INT', 'ALTER TABLE {src}.held ADD x INT', 'DROP TABLE {src}.kept');
  const before = await copies();
  await Promise.all([1, 2, 3].map(() => noticeChanges({ config: rig.config, mysql: rig.mysql })));
  expect((await history('t')).at(-1)).toBe('copy: column x added (int)');
  expect((await history('held')).at(-1)).toBe('paused: column x added (int)');
  expect((await history('kept')).at(-1)).toBe('forgotten: table dropped');
  expect(await copies()).toEqual(before);
  expect((await history('t')).length + (await history('held')).length + (await history('kept')).length).toBe(6);
  // Noticed twice, a drop leaves nothing behind that a table of the name would be held against.
  expect([...(await readSchemas(rig.mysql, rig.state)).keys()]).toEqual(['held', 't']);
  await rig.run('CREATE TABLE {src}.kept (id INT PRIMARY KEY)');
  await look();
  expect((await history('kept')).at(-1)).toBe('copy: captured from here on');
});

test('missing triggers that a notice has told are not told again by the look that puts them back', async () => {
  const missing = 'triggers were missing: another table under this name, or somebody dropped them';
  const swap = ['DROP TABLE {src}.t', 'CREATE TABLE {src}.t (id INT PRIMARY KEY, v VARCHAR(20), w INT, extra INT)'];
  await rig.run(...swap);
  await noticeChanges({ config: rig.config, mysql: rig.mysql });
  await look();
  expect((await history('t')).slice(1)).toEqual([`copy: column extra added (int); ${missing}`]);
  expect([await triggersOn('t'), (await copies())['t']]).toEqual([3, 'needed trigger-gap']);
  await rig.run(...swap);
  await look();
  expect((await history('t')).slice(2)).toEqual([`copy: ${missing}`]);
});

test('the watch tells what it saw until it is heard, and goes on when MySQL could not be asked', async () => {
  const told: boolean[] = [];
  const failed: unknown[] = [];
  const end = new AbortController();
  const broken = { ...rig.mysql, rows: () => Promise.reject(new Error('away')) };
  const mysql = { ...rig.mysql, rows: (...asked: Parameters<typeof rig.mysql.rows>) => source().rows(...asked) };
  const source = (): typeof rig.mysql => (failed.length === 0 ? broken : rig.mysql);
  const watching = watchDefinitions({ config: rig.config, mysql }, nothingSeen(), end.signal, {
    changed: () => Promise.resolve(told.push(true) > 1),
    failed: (error) => void failed.push(error),
  });
  await rig.run('ALTER TABLE {src}.t ADD x INT');
  await until('it is told twice', () => told.length === 2);
  expect((await history('t')).at(-1)).toBe('copy: column x added (int)');
  expect(failed).toHaveLength(1);
  await rig.run('ALTER TABLE {src}.t ADD y INT');
  await until('it is told of the next', () => told.length === 3);
  end.abort();
  await watching;
  expect(told).toHaveLength(3);
});

test('a swap as gh-ost and pt-online-schema-change do it: known at once, triggers and a copy at the first look', async () => {
  await rig.run(
    'CREATE TABLE {src}._t_gho LIKE {src}.t',
    'ALTER TABLE {src}._t_gho ADD extra INT',
    'RENAME TABLE {src}.t TO {src}._t_del, {src}._t_gho TO {src}.t',
  );
  expect(await look()).toMatchObject({ problems: [], changed: ['t'] });
  expect([await triggersOn('t'), await triggersOn('_t_del')]).toEqual([3, 0]);
  expect((await history('t')).at(-1)).toMatch(/^copy: column extra added \(int\); triggers were missing/);
  expect((await copies())['t']).toBe('needed trigger-gap');
  await allDone();
  // The same form again: names of triggers that are wanted here stand on the table that went.
  await rig.run(
    'CREATE TABLE {src}._t_new LIKE {src}.t',
    'RENAME TABLE {src}.t TO {src}._t_old, {src}._t_new TO {src}.t',
  );
  expect(await look()).toMatchObject({ problems: [], changed: ['t'] });
  expect([await triggersOn('t'), await triggersOn('_t_old')]).toEqual([3, 0]);
  expect((await history('t')).at(-1)).toMatch(/^copy: triggers were missing/);
  expect((await copies())['t']).toBe('needed trigger-gap');
  expect((await look()).changed).toEqual([]);
});

test('under `pause` triggers wait until the stores leave the table alone; the wish outlives everything but a release', async () => {
  await rig.run('ALTER TABLE {src}.held ADD x INT');
  const first = await look();
  expect(first.held.map(({ table }) => table)).toEqual(['held']);
  expect(first.changed).toEqual([]);
  expect((await history('held')).at(-1)).toBe('paused: column x added (int)');
  const second = await look(['held']);
  expect(second.changed).toEqual(['held']);
  expect((await copies())['held']).toBe('needed columns-changed');
  expect((await look(['held'])).held[0]?.problem.message).toMatch(/column x added/);
  expect((await install({ config: rig.config, mysql: rig.mysql })).held).toEqual(['held']);
  await releaseHeld(rig.mysql, rig.state, ['held']);
  expect((await look()).held).toEqual([]);
  // What no row shows needs nobody.
  await rig.run('ALTER TABLE {src}.held ADD s VARCHAR(5)');
  await look(['held']);
  await releaseHeld(rig.mysql, rig.state, ['held']);
  await rig.run('ALTER TABLE {src}.held MODIFY s VARCHAR(9)');
  expect((await look()).held).toEqual([]);
  expect((await history('held')).at(-1)).toBe('none: column s changed from varchar(5) to varchar(9)');
});

test('under `ignore` nothing is copied and new columns stay out; a changed key is held', async () => {
  await rig.run('ALTER TABLE {src}.kept ADD x INT DEFAULT 1');
  expect(await look()).toMatchObject({ changed: [], copies: [] });
  await rig.run('INSERT INTO {src}.kept VALUES (1, 2, 3)');
  expect((await rig.log()).at(-1)?.after).toBe('{"id":1,"n":2}');
  await rig.run('ALTER TABLE {src}.kept DROP n, ADD y INT');
  expect(await look()).toMatchObject({ changed: ['kept'], copies: [] });
  await rig.run('INSERT INTO {src}.kept VALUES (2, 3, 4)');
  expect((await rig.log()).at(-1)?.after).toBe('{"id":2}');
  expect(await history('kept')).toEqual([
    'copy: captured from here on',
    'ignored: column x added (int)',
    'ignored: column n dropped (int); column y added (int)',
  ]);
  await rig.run('ALTER TABLE {src}.kept MODIFY id BIGINT');
  expect((await look()).held.map(({ table }) => table)).toEqual(['kept']);
});

test('a changed key is remembered until a copy has dealt with it, however often it changes', async () => {
  const [, , table] = await readCapturedTables(rig.mysql, rig.state);
  const id = table?.id ?? 0;
  await rig.run('ALTER TABLE {src}.t MODIFY v VARCHAR(30) NOT NULL, DROP PRIMARY KEY, ADD PRIMARY KEY (v)');
  await look();
  expect(await readOldKeys(rig.mysql, rig.state, id)).toHaveLength(1);
  await rig.run('ALTER TABLE {src}.t DROP PRIMARY KEY, ADD PRIMARY KEY (v, id)');
  await look();
  expect(await readOldKeys(rig.mysql, rig.state, id)).toHaveLength(2);
  await rig.run('ALTER TABLE {src}.t MODIFY v VARCHAR(40) NOT NULL');
  await look();
  expect(await readOldKeys(rig.mysql, rig.state, id)).toHaveLength(2);
});

test('two who notice the same change record it once, and a table that another has in hand is left to it', async () => {
  await rig.run('ALTER TABLE {src}.t ADD x INT');
  await Promise.all([look(), look(), look()]);
  expect((await history('t')).filter((line) => line.includes('x added'))).toHaveLength(1);
  expect(await triggersOn('t')).toBe(3);
  const schemas = await readSchemas(rig.mysql, rig.state);
  const notice = {
    table: 't',
    tableId: 1,
    before: 'ff'.repeat(16),
    after: null,
    changes: [],
    policy: 'evolve',
    consequence: 'none',
  } as const;
  expect(await recordChange(rig.mysql, notice, false)).toBeNull();
  expect(await readSchemas(rig.mysql, rig.state)).toEqual(schemas);
  const other = await rig.mysql.session();
  expect(await takeTable(other, rig.state, 't')).toBe(true);
  await rig.run('ALTER TABLE {src}.t ADD z INT');
  expect((await look()).changed).toEqual([]);
  await leaveTable(other, rig.state, 't');
  expect((await look()).changed).toEqual(['t']);
  other.destroy();
});

test('two tables on one collection: whoever was there first stays', async () => {
  const mongo = { uri: 'mongodb://127.0.0.1:1', database: 'd', stateDatabase: 's', tls: null };
  const overrides = { t: { mongo: { collection: 'taken' } } };
  await rig.run('CREATE TABLE {src}.taken (id INT PRIMARY KEY)');
  const { leftOut, changed } = await look([], { mongo, overrides });
  expect(leftOut).toMatchObject([{ table: 'taken', reason: 'collection-taken' }]);
  expect(changed).not.toContain('taken');
});

test('the fingerprint changes with everything that a look depends on, and with nothing else', async () => {
  const seen = new Set([await schemaFingerprint(rig.mysql)]);
  const statements = [
    'ALTER TABLE {src}.t ADD x INT, ALGORITHM=INSTANT',
    'ALTER TABLE {src}.t RENAME COLUMN x TO y',
    'ALTER TABLE {src}.t MODIFY y BIGINT',
    'ALTER TABLE {src}.t ADD g INT AS (id + 1)',
    'ALTER TABLE {src}.t MODIFY g INT AS (id + 2)',
    'ALTER TABLE {src}.t ALTER COLUMN y SET INVISIBLE',
    'ALTER TABLE {src}.t CONVERT TO CHARACTER SET latin1',
    'ALTER TABLE {src}.t DROP COLUMN y, ALGORITHM=INSTANT',
    'ALTER TABLE {src}.t DROP PRIMARY KEY, ADD PRIMARY KEY (id, w)',
    'CREATE INDEX i ON {src}.t (v)',
    'RENAME TABLE {src}.t TO {src}.u',
    'CREATE TABLE {src}.t LIKE {src}.u',
    'CREATE TRIGGER {src}.own BEFORE INSERT ON {src}.u FOR EACH ROW SET NEW.v = 1',
    'DROP TABLE {src}.t',
  ];
  for (const statement of statements) {
    await rig.run(statement);
    const now = await schemaFingerprint(rig.mysql);
    expect([statement, seen.has(now)]).toEqual([statement, false]);
    seen.add(now);
  }
  await rig.run('INSERT INTO {src}.held VALUES (1, 1)', 'ANALYZE TABLE {src}.held');
  expect(seen.has(await schemaFingerprint(rig.mysql))).toBe(true);
});
