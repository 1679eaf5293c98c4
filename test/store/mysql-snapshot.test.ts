/** Copies of whole tables: complete, resumable, harmless to the application, exact at every boundary of every key type. */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Config } from '../../core/config.js';
import type { Definition } from '../../core/definition.js';
import type { CopyOutcome } from '../../core/outcome.js';
import { asCount, asText } from '../../stores/mysql/cell.js';
import type { Mysql, Queries, Session } from '../../stores/mysql/connection.js';
import { readCopies, requestCopy, type Copy } from '../../stores/mysql/copies.js';
import { chunkEnd, holdsMore, logRange, tableEnd } from '../../stores/mysql/copyRows.js';
import { readTables } from '../../stores/mysql/definitions.js';
import { atKey, decodeBoundary, encodeBoundary, inRange, type Boundary } from '../../stores/mysql/keyWalk.js';
import { atKeyText } from '../../stores/mysql/keyLookup.js';
import { keyJson } from '../../stores/mysql/rowJson.js';
import { resolveMarkers } from '../../stores/mysql/markers.js';
import { readCapturedTables, readDefinition } from '../../stores/mysql/state.js';
import { install } from '../../stages/install.js';
import { copyTable } from '../../stages/snapshot.js';
import { packageRoot } from '../../temporal-compose/place.js';
import { createRig, eventually, type Rig } from './mysqlRig.js';

let rig: Rig;

beforeEach(async () => {
  rig = await createRig();
});

afterEach(() => rig.drop());

async function onlyCopy(): Promise<Copy> {
  const copies = await readCopies(rig.mysql, rig.state);
  return copies.at(-1)!;
}

async function copy(
  table: string,
  options: {
    config?: Partial<Config>;
    mysql?: Mysql;
    stores?: readonly string[][];
    signal?: AbortSignal;
    beat?: () => void;
  } = {},
): Promise<CopyOutcome> {
  const { run } = await onlyCopy();
  const stores = (options.stores ?? []).map((keys) => ({
    async *scanKeys(): AsyncIterable<readonly string[]> {
      if (keys.length > 0) yield await Promise.resolve(keys);
    },
    readState: () => Promise.resolve(null),
    compareRows: () => Promise.resolve([]),
    parkedKeys: () => Promise.resolve([]),
    read: (_: unknown, __: unknown, asked: readonly Buffer[]) =>
      Promise.resolve({ shards: [], contents: asked.map(() => ({ kind: 'other', type: 'there' }) as const) }),
  }));
  const answering = setInterval(() => void answerMarkers().catch(() => undefined), 20);
  try {
    return await copyTable(
      { config: { ...rig.config, ...options.config }, mysql: options.mysql ?? rig.mysql, stores },
      { table, run },
      options.signal ?? new AbortController().signal,
      { beat: options.beat ?? ((): void => undefined) },
    );
  } finally {
    clearInterval(answering);
  }
}

/** In capture's place, which does not run here: nothing is in the log, so nobody is behind. */
async function answerMarkers(): Promise<void> {
  const rows = await rig.mysql.rows(`SELECT \`key\` FROM ${rig.state}.change_log WHERE op = 'm'`);
  await resolveMarkers(
    rig.mysql,
    rig.state,
    rows.map((row) => asText(row[0])),
    new Map(),
  );
}

/** Rows 1 … n. */
async function fill(table: string, n: number): Promise<void> {
  await rig.run(
    `INSERT INTO {src}.${table} (id, v) WITH RECURSIVE s AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM s WHERE i < ${n})
     SELECT /*+ SET_VAR(cte_max_recursion_depth=1000000) */ i, REPEAT('x', 40) FROM s`,
  );
}

/** The image that a reader of the log ends up with for each key; null for a deleted one. */
async function replayed(): Promise<Map<string, string | null>> {
  const end = new Map<string, string | null>();
  for (const row of await rig.log()) if (row.key !== null) end.set(row.key, row.after);
  return end;
}

async function expectReplayEqualsTable(table: string): Promise<void> {
  const rows = await rig.mysql.rows(`SELECT id, v FROM ${rig.source}.${table}`);
  const there = new Map(rows.map(([id, v]) => [`{"id":${asCount(id)}}`, JSON.stringify({ id: asCount(id), v })]));
  const logged = new Map([...(await replayed())].filter(([, after]) => after !== null));
  expect(logged.size).toBe(there.size);
  for (const [key, image] of there) expect(logged.get(key)).toBe(image);
}

test('a table is copied once and whole; progress and counts are told', async () => {
  await rig.run('CREATE TABLE {src}.t (id INT PRIMARY KEY, v TEXT)');
  await fill('t', 5_000);
  await rig.install();
  let beats = 0;
  expect(await copy('t', { beat: () => void (beats += 1) })).toEqual({ kind: 'copied', rows: 5_000, orphans: 0 });
  expect(beats).toBeGreaterThan(3);
  const log = await rig.log();
  expect(log).toHaveLength(5_000);
  expect(new Set(log.map((row) => row.op))).toEqual(new Set(['r']));
  await expectReplayEqualsTable('t');
  expect(await onlyCopy()).toMatchObject({ phase: 'done', rowsCopied: 5_000, rowsEstimated: 5_000 });
  // Asked again for a run that is done, it says so again and writes nothing.
  expect(await copy('t')).toEqual({ kind: 'copied', rows: 5_000, orphans: 0 });
  expect(await rig.log()).toHaveLength(5_000);
});

test('text that Unicode does not have stops no copy: it goes into the log as it is', async () => {
  await rig.run(
    "CREATE TABLE {src}.t (id INT PRIMARY KEY, v VARCHAR(9) CHARACTER SET ucs2, g VARCHAR(19) AS (CONCAT(v, '!')))",
    "INSERT INTO {src}.t (id, v) VALUES (1, X'D80E'), (2, 'b')",
  );
  await rig.install();
  expect(await copy('t')).toEqual({ kind: 'copied', rows: 2, orphans: 0 });
  const [half] = await rig.mysql.rows(`SELECT HEX(\`after\`) FROM ${rig.state}.change_log ORDER BY seq LIMIT 1`);
  expect(asText(half?.[0])).toContain('EDA08E21');
});

test('rows wider than what MySQL buffers in memory are copied whole', async () => {
  await rig.run(
    'CREATE TABLE {src}.t (id INT PRIMARY KEY, v LONGTEXT)',
    "INSERT INTO {src}.t WITH RECURSIVE s AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM s WHERE i < 12) SELECT i, REPEAT('x', 2500000) FROM s",
  );
  await rig.install();
  expect(await copy('t')).toEqual({ kind: 'copied', rows: 12, orphans: 0 });
  const lengths = await rig.mysql.rows(`SELECT LENGTH(\`after\`) FROM ${rig.state}.change_log`);
  expect(lengths.map((row) => asCount(row[0]))).toEqual(
    Array.from({ length: 12 }, (_, i) => 2_500_015 + (i > 8 ? 1 : 0)),
  );
});

test('an empty table is copied at once; a table that is not captured is gone', async () => {
  await rig.run('CREATE TABLE {src}.t (id INT PRIMARY KEY, v TEXT)');
  await rig.install();
  expect(await copy('t')).toEqual({ kind: 'copied', rows: 0, orphans: 0 });
  expect(await copy('nothing')).toEqual({ kind: 'table-gone' });
});

test('rows that an application holds are passed by, noted, and copied when it lets go', async () => {
  await rig.run('CREATE TABLE {src}.t (id INT PRIMARY KEY, v TEXT)');
  await fill('t', 3_000);
  await rig.install();
  const holder = await rig.mysql.session();
  await holder.run('START TRANSACTION');
  await holder.run(`UPDATE ${rig.source}.t SET v = 'held' WHERE id IN (1, 700, 3000)`);
  await holder.run(`DELETE FROM ${rig.source}.t WHERE id = 1500`);
  const copying = copy('t');
  await eventually(async () => ((await onlyCopy()).phase === 'skipped' ? true : undefined));
  const [count] = await rig.mysql.rows(`SELECT COUNT(*) FROM ${rig.state}.skipped`);
  expect(count?.[0]).toBe(4);
  expect((await onlyCopy()).rowsCopied).toBe(2_996);
  await holder.run('COMMIT');
  await holder.close();
  expect(await copying).toEqual({ kind: 'copied', rows: 2_999, orphans: 0 });
  await expectReplayEqualsTable('t');
  expect((await rig.mysql.rows(`SELECT COUNT(*) FROM ${rig.state}.skipped`))[0]?.[0]).toBe(0);
});

test('writers meet no deadlock, no failure and no long wait while their rows are copied, and the end state is theirs', async () => {
  await rig.run('CREATE TABLE {src}.t (id INT PRIMARY KEY, v TEXT)');
  await fill('t', 20_000);
  await rig.install();
  const failures: string[] = [];
  let slowest = 0;
  let copying = true;
  const writer = async (seed: number): Promise<void> => {
    let x = seed;
    const next = (): number => (x = (x * 1_103_515_245 + 12_345) % 2_147_483_648);
    while (copying) {
      // Two rows a transaction, in key order: without lockstep no two writers could deadlock.
      const [a, b] = [1 + (next() % 20_000), 1 + (next() % 20_000)].toSorted((p, q) => p - q);
      const start = performance.now();
      await rig.mysql
        .transaction(async (q) => {
          await q.run(`UPDATE ${rig.source}.t SET v = ? WHERE id = ?`, [`w${seed}`, a ?? 1]);
          if (next() % 5 === 0) await q.run(`DELETE FROM ${rig.source}.t WHERE id = ?`, [b ?? 1]);
          else await q.run(`INSERT INTO ${rig.source}.t VALUES (?, 'new') ON DUPLICATE KEY UPDATE v = 'dup'`, [b ?? 1]);
        })
        .catch((error: unknown) => failures.push(String(error)));
      slowest = Math.max(slowest, performance.now() - start);
    }
  };
  const writers = [11, 22, 33, 44].map(writer);
  const outcome = await copy('t');
  copying = false;
  await Promise.all(writers);
  expect(outcome.kind).toBe('copied');
  expect(failures).toEqual([]);
  expect(slowest).toBeLessThan(2_000);
  await expectReplayEqualsTable('t');
});

test('an image comes behind every change that it shows, and before those that it does not', async () => {
  await rig.run('CREATE TABLE {src}.t (id INT PRIMARY KEY, v TEXT)');
  await fill('t', 2_000);
  await rig.install();
  let version = 0;
  let copying = true;
  const writers = [0, 1, 2, 3].map(async (writer) => {
    for (let i = writer; copying; i = (i + 4) % 2_000) {
      version += 1;
      await rig.run(`UPDATE {src}.t SET v = '${version}' WHERE id = ${1 + i}`);
    }
  });
  for (let round = 0; round < 5; round++) {
    const [table] = await readCapturedTables(rig.mysql, rig.state);
    await requestCopy(rig.mysql, rig.state, { tableId: table!.id, run: randomUUID(), reason: 'asked' });
    await copy('t');
  }
  copying = false;
  await Promise.all(writers);
  expect(await misplaced()).toEqual([]);
  await expectReplayEqualsTable('t');
});

test('the same for rows that change while a statement copies many others before them', async () => {
  const rows = 40_000;
  await rig.run('CREATE TABLE {src}.t (id INT PRIMARY KEY, v TEXT)');
  await fill('t', rows);
  await rig.install();
  const [table] = await readCapturedTables(rig.mysql, rig.state);
  const definition = (await readDefinition(rig.mysql, rig.state, table!.definition))!;
  const scope = { stateDatabase: rig.state, tableId: table!.id, definition };
  const copying = { under: true };
  const copied = rig.mysql
    .transaction((queries) => logRange(queries, scope, { after: null, upTo: null }))
    .finally(() => (copying.under = false));
  let version = 0;
  for (let i = 0; copying.under; i = (i + 1) % 100) {
    version += 1;
    await rig.run(`UPDATE {src}.t SET v = '${version}' WHERE id = ${rows - i}`);
  }
  await copied;
  expect(version).toBeGreaterThan(10);
  expect(await misplaced()).toEqual([]);
});

/** Where the log tells of a version, which texts are the numbers of, at another place than that of its change. */
async function misplaced(): Promise<readonly string[]> {
  const newest = new Map<string, number>();
  const found: string[] = [];
  for (const row of await rig.log()) {
    const seen = Number(/"v":"(\d+)"/.exec(row.after ?? '')?.[1] ?? 0);
    const before = newest.get(row.key ?? '') ?? 0;
    // A copied row repeats what is in the log already.
    if (row.op === 'r' ? seen !== before : seen < before) found.push(`${row.op} ${row.key}: ${seen} behind ${before}`);
    newest.set(row.key ?? '', Math.max(seen, before));
  }
  return found;
}

test('a newer run supersedes the one under way at its next chunk', async () => {
  await rig.run('CREATE TABLE {src}.t (id INT PRIMARY KEY, v TEXT)');
  await fill('t', 30_000);
  await rig.install();
  const first = copy('t', { config: { snapshot: { ...rig.config.snapshot, chunkMs: 1 } } });
  await eventually(async () => ((await onlyCopy()).rowsCopied > 0 ? true : undefined));
  await requestCopy(rig.mysql, rig.state, { tableId: (await onlyCopy()).tableId, run: randomUUID(), reason: 'asked' });
  expect(await first).toEqual({ kind: 'stopped' });
  expect(await copy('t')).toMatchObject({ kind: 'copied', rows: 30_000 });
});

test('an abort ends it between two chunks; the next attempt goes on from there', async () => {
  await rig.run('CREATE TABLE {src}.t (id INT PRIMARY KEY, v TEXT)');
  await fill('t', 20_000);
  await rig.install();
  const abort = new AbortController();
  const config = { snapshot: { ...rig.config.snapshot, chunkMs: 1 } };
  let beats = 0;
  const beat = (): void => void (++beats === 6 && abort.abort());
  expect(await copy('t', { config, signal: abort.signal, beat })).toEqual({ kind: 'stopped' });
  const before = (await onlyCopy()).rowsCopied;
  expect(before).toBeGreaterThan(0);
  expect(before).toBeLessThan(20_000);
  expect(await copy('t')).toEqual({ kind: 'copied', rows: 20_000, orphans: 0 });
  expect(await rig.log()).toHaveLength(20_000);
});

test('rows that come behind the last one while a table is copied are in the log once, by the triggers', async () => {
  await rig.run('CREATE TABLE {src}.t (id INT PRIMARY KEY, v TEXT)');
  await fill('t', 5_000);
  await rig.install();
  const abort = new AbortController();
  const config = { snapshot: { ...rig.config.snapshot, chunkMs: 1 } };
  let beats = 0;
  const beat = (): void => void (++beats === 4 && abort.abort());
  expect(await copy('t', { config, signal: abort.signal, beat })).toEqual({ kind: 'stopped' });
  expect((await onlyCopy()).rowsCopied).toBeLessThan(5_000);
  await rig.run(
    "INSERT INTO {src}.t VALUES (0, 'before'), (5001, 'behind'), (5002, 'behind')",
    'DELETE FROM {src}.t WHERE id = 5000',
    'UPDATE {src}.t SET id = 9000 WHERE id = 4999',
  );
  expect(await copy('t')).toEqual({ kind: 'copied', rows: 4_998, orphans: 0 });
  const behind = (await rig.log()).filter(({ key }) => /"id":(?:500[012]|9000|0)}/.test(key ?? ''));
  expect(behind.map(({ op, key }) => `${op} ${key}`).toSorted()).toEqual([
    'c {"id":0}',
    'c {"id":5001}',
    'c {"id":5002}',
    'c {"id":9000}',
    'd {"id":5000}',
  ]);
  await expectReplayEqualsTable('t');
});

test('what escapes the triggers before a copy begins is left to it by the witness, and is copied', async () => {
  await rig.run('CREATE TABLE {src}.t (id INT PRIMARY KEY, v TEXT)');
  await fill('t', 10);
  await rig.install();
  expect(await copy('t')).toMatchObject({ kind: 'copied', rows: 10 });
  await rig.run('ALTER TABLE {src}.t ADD COLUMN n INT DEFAULT 7');
  await rig.install();
  expect(await onlyCopy()).toMatchObject({ phase: 'needed', reason: 'columns-changed', last: null });
  // As if no trigger had seen it.
  await rig.run("INSERT INTO {src}.t VALUES (11, 'unseen', 1)", `DELETE FROM ${rig.state}.change_log WHERE op = 'c'`);
  expect(await copy('t')).toMatchObject({ kind: 'copied', rows: 11 });
});

test('the end of one copy is not that of the next, which a worker of an earlier version may have asked for', async () => {
  await rig.run('CREATE TABLE {src}.t (id INT PRIMARY KEY, v TEXT)');
  await fill('t', 10);
  await rig.install();
  expect(await copy('t')).toMatchObject({ kind: 'copied', rows: 10 });
  await rig.run("INSERT INTO {src}.t VALUES (11, 'later')");
  // It knows nothing of ends, and clears none.
  await rig.run(
    `UPDATE ${rig.state}.copies SET run = '${randomUUID()}', phase = 'needed', reason = 'loss', next_key = NULL, rows_copied = 0`,
  );
  expect(await copy('t')).toMatchObject({ kind: 'copied', rows: 11 });
});

test.each(['evolve', 'ignore'] as const)(
  'a key sorted otherwise in the middle of a copy begins anew: %s',
  async (policy) => {
    const deps = { config: { ...rig.config, overrides: { t: { schema: { policy } } } }, mysql: rig.mysql };
    await rig.run(
      'CREATE TABLE {src}.t (id VARCHAR(20) COLLATE utf8mb4_0900_ai_ci PRIMARY KEY, v TEXT)',
      `INSERT INTO {src}.t WITH RECURSIVE s AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM s WHERE i < 5000)
     SELECT /*+ SET_VAR(cte_max_recursion_depth=10000) */ CONCAT(IF(i < 2500, 'a', 'B'), i), 'x' FROM s`,
    );
    await rig.install();
    const abort = new AbortController();
    const config = { snapshot: { ...rig.config.snapshot, chunkMs: 1 } };
    let beats = 0;
    const beat = (): void => void (++beats === 3 && abort.abort());
    expect(await copy('t', { config, signal: abort.signal, beat })).toEqual({ kind: 'stopped' });
    expect((await onlyCopy()).rowsCopied).toBeGreaterThan(0);
    // Every B now stands before every a.
    await rig.run('ALTER TABLE {src}.t MODIFY id VARCHAR(20) COLLATE utf8mb4_0900_bin');
    await install(deps);
    expect(await copy('t')).toMatchObject({ kind: 'copied', rows: 5_000 });
    expect((await replayed()).size).toBe(5_000);
  },
);

test('kill -9 at any moment neither loses nor doubles a row', async () => {
  const child = join(packageRoot(), 'dist', 'test', 'store', 'copyChild.js');
  expect(existsSync(child), 'npm run build first').toBe(true);
  await rig.run('CREATE TABLE {src}.t (id INT PRIMARY KEY, v TEXT)');
  await fill('t', 40_000);
  await rig.install();
  const { run } = await onlyCopy();
  const config = { ...rig.config, snapshot: { ...rig.config.snapshot, chunkMs: 20 } };
  const input = JSON.stringify({ config, table: 't', run });
  const start = (): { killed: Promise<string>; kill: () => void } => {
    const process_ = spawn(process.execPath, [child, input], { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    process_.stdout.on('data', (data: Buffer) => (output += data.toString()));
    const killed = new Promise<string>((resolve) => process_.on('exit', () => resolve(output)));
    return { killed, kill: () => void process_.kill('SIGKILL') };
  };
  for (let kills = 0; kills < 5; kills++) {
    const before = (await onlyCopy()).rowsCopied;
    const victim = start();
    await eventually(async () => ((await onlyCopy()).rowsCopied > before + 500 ? true : undefined));
    await new Promise((resolve) => setTimeout(resolve, 7 * kills));
    victim.kill();
    await victim.killed;
  }
  const last = start();
  expect(JSON.parse(await last.killed)).toEqual({ kind: 'copied', rows: 40_000, orphans: 0 });
  const [row] = await rig.mysql.rows(`SELECT COUNT(*), COUNT(DISTINCT \`key\`) FROM ${rig.state}.change_log`);
  expect(row).toEqual([40_000, 40_000]);
}, 300_000);

test('a copy waits while capture is behind, and goes on when it has caught up', async () => {
  await rig.run('CREATE TABLE {src}.t (id INT PRIMARY KEY, v TEXT)');
  await fill('t', 20_000);
  await rig.install();
  const abort = new AbortController();
  const config = { snapshot: { chunkMs: 5, maxBacklogRows: 2_000, parallel: 1 } };
  const copying = copy('t', { config, signal: abort.signal });
  let relay: NodeJS.Timeout | undefined;
  try {
    // Its numbers are spent, and nothing more comes.
    await eventually(async () => {
      const [row] = await rig.mysql.rows(`SELECT MAX(seq) - MIN(seq) FROM ${rig.state}.change_log`);
      return Number(row?.[0] ?? 0) > 2_000 ? true : undefined;
    });
    const waiting = (await onlyCopy()).rowsCopied;
    await new Promise((resolve) => setTimeout(resolve, 500));
    const rows = (await onlyCopy()).rowsCopied;
    expect(rows - waiting).toBeLessThan(2_000);
    expect(rows).toBeLessThan(15_000);
    relay = setInterval(() => {
      rig.mysql.run(`DELETE FROM ${rig.state}.change_log LIMIT 3000`).catch(() => undefined);
    }, 50);
    expect(await copying).toMatchObject({ kind: 'copied', rows: 20_000 });
  } finally {
    clearInterval(relay);
    abort.abort();
    await copying;
  }
});

test('a column dropped under a copy stops nothing for good: the next definition is used', async () => {
  await rig.run('CREATE TABLE {src}.t (id INT PRIMARY KEY, v TEXT, w INT)');
  await fill('t', 100);
  await rig.install();
  await rig.run('ALTER TABLE {src}.t DROP COLUMN w');
  const first = copy('t');
  await rig.install();
  expect(await first).toEqual({ kind: 'stopped' });
  expect(await copy('t')).toMatchObject({ kind: 'copied', rows: 100 });
  await expectReplayEqualsTable('t');
});

describe('orphans', () => {
  const key = (id: number): string => `{"id":${id}}`;

  beforeEach(async () => {
    await rig.run('CREATE TABLE {src}.t (id INT PRIMARY KEY, v TEXT)');
    await fill('t', 10);
    await rig.install();
  });

  test('keys that a store holds and MySQL does not are deleted through the log', async () => {
    const stores = [
      [key(1), key(11), key(12)],
      [key(13), key(2)],
    ];
    expect(await copy('t', { stores })).toEqual({ kind: 'copied', rows: 10, orphans: 3 });
    const deletes = (await rig.log()).filter((row) => row.op === 'd');
    expect(deletes.map((row) => [row.key, row.before])).toEqual([key(11), key(12), key(13)].map((k) => [k, null]));
    await expectReplayEqualsTable('t');
  });

  test('stores that held nothing when the copy began are not looked through', async () => {
    expect(await copy('t', { stores: [[], []] })).toEqual({ kind: 'copied', rows: 10, orphans: 0 });
  });

  test('a row that is being inserted when its key is looked for is not deleted', async () => {
    const writer = await rig.mysql.session();
    await writer.run('START TRANSACTION');
    await writer.run(`INSERT INTO ${rig.source}.t VALUES (77, 'late')`);
    const copying = copy('t', { stores: [[key(77), key(78)]] });
    await eventually(async () => ((await onlyCopy()).phase === 'orphans' ? true : undefined));
    await new Promise((resolve) => setTimeout(resolve, 200));
    await writer.run('COMMIT');
    await writer.close();
    expect(await copying).toMatchObject({ kind: 'copied', orphans: 1 });
    expect((await replayed()).get(key(77))).toBe('{"id":77,"v":"late"}');
    expect((await replayed()).get(key(78))).toBeNull();
  });

  test('a row that is inserted between the look for its key and the commit is logged after the delete', async () => {
    const application = await rig.mysql.session({ rowLockWaitTimeout: 10 });
    let insert: Promise<unknown> | undefined;
    let seenBefore: string[] = [];
    /** What capture sees while the delete of 77 is not committed yet. */
    const attack = async (): Promise<void> => {
      insert ??= application.run(`INSERT INTO ${rig.source}.t VALUES (77, 'late')`);
      await Promise.race([insert, new Promise((resolve) => setTimeout(resolve, 300))]);
      seenBefore = (await rig.log()).filter((row) => row.key === key(77)).map((row) => row.op);
    };
    const attackedAtCommit = (session: Session): Session => ({
      ...session,
      transaction: (work) =>
        session.transaction(async (queries) => {
          let looked = false;
          const rows: Queries['rows'] = (sql, values) => {
            looked ||= sql.startsWith('SELECT CAST(') && sql.endsWith('FOR SHARE');
            return queries.rows(sql, values);
          };
          const result = await work({ ...queries, rows });
          if (looked) await attack();
          return result;
        }),
    });
    const session: Mysql['session'] = async (settings) => attackedAtCommit(await rig.mysql.session(settings));
    await copy('t', { stores: [[key(77)]], mysql: { ...rig.mysql, session } });
    await insert;
    await application.close();
    const after = (await rig.log()).filter((row) => row.key === key(77)).map((row) => row.op);
    expect(seenBefore).toEqual([]);
    expect(after).toEqual(['d', 'c']);
  });

  test('a FLOAT or DOUBLE key is its value, however a store prints it; what is deleted is named as MySQL prints it', async () => {
    await rig.run(
      'CREATE TABLE {src}.y (f FLOAT, n INT, d DOUBLE, PRIMARY KEY (f, n, d))',
      'INSERT INTO {src}.y VALUES (3, 1, 1e15), (0, 2, -0e0), (1.1, 3, 5e-324)',
    );
    await rig.install();
    const printed = [
      [3, 1, 1e15],
      [0, 2, 0],
      [Math.fround(1.1), 3, 5e-324],
      [7, 4, 2e21],
    ].map(([f, n, d]) => `{"f":${f},"n":${n},"d":${d}}`);
    expect(await copy('y', { stores: [printed] })).toEqual({ kind: 'copied', rows: 3, orphans: 1 });
    const deletes = (await rig.log()).filter((row) => row.op === 'd');
    expect(deletes.map((row) => row.key)).toEqual(['{"f":7.0,"n":4,"d":2e21}']);
  });

  test('a spelling that only a case-insensitive comparison takes for the row’s key is an orphan', async () => {
    await rig.run(
      'CREATE TABLE {src}.w (w VARCHAR(9) COLLATE utf8mb4_0900_ai_ci PRIMARY KEY)',
      "INSERT INTO {src}.w VALUES ('A')",
    );
    await rig.install();
    expect(await copy('w', { stores: [['{"w":"a"}', '{"w":"A"}']] })).toEqual({ kind: 'copied', rows: 1, orphans: 1 });
    expect((await rig.log()).map((row) => `${row.op} ${row.key}`)).toEqual(['r {"w":"A"}', 'd {"w":"a"}']);
  });
});

/** Key type, values, and a prefix length where MySQL wants one. */
const keyTypes: readonly (readonly [string, readonly string[], string?])[] = [
  ['INT', ['-5', '-1', '0', '1', '2', '7', '100', '2147483647']],
  ['BIGINT UNSIGNED', ['0', '5', '9223372036854775807', '9223372036854775808', '18446744073709551615']],
  ['BIGINT', ['-9223372036854775808', '-1', '0', '9223372036854775807']],
  ['INT(8) ZEROFILL', ['1', '2', '30', '400', '5000']],
  ['DECIMAL(65,30)', ['-1.5', '0', '0.000000000000000000000000000001', '12345678901234567890123456789012345.5']],
  ['DECIMAL(10,2) ZEROFILL', ['0', '1.5', '2.25', '3', '4']],
  ['FLOAT', ['-1.1', '0', '1.1', '1.2', '3.3333', '1e30', '1.17549e-38']],
  ['FLOAT(10,3)', ['-1.1', '0', '1.1', '1.2', '3.333']],
  ['DOUBLE', ['-0e0', '1.1e0', '0.1e0', '0.30000000000000004e0', '1e300', '5e-324', '-1.7976931348623157e308']],
  ['BIT(64)', ["b'0'", "b'1'", "b'101'", `b'${'1'.repeat(64)}'`, `b'1${'0'.repeat(63)}'`]],
  ['BIT(1)', ["b'0'", "b'1'"]],
  ["ENUM('z','y','x','b','a')", ["'a'", "'z'", "'x'", "'b'", "'y'"]],
  ["SET('z','y','x')", ["''", "'z'", "'y'", "'z,y'", "'x'", "'x,z'"]],
  [
    'VARCHAR(20) COLLATE utf8mb4_0900_ai_ci',
    ["'a'", "'B'", "'c'", "'ä1'", "'Z'", "'z z'", "' '", "'😀'", "''", "'%_\\\\'"],
  ],
  ['VARCHAR(20) COLLATE utf8mb4_bin', ["'a'", "'A'", "'b'", "'B'", "'ä'"]],
  ['VARCHAR(20) COLLATE utf8mb4_da_0900_ai_ci', ["'ab'", "'å'", "'z'", "'æ'", "'b'"]],
  ['VARCHAR(20) CHARACTER SET latin1 COLLATE latin1_swedish_ci', ["'a'", "'ä'", "'b'", "'ß'", "'zz'"]],
  ['VARCHAR(20) CHARACTER SET sjis', ["'a'", "'表'", "'ソ'", "'能'"]],
  ['CHAR(5) CHARACTER SET ucs2', ["'a'", "'表'", "'ソ'", "'b'"]],
  ['VARCHAR(9) CHARACTER SET utf16', ["'a'", "'😀'", "'ソ'", "'b'"]],
  ['CHAR(5) COLLATE utf8mb4_general_ci', ["'a'", "'a b'", "'b'", "'c'"]],
  ['BINARY(4)', ["X'00'", "X'01'", "X'0100ff'", "X'ffffffff'", "X'61'"]],
  ['VARBINARY(9)', ["X''", "X'00'", "X'0000'", "X'27'", "X'5c'", "X'ff'"]],
  ['DATE', ["'0000-00-00'", "'2024-02-30'", "'2024-00-10'", "'2024-01-01'", "'9999-12-31'"]],
  ['DATETIME(6)', ["'0000-00-00'", "'2024-02-30 01:02:03.000001'", "'2024-02-30 01:02:03.000002'", "'2024-00-00'"]],
  ['TIMESTAMP(3)', ["'0000-00-00'", "'1970-01-01 00:00:01'", "'2024-10-27 00:30:00.001'", "'2038-01-19 03:14:07.999'"]],
  ['TIME(6)', ["'-838:59:59'", "'-00:00:00.000001'", "'0'", "'00:00:01'", "'838:59:59'"]],
  ['YEAR', ["'0000'", '1901', '2000', '2024', '2155']],
  ['BLOB', ["X'00'", "X'01'", "X'0100ff'", "X'ffffffff'", "X'61'"], '(3)'],
  ['TEXT', ["'a'", "'B'", "'ccccx'", "'cc'"], '(4)'],
];

describe('a walk in chunks of three sees each row exactly once', () => {
  test.for(keyTypes)('%s, alone and inside a composite key', async ([type, values, prefix = ''], { expect }) => {
    const session = await rig.mysql.session({ sqlMode: 'ALLOW_INVALID_DATES' });
    const key = `k ${type} NOT NULL`;
    await session.run(`CREATE TABLE ${rig.source}.alone (${key}, PRIMARY KEY (k${prefix}))`);
    await session.run(`INSERT INTO ${rig.source}.alone VALUES ${values.map((value) => `(${value})`).join(',')}`);
    await session.run(
      `CREATE TABLE ${rig.source}.inside (p VARCHAR(3), ${key}, q INT, PRIMARY KEY (k${prefix}, p, q))`,
    );
    const rows = values.flatMap((value) => ["'a'", "'B'"].flatMap((p) => [`(${p},${value},-1)`, `(${p},${value},1)`]));
    await session.run(`INSERT INTO ${rig.source}.inside VALUES ${rows.join(',')}`);
    for (const { definition } of await readTables(session, rig.source)) {
      const keys = await walk(session, definition);
      expect(new Set(keys).size).toBe(keys.length);
      expect(keys).toHaveLength(definition.table === 'alone' ? values.length : 4 * values.length);
      for (const found of await Promise.all(keys.map((text) => countAt(session, definition, text))))
        expect(found).toBe(1);
    }
    await session.close();
  });
});

/** Key texts of every chunk's rows. */
async function walk(queries: Queries, definition: Definition): Promise<string[]> {
  const table = `${rig.source}.${definition.table} t`;
  const seen: string[] = [];
  const end = decodeBoundary(encodeBoundary(await tableEnd(queries, definition)));
  let after: Boundary | null = null;
  for (;;) {
    const upTo: Boundary | null = await chunkEnd(queries, definition, { after, upTo: end }, 3);
    if (upTo === null) return seen;
    const range = { after, upTo };
    const keys = await queries.rows(
      `SELECT CAST(${keyJson(definition, 't')} AS BINARY) FROM ${table} WHERE ${inRange(definition, range)}`,
    );
    expect(keys.length).toBeGreaterThan(0);
    expect(await holdsMore(queries, definition, range, keys.length)).toBe(false);
    expect(await holdsMore(queries, definition, range, keys.length - 1)).toBe(true);
    expect(await queries.rows(`SELECT 1 FROM ${table} WHERE ${atKey(definition, upTo)}`)).toHaveLength(1);
    seen.push(...keys.map((row) => asText(row[0])));
    after = decodeBoundary(encodeBoundary(upTo));
  }
}

async function countAt(queries: Queries, definition: Definition, key: string): Promise<number> {
  const condition = atKeyText(definition, key) ?? 'FALSE';
  const lookup = `SELECT 1 FROM ${rig.source}.${definition.table} t WHERE ${condition}`;
  // A look that locks must lock one key's place, never what a scan passes by.
  const [plan] = await queries.rows(`EXPLAIN FORMAT=TRADITIONAL ${lookup}`);
  expect(plan?.[4]).toMatch(/^(?:const|ref|range)$/);
  return (await queries.rows(lookup)).length;
}

test('a range of a composite key is one range of the index', async () => {
  await rig.run(
    "CREATE TABLE {src}.c (e ENUM('x','y','z'), s VARCHAR(9), n BIGINT UNSIGNED, v INT, PRIMARY KEY (e, s, n))",
    `INSERT INTO {src}.c WITH RECURSIVE i AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM i WHERE n < 900)
       SELECT 1 + n % 3, CONCAT('k', n % 10), n, 1 FROM i`,
    'ANALYZE TABLE {src}.c',
  );
  const [facts] = await readTables(rig.mysql, rig.source, 'c');
  const { definition } = facts!;
  const after = await chunkEnd(rig.mysql, definition, { after: null, upTo: null }, 200);
  const upTo = await chunkEnd(rig.mysql, definition, { after, upTo: null }, 100);
  const [plan] = await rig.mysql.rows(
    `EXPLAIN FORMAT=TREE SELECT * FROM ${rig.source}.c t FORCE INDEX (PRIMARY) WHERE ${inRange(definition, { after, upTo })}`,
  );
  expect(asText(plan?.[0])).toMatch(/Index range scan on t using PRIMARY/);
});

test.each([0, 20, 800])('a chunk reads its own rows alone, when the statistics know %i of 900 rows', async (known) => {
  await rig.run(
    'CREATE TABLE {src}.bulk (id INT PRIMARY KEY, v VARCHAR(9)) STATS_AUTO_RECALC = 0',
    "INSERT INTO {src}.bulk WITH RECURSIVE i AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM i WHERE n < 900) SELECT n, 'x' FROM i",
  );
  await rig.run(
    `UPDATE mysql.innodb_table_stats SET n_rows = ${known}, clustered_index_size = 1 WHERE database_name = '${rig.source}'`,
    'FLUSH TABLE {src}.bulk',
  );
  const session = await rig.mysql.session();
  const [facts] = await readTables(session, rig.source, 'bulk');
  const { definition } = facts!;
  const rowsRead = async (): Promise<number> => {
    const rows = await session.rows("SHOW SESSION STATUS LIKE 'Handler_read_next'");
    return Number(asText(rows[0]?.[1]));
  };
  const after = await chunkEnd(session, definition, { after: null, upTo: null }, 500);
  const before = await rowsRead();
  const upTo = await chunkEnd(session, definition, { after, upTo: null }, 100);
  expect(await holdsMore(session, definition, { after, upTo }, 100)).toBe(false);
  expect((await rowsRead()) - before).toBeLessThanOrEqual(200);
  session.destroy();
});
