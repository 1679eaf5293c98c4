/** What the pipeline does about time, signals, outcomes and its own end. */
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { stateQuery, stopUpdate } from '../../workflows/messages.js';
import { until } from '../support/processes.js';
import { openRig, untilStopped, type Rig } from './rig.js';

let rig: Rig;

beforeEach(async () => {
  rig = await openRig(inject('stack'));
});

afterEach(async () => {
  await rig.close();
});

describe('pipeline', () => {
  it('installs, starts every stream, copies what is due and streams', async () => {
    let streams = 0;
    rig.script.capture = (run) => ((streams += 1), untilStopped(run));
    rig.script.apply = (_, run) => ((streams += 1), untilStopped(run));
    rig.script.due.set('one', 'run-1').set('two', 'run-2').set('three', 'run-3');
    const pipeline = await rig.start();
    await until('streaming', async () => (await pipeline.query(stateQuery)).stage === 'streaming');
    expect(streams).toBe(3);
    expect(rig.script.due.size).toBe(0);
    expect(await pipeline.executeUpdate(stopUpdate)).toEqual({ kind: 'stopped', stillDraining: [] });
    expect(await pipeline.result()).toEqual({ kind: 'stopped', stillDraining: [] });
  });
});
