/** The demo's last words: what was proven, with the figures. Pure text. */
import type { LagHistogram } from '../core/lag.js';
import { lagQuantile } from '../core/lag.js';
import type { StoreName } from '../core/store.js';
import type { Colours } from './screen.js';
import { seconds } from './screen.js';
import { count, storeTitles } from './view.js';

export interface DemoReport {
  readonly tables: number;
  readonly rows: number;
  /** Rows, documents and keys that were counted in the three stores. */
  readonly counted: Readonly<Record<'mysql' | StoreName, number>>;
  readonly copy: { readonly rows: number; readonly ms: number };
  /** Row changes that capture published during the traffic, and how long it lasted. */
  readonly live: {
    readonly transactions: number;
    readonly rolledBack: number;
    readonly changes: number;
    readonly ms: number;
  };
  readonly lag: Readonly<Record<StoreName, LagHistogram>>;
  /** From the kill to the first change that a store applied afterwards. */
  readonly takeOverMs: readonly number[];
  /** Parked and paused keys included. */
  readonly differences: number;
  readonly examples: readonly string[];
  readonly compareMs: number;
  readonly workflowUrl: string;
}

export function isEqual(report: DemoReport): boolean {
  const { mysql, mongo, redis } = report.counted;
  return report.differences === 0 && mysql === mongo && mysql === redis && mysql > 0;
}

export function reportLines(report: DemoReport, c: Colours): string[] {
  const { copy, live, counted } = report;
  const label = (text: string): string => `   ${c.bold(text.padEnd(12))} `;
  const equal = isEqual(report);
  const stores: readonly StoreName[] = ['mongo', 'redis'];
  return [
    '',
    ` ${c.bold(equal ? c.green('MySQL, MongoDB and Redis are equal.') : c.red('The stores are NOT equal.'))}`,
    '',
    `${label('rows')}${count(report.rows)} in ${report.tables} tables  ${c.dim(
      `counted: MySQL ${count(counted.mysql)}, MongoDB ${count(counted.mongo)}, Redis ${count(counted.redis)}`,
    )}`,
    `${label('copied')}${count(copy.rows)} in ${seconds(copy.ms)}  ${c.dim(`${count((1000 * copy.rows) / copy.ms)} rows/s into both stores`)}`,
    `${label('changes')}${count(live.changes)} in ${seconds(live.ms)} of traffic  ${c.dim(
      `${count((1000 * live.changes) / live.ms)} changes/s; ${count(live.transactions)} transactions, ${count(live.rolledBack)} rolled back`,
    )}`,
    `${label('lag')}${c.dim('            p50       p95       p99   (statement in MySQL → applied, the kill included)')}`,
    ...stores.map((store) => {
      const at = (share: number): string => `${Math.round(lagQuantile(report.lag[store], share))} ms`.padStart(10);
      return `${label('')}${storeTitles[store].padEnd(8)}${at(0.5)}${at(0.95)}${at(0.99)}`;
    }),
    `${label('restarts')}${report.takeOverMs.length} survived: killed with SIGKILL, changes flowed again after ${report.takeOverMs
      .map(seconds)
      .join(', ')}`,
    `${label('differences')}${equal ? c.green('0') : c.red(String(report.differences))}  ${c.dim(
      `every row in both directions, in ${seconds(report.compareMs)}`,
    )}`,
    ...report.examples.map((text) => `${label('')}${c.red(text)}`),
    `${label('workflow')}${c.cyan(report.workflowUrl)}`,
    '',
  ];
}
