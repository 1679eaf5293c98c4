/**
 * A histogram of lag that only ever grows: the difference of two readings is the histogram of the time between them,
 * so status, demo and benchmarks need no process of ours to ask.
 */

/** Counts by bucket; bucket i holds lags below `bucketLimitMs(i)` and not below that of i − 1. */
export type LagHistogram = readonly number[];

/** 80 buckets, each 20 % wider than the one before: 1 ms … 30 minutes. */
export const lagBuckets = 80;

export function bucketLimitMs(bucket: number): number {
  return 1.2 ** bucket;
}

export function bucketOf(lagMs: number): number {
  if (lagMs <= 1) return 0;
  return Math.min(lagBuckets - 1, Math.ceil(Math.log(lagMs) / Math.log(1.2)));
}

export function emptyLag(): number[] {
  return Array.from({ length: lagBuckets }, () => 0);
}

export function lagBetween(older: LagHistogram, newer: LagHistogram): number[] {
  return newer.map((count, i) => count - (older[i] ?? 0));
}

/** Upper limit in milliseconds of the bucket that holds the given share (0 … 1); 0 for an empty histogram. */
export function lagQuantile(lag: LagHistogram, share: number): number {
  const total = lag.reduce((a, b) => a + b, 0);
  if (total === 0) return 0;
  let seen = 0;
  for (const [bucket, count] of lag.entries()) {
    seen += count;
    if (seen >= share * total) return bucketLimitMs(bucket);
  }
  return bucketLimitMs(lagBuckets - 1);
}
