/**
 * Sweeps that run by themselves: `schedule` keeps Temporal at what the configuration says; a schedule really fires; what it
 * found is kept and shown; it repairs within its limits, and stops and calls where too much drifts.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { Client, Connection, type ScheduleDescription } from '@temporalio/client';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { parse, stringify } from 'yaml';
import type { PipelineStatus } from '../../core/status.js';
import type { ScheduleView } from '../../workers/schedules.js';
import { createPipeline, type Pipeline } from '../support/pipeline.js';
import { freePort } from '../support/ports.js';
import { until } from '../support/processes.js';
import { openDrift, state, validate } from '../support/sweeps.js';

const stack = inject('stack');
/** Keys that a schedule may repair in a minute. */
const perMinute = 40;
const limitedRows = 2_000;
let pipeline: Pipeline;
let metricsPort: number;
let redis: Redis;
let connection: Connection;
let client: Client;
let appliedAt: number;

const schedules = {
  often: { every: '1m', tables: ['quiet'], repair: false },
  limited: { cron: '0 3 1 1 *', tables: ['limited'], stores: ['redis'] },
  broken: { cron: '30 4 * * 1-5', timeZone: 'Europe/Berlin', tables: ['broken'] },
  slow: { every: '7d', tables: ['slow'], stores: ['mongo'], repair: false },
};

beforeAll(async () => {
  pipeline = await createPipeline(stack, {
    label: 'sched',
    settings: {
      verify: 'off',
      witness: 'off',
      validate: { repair: { perMinute, maxShare: '5%' }, rowsPerSecond: 1_000, schedules },
    },
  });
  redis = new Redis(stack.redis.uri);
  connection = await Connection.connect({ address: stack.temporal.address });
  client = new Client({ connection, namespace: stack.temporal.namespace });
  for (const [table, rows] of Object.entries({ quiet: 20, limited: limitedRows, broken: 100, slow: 6_000 })) {
    await pipeline.root.query(`
      CREATE TABLE ${table} (id INT PRIMARY KEY, v VARCHAR(20));
      SET SESSION cte_max_recursion_depth = 10000;
      INSERT INTO ${table} WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows})
        SELECT i, CONCAT('v', i) FROM n`);
  }
  metricsPort = await freePort();
  pipeline.worker('--metrics', `127.0.0.1:${metricsPort}`);
  await pipeline.run('start', '--wait');
});

afterAll(async () => {
  await pipeline.cli('schedule', 'remove');
  redis.disconnect();
  await connection.close();
  await pipeline.remove();
});

async function schedule<T>(...args: string[]): Promise<T> {
  return JSON.parse((await pipeline.run('schedule', ...args, '--json')).stdout) as T;
}

async function view(name: string): Promise<ScheduleView> {
  const shown = await schedule<{ schedules: ScheduleView[] }>('show');
  const one = shown.schedules.find((entry) => entry.name === name);
  if (one === undefined) throw new Error(`no schedule ${name}: ${JSON.stringify(shown)}`);
  return one;
}

function described(name: string): Promise<ScheduleDescription> {
  return client.schedule.getHandle(`lockstep/${pipeline.name}/schedule/${name}`).describe();
}

async function status(): Promise<PipelineStatus> {
  return JSON.parse((await pipeline.run('status', '--json')).stdout) as PipelineStatus;
}

async function setSchedules(to: Record<string, unknown>): Promise<void> {
  const config = parse(await readFile(pipeline.configFile, 'utf8')) as { validate: { schedules: unknown } };
  config.validate.schedules = to;
  await writeFile(pipeline.configFile, stringify(config));
}

/** Sweeps that schedules began: id, tables, state. */
async function sweeps(table: string): Promise<{ readonly id: string; readonly state: string }[]> {
  const rows = await state(
    pipeline,
    `SELECT id, state FROM {db}.sweeps WHERE asked_by = 'schedule' AND JSON_CONTAINS(scope, JSON_QUOTE(?), '$.tables')
      ORDER BY started_at`,
    [table],
  );
  return rows.map((row) => ({ id: String(row['id']), state: String(row['state']) }));
}

test('what a configuration cannot mean is refused before anything is asked', async () => {
  const kept = await readFile(pipeline.configFile, 'utf8');
  const config = parse(kept) as { validate: Record<string, unknown> };
  config.validate = {
    repair: { perMinute: 0, maxShare: '0%' },
    schedules: {
      both: { cron: '0 3 * * *', every: '1h' },
      none: {},
      fast: { every: '1s' },
      'No Name': { every: '1h' },
    },
  };
  await writeFile(pipeline.configFile, stringify(config));
  for (const command of [['schedule', 'apply'], ['validate'], ['schedule']]) {
    const { code, stdout, stderr } = await pipeline.cli(...command);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/validate\.repair\.perMinute.*is out of range.*a whole number from 1/s);
    expect(stderr).toMatch(/validate\.repair\.maxShare.*above 0%/s);
    for (const name of ['both', 'none', 'fast', 'No Name']) expect(stderr).toContain(`validate.schedules.${name}`);
  }
  await writeFile(pipeline.configFile, kept);
  const wrong = await pipeline.cli('schedule', 'aply');
  expect(wrong.code).toBe(2);
  expect(wrong.stderr).toContain('did you mean apply?');
});

test('apply creates, and applied again it updates; what the configuration names no more is removed', async () => {
  expect((await pipeline.run('schedule')).stdout).toContain('not there yet: often, limited, broken, slow');
  for (const action of ['pause', 'resume', 'trigger', 'remove']) {
    const { code, stderr } = await pipeline.cli('schedule', action, 'slow');
    expect([action, code]).toEqual([action, 2]);
    expect(stderr).toContain('there is no schedule slow');
  }
  await setSchedules({ ...schedules, gone: { every: '1h' } });
  const names = [...Object.keys(schedules), 'gone'];
  expect(await schedule('apply')).toEqual({ created: names, updated: [], removed: [] });
  appliedAt = Date.now();
  await schedule('pause', 'broken');
  await setSchedules({ ...schedules, broken: { ...schedules.broken, repair: false } });
  // The list of schedules lags behind.
  await until('it is listed', async () => {
    const query = `LockstepPipeline = '${pipeline.name}'`;
    for await (const { scheduleId } of client.schedule.list({ query })) if (scheduleId.endsWith('/gone')) return true;
    return false;
  });
  expect(await schedule('apply')).toEqual({ created: [], updated: Object.keys(schedules), removed: ['gone'] });
  const changed = await described('broken');
  // Whether it is paused is the operator's.
  expect(changed.state.paused).toBe(true);
  expect(changed.action).toMatchObject({ workflowType: 'validate', args: [{ repair: false, tables: ['broken'] }] });
  await setSchedules(schedules);
  await schedule('apply');
  await schedule('resume', 'broken');

  const { policies, spec, action } = await described('broken');
  expect(policies).toMatchObject({ overlap: 'SKIP', catchupWindow: 3_600_000, pauseOnFailure: false });
  expect(spec.timezone).toBe('Europe/Berlin');
  expect(action).toMatchObject({
    args: [{ repair: true, limits: { perMinute, maxShare: 0.05 }, sweepStores: ['mongo', 'redis'] }],
  });
  const shown = await schedule<{ schedules: ScheduleView[] }>();
  expect(shown.schedules.map(({ name, when, paused, configured }) => [name, when, paused, configured])).toEqual([
    ['broken', '30 4 * * 1-5 Europe/Berlin', false, true],
    ['limited', '0 3 1 1 * UTC', false, true],
    ['often', 'every 60 s', false, true],
    ['slow', 'every 604800 s', false, true],
  ]);
  for (const { next } of shown.schedules) expect(Date.parse(next ?? '')).toBeGreaterThan(Date.now());
  await fireSoon('often');
  const which = await pipeline.cli('schedule', 'trigger');
  expect([which.code, which.stderr]).toEqual([2, expect.stringContaining('which schedule?') as string]);
});

test('repairs that nobody asked for: no more in a minute than allowed, begun here and ended below', async () => {
  const keys = Array.from({ length: 60 }, (_, i) => `${pipeline.name}:limited:${i + 1}`);
  await redis.del(keys);
  await schedule('trigger', 'limited');
  await until('the first of them', async () => (await redis.exists(keys)) > 0, { timeoutMs: 60_000 });
  expect(await view('limited')).toMatchObject({ running: 1, repair: true });
});

test('where too much drifts nothing is repaired, and everybody is told', async () => {
  const keys = Array.from({ length: 30 }, (_, i) => `${pipeline.name}:broken:${i + 1}`);
  await redis.del(keys);
  await schedule('trigger', 'broken');
  await until('it is swept', async () => (await sweeps('broken')).at(-1)?.state === 'done');
  const problem = async (): Promise<unknown> =>
    (await status()).problems.find(({ code, table }) => code === 'LS-DRIFT-TOO-MUCH' && table === 'broken');
  await until('status tells', async () => (await problem()) !== undefined);
  const result = await endedSweep('broken');
  expect(result).toMatchObject({ state: 'done', drift: 30, repaired: 0, left: 30, tooMuch: ['broken'] });
  expect(await redis.exists(keys)).toBe(0);
  expect((await openDrift(pipeline)).filter((line) => line.startsWith('redis broken'))).toHaveLength(30);
  await until('metrics tell', async () => /lockstep_tables_drifting_too_much\{[^}]*\} 1/.test(await metrics()));
  // Somebody who asks for it gets it in full.
  expect(await validate(pipeline, '--table', 'broken', '--repair')).toMatchObject({ code: 0, drift: 30, repaired: 30 });
  expect(await redis.exists(keys)).toBe(30);
  expect(await problem()).toBeUndefined();
});

/** At its own interval still, with the phase moved: minutes begin when they begin, and nobody learns more by waiting for one. */
async function fireSoon(name: string): Promise<void> {
  const everyMs = 60_000;
  await client.schedule
    .getHandle(`lockstep/${pipeline.name}/schedule/${name}`)
    .update(({ action, policies, state: paused }) => ({
      spec: { intervals: [{ every: everyMs, offset: (Date.now() + 3_000) % everyMs }] },
      action,
      policies,
      state: paused,
    }));
}

/** The result of the newest sweep that a schedule began for this name. */
async function endedSweep(name: string): Promise<unknown> {
  const workflow = (await described(name)).info.recentActions.at(-1)?.action.workflow;
  if (workflow === undefined) throw new Error(`${name} has begun nothing`);
  return await client.workflow.getHandle(workflow.workflowId, workflow.firstExecutionRunId).result();
}

async function metrics(): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${metricsPort}/metrics`).catch(() => null);
  return (await response?.text()) ?? '';
}

test('a sweep that still runs is not begun twice; one that was terminated is seen, and taken up by the next', async () => {
  await schedule('trigger', 'slow');
  await until('it runs', async () => (await view('slow')).running === 1);
  await schedule('trigger', 'slow');
  await until('the second is skipped', async () => (await described('slow')).info.numActionsSkippedOverlap === 1);
  await until('it is begun', async () => (await sweeps('slow')).length === 1);
  expect((await described('slow')).info.numActionsTaken).toBe(1);
  const running = (await described('slow')).info.runningActions[0]?.workflow;
  await client.workflow.getHandle(running?.workflowId ?? '').terminate('by an operator');
  const lookedAt = (): Promise<void> => client.workflow.getHandle(`lockstep/${pipeline.name}`).signal('look');
  await until(
    'it is closed',
    async () => {
      await lookedAt();
      return (await sweeps('slow'))[0]?.state === 'ended';
    },
    { everyMs: 500 },
  );
  expect((await view('slow')).running).toBe(0);
  await schedule('trigger', 'slow');
  await until('it has ended', async () => (await sweeps('slow'))[0]?.state === 'done', { timeoutMs: 60_000 });
  expect(await sweeps('slow')).toHaveLength(1);
  expect((await described('slow')).info.numActionsTaken).toBe(2);
});

test('a schedule fires by itself; its result is kept, and status and metrics show it', async () => {
  await until('it fired', async () => (await sweeps('quiet')).some((sweep) => sweep.state === 'done'), {
    timeoutMs: 90_000,
  });
  const { info } = await described('often');
  expect(info.recentActions[0]?.scheduledAt.getTime()).toBeGreaterThan(appliedAt);
  expect(await endedSweep('often')).toMatchObject({ state: 'done', drift: 0 });
  expect((await view('often')).last).not.toBeNull();
  const through = (await status()).tables.find(({ table }) => table === 'quiet')?.verifiedThrough ?? {};
  // No other has looked at this table, and nothing verifies each change.
  for (const at of [through.mongo, through.redis]) expect(Date.parse(at ?? '')).toBeGreaterThan(appliedAt);
  await until('metrics tell', async () => {
    const text = await metrics();
    return (
      /lockstep_sweep_drift\{[^}]*\} \d/.test(text) &&
      /lockstep_sweep_finished_seconds\{[^}]*\} 1\d{9}/.test(text) &&
      /lockstep_table_verified_through_seconds\{[^}]*table="quiet"[^}]*\} 1\d{9}/.test(text)
    );
  });
  await schedule('pause', 'often');
  expect(await view('often')).toMatchObject({ paused: true });
});

test('the limited repair: never more in a minute than allowed, and all of it in the end', async () => {
  const repaired = async (): Promise<number> =>
    Number((await state(pipeline, "SELECT COUNT(*) AS n FROM {db}.repairs WHERE name = 'limited'"))[0]?.['n']);
  expect(await repaired()).toBeGreaterThanOrEqual(perMinute);
  const [most] = await state(
    pipeline,
    `SELECT MAX(n) AS n FROM (SELECT (SELECT COUNT(*) FROM {db}.repairs b WHERE b.name = 'limited'
        AND b.at > a.at - INTERVAL 60 SECOND AND b.at <= a.at) AS n
      FROM {db}.repairs a WHERE a.name = 'limited') windows`,
  );
  expect(Number(most?.['n'])).toBe(perMinute);
  // The minute passes.
  await pipeline.root.query(`UPDATE ${pipeline.stateDatabase}.repairs SET at = at - INTERVAL 60 SECOND`);
  await until('it has ended', async () => (await described('limited')).info.runningActions.length === 0, {
    timeoutMs: 60_000,
  });
  expect(await endedSweep('limited')).toMatchObject({ state: 'done', drift: 60, repaired: 60, left: 0 });
  expect(await repaired()).toBe(60);
  expect(await openDrift(pipeline)).toEqual([]);
  const keys = Array.from({ length: limitedRows }, (_, i) => `${pipeline.name}:limited:${i + 1}`);
  expect(await redis.exists(keys)).toBe(limitedRows);
  expect(await schedule('remove', 'limited')).toEqual({ removed: ['limited'] });
  expect((await pipeline.cli('schedule', 'trigger', 'limited')).code).toBe(2);
  expect((await schedule<{ removed: string[] }>('remove')).removed.toSorted()).toEqual(['broken', 'often', 'slow']);
});
