import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { LockstepError } from '../../core/errors.js';
import type { Positions } from '../../core/position.js';
import type { ShardState, Store } from '../../core/store.js';
import { awaitMarker, writeMarker, type WaitDeps } from '../../stages/wait.js';
import { openMysql, type Mysql } from '../../stores/mysql/connection.js';
import { resolveMarkers } from '../../stores/mysql/markers.js';
import { migrate } from '../../stores/mysql/migrate.js';

const stack = inject('stack');
const db = `wait_${randomBytes(3).toString('hex')}`;
const never = new AbortController().signal;
let mysql: Mysql;

beforeAll(async () => {
  mysql = openMysql({ uri: stack.mysql.uri, database: 'mysql', stateDatabase: db, tls: null }, { connections: 2 });
  await migrate(mysql);
});

afterAll(async () => {
  await mysql.run(`DROP DATABASE ${db}`);
  await mysql.close();
});

type Answer = Record<string, number> | Error;

/** A store whose shards answer from a list, the last answer again and again. */
function store(name: 'mongo' | 'redis', ...shards: Answer[][]): Pick<Store, 'name' | 'readState'> {
  return {
    name,
    readState: async (shard) => {
      const list = shards[shard] ?? [];
      const answer = list.length > 1 ? list.shift() : list[0];
      if (answer instanceof Error) throw answer;
      const positions: Positions = new Map(
        Object.entries(answer ?? {}).map(([n, offset]) => [n, { offset, ordinal: 1 }]),
      );
      return {
        incarnation: '',
        positions,
        progress: { applied: 0, lastEventAt: 0, lag: [] },
        gaps: [],
        epoch: 1,
      } as ShardState & {
        epoch: number;
      };
    },
  };
}

async function waitFor(stores: WaitDeps['stores'], timeoutMs: number, more: Partial<WaitDeps> = {}) {
  const deps: WaitDeps = { queries: mysql, stateDatabase: db, stores, shards: 1, ...more };
  const marker = await writeMarker(deps);
  const vector = new Map([
    ['p.db.a/0', 10],
    ['p.db.a/1', 5],
    ['p.db.b/0', 0],
  ]);
  await resolveMarkers(mysql, db, [marker], vector);
  return await awaitMarker(deps, marker, timeoutMs, never);
}

test('passes once every store has passed every partition', async () => {
  const mongo = store('mongo', [{}, { 'p.db.a/0': 9 }, { 'p.db.a/0': 12, 'p.db.a/1': 5 }]);
  const redis = store('redis', [
    { 'p.db.a/0': 10, 'p.db.a/1': 4 },
    { 'p.db.a/0': 10, 'p.db.a/1': 5 },
  ]);
  expect((await waitFor([mongo, redis], 5_000)).kind).toBe('passed');
});

test('names who is behind, in which topics and by how much', async () => {
  const redis = store('redis', [{ 'p.db.a/0': 10, 'p.db.a/1': 2 }]);
  const outcome = await waitFor([store('mongo', [{ 'p.db.a/0': 10, 'p.db.a/1': 5 }]), redis], 60);
  expect(outcome).toMatchObject({ kind: 'timed-out', behind: [{ who: 'redis', topics: ['p.db.a'], events: 3 }] });
});

test('asks the shard that owns a partition, not one that owned it once', async () => {
  const mongo = store('mongo', [{ 'p.db.a/0': 10, 'p.db.a/1': 99 }], [{ 'p.db.a/1': 4 }]);
  expect(await waitFor([mongo], 60, { shards: 2 })).toMatchObject({ kind: 'timed-out' });
});

test('leaves out what is paused', async () => {
  expect((await waitFor([store('mongo', [{}])], 1_000, { leftOut: new Set(['p.db.a']) })).kind).toBe('passed');
});

test('a store that is away for a moment is waited for; one that stays away is the error', async () => {
  const away = new LockstepError('LS-REDIS-UNREACHABLE', 'Redis is away');
  const back = store('redis', [away, away, { 'p.db.a/0': 10, 'p.db.a/1': 5 }]);
  expect((await waitFor([back], 5_000)).kind).toBe('passed');
  await expect(waitFor([store('redis', [away])], 60)).rejects.toThrow('Redis is away');
});

test('without capture the marker stays open, and capture is named', async () => {
  const deps: WaitDeps = { queries: mysql, stateDatabase: db, stores: [], shards: 1 };
  expect(await awaitMarker(deps, await writeMarker(deps), 50, never)).toMatchObject({
    kind: 'timed-out',
    behind: [{ who: 'capture' }],
  });
});

test('ends when it is told to', async () => {
  const abort = new AbortController();
  const deps: WaitDeps = { queries: mysql, stateDatabase: db, stores: [], shards: 1 };
  const waiting = awaitMarker(deps, await writeMarker(deps), 60_000, abort.signal);
  setTimeout(() => abort.abort(), 20);
  expect(await waiting).toEqual({ kind: 'stopped' });
});
