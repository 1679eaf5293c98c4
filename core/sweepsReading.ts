/** What MySQL tells of sweeps: the newest one, what drifts now, and through when each table was seen right. Pure. */
import { warning } from './problem.js';
import type { DriftStatus, OpenProblem, SweepStatus } from './status.js';
import type { StoreName } from './store.js';

export interface SweepsReading {
  /** Null before the first. */
  readonly sweep: SweepStatus | null;
  readonly drift: DriftStatus;
  readonly swept: readonly SweptThrough[];
}

export interface SweptThrough {
  readonly table: string;
  readonly store: StoreName;
  /** Milliseconds since 1970. */
  readonly through: number;
}

/** Milliseconds since 1970. Null: no sweep has seen the table right as a whole since its copy began. */
export function sweptThrough(
  reading: SweepsReading | undefined,
  store: StoreName,
  table: string,
  copiedAt: number,
): number | null {
  const found = reading?.swept.find((one) => one.table === table && one.store === store);
  return found === undefined || found.through < copiedAt ? null : found.through;
}

export function driftProblems(reading: SweepsReading | undefined): readonly OpenProblem[] {
  const { open = 0, tooMuch = [] } = reading?.drift ?? {};
  return [
    ...(open === 0 ? [] : [warning('LS-DRIFT-FOUND', `${open} keys are known to drift`)]),
    ...tooMuch.map((table) => {
      const what = `more of ${table} drifts than a scheduled sweep may repair: none of it was repaired`;
      return { ...warning('LS-DRIFT-TOO-MUCH', what), table };
    }),
  ];
}
