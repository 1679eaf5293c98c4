/** A sweep's report in words: what was, what was done, what is. Pure. */
import type { DriftCounts } from '../core/drift.js';
import type { LeftOutReason, TableReport } from '../core/sweep.js';
import type { KeyReport, SweepReport } from '../stages/sweepReport.js';
import { columns, count } from './statusText.js';

const shownKeys = 20;

export function validateText(report: SweepReport): string {
  const parts = [
    tableLines(report.tables),
    ...tooMuchLines(report.tables),
    ...(report.strangers.length === 0 ? [] : [strangerLines(report)]),
    ...(report.keys.length === 0 ? [] : [keyLines(report)]),
    lastLine(report),
  ];
  return parts.join('\n\n');
}

function tableLines(tables: readonly TableReport[]): string {
  const header = ['table', 'verified through', 'rows', 'mongo', 'redis', 'rechecked', 'repaired', 'parked', 'expired'];
  const rows = tables.map((t) => [
    t.table,
    t.leftOut === undefined ? (t.verifiedThrough ?? '–') : `left out: ${leftOutText[t.leftOut]}`,
    count(t.rows),
    driftText(t.mongo),
    driftText(t.redis),
    count(t.rechecked),
    count(t.repaired),
    count(t.parked),
    count(t.expired),
  ]);
  return tables.length === 0 ? 'no table was swept' : columns(header, rows, 2);
}

function tooMuchLines(tables: readonly TableReport[]): readonly string[] {
  const names = tables.flatMap(({ table, tooMuch }) => (tooMuch === true ? [table] : []));
  return names.length === 0 ? [] : [`too much drifts to be repaired unasked, so nothing was: ${names.join(', ')}`];
}

const leftOutText: Readonly<Record<LeftOutReason, string>> = {
  paused: 'it is paused',
  copying: 'it is being copied',
  changed: 'its columns keep changing',
  dropped: 'it was dropped',
};

function driftText(counts: DriftCounts | undefined): string {
  if (counts === undefined) return '';
  const { missing, extra, different } = counts;
  const parts = [
    ...(missing > 0 ? [`${count(missing)} missing`] : []),
    ...(extra > 0 ? [`${count(extra)} extra`] : []),
    ...(different > 0 ? [`${count(different)} different`] : []),
  ];
  return parts.length === 0 ? 'equal' : parts.join(', ');
}

function strangerLines({ strangers }: SweepReport): string {
  const lines = strangers.map(({ store, name, entries }) => `  ${store} ${name}: ${count(entries)} entries`);
  return `held under the pipeline's names by nobody's table, left alone\n${lines.join('\n')}`;
}

function keyLines({ keys, drift }: SweepReport): string {
  const lines = keys.slice(0, shownKeys).map(keyLine);
  const more = drift - lines.length;
  return [`drift`, ...lines, ...(more > 0 ? [`  and ${count(more)} more; --json lists the first 1 000`] : [])].join(
    '\n',
  );
}

function keyLine({ table, store, key, kind, cause, fields, repaired, note }: KeyReport): string {
  const which = fields === undefined || fields.length === 0 ? '' : ` in ${fields.join(', ')}`;
  const after = `${repaired ? '; repaired' : ''}${note === undefined ? '' : `; ${note}`}`;
  return `  ${store} ${table} ${key}: ${kind}${which}, ${cause}${after}`;
}

function lastLine({ drift, repaired, left, seconds, tables }: SweepReport): string {
  const rows = tables.reduce((sum, table) => sum + table.rows, 0);
  const took = seconds === null ? '' : ` in ${seconds.toFixed(1)} s`;
  const whole = `${count(rows)} rows compared in full${took}`;
  if (drift === 0) return `${whole}: no drift`;
  const mended = repaired === 0 ? '' : `, ${count(repaired)} repaired and seen to be right`;
  return `${whole}: ${count(drift)} keys drifted${mended}, ${count(left)} left`;
}
