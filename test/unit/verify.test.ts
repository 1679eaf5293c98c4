import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { envelopeBuilder, imagesOf } from '../../core/envelope.js';
import { nothingVerified, type VerifiedShard } from '../../core/verified.js';
import { verifiedThrough, verifyStatus } from '../../core/verifiedReading.js';
import { afterRound, isSampled } from '../../stages/verifyPace.js';
import { Suspects, type Suspect } from '../../stages/verifySuspects.js';
import { Through } from '../../stages/verifyThrough.js';

const p = 'shop.shop.a/0';

function suspect(over: Partial<Suspect> = {}): Suspect {
  return { partition: p, offset: 10, ordinal: 7, index: 5, seenAt: 20, difference: null, notBefore: 0, ...over };
}

const twice = suspect({ difference: {} as NonNullable<Suspect['difference']> });

function at(offset: number): Map<string, { offset: number; ordinal: number }> {
  return new Map([[p, { offset, ordinal: offset }]]);
}

describe('a key in doubt', () => {
  it.each([
    ['a later event that was applied explains it', suspect(), 15, false],
    ['one that was applied explains it, seen twice or not', twice, 15, false],
    ['an event at the position was not applied: it takes the place of what was seen once', suspect(), 20, false],
    ['what was seen twice stands, whatever is logged later', twice, 20, true],
    ['its own event, read again, explains nothing', suspect(), 10, true],
    ['an earlier event explains nothing', suspect(), 9, true],
  ])('%s', (_, doubted, offset, stays) => {
    const suspects = new Suspects();
    suspects.doubt('k', doubted);
    suspects.meet('k', offset);
    expect(suspects.get('k') !== undefined).toBe(stays);
  });

  it('stands once the log was read up to the position of the look, and not before its time', () => {
    const suspects = new Suspects();
    suspects.doubt('k', suspect({ notBefore: 5 }));
    expect(suspects.standing(at(19), 9, 10)).toEqual([]);
    expect(suspects.standing(at(20), 4, 10)).toEqual([]);
    expect(suspects.standing(at(20), 5, 10)).toHaveLength(1);
    expect(suspects.horizon().get(p)?.offset).toBe(20);
  });

  it('holds back what is saved as verified', () => {
    const suspects = new Suspects();
    suspects.doubt('k', suspect());
    suspects.doubt('l', suspect({ offset: 12, ordinal: 9, index: 7 }));
    expect(suspects.verified(at(30)).get(p)).toEqual({ offset: 10, ordinal: 6 });
    expect(suspects.unsettled(new Map([[p, 9]]))).toBe(4);
    suspects.clearUp('k');
    expect(suspects.verified(at(30)).get(p)).toEqual({ offset: 12, ordinal: 8 });
    expect(suspects.verified(at(5)).get(p)).toEqual({ offset: 5, ordinal: 5 });
    expect(suspects.unsettled(new Map([[p, 9]]))).toBe(2);
  });
});

describe('through', () => {
  const tableOf = (topic: string): string => topic;
  const all = (): boolean => true;
  const vector = (a: number, b: number): Map<string, number> =>
    new Map([
      ['a/0', a],
      ['b/0', b],
    ]);
  const reached = (a: number, b: number): Map<string, { offset: number; ordinal: number }> =>
    new Map([
      ['a/0', { offset: a, ordinal: 0 }],
      ['b/0', { offset: b, ordinal: 0 }],
    ]);

  it('follows the newest marker that is passed; a table that lags keeps its own time', () => {
    const through = new Through({ through: null, behind: {} });
    for (const [id, time] of [
      ['m1', 100],
      ['m2', 200],
      ['m3', 300],
    ] as const)
      through.place({ id, at: time });
    through.resolve('m1', vector(10, 10));
    through.resolve('m2', vector(20, 20));
    through.advance(reached(9, 9), tableOf, all);
    expect([through.through, through.behind]).toEqual([null, {}]);
    through.advance(reached(20, 10), tableOf, all);
    expect([through.through, through.behind]).toEqual([200, { b: 100 }]);
    through.advance(reached(20, 20), tableOf, all);
    expect([through.through, through.behind]).toEqual([200, {}]);
    expect(through.unresolved()).toEqual(['m3']);
    through.resolve('m3', new Map());
    through.advance(reached(20, 20), tableOf, all);
    expect(through.through).toBe(300);
  });

  it('goes on from what was kept, and never back', () => {
    const through = new Through({ through: 500, behind: { b: 400 } });
    through.place({ id: 'm', at: 450 });
    through.resolve('m', vector(1, 5));
    through.advance(reached(1, 0), tableOf, all);
    expect([through.through, through.behind]).toEqual([500, { b: 400 }]);
  });

  it('a table that catches up in steps shows the marker it has passed, not the newest', () => {
    const through = new Through({ through: null, behind: {} });
    through.place({ id: 'm1', at: 100 });
    through.resolve('m1', vector(10, 10));
    through.place({ id: 'm2', at: 200 });
    through.resolve('m2', vector(20, 20));
    through.advance(reached(20, 9), tableOf, all);
    expect([through.through, through.behind]).toEqual([200, { b: null }]);
    through.advance(reached(20, 10), tableOf, all);
    expect([through.through, through.behind]).toEqual([200, { b: 100 }]);
    through.advance(reached(20, 20), tableOf, all);
    expect([through.through, through.behind]).toEqual([200, {}]);
  });

  it('a table that has passed less than what was kept is not shown as passed', () => {
    const through = new Through({ through: 500, behind: { b: 400 } });
    through.place({ id: 'm', at: 450 });
    through.resolve('m', vector(1, 5));
    through.advance(reached(1, 5), tableOf, all);
    expect([through.through, through.behind]).toEqual([500, { b: 450 }]);
  });

  it('shows of every table the newest marker that all its partitions have passed', () => {
    const names = ['a/0', 'a/1', 'b/0', 'c/0'];
    const steps = fc.tuple(...names.map(() => fc.nat({ max: 3 })));
    const turn = fc.record({
      /** Null: no marker is placed. */
      published: fc.option(steps, { freq: 2 }),
      verified: steps,
    });
    fc.assert(
      fc.property(fc.array(turn, { minLength: 1, maxLength: 40 }), (turns) => {
        const through = new Through({ through: null, behind: {} });
        const markers: { readonly at: number; readonly ends: ReadonlyMap<string, number> }[] = [];
        const ends = new Map(names.map((name) => [name, 0]));
        const verified = new Map(names.map((name) => [name, { offset: 0, ordinal: 0 }]));
        for (const [i, { published, verified: more }] of turns.entries()) {
          if (published !== null) {
            for (const [n, name] of names.entries()) ends.set(name, (ends.get(name) ?? 0) + (published[n] ?? 0) * 2);
            markers.push({ at: 100 + i, ends: new Map(ends) });
            through.place({ id: String(i), at: 100 + i });
            through.resolve(String(i), new Map(ends));
          }
          for (const [n, name] of names.entries()) {
            const offset = Math.min((verified.get(name)?.offset ?? 0) + (more[n] ?? 0), ends.get(name) ?? 0);
            verified.set(name, { offset, ordinal: 0 });
          }
          through.advance(verified, tableOf, all);
          for (const table of ['a', 'b', 'c']) {
            const isPassed = ([name, end]: [string, number]): boolean =>
              !name.startsWith(table) || (verified.get(name)?.offset ?? 0) >= end;
            const passed = markers.findLast((marker) => [...marker.ends].every(isPassed))?.at ?? null;
            const { [table]: shown = through.through } = through.behind;
            // Of many markers it forgets some: then it may show less.
            const least = markers.length <= 16 ? passed : null;
            expect(shown ?? 0).toBeGreaterThanOrEqual(least ?? 0);
            expect(shown ?? 0).toBeLessThanOrEqual(passed ?? 0);
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  it('counts only partitions of its own shard', () => {
    const through = new Through({ through: null, behind: {} });
    through.place({ id: 'm', at: 1 });
    through.resolve('m', vector(1, 5));
    through.advance(reached(1, 0), tableOf, (name) => name === 'a/0');
    expect(through.through).toBe(1);
  });

  it('keeps few markers, however far behind it is, and always the newest', () => {
    const through = new Through({ through: null, behind: {} });
    for (let i = 0; i < 1_000; i++) {
      through.place({ id: String(i), at: i });
      expect(through.unresolved()).toContain(String(i));
    }
    expect(through.unresolved().length).toBeLessThan(20);
  });
});

describe('pace', () => {
  const quiet = { quietSince: 0 };
  const facts = { now: 100_000, workMs: 10, moved: false, lastEventAt: 99_990, behind: false, doubtful: false };
  it.each([
    ['at rest', facts, 1_000],
    ['just moved', { ...facts, moved: true }, 250],
    ['more to verify', { ...facts, moved: true, behind: true }, 0],
    [
      'changes wait for their turn: it leaves them room',
      { ...facts, moved: true, behind: true, lastEventAt: 99_800 },
      20,
    ],
    ['once it has caught up it works as usual', { ...facts, moved: true, lastEventAt: 99_800 }, 250],
    ['a store that catches up gets the machine', { ...facts, moved: true, behind: true, lastEventAt: 90_000 }, 250],
    ['in proportion to the work', { ...facts, moved: true, behind: true, lastEventAt: 90_000, workMs: 100 }, 900],
    ['within bounds', { ...facts, moved: true, behind: true, lastEventAt: 90_000, workMs: 9_000 }, 2_000],
    ['an old newest change is no lag at rest', { ...facts, behind: true, lastEventAt: 0 }, 0],
    ['a second look is near', { ...facts, doubtful: true }, 20],
  ])('%s', (_, given, restMs) => {
    expect(afterRound(quiet, given).restMs).toBe(restMs);
  });

  it('samples the share that it is told, the same ones each time', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 52 }), (from) => {
        const taken = Array.from({ length: 2_000 }, (__, i) => isSampled(from + i, 0.25)).filter(Boolean).length;
        expect(taken).toBeGreaterThan(400);
        expect(taken).toBeLessThan(600);
      }),
    );
    expect(isSampled(5, 1)).toBe(true);
    expect(isSampled(5, 0)).toBe(false);
  });
});

it('the before-image is found in every envelope', () => {
  const image = fc.option(fc.json().map((text) => Buffer.from(`{"a":${text}}`)));
  const build = envelopeBuilder({ name: 'n', database: 'd', table: '","after":null' }, '1');
  fc.assert(
    fc.property(image, image, (before, after) => {
      const facts = { op: 'u', seq: 1, at: 1, publishedAt: 2, before, after } as const;
      const envelope = build(facts);
      const found = imagesOf(envelope.value, envelope).before;
      expect(found === null ? null : found.toString()).toEqual(before === null ? null : before.toString());
    }),
  );
  expect(imagesOf(null, { afterStart: 0, afterEnd: 0 })).toEqual({ before: null });
});

describe('verified through', () => {
  const shard = (over: Partial<VerifiedShard> = {}): VerifiedShard => ({
    ...nothingVerified,
    store: 'mongo',
    shard: 0,
    savedAt: 0,
    positions: new Map([['t/0', { offset: 9, ordinal: 5 }]]),
    through: 50,
    ...over,
  });
  const ordinals = new Map([['t', [5]]]);
  it.each([
    ['nothing is known of the store', [], ordinals, null],
    ['at the end of the log, all that was published', [shard()], ordinals, 90],
    ['before it, what is kept', [shard()], new Map([['t', [6]]]), 50],
    ['a table without events is at its end', [shard()], new Map(), 90],
    ['a log that did not answer proves nothing', [shard()], null, 50],
    ['a table that lags', [shard({ behind: { a: 20 } })], new Map([['t', [6]]]), 20],
    ['the least of the shards', [shard(), shard({ shard: 1, through: 30 })], new Map([['t', [6]]]), 30],
    ['one that is not known', [shard(), shard({ shard: 1, through: null })], new Map([['t', [6]]]), null],
  ] as const)('%s', (_, shards, log, expected) => {
    expect(verifiedThrough({ shards, ordinals: log, publishedThrough: 90 }, 'mongo', 'a', 't')).toBe(expected);
  });

  it('sums up a store', () => {
    const shards = [
      shard({ events: 5, differences: 1 }),
      shard({ shard: 1, positions: new Map(), events: 2, unverified: 3 }),
    ];
    const applied = [['t/0', { offset: 20, ordinal: 8 }] as const, ['u/0', { offset: 3, ordinal: 2 }] as const];
    expect(verifyStatus(shards, 'mongo', applied, [1_000, 2_000])).toEqual({
      through: '1970-01-01T00:00:01.000Z',
      behind: 5,
      events: 7,
      differences: 1,
      unverified: 3,
    });
    expect(verifyStatus(shards, 'mongo', applied, [1_000, null])?.through).toBeNull();
    expect(verifyStatus(shards, 'redis', applied, [])).toBeNull();
  });
});
