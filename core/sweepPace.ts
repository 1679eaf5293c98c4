/**
 * How fast a sweep may read: as fast as it is allowed while nothing else happens, and only so much beside traffic that
 * nobody feels it. Driven by what a marker now and then shows: how long it takes through capture and the stores, how many
 * events the log took meanwhile, and how many statements MySQL runs. Pure.
 */
export interface PaceSettings {
  /** Most rows a second, of one worker. */
  readonly rowsPerSecond: number;
  /** Most rows a second while changes stream. */
  readonly rowsPerSecondBusy: number;
  /** A marker that takes longer shows that the stream falls behind. */
  readonly maxLagMs: number;
  /** Statements that run in MySQL at once, beyond which the sweep holds back. */
  readonly maxRunningThreads: number;
}

export interface Signs {
  /** Newest marker: written → passed by every store, or until now, milliseconds. */
  readonly lagMs: number;
  /** Events a second in the log; null: not known yet. */
  readonly eventsPerSecond: number | null;
  readonly runningThreads: number;
}

/** So few changes are no traffic: a sweep's own repairs, a clock table. */
const quietEvents = 20;
export const slowestRows = 200;

/** Rows a second from now on; `rate` is what it was. Halves in trouble, grows without: quickly where nothing streams. */
export function nextRate(rate: number, signs: Signs, settings: PaceSettings): number {
  // Beside traffic until it is known that there is none.
  const busy = signs.eventsPerSecond === null || signs.eventsPerSecond > quietEvents;
  const most = busy ? Math.min(settings.rowsPerSecondBusy, settings.rowsPerSecond) : settings.rowsPerSecond;
  const late = signs.lagMs > settings.maxLagMs && busy;
  const crowded = signs.runningThreads > settings.maxRunningThreads;
  const wanted = late || crowded ? rate / 2 : rate * (busy ? 1.25 : 8);
  return Math.max(Math.min(slowestRows, most), Math.min(most, wanted));
}

/** Rows of one chunk: half a second's work at the fastest, some seconds' beside traffic. It is what a kill costs. */
export function chunkRows({ rowsPerSecond }: Pick<PaceSettings, 'rowsPerSecond'>): number {
  return Math.max(1_000, Math.min(50_000, Math.round(rowsPerSecond / 2)));
}

/** Rows of one read: ten reads a second, each a few milliseconds of work, so that streams in the same process are not held up. */
export function batchRows(rate: number): number {
  return Math.max(50, Math.min(1_000, Math.round(rate / 10)));
}
