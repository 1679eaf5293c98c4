/** What an ingest's pace comes to beside applications and stores of several kinds: simulated, tick by tick. */
import { describe, expect, it } from 'vitest';
import { fewestChunks, firstPace, nextPace, restMs, type Pace, type PaceReading } from '../../core/ingestPace.js';
import { seededRandom } from '../support/random.js';

/** What a server answers at a pace; the pace that it settles at. */
function settled(
  answer: (pace: Pace) => Partial<PaceReading>,
  { atRestMs = 4, ticks = 400, from = firstPace(0) }: { atRestMs?: number; ticks?: number; from?: Pace } = {},
): Pace {
  let pace = from;
  for (let i = 0; i < ticks; i++) {
    const reading = { commitMs: atRestMs, others: 0, landingMs: 200, landingAlone: false, ...answer(pace) };
    pace = nextPace(pace, reading, atRestMs);
  }
  return pace;
}

describe('the share of the time', () => {
  it('is all of it while nobody else works, however slow the server is', () => {
    const pace = settled(() => ({ commitMs: 50 }));
    expect(pace).toMatchObject({ share: 1, slowedBy: null });
    expect(restMs(pace, 1_000)).toBe(0);
  });

  it('is all of it beside an application that does not feel the ingest', () => {
    const pace = settled(() => ({ commitMs: 4.4, others: 3 }));
    expect(pace).toMatchObject({ share: 1, slowedBy: null });
  });

  it('holds what an application feels at the bound, and takes what is left', () => {
    // Loading all the time makes a transaction take three times as long.
    const commitMs = (share: number): number => 4 * (1 + 2 * share);
    const pace = settled(({ share }) => ({ commitMs: commitMs(share), others: 2 }));
    expect(pace.slowedBy).toBe('application');
    expect(commitMs(pace.share) / 4).toBeLessThan(1.8);
    expect(pace.share).toBeGreaterThanOrEqual(0.2);
  });

  it('is not held down by a server that became busy without the ingest', () => {
    // The application grew: a transaction takes four times what it took at the beginning, with and without us.
    const busy = { commitMs: 17, others: 5 };
    const starved = settled(() => busy, { atRestMs: 4 });
    expect(starved.share).toBeCloseTo(0.2);
    expect(starved.shared).toBe(true);
    // Measured anew, it is the difference that counts.
    expect(settled(() => busy, { atRestMs: 16, from: starved }).share).toBe(1);
  });

  it('is all of it again once the application rests', () => {
    const slowed = settled(() => ({ commitMs: 40, others: 4 }));
    expect(slowed.share).toBeCloseTo(0.2);
    expect(settled(() => ({ commitMs: 40 }), { from: slowed, ticks: 100 }).share).toBe(1);
  });

  it('is not let loose on an application of short statements, which most looks do not meet', () => {
    // One look in five meets it; twenty loads of a minute each, drawn with one seed.
    const random = seededRandom(20_261_123);
    for (let load = 0; load < 20; load++) {
      let pace = firstPace(0.2);
      let most = 0;
      for (let tick = 0; tick < 350; tick++) {
        pace = settled(() => ({ commitMs: 40, others: random.chance(0.2) ? 1 : 0 }), { from: pace, ticks: 1 });
        most = Math.max(most, pace.share);
      }
      expect(most).toBeLessThan(0.35);
    }
  });

  it('is not held down by somebody who only asks now and then', () => {
    const pace = settled(() => ({ commitMs: 40 }));
    const asked = settled(() => ({ commitMs: 40, others: 2 }), { from: pace, ticks: 1 });
    expect(asked.share).toBe(1);
    expect(settled(() => ({ commitMs: 40 }), { from: asked, ticks: 1 }).share).toBe(1);
  });

  it('begins small where the first looks met others', () => {
    expect(firstPace(0.2)).toMatchObject({ share: 0.2, shared: true, slowedBy: 'application' });
    expect(firstPace(0.05)).toMatchObject({ share: 1, shared: false, slowedBy: null });
  });

  it('never falls below a fifth, and rests at most two seconds', () => {
    const pace = settled(() => ({ commitMs: 1_000, others: 50 }));
    expect(pace.share).toBeCloseTo(0.2);
    expect(restMs(pace, 100)).toBeCloseTo(400);
    expect(restMs(pace, 5_000)).toBe(2_000);
  });
});

describe('chunks under way', () => {
  it('are as many as memory allows while stores are quick', () => {
    expect(settled(() => ({ landingMs: 300 })).chunksAtOnce).toBe(12);
  });

  it('are fewer where they wait for each other', () => {
    // A store that takes half a second a chunk: the queue is ours.
    const queue = ({ chunksAtOnce }: Pace): Partial<PaceReading> => ({ landingMs: 500 * chunksAtOnce });
    const pace = settled(queue);
    expect(pace.chunksAtOnce).toBeLessThanOrEqual(4);
    expect(pace.chunksAtOnce).toBeGreaterThanOrEqual(fewestChunks);
  });

  it('are not held down by a store that is far away', () => {
    // Ten seconds a chunk, however few there are.
    const far = ({ chunksAtOnce }: Pace): Partial<PaceReading> => ({
      landingMs: 10_000,
      landingAlone: chunksAtOnce <= fewestChunks,
    });
    let pace = firstPace(0);
    const underWay: number[] = [];
    for (let i = 0; i < 1_000; i++) {
      pace = settled(far, { from: pace, ticks: 1 });
      underWay.push(pace.chunksAtOnce);
    }
    expect(underWay.reduce((sum, count) => sum + count) / underWay.length).toBeGreaterThan(6);
  });

  it('come down to the usual target once the store is quick again', () => {
    const far = settled(() => ({ landingMs: 10_000, landingAlone: true }));
    expect(far.landingTargetMs).toBeGreaterThan(9_000);
    expect(settled(() => ({}), { from: far }).landingTargetMs).toBe(1_500);
  });
});
