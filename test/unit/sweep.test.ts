/** What a sweep decides without asking anyone: causes, pace, and which chunk is next. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { causeOf, type Findings } from '../../core/driftCause.js';
import { batchRows, chunkRows, nextRate, slowestRows, type PaceSettings } from '../../core/sweepPace.js';
import { ReadSize } from '../../core/readSize.js';
import { nextChunk, planOf, sweptBy } from '../../workflows/sweepPlan.js';
import { column, definition } from '../support/storeRig.js';

describe('the cause of a drift', () => {
  const event = { rowAgrees: true, storeAgrees: false, storeIsEarlier: false, verified: false };
  const findings: Findings = {
    kind: 'different',
    event,
    logIsWhole: true,
    otherStoreDrifts: false,
    mappedOtherwise: false,
  };
  it.each<[string, Partial<Findings>, string]>([
    ['somebody wrote what no event left', {}, 'out-of-band-edit'],
    [
      'an earlier event left it, and nobody had seen the later one',
      { event: { ...event, storeIsEarlier: true } },
      'lost-apply',
    ],
    [
      'put back after it was seen newer',
      { event: { ...event, storeIsEarlier: true, verified: true } },
      'out-of-band-edit',
    ],
    ['the row is not what the log says', { event: { ...event, rowAgrees: false } }, 'missed-capture'],
    ['a row of which the whole log tells nothing', { kind: 'missing', event: null }, 'missed-capture'],
    [
      'both stores lack it, and the log is cut',
      { kind: 'missing', event: null, logIsWhole: false, otherStoreDrifts: true },
      'missed-capture',
    ],
    ['one store lacks it, and the log is cut', { kind: 'missing', event: null, logIsWhole: false }, 'out-of-band-edit'],
    ['an entry of which the log tells nothing', { kind: 'extra', event: null }, 'orphan'],
    [
      'its row went unseen',
      { kind: 'extra', event: { ...event, rowAgrees: false, storeAgrees: true } },
      'missed-capture',
    ],
    ['landed under another layout', { mappedOtherwise: true }, 'mapping-difference'],
  ])('%s', (_, over, cause) => {
    expect(causeOf({ ...findings, ...over })).toBe(cause);
  });
});

describe('the pace of a sweep', () => {
  const settings: PaceSettings = {
    rowsPerSecond: 100_000,
    rowsPerSecondBusy: 2_000,
    maxLagMs: 250,
    maxRunningThreads: 32,
  };
  const quiet = { lagMs: 20, eventsPerSecond: 0, runningThreads: 2 };

  it('grows to the most where nothing streams', () => {
    let rate = 2_000;
    for (let i = 0; i < 10; i++) rate = nextRate(rate, quiet, settings);
    expect(rate).toBe(100_000);
  });

  it('stays at the busy pace until it is known that nothing streams', () => {
    let rate = 2_000;
    for (let i = 0; i < 10; i++) rate = nextRate(rate, { ...quiet, eventsPerSecond: null }, settings);
    expect(rate).toBe(2_000);
  });

  it('falls back to the busy pace at the first sign of traffic', () => {
    expect(nextRate(100_000, { ...quiet, eventsPerSecond: 500 }, settings)).toBe(2_000);
  });

  it('halves while the stream falls behind, and while MySQL is crowded', () => {
    expect(nextRate(2_000, { lagMs: 900, eventsPerSecond: 500, runningThreads: 2 }, settings)).toBe(1_000);
    expect(nextRate(50_000, { ...quiet, runningThreads: 100 }, settings)).toBe(25_000);
  });

  it('makes chunks of some work, not of some rows', () => {
    expect([100, 10_000, 100_000, 1_000_000].map((rowsPerSecond) => chunkRows({ rowsPerSecond }))).toEqual([
      1_000, 5_000, 50_000, 50_000,
    ]);
  });

  it('stays within its bounds whatever it sees', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1_000_000 }),
        fc.integer({ min: 0, max: 100_000 }),
        fc.option(fc.integer({ min: 0, max: 100_000 })),
        fc.integer({ min: 0, max: 1_000 }),
        (rate, lagMs, eventsPerSecond, runningThreads) => {
          const next = nextRate(rate, { lagMs, eventsPerSecond, runningThreads }, settings);
          expect(next).toBeGreaterThanOrEqual(slowestRows);
          expect(next).toBeLessThanOrEqual(100_000);
          expect(batchRows(next)).toBeGreaterThanOrEqual(50);
          expect(batchRows(next)).toBeLessThanOrEqual(1_000);
        },
      ),
    );
  });
});

describe('the chunks of a sweep', () => {
  const counts = { rows: 10, rechecked: 0, parked: 0, expired: 0 };

  it('are begun side by side as far as the table seems to reach, then one at a time', () => {
    const plan = planOf([{ name: 'a', chunks: 2, next: 0, through: false }]);
    expect([nextChunk(plan), nextChunk(plan), nextChunk(plan)]).toEqual([
      { table: 'a', number: 0 },
      { table: 'a', number: 1 },
      'wait',
    ]);
    sweptBy(plan, { table: 'a', number: 0 }, { kind: 'swept', counts, drift: 0, last: false });
    expect(nextChunk(plan)).toBe('wait');
    sweptBy(plan, { table: 'a', number: 1 }, { kind: 'swept', counts, drift: 0, last: false });
    expect(nextChunk(plan)).toEqual({ table: 'a', number: 2 });
    sweptBy(plan, { table: 'a', number: 2 }, { kind: 'none' });
    expect(nextChunk(plan)).toBeNull();
  });

  it('come all, once each, whatever order they end in', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ real: fc.integer({ min: 1, max: 6 }), guess: fc.integer({ min: 1, max: 8 }) }), {
          minLength: 1,
          maxLength: 5,
        }),
        fc.infiniteStream(fc.nat()),
        (tables, picks) => {
          const plan = planOf(
            tables.map(({ guess }, i) => ({ name: `t${i}`, chunks: guess, next: 0, through: false })),
          );
          const running: { table: string; number: number }[] = [];
          const swept: string[] = [];
          for (let step = 0; step < 500; step++) {
            const job = nextChunk(plan);
            if (job !== null && job !== 'wait') {
              running.push(job);
              if (running.length < 3) continue;
            }
            if (running.length === 0) break;
            const [done] = running.splice(picks.next().value % running.length, 1);
            const real = tables[Number(done!.table.slice(1))]!.real;
            if (done!.number >= real) sweptBy(plan, done!, { kind: 'none' });
            else {
              swept.push(`${done!.table} ${done!.number}`);
              sweptBy(plan, done!, { kind: 'swept', counts, drift: 0, last: done!.number === real - 1 });
            }
          }
          const all = tables.flatMap(({ real }, i) => Array.from({ length: real }, (_, n) => `t${i} ${n}`));
          expect(swept.toSorted()).toEqual(all.toSorted());
          expect(plan.tables.every(({ through }) => through)).toBe(true);
        },
      ),
    );
  });

  it('a table that cannot be judged is set aside and not asked for again', () => {
    const plan = planOf([{ name: 'a', chunks: 3, next: 0, through: false }]);
    const job = nextChunk(plan);
    if (job === null || job === 'wait') throw new Error('no chunk');
    sweptBy(plan, job, { kind: 'aside', reason: 'copying' });
    expect(nextChunk(plan)).toBeNull();
    expect([...plan.asides]).toEqual([['a', 'copying']]);
  });
});

describe('how many rows one read takes', () => {
  const rowsOf = (count: number, bytes: number): { key: Buffer; row: Buffer }[] =>
    Array.from({ length: count }, () => ({ key: Buffer.alloc(0), row: Buffer.alloc(bytes) }));
  const narrow = definition([column('id', 'int'), column('v', 'varchar', { length: 60 })]);
  const wide = definition([column('id', 'int'), column('v', 'longblob')]);

  it('is what the pace allows where rows are narrow', () => {
    const size = new ReadSize(narrow);
    expect(size.rows(1_000)).toBe(1_000);
    size.met(rowsOf(1_000, 300));
    expect(size.rows(1_000)).toBe(1_000);
  });

  it('begins with a few where they may be large, and stays within a megabyte', () => {
    const size = new ReadSize(wide);
    expect(size.rows(1_000)).toBe(20);
    size.met(rowsOf(20, 300));
    expect(size.rows(1_000)).toBe(80);
    size.met(rowsOf(80, 100_000));
    expect(size.rows(1_000)).toBe(10);
    size.met(rowsOf(10, 4_000_000));
    expect(size.rows(1_000)).toBe(1);
    size.met(rowsOf(1, 300));
    expect(size.rows(1_000)).toBe(4);
  });
});
