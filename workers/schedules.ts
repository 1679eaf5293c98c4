/**
 * Temporal Schedules for sweeps, as the configuration names them. Creating one that is there updates it; one of ours that
 * the configuration does not name any more is removed.
 */
import {
  ScheduleAlreadyRunning,
  ScheduleNotFoundError,
  ScheduleOverlapPolicy,
  type Client,
  type Connection,
  type ScheduleOptions,
} from '@temporalio/client';
import { configuredStores, type Config } from '../core/config.js';
import type { SweepSchedule } from '../core/configValidate.js';
import { LockstepError } from '../core/errors.js';
import { scheduleId, taskQueue, validateId } from '../core/workflowNames.js';
import { workflowTaskTimeout } from '../workflows/options.js';
import { searchAttributes } from '../workflows/searchAttributes.js';
import { attributesMissing, ensureSearchAttributes } from './searchAttributes.js';
import { validateInput } from './sweepClient.js';
import { connectClient, temporalFailure } from './temporal.js';

export interface ScheduleView {
  readonly name: string;
  readonly when: string;
  readonly repair: boolean;
  readonly paused: boolean;
  /** ISO times. */
  readonly next: string | null;
  readonly last: string | null;
  readonly running: number;
  /** In the configuration. */
  readonly configured: boolean;
}

export interface Schedules {
  /** Creates, updates and removes, so that Temporal has what the configuration says. */
  apply(): Promise<{ readonly created: string[]; readonly updated: string[]; readonly removed: string[] }>;
  list(): Promise<readonly ScheduleView[]>;
  pause(name: string): Promise<void>;
  resume(name: string): Promise<void>;
  trigger(name: string): Promise<void>;
  remove(name: string | null): Promise<readonly string[]>;
  close(): Promise<void>;
}

const answerMs = 20_000;
/** A sweep that was due while Temporal was away is made up for within this; older ones are not. */
const catchupWindow = '1 hour';

export async function openSchedules(config: Config): Promise<Schedules> {
  const client = await connectClient(config.temporal);
  const connection = client.connection as Connection;
  const call = async <T>(name: string | null, work: () => Promise<T>): Promise<T> => {
    try {
      return await connection.withDeadline(Date.now() + answerMs, work);
    } catch (error) {
      if (error instanceof ScheduleNotFoundError) {
        throw new LockstepError(
          'LS-USAGE',
          `there is no schedule ${name ?? ''}; \`lockstep schedule apply\` creates those of the configuration`,
        );
      }
      throw attributesMissing(error) ?? temporalFailure(error, config.temporal);
    }
  };
  const handle = (name: string): ReturnType<Client['schedule']['getHandle']> =>
    client.schedule.getHandle(scheduleId(config.pipeline, name));
  return {
    apply: () => call(null, () => apply(client, config)),
    list: () => call(null, () => list(client, config)),
    pause: (name) => call(name, () => handle(name).pause('paused by lockstep schedule pause')),
    resume: (name) => call(name, () => handle(name).unpause('resumed by lockstep schedule resume')),
    trigger: (name) => call(name, () => handle(name).trigger(ScheduleOverlapPolicy.SKIP)),
    remove: (name) => call(name, () => remove(client, config, name)),
    close: () => connection.close(),
  };
}

async function apply(client: Client, config: Config): Promise<Awaited<ReturnType<Schedules['apply']>>> {
  await ensureSearchAttributes(client);
  const there = await namesOf(client, config);
  const [created, updated]: [string[], string[]] = [[], []];
  for (const [name, schedule] of Object.entries(config.validate.schedules)) {
    const options = optionsOf(config, name, schedule);
    try {
      await client.schedule.create(options);
      created.push(name);
    } catch (error) {
      if (!(error instanceof ScheduleAlreadyRunning)) throw error;
      const { spec, action, policies } = options;
      // Whether it is paused is the operator's.
      await client.schedule
        .getHandle(options.scheduleId)
        .update(({ state }) => ({ spec, action, ...(policies === undefined ? {} : { policies }), state }));
      updated.push(name);
    }
  }
  const removed = there.filter((name) => !Object.hasOwn(config.validate.schedules, name));
  for (const name of removed) await client.schedule.getHandle(scheduleId(config.pipeline, name)).delete();
  return { created, updated, removed };
}

function optionsOf(config: Config, name: string, schedule: SweepSchedule): ScheduleOptions {
  const { when, timeZone, tables, stores, repair } = schedule;
  const wish = {
    table: null,
    stores: stores ?? configuredStores(config),
    repair: repair && config.validate.repair !== null,
  };
  const input = { ...validateInput(config, wish, 'schedule'), tables, limits: config.validate.repair };
  return {
    scheduleId: scheduleId(config.pipeline, name),
    spec: {
      ...('cron' in when ? { cronExpressions: [when.cron] } : { intervals: [{ every: when.everyMs }] }),
      timezone: timeZone,
    },
    action: {
      type: 'startWorkflow',
      workflowType: 'validate',
      workflowId: `${validateId(config.pipeline, null)}/${name}`,
      taskQueue: taskQueue(config.pipeline, 'control'),
      args: [input],
      workflowTaskTimeout,
      typedSearchAttributes: searchAttributes(config.pipeline, 'validate'),
      staticSummary: `scheduled sweep ${name}`,
    },
    policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow, pauseOnFailure: false },
    memo: { pipeline: config.pipeline, repair: wish.repair },
    typedSearchAttributes: searchAttributes(config.pipeline, 'schedule'),
  };
}

async function namesOf(client: Client, { pipeline }: Config): Promise<readonly string[]> {
  const head = scheduleId(pipeline, '');
  const names: string[] = [];
  for await (const { scheduleId: id } of client.schedule.list({ query: `LockstepPipeline = '${pipeline}'` })) {
    if (id.startsWith(head)) names.push(id.slice(head.length));
  }
  return names;
}

async function list(client: Client, config: Config): Promise<readonly ScheduleView[]> {
  const configured = Object.keys(config.validate.schedules);
  // The list lags behind: those of the configuration are asked for by name.
  const names = [...new Set([...configured, ...(await namesOf(client, config))])].toSorted();
  const views = await Promise.all(
    names.map(async (name): Promise<ScheduleView | null> => {
      try {
        const found = await client.schedule.getHandle(scheduleId(config.pipeline, name)).describe();
        const { spec, info, state, memo } = found;
        const interval = spec.intervals?.[0];
        return {
          name,
          when:
            interval === undefined
              ? config.validate.schedules[name] === undefined
                ? 'cron'
                : whenText(config, name)
              : `every ${String(Number(interval.every) / 1000)} s`,
          repair: memo?.['repair'] === true,
          paused: state.paused,
          next: info.nextActionTimes[0]?.toISOString() ?? null,
          last: info.recentActions.at(-1)?.takenAt.toISOString() ?? null,
          running: info.runningActions.length,
          configured: configured.includes(name),
        };
      } catch (error) {
        if (error instanceof ScheduleNotFoundError) return null;
        throw error;
      }
    }),
  );
  return views.filter((view) => view !== null);
}

function whenText({ validate: { schedules } }: Config, name: string): string {
  const when = schedules[name]?.when;
  if (when === undefined) return '';
  return 'cron' in when ? `${when.cron} ${schedules[name]?.timeZone ?? ''}`.trim() : `every ${when.everyMs / 1000} s`;
}

async function remove(client: Client, config: Config, name: string | null): Promise<readonly string[]> {
  const names =
    name === null
      ? [...new Set([...Object.keys(config.validate.schedules), ...(await namesOf(client, config))])]
      : [name];
  const removed: string[] = [];
  for (const one of names) {
    try {
      await client.schedule.getHandle(scheduleId(config.pipeline, one)).delete();
      removed.push(one);
    } catch (error) {
      if (!(error instanceof ScheduleNotFoundError) || name !== null) throw error;
    }
  }
  return removed;
}
