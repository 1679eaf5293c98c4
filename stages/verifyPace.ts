/** How long verify rests after a round, and which changes it looks at. Pure. */

export interface Pace {
  /** When the store moved last, milliseconds since 1970. */
  readonly quietSince: number;
}

export interface RoundFacts {
  readonly now: number;
  readonly workMs: number;
  /** The store has applied something since the round before. */
  readonly moved: boolean;
  /** Commit time of the newest change that the store has applied. */
  readonly lastEventAt: number;
  /** The store has applied more than was verified. */
  readonly behind: boolean;
  /** Some keys wait for a second look. */
  readonly doubtful: boolean;
}

/** A store that applies changes of so long ago is catching up: it gets the machine. */
const laggingMs = 1_000;
/** Verify then works for a tenth of the time. */
const restsAWork = 9;
/**
 * A store in step with changes of just now, while verify is behind (a copy, most often): at full speed it took what was left of the
 * machine, and every change waited half a second for its turn. It then works for a third of the time.
 */
const crowdedMs = 100;
const restsAWorkCrowded = 2;
const bounds = { whileLagging: { least: 250, most: 2_000 }, caughtUp: 250, atRest: 1_000, doubtful: 20 };
const quietMs = 5_000;

export function afterRound(pace: Pace, facts: RoundFacts): { readonly restMs: number; readonly pace: Pace } {
  const { now, workMs, moved, lastEventAt, behind, doubtful } = facts;
  const quietSince = moved ? now : pace.quietSince;
  return { restMs: restMs(), pace: { quietSince } };

  function restMs(): number {
    const { least, most } = bounds.whileLagging;
    const lagMs = moved ? now - lastEventAt : 0;
    if (lagMs > laggingMs) return Math.min(most, Math.max(least, workMs * restsAWork));
    if (behind && lagMs > crowdedMs) return Math.min(most, workMs * restsAWorkCrowded);
    if (doubtful) return bounds.doubtful;
    if (behind) return 0;
    return now - quietSince < quietMs ? bounds.caughtUp : bounds.atRest;
  }
}

/** The same changes in every store and at every repetition: seq decides. sample: 0 … 1. */
export function isSampled(seq: number, sample: number): boolean {
  if (sample >= 1) return true;
  // Knuth's multiplicative hash: neighbours are spread evenly.
  return (Math.imul(seq % 2 ** 32, 0x9e3779b1) >>> 0) / 2 ** 32 < sample;
}
