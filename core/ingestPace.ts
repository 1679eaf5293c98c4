/**
 * How much of the time an ingest loads, and how many chunks it has under way. It takes all there is while nobody else works
 * on MySQL; beside an application it gives way until a transaction of one row takes about what it takes at rest. Pure.
 */

export interface PaceReading {
  /** Milliseconds that a transaction of one row took just now, commit included. */
  readonly commitMs: number;
  /** Statements of others that MySQL is running. */
  readonly others: number;
  /** Milliseconds that the oldest chunk has waited for the stores. */
  readonly landingMs: number;
}

export interface Pace {
  /** Of the time, 0 to 1. */
  readonly share: number;
  readonly chunksAtOnce: number;
  /** Smoothed. */
  readonly others: number;
  readonly commitMs: number;
  readonly slowedBy: 'application' | 'stores' | null;
}

/** Others at work: on average every tenth look met one. */
const someone = 0.1;
const smoothing = 0.25;
const leastShare = 0.2;
const mostChunks = 12;
const fewestChunks = 2;
/** Above, the slowest store is given time: what waits is memory, and lag for the application's own changes. */
const landingTargetMs = 1_500;
/** What a transaction of one row may take beside us, in times of what it takes at rest. */
const tolerated = 1.5;

export const firstPace: Pace = { share: 1, chunksAtOnce: 4, others: 0, commitMs: 0, slowedBy: null };

/** atRestMs: what a transaction of one row took before the ingest began. */
export function nextPace(pace: Pace, reading: PaceReading, atRestMs: number): Pace {
  const others = pace.others + smoothing * (reading.others - pace.others);
  const commitMs =
    pace.commitMs === 0 ? reading.commitMs : pace.commitMs + smoothing * (reading.commitMs - pace.commitMs);
  const shared = others > someone;
  const tooSlow = commitMs > tolerated * atRestMs;
  const share = !shared
    ? Math.min(1, pace.share * 1.5)
    : tooSlow
      ? Math.max(leastShare, pace.share * 0.8)
      : Math.min(1, pace.share + 0.02);
  const late = reading.landingMs > landingTargetMs;
  const chunksAtOnce = late
    ? Math.max(fewestChunks, pace.chunksAtOnce - 1)
    : Math.min(mostChunks, pace.chunksAtOnce + (reading.landingMs < landingTargetMs / 2 ? 1 : 0));
  const slowedBy = shared && share < 0.95 ? 'application' : late ? 'stores' : null;
  return { share, chunksAtOnce, others, commitMs, slowedBy };
}

/** How long to rest after a chunk that kept MySQL busy for so long. */
export function restMs({ share }: Pace, busyMs: number): number {
  return share >= 1 ? 0 : Math.min(2_000, busyMs * (1 / share - 1));
}
