/** Temporal away for longer than any timeout: streams run on, and make room for their successors when it is back. */
import { afterEach, beforeEach, expect, inject, it } from 'vitest';
import { pauseUpdate, stateQuery, stopUpdate } from '../../workflows/messages.js';
import { startBreakingProxy, type BreakingProxy } from '../support/breakingProxy.js';
import { until } from '../support/processes.js';
import { openRig, type Rig } from './rig.js';

let proxy: BreakingProxy;
let rig: Rig;
/** Attempt → when it last beat, and whether it ended. */
let attempts: Map<number, { beatAt: number; ended: boolean }>;

beforeEach(async () => {
  const [host = '', port = ''] = inject('stack').temporal.address.split(':');
  proxy = await startBreakingProxy({ host, port: Number(port) });
  rig = await openRig(inject('stack'), `127.0.0.1:${proxy.port}`);
  attempts = new Map();
  rig.script.apply = async ({ store }, { signal, beat }, attempt) => {
    const mine = { beatAt: Date.now(), ended: false };
    if (store === 'mongo') attempts.set(attempt, mine);
    while (!signal.aborted) {
      beat();
      mine.beatAt = Date.now();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    mine.ended = true;
    return { kind: 'stopped' };
  };
});

afterEach(async () => {
  proxy.mend();
  await rig.close();
  await proxy.close();
});

/** Longer than the heartbeat timeout and what the SDK adds to it. */
const outageMs = 12_000;

async function cutFor(ms: number): Promise<void> {
  proxy.cut();
  const until = Date.now() + ms;
  while (Date.now() < until) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect([...attempts.values()].some((a) => !a.ended && Date.now() - a.beatAt < 1_000)).toBe(true);
  }
}

it('keeps streams running, and replaces each once when it is back', async () => {
  const pipeline = await rig.start();
  await until('streaming', async () => (await pipeline.query(stateQuery)).stage === 'streaming');
  await cutFor(outageMs);
  expect([...attempts.keys()]).toEqual([1]);
  proxy.mend();
  await until('the successor runs', () => attempts.size === 2, { timeoutMs: 60_000 });
  await until('the first one ended', () => attempts.get(1)?.ended === true);
  expect(attempts.get(2)?.ended).toBe(false);
  await pipeline.executeUpdate(stopUpdate);
  expect(attempts.get(2)?.ended).toBe(true);
});

it('ends a stream that was paused behind its back', async () => {
  const pipeline = await rig.start();
  await until('streaming', async () => (await pipeline.query(stateQuery)).stage === 'streaming');
  proxy.cut();
  await until('the attempt timed out on the server', async () => {
    const { raw } = await rig.client.workflow.getHandle(`lockstep/${rig.name}/apply/mongo`).describe();
    return raw.pendingActivities?.[0]?.attempt === 2;
  });
  await cutFor(8_000);
  const paused = pipeline.executeUpdate(pauseUpdate, { args: [{}] });
  proxy.mend();
  await paused;
  await until('it ended', () => attempts.get(1)?.ended === true, { timeoutMs: 60_000 });
  await until('all is at rest', () => [...attempts.values()].every((a) => a.ended));
  expect((await pipeline.query(stateQuery)).stage).toBe('paused');
});
