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
  let dueAt = await dueWhileAway(4_000);
  // A slow machine may need longer to end the server than there was time.
  for (let leadMs = 8_000; dueAt === null; leadMs *= 2) dueAt = await dueWhileAway(leadMs);
  const at = dueAt;
  await until('it is made up for', async () => {
    const { info } = await withSchedule((schedule) => schedule.describe());
    const made = info.recentActions.find(({ scheduledAt }) => scheduledAt.getTime() === at);
    if (made === undefined) return false;
    expect(made.takenAt.getTime()).toBeGreaterThan(at + 500);
    return true;
  });
});

/** When it was due, with the server ended before and begun again after that; null: it was there still. */
async function dueWhileAway(leadMs: number): Promise<number | null> {
  const everyMs = 60_000;
  const dueAt = Math.ceil(Date.now() / 1000) * 1000 + leadMs;
  // The phase alone is moved.
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
    return Date.now() > dueAt || info.nextActionTimes[0]?.getTime() === dueAt;
  });
  await down({ root: folder });
  const wasAway = Date.now() < dueAt;
  await until('it was due', () => Date.now() > dueAt + 500, { timeoutMs: leadMs + 30_000 });
  own = await up({ root: folder, ports: 'free', only: ['temporal'] });
  return wasAway ? dueAt : null;
}
