/** The live view as text: pure, from one status reading and the traffic's own counts. */
import type { PipelineStatus, StoreStatus, TableStatus } from '../core/status.js';
import type { StoreName } from '../core/store.js';
import type { Colours } from './screen.js';

export const storeTitles: Readonly<Record<StoreName, string>> = { mongo: 'MongoDB', redis: 'Redis' };

export interface TrafficView {
  readonly elapsedSeconds: number;
  readonly totalSeconds: number;
  readonly transactionsPerSecond: number;
  readonly rowsPerSecond: number;
  /** Oldest first, of each store's events a second. */
  readonly history: Readonly<Record<StoreName, readonly number[]>>;
  readonly workers: readonly WorkerView[];
}

export interface WorkerView {
  readonly pid: number;
  readonly state: 'running' | 'killed' | 'new';
}

export function copyLines(status: PipelineStatus, c: Colours): string[] {
  return status.tables.map((table) => {
    const percent = percentOf(table);
    const detail =
      table.copy === null
        ? c.green(`${count(table.rowsCopied)} rows`)
        : `${count(table.copy.rows)} rows${table.copy.rowsPerSecond > 0 ? `  ${count(table.copy.rowsPerSecond)}/s` : ''}` +
          left(table.copy.secondsLeft);
    return `   ${table.table.padEnd(16)} ${bar(percent, 24, c)} ${String(Math.floor(percent)).padStart(3)} %  ${c.dim(detail)}`;
  });
}

export function copyPlain(status: PipelineStatus): string {
  const rows = status.tables.reduce((sum, t) => sum + (t.copy?.rows ?? t.rowsCopied), 0);
  const rate = status.tables.reduce((sum, t) => sum + (t.copy?.rowsPerSecond ?? 0), 0);
  const done = status.tables.filter((t) => percentOf(t) === 100).length;
  return `copying: ${done} of ${status.tables.length} tables, ${count(rows)} rows, ${count(rate)} rows/s`;
}

function percentOf(table: TableStatus): number {
  return table.stage === 'waiting' ? 0 : (table.copy?.percent ?? 100);
}

function left(secondsLeft: number | null): string {
  return secondsLeft === null ? '' : `  ${Math.ceil(secondsLeft)} s left`;
}

export function trafficLines(status: PipelineStatus, view: TrafficView, c: Colours): string[] {
  const clock = `${Math.floor(view.elapsedSeconds)} of ${view.totalSeconds} s`;
  const source = `${count(view.transactionsPerSecond)} tx/s  ${count(view.rowsPerSecond)} rows/s`;
  const workers = view.workers.map(({ pid, state }) => {
    if (state === 'killed') return c.red(`${pid} ✖ SIGKILL`);
    return state === 'new' ? c.green(`${pid} ✚ took over`) : c.green(`${pid} ●`);
  });
  return [
    '',
    `   ${c.bold('traffic'.padEnd(9))} ${bar((100 * view.elapsedSeconds) / view.totalSeconds, 24, c)}  ${clock}`,
    `   ${c.bold('MySQL'.padEnd(9))} ${c.cyan(source)}  ${c.dim(`${count(status.capture.backlog)} waiting for capture`)}`,
    ...status.stores.map((store) => storeLine(store, view.history[store.store], c)),
    `   ${c.bold('workers'.padEnd(9))} ${workers.join('   ')}`,
  ];
}

function storeLine(store: StoreStatus, history: readonly number[], c: Colours): string {
  const rate = `${count(store.eventsPerSecond)}/s`.padStart(8);
  const title = c.bold(storeTitles[store.store].padEnd(9));
  return `   ${title} ${c.cyan(sparkline(history, 24))} ${rate}  lag ${lagText(store)}  ${c.dim(`${count(store.behind)} behind`)}`;
}

export function trafficPlain(status: PipelineStatus, view: TrafficView): string {
  const stores = status.stores.map((s) => `${storeTitles[s.store]} ${count(s.eventsPerSecond)}/s lag ${lagText(s)}`);
  const source = `${count(view.transactionsPerSecond)} tx/s ${count(view.rowsPerSecond)} rows/s`;
  return `${String(Math.floor(view.elapsedSeconds)).padStart(2)} s  MySQL ${source} | ${stores.join(' | ')}`;
}

function lagText(store: StoreStatus): string {
  if (store.lag === null) return '–'.padEnd(23);
  const { p50, p95, p99 } = store.lag;
  return `p50 ${Math.round(p50)} p95 ${Math.round(p95)} p99 ${Math.round(p99)} ms`.padEnd(23);
}

export function bar(percent: number, width: number, c: Colours): string {
  const full = Math.max(0, Math.min(width, Math.round((percent / 100) * width)));
  return c.cyan('█'.repeat(full)) + c.dim('░'.repeat(width - full));
}

export function sparkline(values: readonly number[], width: number): string {
  const steps = '▁▂▃▄▅▆▇█';
  const shown = values.slice(-width);
  const top = Math.max(...shown, 1);
  return shown
    .map((v) => steps[Math.min(7, Math.floor((v / top) * 7.99))] ?? '▁')
    .join('')
    .padStart(width);
}

export function count(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}
