/**
 * When capture looks again. Pure. Half a batch or more: at once. A few rows: not before 17 ms since the last look, which at
 * 200 changes/s cuts CPU a change from 7.4 to 5.0 ms for 2 ms of latency. Nothing: from 1 ms,
 * growing to 10 ms, to 20 ms after a second without changes, to 40 ms after ten and to 60 ms after forty: at rest, waking
 * up and asking costs 0.8 ms of CPU, whoever asks.
 */
export const leastCycleMs = 17;
export const leastPauseMs = 1;
export const mostPauseMs = 10;
/** Longer pauses, each with the empty looks in a row after which it begins: about one second, ten, forty. */
export const restPauses = [
  { afterLooks: 1300, pauseMs: 60 },
  { afterLooks: 550, pauseMs: 40 },
  { afterLooks: 100, pauseMs: 20 },
] as const;

export interface Pace {
  /** Rows that the last look found, and the most it could have. */
  readonly rows: number;
  readonly limit: number;
  /** Since the last look began. */
  readonly elapsedMs: number;
  /** Looks in a row that found nothing, the last included. */
  readonly emptyLooks: number;
}

export function pauseMs({ rows, limit, elapsedMs, emptyLooks }: Pace): number {
  if (rows >= limit / 2) return 0;
  if (rows > 0) return Math.max(0, leastCycleMs - elapsedMs);
  const rest = restPauses.find(({ afterLooks }) => emptyLooks > afterLooks);
  if (rest !== undefined) return rest.pauseMs;
  return Math.min(mostPauseMs, leastPauseMs * 1.3 ** (emptyLooks - 1));
}
