/**
 * How much of the time an ingest loads, and how many chunks it has under way. It takes all there is while nobody else works
 * on MySQL; beside an application it gives way until a transaction of one row takes about what it takes without the ingest.
 * A server that is slow for other reasons slows nothing down: what counts is the difference that the ingest makes. Pure.
 */

export interface PaceReading {
  /** Milliseconds that a transaction of one row took just now, commit included. */
  readonly commitMs: number;
  /** Statements of others that MySQL is running. */
  readonly others: number;
  /** Milliseconds that the oldest chunk has waited for the stores. */
  readonly landingMs: number;
  /** That chunk began to land with hardly another beside it: the time is the stores' own, not that of a queue of ours. */
  readonly landingAlone: boolean;
}

export interface Pace {
  /** Of the time, 0 to 1. */
  readonly share: number;
  readonly chunksAtOnce: number;
  /** Of the latest looks, how many met others at work: 0 to 1. */
  readonly others: number;
  /** Somebody works beside us, so that it matters what a transaction takes without us. */
  readonly shared: boolean;
  readonly commitMs: number;
  /** Above, the slowest store is given time: what waits is memory, and lag for the application's own changes. */
  readonly landingTargetMs: number;
  readonly slowedBy: 'application' | 'stores' | null;
}

/**
 * Somebody is at work once every tenth look meets one, and until one in twenty-five does. An application of short
 * statements is met by one look in four or five; a few that meet nobody must not let the ingest loose on it.
 */
const someone = 0.1;
const nobody = 0.04;
const smoothing = { others: 0.04, commitMs: 0.25 };
/** What the share grows by in a look once nobody is at work: all of it within three seconds. */
const growth = 1.1;
const leastShare = 0.2;
const mostChunks = 12;
export const fewestChunks = 2;
const landingTargetMs = 1_500;
/** What a transaction of one row may take beside us, in times of what it takes without us. */
const tolerated = 1.5;

/** others: of the looks before the ingest began, how many met others at work. Beside them it begins slowly. */
export function firstPace(others: number): Pace {
  const shared = others > someone;
  return {
    share: shared ? leastShare : 1,
    chunksAtOnce: 4,
    others,
    shared,
    commitMs: 0,
    landingTargetMs,
    slowedBy: shared ? 'application' : null,
  };
}

/** atRestMs: what a transaction of one row took when the ingest last stood still. */
export function nextPace(pace: Pace, reading: PaceReading, atRestMs: number): Pace {
  const others = pace.others + smoothing.others * (Math.min(1, reading.others) - pace.others);
  const commitMs =
    pace.commitMs === 0 ? reading.commitMs : pace.commitMs + smoothing.commitMs * (reading.commitMs - pace.commitMs);
  const shared = others > (pace.shared ? nobody : someone);
  const tooSlow = commitMs > tolerated * atRestMs;
  const share = !shared
    ? Math.min(1, pace.share * growth)
    : tooSlow
      ? Math.max(leastShare, pace.share * 0.8)
      : Math.min(1, pace.share + 0.02);
  const late = reading.landingMs > pace.landingTargetMs;
  const chunksAtOnce = late
    ? Math.max(fewestChunks, pace.chunksAtOnce - 1)
    : Math.min(mostChunks, pace.chunksAtOnce + (reading.landingMs < pace.landingTargetMs / 2 ? 1 : 0));
  const slowedBy = shared && share < 0.95 ? 'application' : late ? 'stores' : null;
  return { share, chunksAtOnce, others, shared, commitMs, landingTargetMs: nextTarget(pace, reading, late), slowedBy };
}

/**
 * Stores that take long for a chunk even when it is alone (far away, or busy with an application's changes) are not made
 * faster by fewer chunks: with two under way for ten seconds each, 400 rows/s is all there would be. Their own time may come to three times that before they count as late; now and then it is
 * measured again.
 */
function nextTarget(pace: Pace, { landingMs, landingAlone }: PaceReading, late: boolean): number {
  if (late && landingAlone) return 3 * landingMs;
  return Math.max(landingTargetMs, pace.landingTargetMs * 0.99);
}

/** How long to rest after a chunk that kept MySQL busy for so long. */
export function restMs({ share }: Pace, busyMs: number): number {
  return share >= 1 ? 0 : Math.min(2_000, busyMs * (1 / share - 1));
}
