/** A pipeline's status as text: a table for a terminal, the same in plain lines elsewhere. Pure. */
import { causeTexts, type Escape, type WitnessStatus } from '../core/witness.js';
import type { CaptureStatus, PipelineStatus, StoreStatus, TableStatus } from '../core/status.js';
import type { ParkedSomewhere } from '../stages/parked.js';

const listedParked = 20;
const shownKey = 120;

/** Tables that simply stream are counted, not listed, above this many. */
const listedTables = 40;
const listedEscapes = 8;

export function statusText(status: PipelineStatus): string {
  const { pipeline, stage, at, tables, capture, stores, witness, problems } = status;
  const parts = [
    `pipeline ${pipeline}: ${stage}, ${at}`,
    storeTable(stores, at),
    captureLine(capture),
    witness === undefined ? '' : witnessText(witness),
    sweepLine(status),
    tableTable(tables, at),
    ...(problems.length === 0 ? [] : [`problems\n${problems.map(problemText).join('\n')}`]),
  ];
  return parts.filter((part) => part !== '').join('\n\n');
}

/** Each parked key with the reason, and who parked it. */
export function parkedText(parked: readonly ParkedSomewhere[]): string {
  if (parked.length === 0) return '';
  const lines = parked.slice(0, listedParked).map(({ table, key, by, reason }) => {
    const shown = key.length > shownKey ? `${key.slice(0, shownKey)}…` : key;
    return `  ${table} ${shown} (${by}): ${reason}`;
  });
  const more = parked.length - lines.length;
  return ['parked keys', ...lines, ...(more === 0 ? [] : [`  and ${more} more; --json lists them`])].join('\n');
}

function sweepLine({ sweep, drift }: PipelineStatus): string {
  if (sweep === undefined) return '';
  const when = sweep.finishedAt ?? sweep.startedAt;
  const state = { running: 'runs since', done: 'ended', ended: 'was broken off' }[sweep.state];
  return `last sweep: ${state} ${when}, ${count(sweep.drift)} keys drifted; known to drift now: ${count(drift?.open ?? 0)}`;
}

/** One table's copy in a few words. */
export function copyLine({ table, stage, copy }: TableStatus): string {
  if (copy === null) return `${table} ${stage}`;
  const left = copy.secondsLeft === null ? '' : `, ${spanText(copy.secondsLeft)} left`;
  return `${table} ${copy.percent.toFixed(0)} % (${count(copy.rowsPerSecond)} rows/s${left})`;
}

function storeTable(stores: readonly StoreStatus[], at: string): string {
  if (stores.length === 0) return '';
  const header = [
    'store',
    'state',
    'lag p50',
    'p95',
    'p99',
    'events/s',
    'behind',
    'applied',
    'parked',
    'verified',
    'wrong',
  ];
  const rows = stores.map((s) => [
    s.store,
    s.state,
    ...(s.lag === null ? ['–', '–', '–'] : [s.lag.p50, s.lag.p95, s.lag.p99].map(lagText)),
    count(s.eventsPerSecond),
    count(s.behind),
    count(s.applied),
    count(s.parkedKeys),
    agoText(s.verify?.through ?? null, at),
    s.verify === null ? '–' : count(s.verify.differences),
  ]);
  return columns(header, rows, 2);
}

function captureLine({ backlog, oldestMs, changesPerSecond, bytes }: CaptureStatus): string {
  const waiting = backlog === 0 ? 'nothing waits' : `${count(backlog)} changes wait, the oldest ${lagText(oldestMs)}`;
  return `capture: ${count(changesPerSecond)} changes/s, ${waiting}, change log ${sizeText(bytes)}`;
}

function witnessText({ state, reason, position, escapes }: WitnessStatus): string {
  const what = state === 'standing-down' ? `stands down: ${reason ?? ''}` : state;
  const where = state === 'watching' && position !== null ? `, up to ${position}` : '';
  return [`witness: ${what}${where}`, ...escapes.slice(0, listedEscapes).map(escapeLine)].join('\n');
}

function escapeLine({ table, keys, cause, since, healing, healedAt }: Escape): string {
  const what = keys === null ? 'the table' : `${count(keys)} keys`;
  const healed = healedAt === null ? `being healed (${healing})` : `healed ${healedAt} (${healing})`;
  return `  escaped: ${what} of ${table}, ${causeTexts[cause]}; since ${since}, ${healed}`;
}

function tableTable(tables: readonly TableStatus[], at: string): string {
  const moving = tables.filter((t) => t.stage !== 'streaming' || t.parkedKeys > 0);
  const listed = tables.length <= listedTables ? tables : moving.slice(0, listedTables);
  const hidden = tables.length - listed.length;
  if (tables.length === 0) return 'no table is captured';
  const header = ['table', 'stage', 'done', 'copied', 'rows/s', 'left', 'parked', 'verified'];
  const rows = listed.map(({ table, stage, copy, rowsCopied, parkedKeys, verifiedThrough }) => [
    table,
    stage,
    copy === null ? '' : `${copy.percent.toFixed(0)} %`,
    copy === null ? count(rowsCopied) : `${count(copy.rows)} of ${count(copy.estimated)}`,
    copy === null ? '' : count(copy.rowsPerSecond),
    copy === null || copy.secondsLeft === null ? '' : spanText(copy.secondsLeft),
    count(parkedKeys),
    agoText(leastOf(Object.values(verifiedThrough)), at),
  ]);
  const more = hidden === 0 ? '' : `and ${hidden} more tables`;
  return [listed.length === 0 ? '' : columns(header, rows, 2), more].filter((text) => text !== '').join('\n');
}

function problemText({ code, severity, message, fix, table, store }: PipelineStatus['problems'][number]): string {
  const where = [store, table].filter((name) => name !== undefined).join(', ');
  return `  ${severity} ${code}${where === '' ? '' : ` (${where})`}: ${message}\n    → ${fix}`;
}

/** The first columns to the left, numbers to the right. */
export function columns(header: readonly string[], rows: readonly (readonly string[])[], left: number): string {
  const lines = [header, ...rows];
  const widths = header.map((_, i) => Math.max(...lines.map((line) => width(line[i] ?? ''))));
  const cell = (text: string, i: number): string => {
    const space = ' '.repeat((widths[i] ?? 0) - width(text));
    return i < left ? text + space : space + text;
  };
  return lines.map((line) => line.map(cell).join('  ').trimEnd()).join('\n');
}

function width(text: string): number {
  return Array.from(text).length;
}

/** The earliest; null where one is not known. ISO times compare as texts. */
function leastOf(times: readonly (string | null)[]): string | null {
  const known = times.filter((time) => time !== null);
  return known.length < times.length ? null : (known.toSorted()[0] ?? null);
}

function agoText(time: string | null, at: string): string {
  return time === null ? '–' : `${lagText(Math.max(0, Date.parse(at) - Date.parse(time)))} ago`;
}

export function count(n: number): string {
  return Math.round(n)
    .toString()
    .replaceAll(/\B(?=(\d{3})+$)/g, ' ');
}

export function lagText(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  return ms < 60_000 ? `${(ms / 1_000).toFixed(1)} s` : spanText(ms / 1_000);
}

export function spanText(seconds: number): string {
  if (seconds < 60) return `${Math.ceil(seconds)} s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(seconds / 3_600)} h ${Math.round((seconds % 3_600) / 60)} min`;
}

export function sizeText(bytes: number): string {
  const units = ['B', 'KB', 'MB', 'GB', 'TB'];
  let size = bytes;
  let unit = 0;
  while (size >= 1_024 && unit < units.length - 1) {
    size /= 1_024;
    unit += 1;
  }
  return `${unit === 0 ? size : size.toFixed(size < 10 ? 1 : 0)} ${units[unit] ?? ''}`;
}
