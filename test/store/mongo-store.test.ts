import { randomBytes } from 'node:crypto';
import { MongoClient, type Document } from 'mongodb';
import { afterAll, afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import type { Store } from '../../core/store.js';
import { openMongoStore } from '../../stores/mongo/store.js';
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

const { uri } = inject('stack').mongo;
const client = new MongoClient(uri);
let name = '';
let store: Store;
const opened: Store[] = [];

function open(pipeline = name): Store {
  const made = openMongoStore({ uri, database: name, stateDatabase: `${name}_state`, tls: null }, pipeline);
  opened.push(made);
  return made;
}

beforeEach(() => {
  name = `sinks_${randomBytes(4).toString('hex')}`;
  store = open();
});

afterEach(async () => {
  for (const each of opened.splice(0)) await each.close();
  await client.db(name).dropDatabase();
  await client.db(`${name}_state`).dropDatabase();
});

afterAll(async () => {
  await client.close();
});

async function documents(collection = 'things'): Promise<Document[]> {
  return await client.db(name).collection(collection).find().sort({ _id: 1 }).toArray();
}

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
    const successor = await open().takeOver(0);
    expect(successor.kind).toBe('owned');
    expect(await store.apply(0, old, batch(start, [put(1, 'zombie')]))).toEqual({ kind: 'fenced' });
    expect(await store.look(0, old)).toEqual({ kind: 'fenced' });
    expect(await documents()).toEqual([]);
  });

  it('refuses a database that another pipeline claimed, by name', async () => {
    await own(store);
    await expect(open('other').initialise(0, beginning())).rejects.toMatchObject({
      code: 'LS-STORE-CLAIMED',
      message: expect.stringContaining(name) as string,
    });
    await store.forget();
    expect(await open('other').initialise(0, beginning())).toMatchObject({ kind: 'owned' });
  });
});

describe('a batch', () => {
  it('writes documents and position together, once', async () => {
    const epoch = await own(store);
    const first = batch(start, [put(1, 'a', 'c'), put(2, 'b', 'c'), put(1, 'c'), remove(2), put(3, 'd', 'c')]);
    expect(await store.apply(0, epoch, first)).toEqual({ kind: 'applied', parked: [] });
    expect(await documents()).toEqual([
      { _id: 1, id: 1, v: 'c' },
      { _id: 3, id: 3, v: 'd' },
    ]);
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
    expect(await documents()).toEqual([{ _id: 1, id: 1, v: 'b' }]);
  });

  it('inserts into an empty collection, and upserts what turns out to be there', async () => {
    const epoch = await own(store);
    let from = start;
    for (const v of ['first', 'again', 'and again', 'once more', 'last']) {
      const next = batch(from, [put(1, v, 'r'), put(2, v, 'r')]);
      expect((await store.apply(0, epoch, next)).kind).toBe('applied');
      from = next.moves[0]!.to;
    }
    expect(await documents()).toEqual([
      { _id: 1, id: 1, v: 'last' },
      { _id: 2, id: 2, v: 'last' },
    ]);
  });

  it('moves a position without events', async () => {
    const epoch = await own(store);
    expect((await store.apply(0, epoch, batch(start, []))).kind).toBe('applied');
    expect((await store.readState(0))?.positions.get(partition)).toEqual({ offset: 1, ordinal: 0 });
  });

  it('keeps gaps with the position that passes over them, and sets all at a reposition', async () => {
    const epoch = await own(store);
    await store.apply(0, epoch, { ...batch(start, [put(1, 'a')]), gaps: ['things'] });
    expect((await store.readState(0))?.gaps).toEqual(['things']);
    const to = { incarnation: 'two', positions: new Map([['t.x.y/1', { offset: 9, ordinal: -1 }]]), gaps: ['*'] };
    expect(await store.reposition(0, epoch, to)).toBe(true);
    expect(await store.readState(0)).toMatchObject({ ...to, progress: { applied: 1 } });
    expect(await store.reposition(0, epoch, { ...to, gaps: [] })).toBe(true);
    await open().takeOver(0);
    expect(await store.reposition(0, epoch, to)).toBe(false);
  });
});

describe('names', () => {
  const awkward = ['$set', 'a.b', '.', '$', 'x$y', 'ключ', 'with "quotes"', ' ', '__proto__', 'constructor'];

  it('of columns are stored as they are, by insert and by upsert', async () => {
    const odd = definition([column('id', 'int'), ...awkward.map((n) => column(n, 'varchar'))], ['id'], 'odd');
    const row = (id: number, v: string): string =>
      `{"id":${id},${awkward.map((n) => `${JSON.stringify(n)}:${JSON.stringify(v + n)}`).join()}}`;
    const epoch = await own(store);
    const apply = async (from: number, op: 'c' | 'u', v: string): Promise<void> => {
      const events = [1, 2].map((id) => event(op, id, row(id, v), { definition: odd }));
      const next = batch({ offset: from * 3, ordinal: from * 2 }, events);
      expect(await store.apply(0, epoch, next)).toEqual({ kind: 'applied', parked: [] });
    };
    for (const [i, op] of (['c', 'c', 'u'] as const).entries()) await apply(i, op, `v${i}`);
    const found = await client.db(name).collection('odd').find({}, { raw: true }).toArray();
    expect(found).toHaveLength(2);
    const verdicts = await store.compareRows(target('odd'), odd, [
      { key: Buffer.from('{"id":1}'), row: Buffer.from(row(1, 'v2')) },
      { key: Buffer.from('{"id":2}'), row: Buffer.from(row(2, 'v1')) },
      { key: Buffer.from('{"id":3}'), row: Buffer.from(row(3, 'v1')) },
    ]);
    expect(verdicts).toEqual([{ kind: 'equal' }, { kind: 'different', fields: awkward }, { kind: 'missing' }]);
  });

  it('inside JSON may be operators', async () => {
    const withJson = definition([column('id', 'int'), column('j', 'json')], ['id'], 'jsons');
    const json = '{"$set": {"a.b": 1, "$ref": 2}, "": [{"$id": null}], "ok": {"$inc": {}}}';
    const epoch = await own(store);
    for (const [i, op] of (['c', 'r', 'u'] as const).entries()) {
      const events = [event(op, i, `{"id":${i},"j":${json}}`, { definition: withJson })];
      expect(await store.apply(0, epoch, batch({ offset: i * 2, ordinal: i }, events))).toEqual({
        kind: 'applied',
        parked: [],
      });
    }
    expect((await documents('jsons')).map((d) => d['j'] as unknown)).toEqual(
      [0, 1, 2].map(() => JSON.parse(json) as unknown),
    );
  });

  it('of key columns are escaped in a composite _id', async () => {
    const composite = definition(
      [column('$a', 'int'), column('b', 'varchar'), column('v', 'int')],
      ['b', '$a'],
      'pairs',
    );
    const epoch = await own(store);
    const row = '{"$a":1,"b":"x","v":2}';
    const key = '{"b":"x","$a":1}';
    await store.apply(0, epoch, batch(start, [event('c', key, row, { definition: composite })]));
    expect(await documents('pairs')).toEqual([{ _id: { b: 'x', '-0024a': 1 }, $a: 1, b: 'x', v: 2 }]);
    const keys: string[] = [];
    for await (const some of store.scanKeys(target('pairs'), composite)) keys.push(...some);
    expect(keys).toEqual([key]);
    await store.apply(0, epoch, batch({ offset: 2, ordinal: 1 }, [event('d', key, null, { definition: composite })]));
    expect(await documents('pairs')).toEqual([]);
  });
});

describe('what cannot be stored', () => {
  const large = (id: number, bytes: number): string => `{"id":${id},"v":"${'x'.repeat(bytes)}"}`;

  it('parks its key, keeps the last good document, and is taken back by a change that fits', async () => {
    const epoch = await own(store);
    await store.apply(0, epoch, batch(start, [put(1, 'good', 'c'), put(2, 'good', 'c')]));
    const over = batch({ offset: 3, ordinal: 2 }, [event('u', 1, large(1, 17 * 1024 * 1024)), put(2, 'better')]);
    const outcome = await store.apply(0, epoch, over);
    expect(outcome).toMatchObject({ kind: 'applied', parked: [{ table: 'things', key: '{"id":1}' }] });
    expect(await documents()).toEqual([
      { _id: 1, id: 1, v: 'good' },
      { _id: 2, id: 2, v: 'better' },
    ]);
    expect(await store.parkedKeys(10)).toHaveLength(1);
    // A successor knows it too.
    const successor = open();
    const taken = await successor.takeOver(0);
    expect(taken.kind).toBe('owned');
    const next = batch({ offset: 6, ordinal: 4 }, [put(1, 'fits')]);
    expect(await successor.apply(0, epoch + 1, next)).toEqual({ kind: 'applied', parked: [] });
    expect(await successor.parkedKeys(10)).toEqual([]);
    expect((await documents())[0]).toEqual({ _id: 1, id: 1, v: 'fits' });
  });

  it('is measured as the document, not as the command: 16 MB to the byte fit', async () => {
    const epoch = await own(store);
    // _id and id: 5 + 4 + 7; v: 1 + 2 + 4 + n + 1; frame: 4 + 1.
    const overhead = 4 + (1 + 4 + 4) + (1 + 3 + 4) + (1 + 2 + 4 + 1) + 1;
    const fits = 16 * 1024 * 1024 - overhead;
    const events = [event('u', 1, large(1, fits)), event('u', 2, large(2, fits + 1))];
    const outcome = await store.apply(0, epoch, batch(start, events));
    expect(outcome).toMatchObject({ kind: 'applied', parked: [{ key: '{"id":2}' }] });
    expect((await documents()).map((d) => d['_id'] as unknown)).toEqual([1]);
  });

  it('may be refused by an index of the user: that key alone is parked, without its value', async () => {
    const epoch = await own(store);
    await client.db(name).collection('things').createIndex({ v: 1 }, { unique: true });
    await store.apply(0, epoch, batch(start, [put(1, 'secret', 'c')]));
    const next = batch({ offset: 2, ordinal: 1 }, [put(2, 'secret', 'c'), put(3, 'other', 'c')]);
    const outcome = await store.apply(0, epoch, next);
    expect(outcome).toMatchObject({ kind: 'applied', parked: [{ key: '{"id":2}' }] });
    expect(JSON.stringify(outcome)).not.toContain('secret');
    expect((await documents()).map((d) => d['_id'] as unknown)).toEqual([1, 3]);
  });

  it('does not include what only a validator minds', async () => {
    const epoch = await own(store);
    await client.db(name).createCollection('things', { validator: { v: { $type: 'int' } } });
    const outcome = await store.apply(0, epoch, batch(start, [put(1, 'text', 'c'), put(2, 'text')]));
    expect(outcome).toEqual({ kind: 'applied', parked: [] });
    expect(await documents()).toHaveLength(2);
  });

  it('includes rows that do not fit their definition and names with a zero character', async () => {
    const epoch = await own(store);
    const withJson = definition([column('id', 'int'), column('j', 'json')], ['id'], 'jsons');
    const events = [
      event('u', 1, '{"id":1,"other":2}'),
      event('u', 2, '{"id":2}'),
      event('u', 3, String.raw`{"id":3,"j":{"a\u0000b":1}}`, { definition: withJson }),
      put(4, 'fine'),
    ];
    const outcome = await store.apply(0, epoch, batch(start, events));
    expect(outcome.kind === 'applied' && outcome.parked.map((p) => p.key)).toEqual([
      '{"id":1}',
      '{"id":2}',
      '{"id":3}',
    ]);
    expect(await documents()).toEqual([{ _id: 4, id: 4, v: 'fine' }]);
  });
});

describe('loss', () => {
  it('of the position is seen by the next batch and by a look', async () => {
    const epoch = await own(store);
    await client.db(`${name}_state`).dropDatabase();
    expect(await store.look(0, epoch)).toEqual({ kind: 'lost' });
    expect(await store.apply(0, epoch, batch(start, [put(1, 'a')]))).toEqual({ kind: 'lost' });
    expect(await documents()).toEqual([]);
  });

  it('of a collection is seen by a look, also when it is there anew', async () => {
    const epoch = await own(store);
    await store.apply(0, epoch, batch(start, [put(1, 'a')]));
    expect(await store.look(0, epoch)).toEqual({ kind: 'held' });
    await client.db(name).collection('things').drop();
    const lost = { kind: 'tables-lost', tables: ['things'] };
    expect(await store.look(0, epoch)).toEqual(lost);
    const successor = open();
    await successor.takeOver(0);
    await successor.apply(0, epoch + 1, batch({ offset: 2, ordinal: 1 }, [put(2, 'b')]));
    expect(await successor.look(0, epoch + 1)).toEqual(lost);
    const { incarnation, positions } = (await successor.readState(0))!;
    await successor.reposition(0, epoch + 1, { incarnation, positions, gaps: ['things'] });
    expect(await successor.look(0, epoch + 1)).toEqual({ kind: 'held' });
  });

  it('of one more collection while the first is being noted is not forgotten with it', async () => {
    const epoch = await own(store);
    const others = definition([column('id', 'int', { nullable: false })], ['id'], 'others');
    const events = [put(1, 'a'), event('c', 1, '{"id":1}', { definition: others })];
    await store.apply(0, epoch, batch(start, events));
    // As dropDatabase does it: one after the other.
    await client.db(name).collection('things').drop();
    expect(await store.look(0, epoch)).toEqual({ kind: 'tables-lost', tables: ['things'] });
    await client.db(name).collection('others').drop();
    const { incarnation, positions } = (await store.readState(0))!;
    await store.reposition(0, epoch, { incarnation, positions, gaps: ['things'] });
    await store.reposition(0, epoch, { incarnation, positions, gaps: [] });
    expect(await store.look(0, epoch)).toEqual({ kind: 'tables-lost', tables: ['others'] });
    await store.reposition(0, epoch, { incarnation, positions, gaps: ['*'] });
    expect(await store.look(0, epoch)).toEqual({ kind: 'held' });
  });
});

describe('comparison', () => {
  it('scans keys of every table it is asked for', async () => {
    const epoch = await own(store);
    const many = Array.from({ length: 2_500 }, (_, i) => put(i, 'x', 'r'));
    await store.apply(0, epoch, batch(start, many));
    const keys: string[] = [];
    for await (const some of store.scanKeys(target(), things)) keys.push(...some);
    expect(keys.toSorted()).toEqual(many.map((e) => e.key.toString()).toSorted());
  });

  it('tells another type from another value', async () => {
    await client
      .db(name)
      .collection<{ _id: number }>('things')
      .insertMany([
        { _id: 1, id: 1, v: 'a' },
        { _id: 2, v: 'a', id: 2 },
        { _id: 3, id: 3, v: 7 },
        { _id: 4, id: 4, v: 'a', w: 1 },
      ] as never[]);
    const rows = [1, 2, 3, 4].map((id) => ({
      key: Buffer.from(`{"id":${id}}`),
      row: Buffer.from(JSON.stringify({ id, v: 'a' })),
    }));
    expect(await store.compareRows(target(), things, rows)).toEqual([
      { kind: 'equal' },
      { kind: 'different', fields: ['(order of fields)'] },
      { kind: 'different', fields: ['v'] },
      { kind: 'different', fields: ['w'] },
    ]);
  });
});
