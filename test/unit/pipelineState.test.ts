/** Every phase of the pipeline against everything that can happen: the table is total, or it does not compile. */
import { describe, expect, it } from 'vitest';
import { warning } from '../../core/problem.js';
import type { Stream } from '../../core/workflowNames.js';
import {
  firstState,
  stageOf,
  step,
  viewOf,
  type Action,
  type Bounds,
  type Look,
  type Phase,
  type PipelineEvent,
  type PipelineState,
} from '../../workflows/pipelineState.js';

const bounds: Bounds = { stores: ['mongo', 'redis'], shards: 1, parallelCopies: 2 };
const trouble = warning('LS-TEMPORAL-FENCED', 'another capture');
const mongo: Stream = { kind: 'apply', store: 'mongo', shard: 0 };

function look(over: Partial<Look> = {}): Look {
  return {
    status: {
      pipeline: 'shop',
      stage: 'streaming',
      at: '2026-01-01T00:00:00.000Z',
      windowSeconds: 0,
      tables: [],
      capture: { backlog: 0, oldestMs: 0, changesPerSecond: 0, bytes: 0 },
      stores: [],
      problems: [],
    },
    problems: [],
    sample: { at: 1_000, published: 0, stores: [] },
    tableCount: 2,
    due: [],
    uncopied: 0,
    missingStreams: [],
    missingCopies: [],
    ...over,
  };
}

const events: { readonly [K in PipelineEvent['kind']]: Extract<PipelineEvent, { kind: K }> } = {
  installed: { kind: 'installed' },
  looked: { kind: 'looked', look: look({ due: [{ table: 'b', run: '2' }], missingStreams: [mongo] }) },
  'look-failed': { kind: 'look-failed', problem: trouble },
  'stream-reported': {
    kind: 'stream-reported',
    report: { stream: { kind: 'capture' }, problem: trouble, copyNow: true },
  },
  'copy-reported': {
    kind: 'copy-reported',
    report: { table: 'a', run: '1', outcome: { kind: 'copied', rows: 1, orphans: 0 } },
  },
  'sweep-reported': { kind: 'sweep-reported', report: { workflowId: 'lockstep/shop/validate', running: true } },
  'copies-wanted': { kind: 'copies-wanted' },
  pause: { kind: 'pause' },
  resume: { kind: 'resume' },
  stop: { kind: 'stop' },
};

const nothing: readonly string[] = [];
/** Phase → event → phase afterwards and actions, in a state where a copy of `a` runs. */
const expected: {
  readonly [P in Phase]: { readonly [K in PipelineEvent['kind']]: readonly [Phase, readonly string[]] };
} = {
  installing: {
    installed: ['running', ['start-stream', 'start-stream', 'start-stream', 'look-now']],
    looked: ['installing', nothing],
    'look-failed': ['installing', nothing],
    'stream-reported': ['installing', nothing],
    'copy-reported': ['installing', nothing],
    'sweep-reported': ['installing', nothing],
    'copies-wanted': ['installing', nothing],
    pause: ['installing', nothing],
    resume: ['installing', nothing],
    stop: ['draining', nothing],
  },
  running: {
    installed: ['running', ['look-now']],
    looked: ['running', ['start-stream', 'start-copy']],
    'look-failed': ['running', nothing],
    'stream-reported': ['running', ['look-now']],
    'copy-reported': ['running', ['look-now']],
    'sweep-reported': ['running', nothing],
    'copies-wanted': ['running', ['look-now']],
    pause: ['running', ['steer-streams', 'drain-copy']],
    resume: ['running', ['steer-streams', 'look-now']],
    stop: ['draining', nothing],
  },
  draining: {
    installed: ['draining', nothing],
    looked: ['draining', nothing],
    'look-failed': ['draining', nothing],
    'stream-reported': ['draining', nothing],
    'copy-reported': ['draining', nothing],
    'sweep-reported': ['draining', nothing],
    'copies-wanted': ['draining', nothing],
    pause: ['draining', nothing],
    resume: ['draining', nothing],
    stop: ['draining', nothing],
  },
};

function at(phase: Phase, over: Partial<PipelineState> = {}): PipelineState {
  return { ...firstState, phase, copying: { a: '1' }, ...over };
}

function kinds(actions: readonly Action[]): readonly string[] {
  return actions.map((action) => action.kind);
}

describe('every phase answers every event', () => {
  for (const [phase, row] of Object.entries(expected) as [Phase, (typeof expected)[Phase]][]) {
    for (const [kind, [after, actions]] of Object.entries(row) as [PipelineEvent['kind'], (typeof row)['stop']][]) {
      it(`${phase} + ${kind}`, () => {
        const result = step(at(phase), events[kind], bounds);
        expect([result.state.phase, kinds(result.actions)]).toEqual([after, actions]);
      });
    }
  }
});

describe('sweeps', () => {
  const report = (workflowId: string, running: boolean): PipelineEvent => ({
    kind: 'sweep-reported',
    report: { workflowId, running },
  });

  it('are known from their beginning to their end, each once', () => {
    const told = [report('a', true), report('b', true), report('a', true), report('b', false)];
    const { sweeps } = told.reduce((state, event) => step(state, event, bounds).state, at('running'));
    expect(sweeps).toEqual(['a']);
  });

  it('that never tell their end are forgotten in time', () => {
    const told = Array.from({ length: 80 }, (_, i) => report(`s${i}`, true));
    const { sweeps } = told.reduce((state, event) => step(state, event, bounds).state, at('installing'));
    expect([sweeps?.length, sweeps?.at(-1)]).toEqual([50, 's79']);
  });
});

describe('after a look', () => {
  const due = ['b', 'c', 'd'].map((table) => ({ table, run: `${table}-1` }));

  it('starts no more copies than allowed, small ones first', () => {
    const { state, actions } = step(at('running'), { kind: 'looked', look: look({ due }) }, bounds);
    expect(state.copying).toEqual({ a: '1', b: 'b-1' });
    expect(actions).toEqual([{ kind: 'start-copy', copy: due[0] }]);
  });

  it('starts again what was believed to run', () => {
    const seen = look({ due: [{ table: 'a', run: '1' }], missingCopies: ['a'] });
    const { actions } = step(at('running'), { kind: 'looked', look: seen }, bounds);
    expect(actions).toEqual([{ kind: 'start-copy', copy: { table: 'a', run: '1' } }]);
  });

  it('drains a copy that a newer run supersedes, and starts that once it has ended', () => {
    const seen = look({ due: [{ table: 'a', run: '2' }] });
    const first = step(at('running'), { kind: 'looked', look: seen }, bounds);
    expect(first.actions).toEqual([{ kind: 'drain-copy', table: 'a' }]);
    const report = { table: 'a', run: '1', outcome: { kind: 'stopped' } } as const;
    const second = step(first.state, { kind: 'copy-reported', report }, bounds);
    const third = step(second.state, { kind: 'looked', look: seen }, bounds);
    expect(third.actions).toEqual([{ kind: 'start-copy', copy: { table: 'a', run: '2' } }]);
  });

  it.each([
    ['the pipeline', { paused: true }],
    ['every due table', { pausedTables: ['b', 'c', 'd'] }],
  ])('starts no copy while %s is paused', (_, over) => {
    expect(step(at('running', over), { kind: 'looked', look: look({ due }) }, bounds).actions).toEqual([]);
  });

  it('keeps the readings of one minute', () => {
    let state = at('running');
    for (let second = 0; second <= 130; second += 10) {
      const sample = { at: second * 1000, published: second, stores: [] };
      state = step(state, { kind: 'looked', look: look({ sample }) }, bounds).state;
    }
    expect(state.samples.map((sample) => sample.at / 1000)).toEqual([70, 80, 90, 100, 110, 120, 130]);
    expect(viewOf(state).since?.published).toBe(70);
  });
});

describe('reports', () => {
  it('remembers a trouble until the stream is well, and the one of another stays', () => {
    const report = (stream: Stream, problem: typeof trouble | null): PipelineEvent => ({
      kind: 'stream-reported',
      report: { stream, problem, copyNow: false },
    });
    let { state } = step(at('running'), report(mongo, trouble), bounds);
    state = step(state, report({ kind: 'capture' }, trouble), bounds).state;
    expect(viewOf(state).problems).toHaveLength(2);
    const well = step(state, report(mongo, null), bounds);
    expect(viewOf(well.state).problems).toHaveLength(1);
    expect(well.actions).toEqual([]);
  });

  it('tries a failed copy again only at the next regular look', () => {
    const report = { table: 'a', run: '1', outcome: { kind: 'failed', problem: trouble } } as const;
    const { state, actions } = step(at('running'), { kind: 'copy-reported', report }, bounds);
    expect(actions).toEqual([]);
    expect(state.copying).toEqual({});
    expect(viewOf(state).problems).toEqual([trouble]);
  });

  it('ignores the report of a run that is not the one that runs', () => {
    const report = { table: 'a', run: 'older', outcome: { kind: 'stopped' } } as const;
    expect(step(at('running'), { kind: 'copy-reported', report }, bounds).state.copying).toEqual({ a: '1' });
  });
});

describe('pause and resume', () => {
  it.each([
    ['one table that is copied', 'a', { paused: false, pausedTables: ['a'] }, ['steer-streams', 'drain-copy']],
    ['one table that is not', 'b', { paused: false, pausedTables: ['b'] }, ['steer-streams']],
    ['everything', undefined, { paused: true, pausedTables: [] }, ['steer-streams', 'drain-copy']],
  ])('%s', (_, table, steering, actions) => {
    const event: PipelineEvent = { kind: 'pause', ...(table === undefined ? {} : { table }) };
    const result = step(at('running'), event, bounds);
    expect(result.state).toMatchObject(steering);
    expect(kinds(result.actions)).toEqual(actions);
  });

  it('resumes one table, or all of them with the pipeline', () => {
    const state = at('running', { paused: true, pausedTables: ['a', 'b'] });
    expect(step(state, { kind: 'resume', table: 'a' }, bounds).state).toMatchObject({
      paused: true,
      pausedTables: ['b'],
    });
    expect(step(state, { kind: 'resume' }, bounds).state).toMatchObject({ paused: false, pausedTables: [] });
  });

  it('holds for a wish made before anything was installed', () => {
    const { state } = step(at('installing'), { kind: 'pause' }, bounds);
    expect(step(state, { kind: 'installed' }, bounds).state).toMatchObject({ phase: 'running', paused: true });
  });
});

describe('the stage', () => {
  it.each([
    ['starting', at('installing')],
    ['starting', at('running', { copying: {} })],
    ['copying', at('running', { look: look() })],
    ['copying', at('running', { copying: {}, look: look({ uncopied: 1 }) })],
    ['streaming', at('running', { copying: {}, look: look() })],
    ['paused', at('running', { paused: true, look: look() })],
    ['stopping', at('draining', { paused: true, look: look() })],
  ])('%s', (stage, state) => {
    expect(stageOf(state)).toBe(stage);
  });
});
