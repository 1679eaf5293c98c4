import { describe, expect, it } from 'vitest';
import { bucketOf, emptyLag } from '../../core/lag.js';
import { sampleOf, statusOf, type Circumstances, type CopyPhase, type Reading } from '../../core/statusReading.js';
import type { ShardState } from '../../core/store.js';

const circumstances: Circumstances = {
  pipeline: 'shop',
  paused: false,
  pausedTables: [],
  changeLogMaxBytes: 1000,
  topicOf: (table) => `shop.shop.${table}`,
};

function shard(over: { applied?: number; ordinal?: number; incarnation?: string; lags?: readonly number[] } = {}) {
  const lag = emptyLag();
  for (const ms of over.lags ?? []) lag[bucketOf(ms)] = (lag[bucketOf(ms)] ?? 0) + 1;
  const state: ShardState & { epoch: number } = {
    epoch: 3,
    incarnation: over.incarnation ?? 'inc',
    positions: new Map([['shop.shop.orders/0', { offset: 20, ordinal: over.ordinal ?? 10 }]]),
    progress: { applied: over.applied ?? 10, lastEventAt: 5_000, lag },
    gaps: [],
  };
  return state;
}

function reading(over: Partial<Reading> = {}): Reading {
  return {
    at: 100_000,
    tables: [],
    backlog: { rows: 0, oldestMs: 0, bytes: 0 },
    log: { incarnation: 'inc', published: 10, ordinals: new Map([['shop.shop.orders', [10]]]) },
    stores: [{ store: 'mongo', shards: [shard()], parkedByTable: new Map() }],
    verified: [],
    publishedThrough: 99_000,
    problems: [],
    ...over,
  };
}

function table(phase: CopyPhase, rows: number, estimated: number, startedAt = 90_000): Reading['tables'][number] {
  return { table: 'orders', copy: { phase, rows, estimated, startedAt }, parkedKeys: 0 };
}

describe('tables', () => {
  it.each([
    ['waiting', 'waiting', 'copying', 0, null],
    ['needed', 'waiting', 'copying', 0, null],
    ['rows', 'copying', 'copying', 50, 10],
    ['skipped', 'copying', 'copying', 50, 10],
    ['orphans', 'finishing', 'copying', 100, 0],
  ] as const)('phase %s is stage %s', (phase, stage, whole, percent, secondsLeft) => {
    const begun = phase !== 'waiting' && phase !== 'needed';
    const status = statusOf(reading({ tables: [table(phase, begun ? 500 : 0, 1000)] }), null, circumstances);
    expect(status.stage).toBe(whole);
    expect(status.tables[0]).toMatchObject({ stage, copy: { percent, secondsLeft } });
  });

  it('streams once its copy is done, and shows no copy then', () => {
    const status = statusOf(reading({ tables: [table('done', 1000, 900)] }), null, circumstances);
    expect(status.stage).toBe('streaming');
    expect(status.tables[0]).toEqual({
      table: 'orders',
      stage: 'streaming',
      copy: null,
      rowsCopied: 1000,
      parkedKeys: 0,
      verifiedThrough: { mongo: null },
    });
  });

  it('never claims 100 % before every row is copied, however wrong the estimate', () => {
    const [first] = statusOf(reading({ tables: [table('rows', 5000, 1000)] }), null, circumstances).tables;
    expect(first?.copy).toMatchObject({ percent: 99.9, secondsLeft: 0 });
  });

  it('names paused ones', () => {
    const over = { ...circumstances, pausedTables: ['orders'] };
    expect(statusOf(reading({ tables: [table('done', 1, 1)] }), null, over).tables[0]?.stage).toBe('paused');
  });
});

describe('stores', () => {
  it('counts rates and lag from the earlier reading', () => {
    const earlier = sampleOf(reading({ at: 40_000 }));
    const later = reading({
      log: { incarnation: 'inc', published: 130, ordinals: new Map([['shop.shop.orders', [130]]]) },
      stores: [
        {
          store: 'mongo',
          shards: [shard({ applied: 130, ordinal: 129, lags: [...Array<number>(99).fill(10), 1000] })],
          parkedByTable: new Map(),
        },
      ],
    });
    const { stores, capture, windowSeconds } = statusOf(later, earlier, circumstances);
    expect(windowSeconds).toBe(60);
    expect(capture.changesPerSecond).toBe(2);
    expect(stores[0]).toMatchObject({ applied: 130, eventsPerSecond: 2, behind: 1, epochs: [3], state: 'ready' });
    expect(stores[0]?.lag?.p50).toBeGreaterThanOrEqual(10);
    expect(stores[0]?.lag?.p50).toBeLessThan(13);
    expect(stores[0]?.lag?.p99).toBeLessThan(13);
    expect(stores[0]?.lastEventAt).toBe('1970-01-01T00:00:05.000Z');
  });

  it('adds up shards', () => {
    const shards = [shard({ applied: 3 }), shard({ applied: 4 })];
    const status = statusOf(
      reading({ stores: [{ store: 'redis', shards, parkedByTable: new Map() }] }),
      null,
      circumstances,
    );
    expect(status.stores[0]).toMatchObject({ applied: 7, epochs: [3, 3] });
  });

  it('begins anew with a store that was initialised again', () => {
    const earlier = sampleOf(
      reading({
        at: 90_000,
        stores: [{ store: 'mongo', shards: [shard({ applied: 500, lags: [1, 1, 1] })], parkedByTable: new Map() }],
      }),
    );
    const now = reading({
      stores: [{ store: 'mongo', shards: [shard({ applied: 20, lags: [5] })], parkedByTable: new Map() }],
    });
    const [store] = statusOf(now, earlier, circumstances).stores;
    expect(store?.eventsPerSecond).toBe(2);
    expect(store?.lag).not.toBeNull();
  });

  it.each([
    ['a new incarnation goes on counting', { incarnation: 'older', ordinal: 7 }, 3],
    ['all was applied', { ordinal: 10 }, 0],
    ['the position was set to the end and does not know its ordinal', { ordinal: -1 }, 0],
    ['nothing was applied', { ordinal: 0 }, 10],
  ])('is behind by the right number when %s', (_, over, behind) => {
    const stores = [{ store: 'mongo', shards: [shard(over)], parkedByTable: new Map<string, number>() }] as const;
    expect(statusOf(reading({ stores }), null, circumstances).stores[0]?.behind).toBe(behind);
  });

  it.each([
    ['unreachable', null],
    ['empty', [null]],
  ] as const)('is %s', (state, shards) => {
    const status = statusOf(
      reading({ stores: [{ store: 'mongo', shards, parkedByTable: new Map() }] }),
      null,
      circumstances,
    );
    expect(status.stores[0]).toMatchObject({ state, applied: 0, behind: state === 'empty' ? 10 : 0, lag: null });
  });
});

describe('problems', () => {
  it('names parked keys by table, from MySQL and the stores together', () => {
    const { problems, tables } = statusOf(
      reading({
        tables: [{ ...table('done', 1, 1), parkedKeys: 2 }],
        stores: [{ store: 'mongo', shards: [shard()], parkedByTable: new Map([['orders', 3]]) }],
      }),
      null,
      circumstances,
    );
    expect(tables[0]?.parkedKeys).toBe(5);
    expect(problems).toMatchObject([
      { code: 'LS-KEYS-PARKED', table: 'orders', message: '5 keys of orders are parked' },
    ]);
  });

  it.each([
    [501, 1, 1],
    [501, 0, 0],
    [500, 1, 0],
  ])('warns at half of the change log (%s bytes, %s rows)', (bytes, rows, count) => {
    const status = statusOf(reading({ backlog: { rows, oldestMs: 0, bytes } }), null, circumstances);
    expect(status.problems.filter((p) => p.code === 'LS-CHANGE-LOG-GROWS')).toHaveLength(count);
  });
});
