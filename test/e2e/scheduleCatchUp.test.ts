/** A sweep that is due while Temporal is away is made up for once it is back: on a server of the test's own, which is killed. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { down, up, type Stack } from '../../temporal-compose/stack.js';
import { createPipeline, type Pipeline } from '../support/pipeline.js';
import { until } from '../support/processes.js';

const stack = inject('stack');
let folder: string;
let own: Stack;
let pipeline: Pipeline;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lockstep-catchup-'));
  own = await up({ root: folder, ports: 'free', only: ['temporal'] });
  const schedules = { missed: { every: '1m' } };
  pipeline = await createPipeline(
    { ...stack, temporal: own.temporal },
    { label: 'catchup', settings: { validate: { schedules } } },
  );
});

afterAll(async () => {
  await pipeline.remove();
  await down({ root: folder, wipe: true });
  await rm(folder, { recursive: true, force: true });
});

async function withSchedule<T>(work: (handle: ReturnType<Client['schedule']['getHandle']>) => Promise<T>): Promise<T> {
  const connection = await Connection.connect({ address: own.temporal.address });
  try {
    const { namespace } = own.temporal;
    return await work(
      new Client({ connection, namespace }).schedule.getHandle(`lockstep/${pipeline.name}/schedule/missed`),
    );
  } finally {
    await connection.close();
  }
}

test('a sweep that was due while Temporal was away begins when it is back', async () => {
  await pipeline.run('schedule', 'apply');
  const everyMs = 60_000;
  const dueAt = Math.ceil(Date.now() / 1000) * 1000 + 5_000;
  // The phase alone is moved, so that it is due while the server is away.
  await withSchedule((schedule) =>
    schedule.update(({ action, policies, state }) => ({
      spec: { intervals: [{ every: everyMs, offset: dueAt % everyMs }] },
      action,
      policies,
      state,
    })),
  );
  await until('Temporal has taken it up', async () => {
    const { info } = await withSchedule((schedule) => schedule.describe());
    return info.nextActionTimes[0]?.getTime() === dueAt;
  });
  await down({ root: folder });
  expect(Date.now()).toBeLessThan(dueAt);
  await until('it was due', () => Date.now() > dueAt + 500, { timeoutMs: 30_000 });
  own = await up({ root: folder, ports: 'free', only: ['temporal'] });
  const backAt = Date.now();
  await until('it is made up for', async () => {
    const { info } = await withSchedule((schedule) => schedule.describe());
    const [made] = info.recentActions;
    if (made === undefined) return false;
    expect(made.scheduledAt.getTime()).toBe(dueAt);
    expect(made.takenAt.getTime()).toBeGreaterThan(dueAt + 500);
    expect(Date.now() - backAt).toBeLessThan(everyMs);
    return true;
  });
});
