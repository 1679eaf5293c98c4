/** A connection that breaks while a batch is being written: afterwards the store itself says whether it was. */
import { randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';
import { MongoClient } from 'mongodb';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import type { Position } from '../../core/position.js';
import type { Store } from '../../core/store.js';
import { openMongoStore } from '../../stores/mongo/store.js';
import { openRedisStore } from '../../stores/redis/store.js';
import { startBreakingProxy, type BreakingProxy } from '../support/breakingProxy.js';
import { batch, own, partition, put, start } from '../support/storeRig.js';

const stack = inject('stack');
let name = '';
let proxy: BreakingProxy;
let store: Store;

beforeEach(() => {
  name = `sinks_${randomBytes(4).toString('hex')}`;
});

afterEach(async () => {
  await store.close();
  await proxy.close();
});

/** Writes one batch well, breaks the second, and comes back; the position that the store then has, and what follows. */
async function breakSecondBatch(text: string, handOn: boolean): Promise<{ at: Position; value: string }> {
  const epoch = await own(store);
  const first = batch(start, [put(1, 'first', 'c')]);
  const second = batch(first.moves[0]!.to, [put(1, 'second')]);
  expect((await store.apply(0, epoch, first)).kind).toBe('applied');
  proxy.breakAt(text, handOn);
  await expect(store.apply(0, epoch, second)).rejects.toMatchObject({ retryable: true });
  expect(proxy.broken).toBe(true);
  proxy.mend();
  const taken = await untilItAnswers(async () => await store.retake(0, epoch));
  if (taken.kind !== 'owned') throw new Error(taken.kind);
  const at = taken.state.positions.get(partition)!;
  const rows = [{ key: Buffer.from('{"id":1}'), row: Buffer.from('{"id":1,"v":"second"}') }];
  const { definition, target } = second.events[0]!;
  const [verdict] = await store.compareRows(target, definition, rows);
  // It goes on from there, whatever it was.
  const third = batch(at, [put(1, 'third')]);
  expect((await store.apply(0, taken.epoch, third)).kind).toBe('applied');
  return { at, value: verdict?.kind === 'equal' ? 'second' : 'first' };
}

async function untilItAnswers<T>(ask: () => Promise<T>): Promise<T> {
  for (const giveUpAt = Date.now() + 30_000; ;) {
    try {
      return await ask();
    } catch (error) {
      if (Date.now() > giveUpAt) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

const [before, after] = [
  { offset: 2, ordinal: 1 },
  { offset: 4, ordinal: 2 },
];

describe('MongoDB', () => {
  beforeEach(async () => {
    const url = new URL(stack.mongo.uri);
    proxy = await startBreakingProxy({ host: url.hostname, port: Number(url.port) });
    url.port = String(proxy.port);
    url.searchParams.delete('replicaSet');
    url.searchParams.set('directConnection', 'true');
    store = openMongoStore({ uri: url.href, database: name, stateDatabase: `${name}_state`, tls: null }, name);
    return async () => {
      const client = await MongoClient.connect(stack.mongo.uri);
      await client.db(name).dropDatabase();
      await client.db(`${name}_state`).dropDatabase();
      await client.close();
    };
  });

  it('breaks after the commit: it was written', async () => {
    expect(await breakSecondBatch('commitTransaction', true)).toEqual({ at: after, value: 'second' });
  });

  it('breaks before the commit: nothing was, and what is left open is ended', async () => {
    const began = performance.now();
    expect(await breakSecondBatch('commitTransaction', false)).toEqual({ at: before, value: 'first' });
    // The server would have kept the transaction, and the position document locked, for a minute.
    expect(performance.now() - began).toBeLessThan(30_000);
  });

  it('breaks in the middle of the transaction: nothing was', async () => {
    expect(await breakSecondBatch('updates', true)).toEqual({ at: before, value: 'first' });
  });

  it.each([true, false])(
    'breaks while documents are read back: they are read once more (asked: %s)',
    async (handOn) => {
      const epoch = await own(store);
      const first = batch(start, [put(1, 'first', 'c')]);
      await store.apply(0, epoch, first);
      const [{ definition, target }] = first.events as [(typeof first.events)[0]];
      const rows = [{ key: Buffer.from('{"id":1}'), row: Buffer.from('{"id":1,"v":"first"}') }];
      const reads = [
        async () => (await store.compareRows(target, definition, rows)).map(({ kind }) => kind),
        async () => (await store.read(target, definition, [rows[0]!.key], 1)).contents.map(({ kind }) => kind),
      ];
      const found: string[][] = [];
      for (const read of reads) {
        proxy.breakAt(target.collection, handOn);
        const reading = read();
        reading.catch(() => undefined);
        await expect.poll(() => proxy.broken).toBe(true);
        proxy.mend();
        found.push(await reading);
      }
      expect(found).toEqual([['equal'], ['bytes']]);
    },
  );
});

describe('Redis', () => {
  beforeEach(async () => {
    const url = new URL(stack.redis.uri);
    proxy = await startBreakingProxy({ host: url.hostname, port: Number(url.port) });
    url.port = String(proxy.port);
    store = openRedisStore({ uri: url.href, keyPrefix: name, tls: null }, name);
    return async () => {
      const client = new Redis(stack.redis.uri);
      const keys = await client.keys(`${name}:*`);
      if (keys.length > 0) await client.del(...keys);
      client.disconnect();
    };
  });

  it('breaks after the script: it was written', async () => {
    expect(await breakSecondBatch('evalsha', true)).toEqual({ at: after, value: 'second' });
  });

  it('breaks before the script: nothing was', async () => {
    expect(await breakSecondBatch('evalsha', false)).toEqual({ at: before, value: 'first' });
  });
});
