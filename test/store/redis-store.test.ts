import { randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import type { Store } from '../../core/store.js';
import { openRedisStore } from '../../stores/redis/store.js';
import {
  batch,
  beginning,
  column,
  definition,
  event,
  own,
  partition,
  put,
  remove,
  start,
  target,
  things,
} from '../support/storeRig.js';

const { uri } = inject('stack').redis;
const client = new Redis(uri);
let prefix = '';
let store: Store;
const opened: Store[] = [];

function open(pipeline = 'mine'): Store {
  const made = openRedisStore({ uri, keyPrefix: prefix, tls: null }, pipeline);
  opened.push(made);
  return made;
}

beforeEach(() => {
  prefix = `sinks-${randomBytes(4).toString('hex')}`;
  store = open();
});

afterEach(async () => {
  for (const each of opened.splice(0)) await each.close();
  const keys = await client.keys(`${prefix}:*`);
  if (keys.length > 0) await client.del(...keys);
});

afterAll(async () => {
  await client.quit();
});

const key = (id: number | string, table = 'things'): string => `${prefix}:${table}:${id}`;

describe('ownership', () => {
  it('is empty at first, begins with epoch 1 and rises with each take-over', async () => {
    expect(await store.takeOver(0)).toEqual({ kind: 'empty' });
    expect(await own(store)).toBe(1);
    expect(await store.initialise(0, beginning())).toEqual({ kind: 'empty' });
    expect(await store.takeOver(0)).toMatchObject({ kind: 'owned', epoch: 2 });
    expect(await open().takeOver(0)).toMatchObject({ kind: 'owned', epoch: 3 });
    expect(await store.retake(0, 2)).toEqual({ kind: 'fenced' });
  });

  it('lets a zombie write nothing', async () => {
    const old = await own(store);
    await open().takeOver(0);
    expect(await store.apply(0, old, batch(start, [put(1, 'zombie')]))).toEqual({ kind: 'fenced' });
    expect(await store.look(0, old)).toEqual({ kind: 'fenced' });
    expect(await client.get(key(1))).toBeNull();
  });

  it('goes on above its own epoch in a store that fell back', async () => {
    const old = await own(store);
    const taken = await store.takeOver(0);
    expect(taken).toMatchObject({ epoch: old + 1 });
    await client.hset(`${prefix}::lockstep:apply:0`, 'epoch', '1');
    expect(await store.look(0, old + 1)).toEqual({ kind: 'stale' });
    expect(await store.apply(0, old + 1, batch(start, [put(1, 'a')]))).toEqual({ kind: 'stale' });
    expect(await store.retake(0, old + 1)).toMatchObject({ kind: 'owned', epoch: old + 2 });
  });

  it('refuses a prefix that another pipeline claimed, by name', async () => {
    await own(store);
    await expect(open('other').initialise(0, beginning())).rejects.toMatchObject({
      code: 'LS-STORE-CLAIMED',
      message: expect.stringContaining('mine') as string,
    });
    await store.forget();
    expect(await client.keys(`${prefix}:*`)).toEqual([]);
    expect(await open('other').initialise(0, beginning())).toMatchObject({ kind: 'owned' });
  });
});

describe('a batch', () => {
  it('writes rows and position together, once', async () => {
    const epoch = await own(store);
    const first = batch(start, [put(1, 'a', 'c'), put(2, 'b', 'c'), put(1, 'é"\n'), remove(2), put(3, 'd', 'c')]);
    expect(await store.apply(0, epoch, first)).toEqual({ kind: 'applied', parked: [] });
    expect(await client.get(key(1))).toBe(JSON.stringify({ id: 1, v: 'é"\n' }));
    expect(await client.exists(key(2))).toBe(0);
    const state = await store.readState(0);
    expect(state?.positions).toEqual(new Map([[partition, { offset: 6, ordinal: 5 }]]));
    expect(state).toMatchObject({ epoch, incarnation: 'one', progress: { applied: 5 }, gaps: [] });
    expect(await store.apply(0, epoch, first)).toEqual({ kind: 'stale' });
  });

  it('carries out what is under way in order, and nothing after a batch that failed', async () => {
    const epoch = await own(store);
    const outcomes = await Promise.all([
      store.apply(0, epoch, batch(start, [put(1, 'a')])),
      store.apply(0, epoch, batch({ offset: 2, ordinal: 1 }, [put(1, 'b')])),
      store.apply(0, epoch, batch({ offset: 99, ordinal: 2 }, [put(1, 'wrong')])),
      store.apply(0, epoch, batch({ offset: 101, ordinal: 3 }, [put(1, 'wrong too')])),
    ]);
    expect(outcomes.map((o) => o.kind)).toEqual(['applied', 'applied', 'stale', 'stale']);
    expect(await client.get(key(1))).toBe('{"id":1,"v":"b"}');
  });

  it('finds its scripts again in a server that forgot them, in order', async () => {
    const epoch = await own(store);
    await client.script('FLUSH');
    const outcomes = await Promise.all([
      store.apply(0, epoch, batch(start, [put(1, 'a')])),
      store.apply(0, epoch, batch({ offset: 2, ordinal: 1 }, [put(1, 'b')])),
    ]);
    expect(outcomes.map((o) => o.kind)).toEqual(['applied', 'applied']);
    expect(await client.get(key(1))).toBe('{"id":1,"v":"b"}');
  });

  it('takes more keys and fields than one unpack holds', async () => {
    const epoch = await own(store);
    const many = Array.from({ length: 3_001 }, (_, i) => put(i, 'x', 'r'));
    expect((await store.apply(0, epoch, batch(start, many))).kind).toBe('applied');
    const gone = many.map((e) => ({ ...e, op: 'd' as const, after: null }));
    const keys: string[] = [];
    for await (const some of store.scanKeys(target(), things)) keys.push(...some);
    expect(new Set(keys)).toEqual(new Set(many.map((e) => e.key.toString())));
    expect((await store.apply(0, epoch, batch({ offset: 3_002, ordinal: 3_001 }, gone))).kind).toBe('applied');
    expect(await client.keys(`${prefix}:things:*`)).toEqual([]);

    const columns = [column('id', 'int'), ...Array.from({ length: 1_016 }, (_, i) => column(`c${i}`, 'int'))];
    const wide = definition(columns, ['id'], 'wide');
    const row = JSON.stringify(Object.fromEntries(columns.map((c, i) => [c.name, c.name === 'id' ? 1 : i])));
    const asHash = target('wide', { layout: 'hash' });
    const next = batch({ offset: 6_004, ordinal: 6_002 }, [event('c', 1, row, { definition: wide, target: asHash })]);
    expect((await store.apply(0, epoch, next)).kind).toBe('applied');
    expect(await client.hlen(key(1, 'wide'))).toBe(1_017);
  });

  it('keeps gaps with the position that passes over them, and sets all at a reposition', async () => {
    const epoch = await own(store);
    await store.apply(0, epoch, { ...batch(start, [put(1, 'a')]), gaps: ['things'] });
    expect((await store.readState(0))?.gaps).toEqual(['things']);
    const to = { incarnation: 'two', positions: new Map([['t.x.y/1', { offset: 9, ordinal: -1 }]]), gaps: ['*'] };
    expect(await store.reposition(0, epoch, to)).toBe(true);
    expect(await store.readState(0)).toMatchObject({ ...to, progress: { applied: 1 } });
    const next = { ...batch(start, [put(1, 'b')]), moves: [move('t.x.y/1', 9, -1)] };
    expect((await store.apply(0, epoch, next)).kind).toBe('applied');
    await open().takeOver(0);
    expect(await store.reposition(0, epoch, to)).toBe(false);
  });
});

function move(name: string, offset: number, ordinal: number) {
  return { partition: name, from: { offset, ordinal }, to: { offset: offset + 2, ordinal: 7 } };
}

describe('layouts', () => {
  const all = definition(
    [
      column('id', 'int'),
      column('s', 'varchar'),
      column('n', 'int'),
      column('d', 'decimal', { precision: 10, scale: 2 }),
      column('j', 'json'),
      column('js', 'json'),
      column('b', 'bit', { precision: 1 }),
      column('f', 'double'),
      column('nothing', 'varchar'),
    ],
    ['id'],
    'all',
  );
  const asHash = { definition: all, target: target('all', { layout: 'hash' }) };
  const row =
    '{"id":1,"s":"a\\"b\\u00e9","n":-5,"d":"1.50","j":{"a": [1, 2.50]},"js":"text","b":true,"f":1e+20,"nothing":null}';
  const fields = {
    id: '1',
    s: 'a"bé',
    n: '-5',
    d: '1.50',
    j: '{"a": [1, 2.50]}',
    js: '"text"',
    b: 'true',
    f: '1e+20',
  };

  it('hash: a field a column, strings unquoted, JSON as text, NULL absent, old fields gone', async () => {
    const epoch = await own(store);
    await store.apply(0, epoch, batch(start, [event('c', 1, row, asHash)]));
    expect(await client.hgetall(key(1, 'all'))).toEqual(fields);
    const fewer = row.replace('"n":-5', '"n":null');
    await store.apply(0, epoch, batch({ offset: 2, ordinal: 1 }, [event('u', 1, fewer, asHash)]));
    expect(Object.keys(await client.hgetall(key(1, 'all')))).not.toContain('n');
    const rows = [row, fewer].map((text) => ({ key: Buffer.from('{"id":1}'), row: Buffer.from(text) }));
    expect(await store.compareRows(asHash.target, all, rows)).toEqual([
      { kind: 'different', fields: ['n'] },
      { kind: 'equal' },
    ]);
  });

  it('json: the bytes of the row', async () => {
    const epoch = await own(store);
    const asJson = { definition: all, target: target('all') };
    await store.apply(0, epoch, batch(start, [event('c', 1, row, asJson)]));
    expect(await client.get(key(1, 'all'))).toBe(row);
  });

  it.each(['json', 'hash'] as const)('%s: a key of another type in the way is replaced', async (layout) => {
    const epoch = await own(store);
    await client.lpush(key(1, 'all'), 'in the way');
    await client.hset(key(2, 'all'), 'in', 'the way');
    await client.set(key(3, 'all'), 'in the way');
    const there = { definition: all, target: target('all', { layout }) };
    const events = [1, 2, 3].map((id) => event('c', id, row.replace('"id":1', `"id":${id}`), there));
    expect((await store.apply(0, epoch, batch(start, events))).kind).toBe('applied');
    const rows = events.map((e) => ({ key: e.key, row: e.after! }));
    expect(await store.compareRows(there.target, all, rows)).toEqual(events.map(() => ({ kind: 'equal' })));
  });

  it('keys escape % and : in every part', async () => {
    const epoch = await own(store);
    const pairs = definition([column('a', 'varchar'), column('b', 'int')], ['a', 'b'], 'we:ird');
    const text = '{"a":"50%:x\\"","b":7}';
    await store.apply(0, epoch, batch(start, [event('c', text, text, { definition: pairs })]));
    expect(await client.get(`${prefix}:we%3Aird:50%25%3Ax":7`)).toBe(text);
    const keys: string[] = [];
    for await (const some of store.scanKeys(target('we:ird'), pairs)) keys.push(...some);
    expect(keys).toEqual([text]);
  });
});

describe('expiry', () => {
  const ttlMs = 3_600_000;

  it.each(['json', 'hash'] as const)('%s: is absolute, so a replay revives nothing', async (layout) => {
    const epoch = await own(store);
    const where = target('things', { layout, ttlMs });
    const now = Date.now();
    const events = [
      event('c', 1, '{"id":1,"v":"old"}', { target: where, at: now - ttlMs - 1_000 }),
      event('c', 2, '{"id":2,"v":"young"}', { target: where, at: now - 1_000.5 }),
    ];
    expect((await store.apply(0, epoch, batch(start, events))).kind).toBe('applied');
    expect(await client.exists(key(1))).toBe(0);
    expect(await client.pexpiretime(key(2))).toBe(Math.ceil(now - 1_000.5 + ttlMs));
    const rows = events.map((e) => ({ key: e.key, row: e.after! }));
    expect((await store.compareRows(where, things, rows)).map((v) => v.kind)).toEqual(['expired', 'equal']);
  });

  it('excuses what is not there, and nothing of another type', async () => {
    const epoch = await own(store);
    const where = target('things', { ttlMs });
    const events = [1, 2, 3].map((id) => event('c', id, `{"id":${id},"v":"a"}`, { target: where, at: Date.now() }));
    await store.apply(0, epoch, batch(start, events));
    await client.del(key(1), key(2));
    await client.hset(key(2), 'v', 'a');
    const rows = events.map((e) => ({ key: e.key, row: e.after! }));
    expect(await store.compareRows(where, things, rows)).toEqual([
      { kind: 'expired' },
      { kind: 'different', fields: ['(type of the key)'] },
      { kind: 'equal' },
    ]);
  });

  it('ends when the table loses its TTL', async () => {
    const epoch = await own(store);
    await store.apply(
      0,
      epoch,
      batch(start, [event('c', 1, '{"id":1,"v":"a"}', { target: target('things', { ttlMs }), at: Date.now() })]),
    );
    await store.apply(0, epoch, batch({ offset: 2, ordinal: 1 }, [put(1, 'b')]));
    expect(await client.pttl(key(1))).toBe(-1);
  });
});

describe('what cannot be stored', () => {
  it('parks its key, keeps the last good row, and is taken back by a change that fits', async () => {
    const epoch = await own(store);
    const asHash = { target: target('things', { layout: 'hash' }) };
    await store.apply(0, epoch, batch(start, [event('c', 1, '{"id":1,"v":"good"}', asHash)]));
    const bad = batch({ offset: 2, ordinal: 1 }, [event('u', 1, '{"id":1,"w":1}', asHash)]);
    expect(await store.apply(0, epoch, bad)).toMatchObject({ kind: 'applied', parked: [{ key: '{"id":1}' }] });
    expect(await store.parkedKeys(10)).toMatchObject([{ table: 'things', key: '{"id":1}' }]);
    expect(await client.hgetall(key(1))).toEqual({ id: '1', v: 'good' });
    const successor = open();
    await successor.takeOver(0);
    const good = batch({ offset: 4, ordinal: 2 }, [event('u', 1, '{"id":1,"v":"fits"}', asHash)]);
    expect(await successor.apply(0, epoch + 1, good)).toEqual({ kind: 'applied', parked: [] });
    expect(await successor.parkedKeys(10)).toEqual([]);
  });
});

describe('loss', () => {
  it('of the state is seen by the next batch and by a look', async () => {
    const epoch = await own(store);
    await client.del(`${prefix}::lockstep:apply:0`);
    expect(await store.look(0, epoch)).toEqual({ kind: 'lost' });
    expect(await store.apply(0, epoch, batch(start, [put(1, 'a')]))).toEqual({ kind: 'lost' });
    expect(await client.exists(key(1))).toBe(0);
  });
});
