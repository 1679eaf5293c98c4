/** What the pipeline does about time, signals, outcomes and its own end. */
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { LockstepError } from '../../core/errors.js';
import {
  pauseUpdate,
  refreshUpdate,
  resumeUpdate,
  resyncUpdate,
  stateQuery,
  stopUpdate,
  type PipelineView,
} from '../../workflows/messages.js';
import { stageAttribute } from '../../workflows/searchAttributes.js';
import { until } from '../support/processes.js';
import { failing, openRig, untilStopped, type PipelineHandle, type Rig } from './rig.js';

let rig: Rig;

beforeEach(async () => {
  rig = await openRig(inject('stack'));
});

afterEach(async () => {
  await rig.close();
});

async function untilView(
  pipeline: PipelineHandle,
  what: string,
  holds: (view: PipelineView) => boolean,
): Promise<void> {
  await until(what, async () => holds(await pipeline.query(stateQuery)));
}

async function streaming(pipeline: PipelineHandle): Promise<void> {
  await untilView(pipeline, 'streaming', ({ stage }) => stage === 'streaming');
}

/** Copies that run until they are told to end or to finish. */
function copiesByHand(): { started: string[]; finish: (table: string) => void } {
  const started: string[] = [];
  const finished = new Set<string>();
  rig.script.copy = async ({ table, run }, { signal, beat }) => {
    started.push(`${table} ${run}`);
    for (;;) {
      if (signal.aborted || rig.script.due.get(table) !== run) return { kind: 'stopped' };
      if (finished.delete(table)) {
        rig.script.due.delete(table);
        return { kind: 'copied', rows: 1, orphans: 0 };
      }
      beat();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  return { started, finish: (table) => void finished.add(table) };
}

describe('from start to stop', () => {
  it('installs, starts every stream, copies what is due, streams, and drains', async () => {
    const streams = new Set<string>();
    let stopped = 0;
    const counted = async (name: string, run: Parameters<typeof untilStopped>[0]) => {
      streams.add(name);
      const outcome = await untilStopped(run);
      stopped += 1;
      return outcome;
    };
    rig.script.capture = (run) => counted('capture', run);
    rig.script.apply = ({ store, shard }, run) => counted(`${store}/${shard}`, run);
    rig.script.due.set('one', 'run-1').set('two', 'run-2').set('three', 'run-3');
    const pipeline = await rig.start({ shards: 2 });
    await streaming(pipeline);
    expect(rig.script.due.size).toBe(0);
    await until('every stream runs', () => streams.size === 5);
    expect([...streams].toSorted()).toEqual(['capture', 'mongo/0', 'mongo/1', 'redis/0', 'redis/1']);
    expect(await pipeline.executeUpdate(stopUpdate)).toEqual({ kind: 'stopped', stillDraining: [] });
    expect(await pipeline.result()).toEqual({ kind: 'stopped', stillDraining: [] });
    expect(stopped).toBe(5);
  });

  it('runs at most as many copies at a time as configured, and starts the next as soon as one ends', async () => {
    const copies = copiesByHand();
    for (const table of ['one', 'two', 'three']) rig.script.due.set(table, `run-${table}`);
    const pipeline = await rig.start({ parallelCopies: 2 });
    await until('two copies', () => copies.started.length === 2);
    expect((await pipeline.query(stateQuery)).copying).toEqual(['one', 'two']);
    copies.finish('one');
    await until('the third', () => copies.started.length === 3);
    copies.finish('two');
    copies.finish('three');
    await streaming(pipeline);
    expect(copies.started).toEqual(['one run-one', 'two run-two', 'three run-three']);
  });

  it('fails with the code of what makes an installation impossible', async () => {
    rig.script.install = () => Promise.reject(new LockstepError('LS-MYSQL-PRIVILEGE', 'TRIGGER is missing on shop'));
    const pipeline = await rig.start();
    await expect(pipeline.result()).rejects.toMatchObject({
      cause: { cause: { type: 'LS-MYSQL-PRIVILEGE', message: 'TRIGGER is missing on shop' } },
    });
  });

  it('keeps trying an installation that may yet succeed, and stops meanwhile when asked to', async () => {
    let attempts = 0;
    rig.script.install = (attempt) => {
      attempts = attempt;
      return Promise.reject(new LockstepError('LS-MYSQL-UNREACHABLE', 'MySQL does not answer'));
    };
    const pipeline = await rig.start();
    await until('a second attempt', () => attempts >= 2);
    expect((await pipeline.query(stateQuery)).stage).toBe('starting');
    expect(await pipeline.executeUpdate(stopUpdate)).toEqual({ kind: 'stopped', stillDraining: [] });
  });

  it('drains when it is cancelled in the web UI', async () => {
    let ended = 0;
    rig.script.capture = async (run) => {
      const outcome = await untilStopped(run);
      ended += 1;
      return outcome;
    };
    const pipeline = await rig.start();
    await streaming(pipeline);
    await pipeline.cancel();
    await expect(pipeline.result()).rejects.toMatchObject({ cause: { name: 'CancelledFailure' } });
    expect(ended).toBe(1);
  });

  it('adopts the streams of a pipeline that was terminated', async () => {
    let captures = 0;
    rig.script.capture = (run) => ((captures += 1), untilStopped(run));
    const first = await rig.start();
    await streaming(first);
    await first.executeUpdate(pauseUpdate, { args: [{}] });
    await first.terminate('an operator');
    const second = await rig.start();
    await streaming(second);
    expect(captures).toBe(1);
    expect(await second.executeUpdate(stopUpdate)).toEqual({ kind: 'stopped', stillDraining: [] });
  });
});

describe('pause, resume, resync', () => {
  it('pauses stores and copies, not capture, and goes on with the same run', async () => {
    const copies = copiesByHand();
    let captures = 0;
    let applies = 0;
    rig.script.capture = (run) => ((captures += 1), untilStopped(run));
    rig.script.apply = async (_, run) => {
      applies += 1;
      return await untilStopped(run).finally(() => (applies -= 1));
    };
    rig.script.due.set('one', 'run-1');
    const pipeline = await rig.start();
    await until('copying and applying', () => copies.started.length === 1 && applies === 2);
    await pipeline.executeUpdate(pauseUpdate, { args: [{}] });
    expect((await pipeline.query(stateQuery)).stage).toBe('paused');
    await until('stores at rest', () => applies === 0);
    await untilView(pipeline, 'copy at rest', ({ copying }) => copying.length === 0);
    await pipeline.executeUpdate(resumeUpdate, { args: [{}] });
    await until('all again', () => copies.started.length === 2 && applies === 2);
    copies.finish('one');
    await streaming(pipeline);
    expect(copies.started).toEqual(['one run-1', 'one run-1']);
    expect(captures).toBe(1);
  });

  it('leaves a paused table out of apply and of copying, and only that one', async () => {
    const copies = copiesByHand();
    const seen: string[] = [];
    rig.script.apply = (request, run) => {
      seen.push(`${request.store} ${request.pausedTables.join(',')}`);
      return untilStopped(run);
    };
    rig.script.due.set('one', 'run-1').set('two', 'run-2');
    const pipeline = await rig.start();
    await until('copies', () => copies.started.length === 2 && seen.length === 2);
    await pipeline.executeUpdate(pauseUpdate, { args: [{ table: 'one' }] });
    await until('apply without it', () => seen.length === 4);
    expect(seen.slice(2).toSorted()).toEqual(['mongo one', 'redis one']);
    await untilView(pipeline, 'its copy at rest', ({ copying }) => copying.join() === 'two');
    copies.finish('two');
    await pipeline.executeUpdate(resumeUpdate, { args: [{ table: 'one' }] });
    await until('it is copied again', () => copies.started.length === 3);
    copies.finish('one');
    await streaming(pipeline);
    expect(copies.started.at(-1)).toBe('one run-1');
  });

  it('replaces a copy under way when a resync is asked for', async () => {
    const copies = copiesByHand();
    rig.script.due.set('one', 'run-1');
    const pipeline = await rig.start();
    await until('the first copy', () => copies.started.length === 1);
    await pipeline.executeUpdate(resyncUpdate, { args: [{ table: 'one' }] });
    expect(rig.script.asked).toEqual([{ tables: ['one'] }]);
    await until('the second copy', () => copies.started.length === 2);
    expect(copies.started).toEqual(['one run-1', 'one one-1']);
    copies.finish('one');
    await streaming(pipeline);
  });

  it('looks for tables again when told to', async () => {
    let installs = 0;
    rig.script.install = () => Promise.resolve(void (installs += 1));
    const pipeline = await rig.start();
    await streaming(pipeline);
    rig.script.due.set('three', 'run-3');
    expect(await pipeline.executeUpdate(refreshUpdate)).toEqual({ tables: ['one', 'two'] });
    await until('the new table is copied', () => rig.script.due.size === 0);
    expect(installs).toBe(2);
  });
});

describe('trouble', () => {
  it('shows what only an operator can end, tries on, and forgets it once the stream is well', async () => {
    let broken = true;
    rig.script.capture = (run) =>
      broken ? Promise.reject(new LockstepError('LS-KAFKA-REFUSED', 'write on shop.*')) : untilStopped(run);
    const pipeline = await rig.start();
    await untilView(pipeline, 'the problem', ({ problems }) => problems.some((p) => p.code === 'LS-KAFKA-REFUSED'));
    broken = false;
    await untilView(pipeline, 'no problem', ({ problems }) => problems.length === 0);
    expect((await pipeline.query(stateQuery)).stage).toBe('streaming');
  });

  it('copies again at once what a store lost, and runs on', async () => {
    let losses = 0;
    rig.script.apply = async ({ store }, run) => {
      if (store === 'redis' && losses === 0) {
        losses += 1;
        rig.script.due.set('one', 'run-1').set('two', 'run-2');
        return { kind: 'store-lost', store: 'redis' };
      }
      return await untilStopped(run);
    };
    const pipeline = await rig.start();
    await until('copied', () => losses === 1 && rig.script.due.size === 0);
    await streaming(pipeline);
    expect(losses).toBe(1);
  });

  it('tries an unknown failure again without telling what was in it', async () => {
    let attempts = 0;
    rig.script.capture = (run, attempt) => {
      attempts = attempt;
      return attempt < 3 ? Promise.reject(new TypeError("Duplicate entry 'secret' for key")) : untilStopped(run);
    };
    const pipeline = await rig.start();
    await until('the third attempt', () => attempts === 3);
    const history = await rig.client.workflow.getHandle(`lockstep/${rig.name}/capture`).fetchHistory();
    expect(JSON.stringify(history)).not.toContain('secret');
    await streaming(pipeline);
  });

  it('starts a stream again that somebody terminated', async () => {
    let captures = 0;
    rig.script.capture = (run) => ((captures += 1), untilStopped(run));
    const pipeline = await rig.start();
    await streaming(pipeline);
    await rig.client.workflow.getHandle(`lockstep/${rig.name}/capture`).terminate('an operator');
    await pipeline.executeUpdate(refreshUpdate);
    await until('it runs again', () => captures > 1);
    expect(captures).toBe(2);
  });

  it('reports a copy that fails, and tries it again', async () => {
    let fails = 1;
    rig.script.due.set('one', 'run-1');
    rig.script.copy = failing(() => fails-- > 0, new LockstepError('LS-INTERNAL', 'no definition'), rig.script.copy);
    const pipeline = await rig.start();
    await untilView(pipeline, 'the problem', ({ problems }) => problems.some((p) => p.code === 'LS-INTERNAL'));
    await until('it was copied', () => rig.script.due.size === 0);
    await untilView(pipeline, 'no problem', ({ problems }) => problems.length === 0);
    expect(fails).toBe(-1);
  });
});

describe('continue as new', () => {
  it('carries everything over, interrupts no stream and loses no update', async () => {
    let captures = 0;
    let pausedInRedis: readonly string[] = [];
    rig.script.capture = (run) => ((captures += 1), untilStopped(run));
    rig.script.apply = ({ store, pausedTables }, run) => {
      if (store === 'redis') pausedInRedis = pausedTables;
      return untilStopped(run);
    };
    const pipeline = await rig.start({ maxHistoryEvents: 60 });
    const { runId: firstRun } = await pipeline.describe();
    const apply = rig.client.workflow.getHandle(`lockstep/${rig.name}/apply/redis`);
    for (let i = 0; i < 20; i++) await pipeline.executeUpdate(pauseUpdate, { args: [{ table: `table-${i}` }] });
    for (let i = 0; i < 20; i += 2) await pipeline.executeUpdate(resumeUpdate, { args: [{ table: `table-${i}` }] });
    const { pausedTables } = await pipeline.query(stateQuery);
    const odd = Array.from({ length: 10 }, (_, i) => `table-${2 * i + 1}`);
    expect(pausedTables).toEqual(odd.toSorted());
    expect((await rig.client.workflow.getHandle(`lockstep/${rig.name}`).describe()).runId).not.toBe(firstRun);
    expect(captures).toBe(1);
    await until('apply knows it too', () => pausedInRedis.join() === odd.toSorted().join());
    const { runId, raw } = await apply.describe();
    expect(runId).not.toBe(raw.workflowExecutionInfo?.firstRunId);
    expect(await pipeline.executeUpdate(stopUpdate)).toEqual({ kind: 'stopped', stillDraining: [] });
  });
});

describe('a repair of more keys than one history holds', () => {
  it('goes on in the next run, and sweeps nothing again', async () => {
    let [begun, repairs] = [0, 0];
    const { sweep } = rig.script;
    const { beginSweep } = sweep;
    sweep.beginSweep = (request, run) => ((begun += 1), beginSweep(request, run));
    sweep.finishSweep = () => Promise.resolve({ drift: 30, leftOut: 0 });
    sweep.repairSweep = () => {
      repairs += 1;
      return Promise.resolve({
        kind: 'repaired',
        keys: 1,
        skipped: 0,
        waitMs: repairs % 30 === 0 ? null : 1,
        tooMuch: [],
      });
    };
    sweep.recheckSweep = () =>
      Promise.resolve(
        repairs === 30 ? { kind: 'rechecked', healed: 29, left: 1 } : { kind: 'rechecked', healed: 30, left: 0 },
      );
    const handle = await rig.sweep({ repair: true, maxHistoryEvents: 120 });
    expect(await handle.result()).toMatchObject({ state: 'done', drift: 30, repaired: 30, left: 0 });
    expect([begun, repairs]).toEqual([1, 60]);
    const { runId, raw } = await rig.client.workflow.getHandle(handle.workflowId).describe();
    expect(runId).not.toBe(raw.workflowExecutionInfo?.firstRunId);
  });
});

describe('the web UI', () => {
  it('finds every workflow by search attributes and shows the stage', async () => {
    const pipeline = await rig.start();
    await streaming(pipeline);
    await until('the list is complete', async () => {
      const found: string[] = [];
      const query = `LockstepPipeline = '${rig.name}' AND ExecutionStatus = 'Running'`;
      for await (const { workflowId } of rig.client.workflow.list({ query })) found.push(workflowId);
      const id = `lockstep/${rig.name}`;
      return found.toSorted().join() === [id, `${id}/apply/mongo`, `${id}/apply/redis`, `${id}/capture`].join();
    });
    await until('the stage', async () => {
      const { typedSearchAttributes } = await pipeline.describe();
      return typedSearchAttributes.get(stageAttribute) === 'streaming';
    });
    const metadata = await pipeline.query<{ currentDetails?: string }>('__temporal_workflow_metadata');
    expect(metadata.currentDetails).toContain(`### ${rig.name}: streaming`);
  });
});
