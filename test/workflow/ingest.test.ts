/** What an ingest's workflow does about slices, wishes, files that only some workers see, and its end. */
import { afterEach, beforeEach, expect, inject, it } from 'vitest';
import type { WorkflowHandle } from '@temporalio/client';
import { LockstepError } from '../../core/errors.js';
import { ingestId, taskQueue } from '../../core/workflowNames.js';
import type { ingest } from '../../workflows/ingest.js';
import {
  cancelIngestUpdate,
  ingestProgressSignal,
  ingestQuery,
  pauseIngestUpdate,
  resumeIngestUpdate,
} from '../../workflows/messages.js';
import type { IngestEnding } from '../../activities/contract.js';
import type { Run } from '../../activities/run.js';
import { noCounts, type IngestProgress } from '../../core/ingestReport.js';
import type { LoadOutcome } from '../../core/outcome.js';
import { until } from '../support/processes.js';
import { openRig, untilStopped, type Rig } from './rig.js';

let rig: Rig;
let ended: IngestEnding[];
beforeEach(async () => {
  rig = await openRig(inject('stack'));
  ended = [];
  rig.script.prove = (request) => {
    ended.push(request);
    return Promise.resolve({ kind: 'proven', accepted: 5, rejected: 0, agrees: true });
  };
});
afterEach(async () => {
  await rig.close();
});

async function start(maxHistoryEvents?: number): Promise<WorkflowHandle<typeof ingest>> {
  return await rig.client.workflow.start<typeof ingest>('ingest', {
    workflowId: ingestId(rig.name, 'one', 'abc'),
    taskQueue: taskQueue(rig.name, 'control'),
    args: [
      {
        pipeline: rig.name,
        identity: {} as never,
        stores: ['mongo', 'redis'],
        shards: 1,
        table: 'one',
        ingest: 'abc',
        ...(maxHistoryEvents === undefined ? {} : { maxHistoryEvents }),
      },
    ],
  });
}

it('loads slice by slice, over as many runs as it takes, and ends with the proof', async () => {
  let slices = 0;
  rig.script.load = () => Promise.resolve({ kind: ++slices < 4 ? 'more' : 'loaded' });
  const handle = await start(5);
  expect(await handle.result()).toEqual({ end: 'loaded', accepted: 5, rejected: 0, agrees: true });
  expect(slices).toBe(4);
  expect(ended).toMatchObject([{ end: 'loaded', problem: null }]);
});

it('has the copy that proves a direct load run', async () => {
  const copied: string[] = [];
  rig.script.copy = ({ table, run }) => {
    copied.push(`${table} ${run}`);
    return Promise.resolve({ kind: 'copied', rows: 1, orphans: 0 });
  };
  rig.script.settle = () => Promise.resolve({ table: 'one', run: 'run-1' });
  await (await start()).result();
  await until('the copy ran', () => Promise.resolve(copied.length > 0));
  expect(copied).toEqual(['one run-1']);
});

/** A store that is away until it is opened. */
function closedStore(): { readonly open: () => void; readonly lands: (run: Run) => Promise<LoadOutcome> } {
  let away = true;
  return {
    open: () => void (away = false),
    lands: async ({ signal, beat }) => {
      while (away && !signal.aborted) {
        beat();
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      return { kind: away ? 'stopped' : 'loaded' };
    },
  };
}

/** Reads until it is told to end, the first time; what is in MySQL lands as `lands` says. */
function pausable(lands: (run: Run) => Promise<LoadOutcome>): boolean[] {
  const readOn: boolean[] = [];
  rig.script.load = async (request, run) => {
    readOn.push(request.readOn);
    if (!request.readOn) return await lands(run);
    return readOn.length === 1 ? await untilStopped(run) : { kind: 'loaded' };
  };
  return readOn;
}

it('paused, it lands what is in MySQL, rests, and goes on', async () => {
  let away = true;
  const slices = pausable(() =>
    away
      ? Promise.reject(new LockstepError('LS-REDIS-UNREACHABLE', 'nobody answers'))
      : Promise.resolve({ kind: 'loaded' }),
  );
  const handle = await start();
  await until('it loads', () => slices.length === 1);
  await handle.executeUpdate(pauseIngestUpdate);
  await until('it tries to land', () => slices.length > 3);
  expect(await handle.query(ingestQuery)).toMatchObject({ paused: true, landed: false, cancelled: false });
  away = false;
  await until('it rests', async () => (await handle.query(ingestQuery)).landed);
  const before = [...slices];
  expect(before.slice(1)).not.toContain(true);
  // Paused once more, it knows that nothing is open.
  await handle.executeUpdate(pauseIngestUpdate);
  await handle.executeUpdate(resumeIngestUpdate);
  expect(await handle.result()).toMatchObject({ end: 'loaded' });
  expect(slices).toEqual([...before, true]);
});

it('resumed while it lands, it lands first; paused meanwhile, it is not interrupted', async () => {
  const store = closedStore();
  const slices = pausable(store.lands);
  const handle = await start();
  await until('it loads', () => slices.length === 1);
  await handle.executeUpdate(pauseIngestUpdate);
  await until('it lands', () => slices.length === 2);
  await handle.executeUpdate(resumeIngestUpdate);
  await handle.executeUpdate(pauseIngestUpdate);
  await handle.executeUpdate(resumeIngestUpdate);
  expect(slices).toEqual([true, false]);
  store.open();
  expect(await handle.result()).toMatchObject({ end: 'loaded' });
  expect(slices).toEqual([true, false, true]);
});

it('waits for a store for as many runs as it takes: what is told meanwhile fills the history', async () => {
  const store = closedStore();
  const slices = pausable(store.lands);
  const handle = await start(60);
  const first = (await handle.describe()).runId;
  await until('it loads', () => slices.length === 1);
  await handle.executeUpdate(pauseIngestUpdate);
  await until('it lands', () => slices.length === 2);
  await until('another run', async () => {
    await handle.signal(ingestProgressSignal, progress);
    return (await handle.describe()).runId !== first;
  });
  expect(await handle.query(ingestQuery)).toMatchObject({ paused: true, landed: false });
  store.open();
  await until('it rests', async () => (await handle.query(ingestQuery)).landed);
  await handle.executeUpdate(resumeIngestUpdate);
  expect(await handle.result()).toMatchObject({ end: 'loaded' });
  expect(slices.filter((readOn) => readOn)).toHaveLength(2);
});

const progress: IngestProgress = {
  ...noCounts,
  phase: 'loading',
  road: 'log',
  records: 10,
  contentBytes: 100,
  inFlight: 1,
  rowsPerSecond: 0,
  percent: 0,
  secondsLeft: null,
  slowedBy: null,
  trouble: null,
};

it('cancelled, it lands what is in MySQL and proves it', async () => {
  const readOn: boolean[] = [];
  rig.script.load = async (request, run) => {
    readOn.push(request.readOn);
    return request.readOn ? await untilStopped(run) : { kind: 'loaded' };
  };
  const handle = await start();
  await until('it loads', () => Promise.resolve(readOn.length === 1));
  await handle.executeUpdate(cancelIngestUpdate);
  expect(await handle.result()).toMatchObject({ end: 'cancelled', agrees: true });
  expect(readOn).toEqual([true, false]);
  expect(ended).toMatchObject([{ end: 'cancelled' }]);
});

it('cancelled while it is paused and lands, it goes on landing, and proves it', async () => {
  const store = closedStore();
  const slices = pausable(store.lands);
  const handle = await start();
  await until('it loads', () => slices.length === 1);
  await handle.executeUpdate(pauseIngestUpdate);
  await until('it lands', () => slices.length === 2);
  await handle.executeUpdate(cancelIngestUpdate);
  expect(slices).toEqual([true, false]);
  store.open();
  expect(await handle.result()).toMatchObject({ end: 'cancelled' });
  // Once more at the end: a chunk that was in by then would be open.
  expect(slices).toEqual([true, false, false]);
});

it('cancelled from outside, as the web UI does, it comes to the same end', async () => {
  let began = false;
  rig.script.load = async (request, run) => {
    began = true;
    return request.readOn ? await untilStopped(run) : { kind: 'loaded' };
  };
  const handle = await start();
  await until('it loads', () => Promise.resolve(began));
  await handle.cancel();
  expect(await handle.result()).toMatchObject({ end: 'cancelled' });
});

it('asks again while a worker does not see the file, and takes it up with one that does', async () => {
  let asked = 0;
  rig.script.load = () => {
    if (++asked < 4) return Promise.reject(new LockstepError('LS-INGEST-FILE-UNSEEN', 'not here'));
    return Promise.resolve({ kind: 'loaded' });
  };
  expect(await (await start()).result()).toMatchObject({ end: 'loaded' });
  expect(asked).toBe(4);
});

it('cancelled while no worker sees the file, it ends all the same', async () => {
  let asked = 0;
  rig.script.load = ({ readOn }) => {
    asked++;
    return readOn
      ? Promise.reject(new LockstepError('LS-INGEST-FILE-UNSEEN', 'not here'))
      : Promise.resolve({ kind: 'loaded' });
  };
  const handle = await start();
  await until('it asks', () => Promise.resolve(asked > 2));
  expect(await handle.query(ingestQuery)).toMatchObject({ problem: { code: 'LS-INGEST-FILE-UNSEEN' } });
  await handle.executeUpdate(cancelIngestUpdate);
  expect(await handle.result()).toMatchObject({ end: 'cancelled' });
});

it('does not lose a wish that comes when its history is full', async () => {
  let began = false;
  rig.script.load = async (request, run) => {
    began = true;
    return request.readOn ? await untilStopped(run) : { kind: 'loaded' };
  };
  const handle = await start(1);
  await until('it loads', () => Promise.resolve(began));
  await handle.executeUpdate(cancelIngestUpdate);
  expect(await handle.result()).toMatchObject({ end: 'cancelled' });
});

it('a failure for good still ends with a table that streams and is proven, and says why', async () => {
  rig.script.load = ({ readOn }) =>
    readOn
      ? Promise.reject(new LockstepError('LS-INGEST-KEYS', 'a trigger moves keys'))
      : Promise.resolve({ kind: 'loaded' });
  expect(await (await start()).result()).toMatchObject({ end: 'failed' });
  expect(ended).toMatchObject([{ end: 'failed', problem: 'LS-INGEST-KEYS: a trigger moves keys' }]);
});
