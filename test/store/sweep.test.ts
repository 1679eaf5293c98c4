/**
 * Parts of a sweep, run twice, late and side by side, on real servers: what hung and wakes writes nothing, what two sweeps
 * find counts for both, what is wrong again is repaired again, and what is old is forgotten.
 */
import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { Store } from '../../core/store.js';
import type { AskedBy, SweepScope } from '../../core/sweep.js';
import { Pace } from '../../stages/pace.js';
import { Passing } from '../../stages/passing.js';
import { beginSweep, endUncarried, finishSweep, takeAgain } from '../../stages/sweep.js';
import type { SweepDeps } from '../../stages/sweepContext.js';
import { sweepEntries } from '../../stages/sweepEntries.js';
import { recheckSweep, repairSweep } from '../../stages/sweepRepair.js';
import { sweepReport } from '../../stages/sweepReport.js';
import { sweepRows } from '../../stages/sweepRows.js';
import { openReader } from '../../stores/kafka/reader.js';
import { lookUpKeys } from '../../stores/mysql/keyLookup.js';
import { forgetOldResults } from '../../stores/mysql/oldResults.js';
import { carrySweep } from '../../stores/mysql/sweeps.js';
import { createLineRig, type LineRig } from '../support/lineRig.js';
import { until } from '../support/processes.js';
import { column, definition } from '../support/storeRig.js';

const stack = inject('stack');
const run = { signal: new AbortController().signal, beat: () => undefined };
let line: LineRig;
let deps: SweepDeps;

beforeAll(async () => {
  line = await createLineRig(stack, 'sweep', { overrides: { brief: { redis: { ttlMs: 3_600_000 } } } });
  const { rig, database } = line;
  await rig.mysql.run(`CREATE TABLE \`${database}\`.items (id INT PRIMARY KEY, name VARCHAR(50), doc JSON)`);
  await rig.mysql.run(`CREATE TABLE \`${database}\`.other (id INT PRIMARY KEY, name VARCHAR(50))`);
  await rig.mysql.run(`CREATE TABLE \`${database}\`.brief (id INT PRIMARY KEY, name VARCHAR(50))`);
  await rig.install();
  line.run();
  await line.copyAll();
  await rig.mysql.run(`INSERT INTO \`${database}\`.items (id, name) VALUES (1,'a'),(2,'b'),(3,'c'),(4,'d')`);
  await line.wait();
  deps = {
    config: line.config,
    mysql: rig.mysql,
    stores: line.stores,
    openReader: () => openReader(line.config.kafka, { maxWaitMs: 50 }),
    pace: new Pace(line.config.validate),
    circumstances: () => Promise.resolve({ running: true, paused: false, pausedTables: [] }),
  };
});

afterAll(async () => {
  const failures = await line.stop();
  await line.remove();
  if (failures.length > 0) throw new Error(failures.join('\n'));
});

const items: SweepScope = { tables: ['items'], stores: ['mongo', 'redis'] };

async function begin(scope: SweepScope = items, askedBy: AskedBy = 'schedule'): Promise<string> {
  const id = randomUUID();
  const { sweep } = await beginSweep(
    deps,
    { sweep: id, scope, askedBy, carrier: { workflow: `sweep-${id}`, run: id } },
    Date.now(),
  );
  return sweep;
}

async function rowsOf(sweep: string, of: SweepDeps = deps): Promise<unknown> {
  return await sweepRows(of, { sweep, stores: ['mongo', 'redis'], table: 'items', number: 0 }, run);
}

async function entriesOf(sweep: string, store: 'mongo' | 'redis', of: SweepDeps = deps): Promise<unknown> {
  return await sweepEntries(of, { sweep, store, tables: ['items'], number: 0 }, run);
}

const stateOf = async (sql: string, values: (string | number)[] = []): Promise<readonly unknown[]> =>
  await line.rig.mysql.rows(sql.replaceAll('{db}', `\`${line.rig.stateDatabase}\``), values);

async function openKeys(): Promise<readonly unknown[]> {
  return await stateOf('SELECT store, `key` FROM {db}.drift WHERE open = 1 ORDER BY id');
}

async function edit(id: number): Promise<void> {
  await line.redis.set(`${line.config.pipeline}:items:${id}`, '{"id":0}');
}

/** Repairs what a sweep found, and waits until the stores have it. */
async function mend(sweep: string): Promise<Awaited<ReturnType<typeof recheckSweep>>> {
  const asked = { sweep, stores: items.stores, limits: null };
  await repairSweep(deps, asked, run);
  return await recheckSweep(deps, asked, run);
}

interface Hung {
  /** The same, but it hangs with what its second look at a store showed, the last one before a verdict. */
  readonly deps: SweepDeps;
  /** Resolves when it hangs. */
  readonly hangs: Promise<void>;
  release(): void;
}

function hanging(): Hung {
  let [release, hang] = [(): void => undefined, (): void => undefined];
  const released = new Promise<void>((resolve) => (release = resolve));
  const hangs = new Promise<void>((resolve) => (hang = resolve));
  let looks = 0;
  const stores = line.stores.map(
    (store): Store =>
      new Proxy(store, {
        get(target, name) {
          const found: unknown = Reflect.get(target, name, target);
          if (typeof found !== 'function') return found;
          if (name !== 'read') return found.bind(target) as unknown;
          return async (...args: Parameters<Store['read']>) => {
            const held = await target.read(...args);
            looks += 1;
            if (looks < 2) return held;
            hang();
            await released;
            return held;
          };
        },
      }),
  );
  return { deps: { ...deps, stores }, hangs, release: () => release() };
}

test('a verdict that comes late, after the key was found and mended, is nobody’s any more', async () => {
  const sweep = await begin();
  await edit(1);
  const late = hanging();
  const hung = rowsOf(sweep, late.deps);
  await late.hangs;
  expect(await rowsOf(sweep)).toMatchObject({ kind: 'swept', drift: 1, last: true });
  const [before] = await stateOf('SELECT finished_at FROM {db}.sweep_chunks WHERE sweep = ?', [sweep]);
  for (const store of items.stores) expect(await entriesOf(sweep, store)).toMatchObject({ drift: 0, last: true });
  expect(await finishSweep(deps, sweep, items)).toEqual({ drift: 1, leftOut: 0 });
  expect(await mend(sweep)).toEqual({ kind: 'rechecked', healed: 1, left: 0 });
  expect(await openKeys()).toEqual([]);
  late.release();
  await hung;
  expect(await openKeys()).toEqual([]);
  expect(
    await stateOf('SELECT finished_at FROM {db}.sweep_chunks WHERE sweep = ? AND pass = ?', [sweep, 'rows']),
  ).toEqual([before]);
  expect(await sweepReport(line.rig.mysql, line.rig.stateDatabase, sweep)).toMatchObject({ drift: 1, left: 0 });
});

test('so is one on what a store holds besides, and one on a table that was begun anew meanwhile', async () => {
  const sweep = await begin();
  await line.redis.set(`${line.config.pipeline}:items:99`, '{"id":99}');
  const late = hanging();
  const hung = entriesOf(sweep, 'redis', late.deps);
  await late.hangs;
  expect(await entriesOf(sweep, 'redis')).toMatchObject({ kind: 'swept', drift: 1 });
  await line.redis.del(`${line.config.pipeline}:items:99`);
  await mend(sweep);
  expect(await openKeys()).toEqual([]);
  late.release();
  await hung;
  expect(await openKeys()).toEqual([]);

  await edit(2);
  const old = hanging();
  const stale = rowsOf(sweep, old.deps);
  await old.hangs;
  await edit(3);
  await mend(sweep);
  expect(await takeAgain(deps, sweep, 'items')).toEqual({ kind: 'again' });
  old.release();
  await stale;
  // No chunk of the table as it was, and nothing that was found in it.
  expect(await stateOf('SELECT number FROM {db}.sweep_chunks WHERE sweep = ? AND pass = ?', [sweep, 'rows'])).toEqual(
    [],
  );
  expect(await openKeys()).toEqual([]);
  expect(await rowsOf(sweep)).toMatchObject({ kind: 'swept', drift: 2 });
  await mend(sweep);
});

test('two sweeps that find the same key at once both report it', async () => {
  const whole: SweepScope = { tables: null, stores: ['mongo', 'redis'] };
  const [one, two] = [await begin(), await begin(whole)];
  await edit(4);
  expect(await Promise.all([rowsOf(one), rowsOf(two)])).toMatchObject([{ drift: 1 }, { drift: 1 }]);
  for (const sweep of [one, two]) {
    const report = await sweepReport(line.rig.mysql, line.rig.stateDatabase, sweep);
    expect(report).toMatchObject({ drift: 1, left: 1, keys: [{ key: '{"id":4}', store: 'redis' }] });
  }
  expect(await openKeys()).toHaveLength(1);
  await mend(one);
  const report = await sweepReport(line.rig.mysql, line.rig.stateDatabase, two);
  expect(report).toMatchObject({ drift: 1, repaired: 1, left: 0 });
});

test('a key that is wrong again after its repair is repaired again, and counted once', async () => {
  const sweep = await begin();
  await edit(1);
  await edit(2);
  await rowsOf(sweep);
  const asked = { sweep, stores: items.stores, limits: null };
  expect(await repairSweep(deps, asked, run)).toMatchObject({ keys: 2, waitMs: null });
  await line.wait();
  await edit(2);
  expect(await recheckSweep(deps, asked, run)).toEqual({ kind: 'rechecked', healed: 1, left: 1 });
  expect(await repairSweep(deps, asked, run)).toMatchObject({ keys: 1 });
  expect(await recheckSweep(deps, asked, run)).toEqual({ kind: 'rechecked', healed: 2, left: 0 });
  // Whoever repeats it after a kill counts the same.
  expect(await recheckSweep(deps, asked, run)).toEqual({ kind: 'rechecked', healed: 2, left: 0 });
});

test('a key of another type is no expired one', async () => {
  const brief = `${line.config.pipeline}:brief:1`;
  await line.rig.mysql.run(`INSERT INTO \`${line.database}\`.brief (id, name) VALUES (1,'a'),(2,'b')`);
  await line.wait();
  await line.redis.del(brief, `${line.config.pipeline}:brief:2`);
  await line.redis.hset(brief, 'name', 'a');
  const sweep = await begin({ tables: ['brief'], stores: ['redis'] });
  expect(await sweepRows(deps, { sweep, stores: ['redis'], table: 'brief', number: 0 }, run)).toMatchObject({
    drift: 1,
    counts: { rows: 2, expired: 1 },
  });
  expect(await stateOf("SELECT `key`, kind, cause FROM {db}.drift WHERE name = 'brief'")).toEqual([
    ['{"id":1}', 'different', 'out-of-band-edit'],
  ]);
  expect(await mend(sweep)).toEqual({ kind: 'rechecked', healed: 1, left: 0 });
});

test('a row that a store cannot hold is parked, and breaks no sweep', async () => {
  const { mysql } = line.rig;
  await mysql.run(`UPDATE \`${line.database}\`.items SET doc = ? WHERE id = 3`, ['{"nul\\u0000": 1}']);
  await line.wait();
  expect(await rowsOf(await begin())).toMatchObject({ kind: 'swept', drift: 0, counts: { rows: 4, parked: 1 } });
  await mysql.run(`UPDATE \`${line.database}\`.items SET doc = NULL WHERE id = 3`);
  await line.wait();
});

test('a sweep whose workflow was terminated is taken up by the next command, and by nothing else', async () => {
  const terminated = await begin(items, 'command');
  expect(await rowsOf(terminated)).toMatchObject({ kind: 'swept' });
  const states = async (): Promise<readonly unknown[]> =>
    await stateOf('SELECT state FROM {db}.sweeps WHERE id = ?', [terminated]);
  expect(await begin({ ...items, stores: ['mongo'] })).not.toBe(terminated);
  expect(await begin({ tables: ['other'], stores: ['redis'] }, 'command')).not.toBe(terminated);
  expect(await states()).toEqual([['running']]);
  // Another one of the same tables: there is one workflow of them, so this one has ended.
  expect(await begin({ ...items, stores: ['redis'] }, 'command')).not.toBe(terminated);
  expect(await states()).toEqual([['ended']]);
  expect(await begin(items, 'command')).toBe(terminated);
  expect(await states()).toEqual([['running']]);
});

test('a marker that is lost with the change log is written again', async () => {
  await line.stop();
  const { mysql, stateDatabase } = line.rig;
  const passing = new Passing({
    queries: mysql,
    stateDatabase,
    stores: line.stores,
    shards: 1,
    ...run,
    reconsider: () => Promise.resolve(),
  });
  const resolved = passing.resolved();
  const markers = async (): Promise<readonly unknown[]> =>
    await stateOf("SELECT CAST(`key` AS CHAR) FROM {db}.change_log WHERE op = 'm'");
  await until('it waits', async () => (await markers()).length === 1);
  const first = await markers();
  await mysql.run(`DELETE FROM \`${stateDatabase}\`.change_log WHERE op = 'm'`);
  await until('another one waits', async () => (await markers()).length === 1, { timeoutMs: 15_000 });
  expect(await markers()).not.toEqual(first);
  line.run();
  expect((await resolved).size).toBeGreaterThan(0);
});

/** Stores of which one look at a range fails. */
function withFailing(isFailing: (store: Store) => boolean): SweepDeps {
  const stores = line.stores.map(
    (store): Store =>
      new Proxy(store, {
        get(target, name) {
          const found: unknown = Reflect.get(target, name, target);
          if (typeof found !== 'function') return found;
          if (name !== 'compareRange') return found.bind(target) as unknown;
          return async (...args: Parameters<Store['compareRange']>) => {
            if (isFailing(target)) throw new Error('this look failed');
            return await target.compareRange(...args);
          };
        },
      }),
  );
  return { ...deps, stores };
}

test('a batch that fails while the next one waits for its turn fails the chunk', async () => {
  const { mysql } = line.rig;
  await mysql.run(
    `INSERT INTO \`${line.database}\`.other (id) VALUES ${Array.from({ length: 120 }, (_, i) => `(${i})`).join()}`,
  );
  await line.wait();
  let looks = 0;
  const failing = withFailing(({ name }) => name === 'mongo' && ++looks === 2);
  // Turns of 50 rows, each a twentieth of a second behind the one before.
  const pace = new Pace({ ...line.config.validate, rowsPerSecond: 1_000, rowsPerSecondBusy: 1_000 });
  const sweep = await begin({ tables: ['other'], stores: ['mongo'] });
  const chunk = { sweep, stores: ['mongo'], table: 'other', number: 0 } as const;
  await expect(sweepRows({ ...failing, pace }, chunk, run)).rejects.toThrow('this look failed');
  expect(await stateOf('SELECT finished_at FROM {db}.sweep_chunks WHERE sweep = ?', [sweep])).toEqual([[null]]);
  expect(await sweepRows(deps, chunk, run)).toMatchObject({ kind: 'swept', drift: 0, counts: { rows: 120 } });
});

test('what a store has yet to apply is waited for, though it equals the row by now', async () => {
  const { mysql, stateDatabase } = line.rig;
  await line.stop();
  await mysql.run(`UPDATE \`${line.database}\`.items SET name = 'x' WHERE id = 2`);
  await mysql.run(`UPDATE \`${line.database}\`.items SET name = 'b' WHERE id = 2`);
  // The way back was missed: the stores hold the row as it is, and will be wrong.
  await mysql.run(`DELETE FROM \`${stateDatabase}\`.change_log ORDER BY seq DESC LIMIT 1`);
  const capture = line.rig.keepCapturing();
  const sweep = await begin();
  const sweeping = rowsOf(sweep);
  await until('its table is begun', async () => {
    const [row] = await stateOf('SELECT marker IS NOT NULL FROM {db}.sweep_tables WHERE sweep = ?', [sweep]);
    return Number((row as unknown[])[0]) === 1;
  });
  await capture.stop();
  expect(
    await stateOf('SELECT number FROM {db}.sweep_chunks WHERE finished_at IS NOT NULL AND sweep = ?', [sweep]),
  ).toEqual([]);
  line.run();
  expect(await sweeping).toMatchObject({ kind: 'swept', drift: 2 });
  expect(await sweepReport(mysql, stateDatabase, sweep)).toMatchObject({
    keys: [
      { key: '{"id":2}', store: 'mongo', cause: 'missed-capture' },
      { key: '{"id":2}', store: 'redis', cause: 'missed-capture' },
    ],
  });
  expect(await mend(sweep)).toEqual({ kind: 'rechecked', healed: 2, left: 0 });
});

test('a key that changes behind every look, in the batch of its marker, is settled', async () => {
  const { mysql } = line.rig;
  let markers = 0;
  const changing: SweepDeps['mysql'] = {
    ...mysql,
    run: (sql, values) => {
      // The first one begins the table: what was edited stays until it is looked at.
      if (!sql.includes("0, 'm'") || ++markers === 1) return mysql.run(sql, values);
      return mysql.transaction(async (queries) => {
        const done = await queries.run(sql, values);
        await queries.run(`UPDATE \`${line.database}\`.items SET name = ? WHERE id = 1`, [`change ${markers}`]);
        return done;
      });
    },
  };
  const sweep = await begin();
  await edit(1);
  expect(await rowsOf(sweep, { ...deps, mysql: changing })).toMatchObject({ kind: 'swept', drift: 0 });
  expect(markers).toBeGreaterThan(2);
  expect(markers).toBeLessThan(10);
  await line.wait();
  expect(await rowsOf(await begin())).toMatchObject({ kind: 'swept', drift: 0 });
});

test('only a sweep that nobody has taken up meanwhile is closed for the workflow that carried it', async () => {
  const sweep = await begin();
  const states = async (): Promise<readonly unknown[]> =>
    await stateOf('SELECT state, run FROM {db}.sweeps WHERE id = ?', [sweep]);
  const { mysql, stateDatabase } = line.rig;
  const again = { workflow: `sweep-${sweep}`, run: 'the next' };
  await endUncarried(deps, async (workflows) => {
    expect(workflows).toContain(again.workflow);
    await carrySweep(mysql, stateDatabase, sweep, again);
    return new Set();
  });
  expect(await states()).toEqual([['running', 'the next']]);
  await endUncarried(deps, (workflows) => Promise.resolve(new Set(workflows)));
  expect(await states()).toEqual([['running', 'the next']]);
  await endUncarried(deps, () => Promise.resolve(new Set()));
  expect(await states()).toEqual([['ended', 'the next']]);
});

test('whole numbers without a row are told exactly, whatever stands beside them', async () => {
  const { mysql } = line.rig;
  const most = 2n ** 63n - 1n;
  const rows = [-most - 1n, -most, -1n, 0n, 7n, 2n ** 53n + 1n, most - 1n, most].map(String);
  await mysql.run(`CREATE TABLE \`${line.database}\`.numbers (id BIGINT PRIMARY KEY)`);
  await mysql.run(`INSERT INTO \`${line.database}\`.numbers VALUES ${rows.map((id) => `(${id})`).join()}`);
  const numbers = { ...definition([column('id', 'bigint')], ['id'], 'numbers'), database: line.database };
  const strange = [most + 1n, -most - 2n, 2n ** 53n, 2n ** 64n, 10n ** 30n, 10n ** 66n, -(10n ** 90n)].map(String);
  const keys = [...rows, ...strange, '6', '007', '-0'].map((id) => `{"id":${id}}`);
  await fc.assert(
    fc.asyncProperty(fc.subarray(keys, { minLength: 1 }), async (asked) => {
      const { withoutRow, misfits } = await lookUpKeys(mysql, numbers, asked);
      expect(misfits).toEqual([]);
      expect(withoutRow).toEqual(asked.filter((key) => !rows.includes(key.slice('{"id":'.length, -1))));
    }),
    { numRuns: 200 },
  );
});

test('results of long ago are forgotten a little at a time; what is open stays', async () => {
  const { mysql, stateDatabase } = line.rig;
  const tables = ['sweeps', 'sweep_tables', 'sweep_chunks', 'sweep_found', 'drift', 'repairs'];
  const counts = async (): Promise<readonly unknown[]> =>
    await Promise.all(tables.map(async (table) => (await stateOf(`SELECT COUNT(*) FROM {db}.${table}`))[0]));
  await edit(1);
  const recent = await begin({ tables: ['items'], stores: ['redis'] });
  await sweepRows(deps, { sweep: recent, stores: ['redis'], table: 'items', number: 0 }, run);
  for (const [table, columns] of Object.entries({ sweeps: ['started_at'], drift: ['found_at'], repairs: ['at'] })) {
    const set = columns.map((column) => `${column} = ${column} - INTERVAL 100 DAY`).join();
    await mysql.run(
      `UPDATE \`${stateDatabase}\`.${table} SET ${set} ${table === 'sweeps' ? `WHERE id <> '${recent}'` : ''}`,
    );
  }
  await mysql.run(`UPDATE \`${stateDatabase}\`.drift SET healed_at = healed_at - INTERVAL 100 DAY WHERE open IS NULL`);
  const before = await counts();
  let turns = 1;
  while (!(await forgetOldResults(mysql, stateDatabase, 3))) turns += 1;
  expect(turns).toBeGreaterThan(1);
  // The recent sweep with its table, its chunk and what it found, however long ago that was found first.
  expect(await counts()).toEqual([[1], [1], [1], [1], [1], [0]]);
  expect(before).not.toEqual(await counts());
  expect(await openKeys()).toHaveLength(1);
  expect(await forgetOldResults(mysql, stateDatabase, 3)).toBe(true);
});

test.each([
  ['whose rows all went through the log', 700, 'asked', 'missed-capture'],
  ['that was loaded directly', 701, 'loaded', 'out-of-band-edit'],
] as const)('of a table %s, a key without an event is told from an edited store', async (_, id, reason, cause) => {
  const { mysql, stateDatabase } = line.rig;
  await line.stop();
  // As a direct load leaves it: in all three, and in no log.
  await mysql.run(`INSERT INTO \`${line.database}\`.other (id, name) VALUES (${id}, 'loaded')`);
  await mysql.run(`DELETE FROM \`${stateDatabase}\`.change_log ORDER BY seq DESC LIMIT 1`);
  await line.redis.set(`${line.config.pipeline}:other:${id}`, `{"id":${id},"name":"loaded"}`);
  await mysql.run(
    `UPDATE \`${stateDatabase}\`.copies c JOIN \`${stateDatabase}\`.tables t ON t.id = c.table_id SET c.reason = ? WHERE t.name = 'other'`,
    [reason],
  );
  line.run();
  const stores = ['mongo', 'redis'] as const;
  const sweep = await begin({ tables: ['other'], stores });
  const swept = await sweepRows(deps, { sweep, stores, table: 'other', number: 0 }, run);
  expect(swept).toMatchObject({ kind: 'swept', drift: 1 });
  expect(await sweepReport(mysql, stateDatabase, sweep)).toMatchObject({
    keys: [{ key: `{"id":${id}}`, store: 'mongo', kind: 'missing', cause }],
  });
  await mysql.run(`DELETE FROM \`${line.database}\`.other WHERE id = ${id}`);
  await line.wait();
});
