/**
 * The pipeline's state machine: what it knows, and what it does about everything that can happen to it. Pure and total:
 * every phase answers every event. What must not be forgotten lies in MySQL and the stores (which tables are due, what
 * is installed, how far a stream is); this state only says what to do next, so losing it loses nothing.
 */
import type { OpenProblem, PipelineStage, PipelineStatus, Sample } from '../core/status.js';
import { streamsOf, type Stream } from '../core/workflowNames.js';
import type { CopyReport, PipelineInput, PipelineView, Steering, StreamReport, SweepReport } from './messages.js';

/** `installing`: triggers and state tables. `running`: streams run, copies are made. `draining`: everything ends. */
export type Phase = 'installing' | 'running' | 'draining';

export interface PipelineState extends Steering {
  readonly phase: Phase;
  /** Table → run of its copy, for every snapshot workflow that was started and has not reported. */
  readonly copying: Readonly<Record<string, string>>;
  /** Workflow ids of sweeps that began and have not reported their end, the newest last. Absent in runs of before. */
  readonly sweeps?: readonly string[];
  /** What is wrong, by its place: a stream, a copy, the look itself. */
  readonly troubles: Readonly<Record<string, OpenProblem>>;
  /** Readings of the last minute, oldest first. */
  readonly samples: readonly Sample[];
  readonly look: Look | null;
}

export interface DueCopy {
  readonly table: string;
  readonly run: string;
}

/** One look at what is really there. */
export interface Look {
  /** Tables that simply stream are left out, so that a history stays small however many there are. */
  readonly status: PipelineStatus;
  /** What the data do not tell: triggers that cannot be put right, workflows that cannot get on. */
  readonly problems: readonly OpenProblem[];
  readonly sample: Sample;
  readonly tableCount: number;
  /** Tables to copy, small ones first; at most as many as can be started before the next look. */
  readonly due: readonly DueCopy[];
  /** Tables whose copy is not done, the due ones included. */
  readonly uncopied: number;
  readonly missingStreams: readonly Stream[];
  /** Tables among `copying` whose snapshot workflow does not run. */
  readonly missingCopies: readonly string[];
  /** Tables that changed and that their policy pauses until they are resumed. Absent where a look could not tell. */
  readonly held?: readonly string[];
}

export type PipelineEvent =
  | { readonly kind: 'installed'; readonly held?: readonly string[] }
  | { readonly kind: 'looked'; readonly look: Look }
  | { readonly kind: 'look-failed'; readonly problem: OpenProblem }
  | { readonly kind: 'stream-reported'; readonly report: StreamReport }
  | { readonly kind: 'copy-reported'; readonly report: CopyReport }
  | { readonly kind: 'sweep-reported'; readonly report: SweepReport }
  /** Copies were requested durably, or tables changed. */
  | { readonly kind: 'copies-wanted' }
  | { readonly kind: 'pause'; readonly table?: string }
  | { readonly kind: 'resume'; readonly table?: string }
  | { readonly kind: 'stop' };

export type Action =
  | { readonly kind: 'start-stream'; readonly stream: Stream }
  | { readonly kind: 'start-copy'; readonly copy: DueCopy }
  | { readonly kind: 'drain-copy'; readonly table: string }
  | { readonly kind: 'steer-streams' }
  | { readonly kind: 'look-now' };

export interface Step {
  readonly state: PipelineState;
  readonly actions: readonly Action[];
}

export type Bounds = Pick<PipelineInput, 'stores' | 'shards' | 'verify' | 'witness' | 'parallelCopies'>;

export const firstState: PipelineState = {
  phase: 'installing',
  paused: false,
  pausedTables: [],
  copying: {},
  troubles: {},
  samples: [],
  look: null,
};

const lookNow: Action = { kind: 'look-now' };
const windowMs = 60_000;

export function step(state: PipelineState, event: PipelineEvent, bounds: Bounds): Step {
  switch (state.phase) {
    case 'installing':
      return whileInstalling(state, event, bounds);
    case 'running':
      return whileRunning(state, event, bounds);
    case 'draining':
      return whileDraining(state, event);
  }
}

function whileInstalling(state: PipelineState, event: PipelineEvent, bounds: Bounds): Step {
  switch (event.kind) {
    case 'installed': {
      const start = streamsOf(bounds).map((stream) => ({ kind: 'start-stream', stream }) as const);
      const held = (event.held ?? []).reduce(paused, state);
      return { state: { ...held, phase: 'running' }, actions: [...start, lookNow] };
    }
    case 'pause':
      return { state: paused(state, event.table), actions: [] };
    case 'resume':
      return { state: resumed(state, event.table), actions: [] };
    case 'stop':
      return { state: { ...state, phase: 'draining' }, actions: [] };
    case 'stream-reported':
      return { state: withStreamReport(state, event.report), actions: [] };
    case 'sweep-reported':
      return { state: withSweepReport(state, event.report), actions: [] };
    // Left over from a pipeline that was terminated; the first look tells what is true.
    case 'copy-reported':
    case 'copies-wanted':
    case 'looked':
    case 'look-failed':
      return { state, actions: [] };
  }
}

function whileRunning(state: PipelineState, event: PipelineEvent, bounds: Bounds): Step {
  switch (event.kind) {
    case 'installed':
    case 'copies-wanted':
      return { state, actions: [lookNow] };
    case 'looked':
      return afterLook(state, event.look, bounds);
    case 'look-failed':
      return { state: withTrouble(state, 'look', event.problem), actions: [] };
    case 'stream-reported':
      return { state: withStreamReport(state, event.report), actions: event.report.copyNow ? [lookNow] : [] };
    case 'copy-reported':
      return afterCopy(state, event.report);
    case 'sweep-reported':
      return { state: withSweepReport(state, event.report), actions: [] };
    case 'pause': {
      const tables = Object.keys(state.copying).filter((table) => event.table === undefined || event.table === table);
      const drains = tables.map((table) => ({ kind: 'drain-copy', table }) as const);
      return { state: paused(state, event.table), actions: [{ kind: 'steer-streams' }, ...drains] };
    }
    case 'resume':
      return { state: resumed(state, event.table), actions: [{ kind: 'steer-streams' }, lookNow] };
    case 'stop':
      return { state: { ...state, phase: 'draining' }, actions: [] };
  }
}

function whileDraining(state: PipelineState, event: PipelineEvent): Step {
  switch (event.kind) {
    case 'copy-reported':
      return { state: { ...state, copying: without(state.copying, event.report.table) }, actions: [] };
    // A wish that comes while everything ends is for the next start; what must be done then lies in MySQL.
    case 'installed':
    case 'looked':
    case 'look-failed':
    case 'stream-reported':
    case 'sweep-reported':
    case 'copies-wanted':
    case 'pause':
    case 'resume':
    case 'stop':
      return { state, actions: [] };
  }
}

/** Starts again what should run and does not; then as many copies as are allowed at a time. */
function afterLook(before: PipelineState, seen: Look, bounds: Bounds): Step {
  const held = seen.held ?? before.look?.held;
  const look = held === undefined ? seen : { ...seen, held };
  const toHold = (seen.held ?? []).filter((table) => !before.pausedTables.includes(table));
  const state = toHold.reduce(paused, before);
  const running = look.missingCopies.reduce(without, state.copying);
  const overtaken = look.due.filter(({ table, run }) => table in running && running[table] !== run);
  const startable = look.due.filter(({ table }) => !(table in running) && !isPaused(state, table));
  const starts = startable.slice(0, Math.max(0, bounds.parallelCopies - Object.keys(running).length));
  const copying = { ...running, ...Object.fromEntries(starts.map(({ table, run }) => [table, run])) };
  return {
    state: {
      ...state,
      copying,
      troubles: without(state.troubles, 'look'),
      samples: [...state.samples, look.sample].filter((sample) => sample.at >= look.sample.at - windowMs),
      look,
    },
    actions: [
      ...look.missingStreams.map((stream) => ({ kind: 'start-stream', stream }) as const),
      ...(toHold.length === 0 ? [] : [{ kind: 'steer-streams' } as const]),
      ...toHold.filter((table) => table in running).map((table) => ({ kind: 'drain-copy', table }) as const),
      ...overtaken.map(({ table }) => ({ kind: 'drain-copy', table }) as const),
      ...starts.map((copy) => ({ kind: 'start-copy', copy }) as const),
      // Their triggers wait for the pause.
      ...(toHold.length === 0 ? [] : [lookNow]),
    ],
  };
}

/** A copy that failed is tried again at the next regular look, not at once. */
function afterCopy(state: PipelineState, report: CopyReport): Step {
  const copying = state.copying[report.table] === report.run ? without(state.copying, report.table) : state.copying;
  const place = `copy/${report.table}`;
  const ended = { ...state, copying };
  switch (report.outcome.kind) {
    case 'failed':
      return { state: withTrouble(ended, place, report.outcome.problem), actions: [] };
    case 'copied':
    case 'stopped':
    case 'table-gone':
      return { state: { ...ended, troubles: without(ended.troubles, place) }, actions: [lookNow] };
  }
}

function withStreamReport(state: PipelineState, report: StreamReport): PipelineState {
  const place = placeOf(report.stream);
  return report.problem === null
    ? { ...state, troubles: without(state.troubles, place) }
    : withTrouble(state, place, report.problem);
}

/** One that was terminated never reports its end: the oldest are forgotten. */
const mostSweeps = 50;

function withSweepReport(state: PipelineState, { workflowId, running }: SweepReport): PipelineState {
  const others = (state.sweeps ?? []).filter((id) => id !== workflowId);
  return { ...state, sweeps: running ? [...others, workflowId].slice(-mostSweeps) : others };
}

function placeOf(stream: Stream): string {
  return 'store' in stream ? `${stream.kind}/${stream.store}/${stream.shard}` : stream.kind;
}

function withTrouble(state: PipelineState, place: string, problem: OpenProblem): PipelineState {
  return { ...state, troubles: { ...state.troubles, [place]: problem } };
}

function paused(state: PipelineState, table: string | undefined): PipelineState {
  if (table === undefined) return { ...state, paused: true };
  return { ...state, pausedTables: [...new Set([...state.pausedTables, table])].toSorted() };
}

/** Resuming the whole pipeline resumes its tables as well. */
function resumed(state: PipelineState, table: string | undefined): PipelineState {
  if (table === undefined) return { ...state, paused: false, pausedTables: [] };
  return { ...state, pausedTables: state.pausedTables.filter((name) => name !== table) };
}

function isPaused(state: PipelineState, table: string): boolean {
  return state.paused || state.pausedTables.includes(table);
}

function without<T>(entries: Readonly<Record<string, T>>, name: string): Readonly<Record<string, T>> {
  return Object.fromEntries(Object.entries(entries).filter(([key]) => key !== name));
}

/** Tables that a resume of this table, or of all, releases for good. */
export function heldAmong({ look }: PipelineState, table: string | undefined): readonly string[] {
  return (look?.held ?? []).filter((name) => table === undefined || name === table);
}

export function stageOf(state: PipelineState): PipelineStage {
  if (state.phase === 'draining') return 'stopping';
  if (state.phase === 'installing' || state.look === null) return 'starting';
  if (state.paused) return 'paused';
  return state.look.uncopied > 0 || Object.keys(state.copying).length > 0 ? 'copying' : 'streaming';
}

export function viewOf(state: PipelineState): PipelineView {
  return {
    stage: stageOf(state),
    paused: state.paused,
    pausedTables: state.pausedTables,
    copying: Object.keys(state.copying),
    problems: [
      ...Object.values(state.troubles),
      ...(state.look?.problems ?? []),
      ...(state.look?.status.problems ?? []),
    ],
    since: state.samples[0] ?? null,
    status: state.look?.status ?? null,
  };
}
