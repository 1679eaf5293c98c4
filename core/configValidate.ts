/** The settings of sweeps: how fast, how much they may repair unasked, and when they run by themselves. */
import { z } from 'zod';
import { isOff } from './configServers.js';
import { duration, flag, group, integer, list, matching, oneOf, scalar, text } from './configScalars.js';
import type { RepairLimits } from './sweep.js';
import type { PaceSettings } from './sweepPace.js';
import type { StoreName } from './store.js';

export interface SweepSchedule {
  /** Five fields, or every so many milliseconds. */
  readonly when: { readonly cron: string } | { readonly everyMs: number };
  readonly timeZone: string;
  readonly tables: readonly string[] | null;
  /** Null: every configured one. */
  readonly stores: readonly StoreName[] | null;
  readonly repair: boolean;
}

export interface ValidateConfig extends PaceSettings {
  /** Chunks at a time. */
  readonly parallel: number;
  /** Of repairs that nobody asked for; null: none are made. */
  readonly repair: RepairLimits | null;
  /** By name; empty: none. */
  readonly schedules: Readonly<Record<string, SweepSchedule>>;
}

const share = scalar<number>('a share such as 5%, above 0% and at most 100%', (input) => {
  const match = /^(\d{1,3}(?:\.\d+)?)\s*%$/.exec(String(input).trim());
  const value = match === null ? undefined : Number(match[1]) / 100;
  if (value === undefined) return { wrong: 'is no share' };
  return value > 0 && value <= 1 ? { value } : { wrong: 'is out of range' };
});

const defaultLimits: RepairLimits = { perMinute: 600, maxShare: 0.05 };

const perMinute = scalar<number>('a whole number from 1 to 1000000; repair: off for none', (input) => {
  const value = Number(input);
  if (!Number.isInteger(value)) return { wrong: 'is no whole number' };
  return value >= 1 && value <= 1_000_000 ? { value } : { wrong: 'is out of range' };
});

const limits = group({
  perMinute: perMinute.default(defaultLimits.perMinute),
  maxShare: share.default(defaultLimits.maxShare),
});

/** `off`, or limits. A limit of zero is refused: whoever wants no repairs says so. */
const repair = z.unknown().transform((input, context): RepairLimits | null => {
  if (isOff(input)) return null;
  if (input === undefined) return defaultLimits;
  const result = limits.safeParse(input);
  if (result.success) return result.data;
  for (const issue of result.error.issues) context.issues.push({ ...issue, code: 'custom', input });
  return z.NEVER;
});

const scheduleSection = group({
  cron: matching(/^\S+(?: +\S+){4}$/, "five fields such as '0 3 * * *'").optional(),
  every: duration(60_000, 366 * 86_400_000, 'from 1m to 366d').optional(),
  timeZone: text('a time zone such as Europe/Berlin').default('UTC'),
  tables: list(text('table names'), 'table names').optional(),
  stores: list(oneOf('mongo', 'redis'), 'mongo, redis').optional(),
  repair: flag().default(true),
});

const schedules = z.unknown().transform((input, context): Record<string, SweepSchedule> => {
  const wrong = (path: readonly (string | number)[], message: string): void => {
    context.issues.push({ code: 'custom', message, input, path: [...path] });
  };
  const found = Object.create(null) as Record<string, SweepSchedule>;
  if (isOff(input)) return found;
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    wrong([], 'is no group of settings; allowed: names, each with cron or every, or off');
    return found;
  }
  for (const [name, value] of Object.entries(input)) {
    if (!/^[a-z0-9](?:[a-z0-9-]{0,31})$/.test(name)) wrong([name], 'has a wrong name; allowed: a-z, 0-9 and -');
    const result = scheduleSection.safeParse(value ?? {});
    if (!result.success) {
      for (const { message, path } of result.error.issues) wrong([name, ...path.map(asStep)], message);
      continue;
    }
    const { cron, every, timeZone, tables, stores, repair: mends } = result.data;
    if ((cron === undefined) === (every === undefined)) wrong([name], 'needs a time; allowed: either cron or every');
    const when = cron === undefined ? { everyMs: every ?? 0 } : { cron };
    found[name] = { when, timeZone, tables: tables ?? null, stores: stores ?? null, repair: mends };
  }
  return found;
});

function asStep(step: PropertyKey): string | number {
  return typeof step === 'number' ? step : String(step);
}

/** A sweep each night that repairs within the limits. */
export const defaultSchedules: Readonly<Record<string, SweepSchedule>> = {
  nightly: { when: { cron: '0 3 * * *' }, timeZone: 'UTC', tables: null, stores: null, repair: true },
};

export const validateSection = group({
  parallel: integer(1, 32).default(2),
  rowsPerSecond: integer(1, 1_000_000).default(100_000),
  rowsPerSecondBusy: integer(1, 1_000_000).default(2_000),
  maxLag: duration(1, 3_600_000, 'at most 1h').default(250),
  maxRunningThreads: integer(1, 100_000).default(32),
  repair: repair.optional(),
  schedules: schedules.optional(),
}).transform(({ maxLag, repair: limitsOf, schedules: given, ...rest }): ValidateConfig => ({
  ...rest,
  maxLagMs: maxLag,
  repair: limitsOf === undefined ? defaultLimits : limitsOf,
  schedules: given ?? defaultSchedules,
}));

export const validateDefaults: ValidateConfig = validateSection.parse({});
