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
  /** What `lockstep validate` says of the same. */
  readonly validated: {
    readonly rows: number;
    readonly drift: number;
    readonly leftOut: readonly string[];
    readonly ms: number;
  };
  readonly workflowUrl: string;
}

export function isEqual(report: DemoReport): boolean {
  const { mysql, mongo, redis } = report.counted;
  return report.differences === 0 && mysql === mongo && mysql === redis && mysql > 0 && agrees(report);
}

/** The product's sweep has compared the same rows, all of them, and found what the comparison found: nothing. */
function agrees({ validated, rows }: DemoReport): boolean {
  return validated.drift === 0 && validated.leftOut.length === 0 && validated.rows === rows;
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
    `${label('validate')}${validateText(report, c)}`,
    ...report.examples.map((text) => `${label('')}${c.red(text)}`),
    `${label('workflow')}${c.cyan(report.workflowUrl)}`,
    '',
  ];
}

function validateText(report: DemoReport, c: Colours): string {
  const { drift, rows, leftOut, ms } = report.validated;
  const what = `${count(rows)} rows compared in full by lockstep validate, in ${seconds(ms)}`;
  if (agrees(report)) return `${c.green('0')}  ${c.dim(`${what}: it agrees`)}`;
  const left = leftOut.length === 0 ? '' : `, ${leftOut.join(', ')} left out`;
  return `${c.red(String(drift))}  ${c.dim(`${what}${left}`)}`;
}
