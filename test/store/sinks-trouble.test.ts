/** What stores do when their servers are full, emptied, stopped, misconfigured or not there. Servers of this file's own. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { MongoClient } from 'mongodb';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Config } from '../../core/config.js';
import type { Store } from '../../core/store.js';
import { checkMongo } from '../../stores/mongo/check.js';
import { openMongoStore } from '../../stores/mongo/store.js';
import { checkRedis } from '../../stores/redis/check.js';
import { openRedisStore } from '../../stores/redis/store.js';
import { down, up, type Stack } from '../../temporal-compose/stack.js';
import { batch, event, own, put, remove, start, target, things } from '../support/storeRig.js';

let folder = '';
let stack: Stack;
let admin: Redis;
let mongo: MongoClient;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lockstep-sinks-'));
  stack = await up({ root: folder, ports: 'free', only: ['redis', 'mongo'] });
  admin = new Redis(stack.redis.uri);
  mongo = await MongoClient.connect(stack.mongo.uri);
});

afterAll(async () => {
  admin.disconnect();
  await mongo.close();
  await down({ root: folder, wipe: true });
  await rm(folder, { recursive: true, force: true });
});

function config(parts: { redisUri?: string; mongoUri?: string; pipeline?: string } = {}): Config {
  return {
    pipeline: parts.pipeline ?? 'mine',
    redis: { uri: parts.redisUri ?? stack.redis.uri, keyPrefix: 'sinks', tls: null },
    mongo: { uri: parts.mongoUri ?? stack.mongo.uri, database: 'sinks', stateDatabase: 'sinks_state', tls: null },
    // The checks of the stores look at their own part alone.
  } as Config;
}

function withUser(uri: string, user: string, password: string): string {
  const url = new URL(uri);
  [url.username, url.password] = [user, password];
  return url.href;
}

describe('Redis', () => {
  let store: Store;

  beforeEach(async () => {
    await admin.config('SET', 'maxmemory', '0');
    await admin.flushall();
    store = openRedisStore({ uri: stack.redis.uri, keyPrefix: 'sinks', tls: null }, 'mine');
    return async () => await store.close();
  });

  it('full: nothing half-way, deletes go ahead, and it goes on by itself', async () => {
    const epoch = await own(store);
    const filler = 'x'.repeat(100_000);
    const many = Array.from({ length: 30 }, (_, i) => put(i, filler, 'c'));
    expect((await store.apply(0, epoch, batch(start, many))).kind).toBe('applied');
    const used = Number(/used_memory:(\d+)/.exec(await admin.info('memory'))![1]);
    await admin.config('SET', 'maxmemory', String(used - 500_000));

    const from = { offset: 31, ordinal: 30 };
    const mixed = batch(from, [put(100, 'new', 'c'), remove(0), remove(1)]);
    await expect(store.apply(0, epoch, mixed)).rejects.toMatchObject({ code: 'LS-REDIS-FULL', retryable: true });
    expect(await admin.exists('sinks:things:100')).toBe(0);
    expect(await admin.exists('sinks:things:0', 'sinks:things:1')).toBe(0);
    expect((await store.readState(0))?.positions.values().next().value).toEqual(from);

    // Whole batches of deletes pass, position and all.
    const deletes = batch(
      from,
      Array.from({ length: 20 }, (_, i) => remove(i)),
    );
    expect((await store.apply(0, epoch, deletes)).kind).toBe('applied');
    const next = batch(deletes.moves[0]!.to, [put(100, 'new', 'c')]);
    expect((await store.apply(0, epoch, next)).kind).toBe('applied');
  });

  it('full: a take-over still works', async () => {
    await own(store);
    await admin.config('SET', 'maxmemory', '1');
    expect(await store.takeOver(0)).toMatchObject({ kind: 'owned', epoch: 2 });
  });

  it('flushed: everything is lost, and nothing is written on', async () => {
    const epoch = await own(store);
    await store.apply(0, epoch, batch(start, [put(1, 'a')]));
    await admin.flushall();
    expect(await store.apply(0, epoch, batch({ offset: 2, ordinal: 1 }, [put(2, 'b')]))).toEqual({ kind: 'lost' });
    expect(await admin.keys('*')).toEqual([]);
    expect(await store.retake(0, epoch)).toEqual({ kind: 'empty' });
  });

  it('that expires keys by itself is compared without taking them for missing', async () => {
    const epoch = await own(store);
    const where = target('things', { ttlMs: 50 });
    const brief = event('c', 1, '{"id":1,"v":"a"}', { target: where, at: Date.now() });
    await store.apply(0, epoch, batch(start, [brief]));
    await expect.poll(async () => await admin.exists('sinks:things:1')).toBe(0);
    const row = { key: brief.key, row: brief.after! };
    expect(await store.compareRows(where, brief.definition, [row])).toEqual([{ kind: 'expired' }]);
  });

  it('a replica refuses writes as something that passes', async () => {
    const epoch = await own(store);
    await admin.replicaof('127.0.0.1', '1');
    try {
      const outcome = store.apply(0, epoch, batch(start, [put(1, 'a')]));
      await expect(outcome).rejects.toMatchObject({ code: 'LS-REDIS-WRITE', retryable: true });
      expect(await checkRedis(config())).toMatchObject([{ code: 'LS-REDIS-WRITE' }]);
    } finally {
      await admin.replicaof('NO', 'ONE');
    }
  });

  it.each([
    ['nothing', async () => undefined, []],
    ['allkeys-lru', async () => await admin.config('SET', 'maxmemory-policy', 'allkeys-lru'), ['LS-REDIS-EVICTION']],
    ['another pipeline', async () => await admin.set('sinks::lockstep:claim', 'theirs'), ['LS-STORE-CLAIMED']],
  ])('check finds %s', async (_, arrange, codes) => {
    await arrange();
    const problems = await checkRedis(config());
    await admin.config('SET', 'maxmemory-policy', 'noeviction');
    expect(problems.map((p) => p.code)).toEqual(codes);
  });

  it.each([
    ['wrong password', () => withUser(stack.redis.uri, 'default', 'wrong'), 'LS-REDIS-ACCESS'],
    ['no server', () => 'redis://127.0.0.1:1', 'LS-REDIS-UNREACHABLE'],
  ])('check and store say: %s', async (_, uri, code) => {
    const bad = config({ redisUri: uri() });
    expect((await checkRedis(bad)).map((p) => p.code)).toEqual([code]);
    const other = openRedisStore(bad.redis!, 'mine');
    try {
      await expect(other.takeOver(0)).rejects.toMatchObject({ code });
    } finally {
      await other.close();
    }
  });

  it('a user without a needed right is told apart from a server that is away', async () => {
    await admin.acl('SETUSER', 'reader', 'on', '>pw', '~*', '+@read', '+@connection', '+info');
    const uri = withUser(stack.redis.uri, 'reader', 'pw');
    const other = openRedisStore({ uri, keyPrefix: 'sinks', tls: null }, 'mine');
    try {
      await expect(other.takeOver(0)).rejects.toMatchObject({ code: 'LS-REDIS-ACCESS', retryable: false });
      expect((await checkRedis(config({ redisUri: uri }))).map((p) => p.code)).toEqual(['LS-REDIS-ACCESS']);
    } finally {
      await other.close();
      await admin.acl('DELUSER', 'reader');
    }
  });
});

describe('Redis', () => {
  it('needs no right that the docs do not name', async () => {
    const page = await readFile(new URL('../../docs/stores.md', import.meta.url), 'utf8');
    const named = /the commands ([A-Z, \nand]+)\./.exec(page)![1]!.split(/,?\s+(?:and\s+)?/);
    await admin.flushall();
    await admin.acl(
      'SETUSER',
      'exact',
      'on',
      '>pw',
      '~sinks:*',
      ...named.map((command) => `+${command.toLowerCase()}`),
    );
    const uri = withUser(stack.redis.uri, 'exact', 'pw');
    expect(await checkRedis(config({ redisUri: uri }))).toEqual([]);
    const store = openRedisStore({ uri, keyPrefix: 'sinks', tls: null }, 'mine');
    try {
      const epoch = await own(store);
      const events = [
        event('c', 1, '{"id":1,"v":"a"}', {
          target: target('things', { layout: 'hash', ttlMs: 60_000 }),
          at: Date.now(),
        }),
        event('u', 2, '{"id":2,"w":"unfit"}', { target: target('things', { layout: 'hash' }) }),
        event('c', 3, '{"id":3,"v":"a"}', { target: target('things', { ttlMs: 60_000 }), at: Date.now() }),
        put(4, 'a', 'c'),
        remove(5),
      ];
      expect((await store.apply(0, epoch, batch(start, events))).kind).toBe('applied');
      expect(await store.takeOver(0)).toMatchObject({ kind: 'owned' });
      expect(await store.look(0, epoch + 1)).toEqual({ kind: 'held' });
      expect(await store.parkedKeys(9)).toHaveLength(1);
      expect((await store.readState(0))?.epoch).toBe(epoch + 1);
      const state = { incarnation: 'two', positions: new Map(), gaps: [] };
      expect(await store.reposition(0, epoch + 1, state)).toBe(true);
      const rows = [{ key: Buffer.from('{"id":4}'), row: Buffer.from('{"id":4,"v":"a"}') }];
      expect(await store.compareRows(target(), things, rows)).toEqual([{ kind: 'equal' }]);
      const keys: string[] = [];
      for await (const some of store.scanKeys(target(), things)) keys.push(...some);
      expect(keys).toHaveLength(3);
      await store.forget();
    } finally {
      await store.close();
      await admin.acl('DELUSER', 'exact');
    }
  });
});

describe('MongoDB', () => {
  it('check finds nothing, then another pipeline', async () => {
    expect(await checkMongo(config())).toEqual([]);
    const theirs = openMongoStore(config().mongo!, 'theirs');
    await own(theirs);
    expect((await checkMongo(config())).map((p) => p.code)).toEqual(['LS-STORE-CLAIMED']);
    await theirs.forget();
    await theirs.close();
    expect(await checkMongo(config())).toEqual([]);
  });

  it.each([
    ['wrong password', () => withUser(stack.mongo.uri, 'root', 'wrong'), 'LS-MONGO-ACCESS'],
    ['no server', () => 'mongodb://127.0.0.1:1/', 'LS-MONGO-UNREACHABLE'],
  ])('check and store say: %s', async (_, uri, code) => {
    const bad = config({ mongoUri: uri() });
    expect((await checkMongo(bad)).map((p) => p.code)).toEqual([code]);
    const other = openMongoStore(bad.mongo!, 'mine');
    try {
      await expect(other.takeOver(0)).rejects.toMatchObject({ code });
    } finally {
      await other.close();
    }
  });

  it('a user who may only read is told so by the check', async () => {
    const uri = withUser(stack.mongo.uri, 'reader', 'pw');
    await mongo.db('admin').command({ createUser: 'reader', pwd: 'pw', roles: ['readAnyDatabase'] });
    expect((await checkMongo(config({ mongoUri: uri }))).map((p) => p.code)).toEqual(['LS-MONGO-ACCESS']);
    await mongo.db('admin').command({ dropUser: 'reader' });
  });

  it('a user with readWrite on the two databases needs no other right, take-over included', async () => {
    const roles = ['sinks', 'sinks_state'].map((db) => ({ role: 'readWrite', db }));
    await mongo.db('admin').command({ createUser: 'writer', pwd: 'pw', roles });
    const uri = withUser(stack.mongo.uri, 'writer', 'pw');
    expect(await checkMongo(config({ mongoUri: uri }))).toEqual([]);
    const store = openMongoStore(config({ mongoUri: uri }).mongo!, 'mine');
    try {
      await own(store);
      expect(await store.takeOver(0)).toMatchObject({ kind: 'owned', epoch: 2 });
      expect((await store.apply(0, 2, batch(start, [put(1, 'a', 'c')]))).kind).toBe('applied');
      expect(await store.look(0, 2)).toEqual({ kind: 'held' });
      await store.forget();
    } finally {
      await store.close();
      await mongo.db('admin').command({ dropUser: 'writer' });
    }
  });
});
