/** An ingest in words: one line while it goes on, and the account of its rows at the end. */
import type { IngestProgress, IngestReport, StoreProof } from '../core/ingestReport.js';
import { rejectReasons } from '../core/ingest.js';

const barWidth = 20;

export function ingestLine(table: string, progress: IngestProgress): string {
  const { percent, rowsPerSecond, secondsLeft, inFlight, rejected, accepted } = progress;
  const full = Math.round((percent / 100) * barWidth);
  const parts = [
    `${table} [${'#'.repeat(full)}${'.'.repeat(barWidth - full)}] ${percent.toFixed(1)} %`,
    `${count(accepted)} rows`,
    ...(rowsPerSecond > 0 ? [`${count(rowsPerSecond)} rows/s`] : []),
    ...(secondsLeft === null ? [] : [`${time(secondsLeft)} left`]),
    `${inFlight} chunks under way`,
    ...(rejected === 0 ? [] : [`${count(rejected)} rejected`]),
    ...(progress.slowedBy === null ? [] : [`slowed for the ${progress.slowedBy}`]),
    ...(progress.trouble === null ? [] : [progress.trouble]),
  ];
  return parts.join(', ');
}

export function reportText(report: IngestReport): string {
  const { table, records, accepted, rejected, notRead, reasons, end, problem, files, digest, mysql } = report;
  const lines = [
    `ingest ${report.ingest} into ${table}: ${endWords[end]}, ${roadWords(report)}`,
    `  input      ${count(records)} records in ${files.length} file${files.length === 1 ? '' : 's'}`,
    `  accepted   ${count(accepted)}`,
    `  rejected   ${count(rejected)}${reasonWords(reasons)}`,
    ...(notRead === 0 ? [] : [`  not read   ${count(notRead)}`]),
    `  MySQL      ${count(mysql.equal)} as in the file${mysql.altered === 0 ? '' : `, ${count(mysql.altered)} altered by MySQL`}; digest ${digest.slice(0, 16)}`,
    ...Object.entries(report.stores).map(([name, proof]) => `  ${storeNames[name] ?? name}${proofWords(proof)}`),
    ...(report.relogged === 0
      ? []
      : [`  meanwhile  ${count(report.relogged)} rows that an application changed, or a store lost, are in step`]),
    `  time       ${time(Math.round(report.seconds))}, ${count(report.rowsPerSecond)} rows/s from the first row to the last proof`,
    ...(problem === null ? [] : [`  ${problem}`]),
    report.agrees ? 'file and stores agree' : 'file and stores do not agree',
  ];
  return lines.join('\n');
}

const endWords = {
  loaded: 'all of it is in',
  cancelled: 'cancelled',
  'too-many-rejects': 'stopped after too many rejected rows',
  failed: 'failed',
} as const;

const storeNames: Readonly<Record<string, string>> = { mongo: 'MongoDB    ', redis: 'Redis      ' };

function roadWords({ road }: IngestReport): string {
  return road === 'direct' ? 'directly, the table is captured from now on' : 'through triggers and the log';
}

function proofWords({ equal, changed, parked }: StoreProof): string {
  return [
    `${count(equal)} equal to MySQL, byte for byte`,
    ...(changed === 0 ? [] : [`${count(changed)} changed since by an application`]),
    ...(parked === 0 ? [] : [`${count(parked)} parked`]),
  ].join(', ');
}

function reasonWords(reasons: Readonly<Record<string, number>>): string {
  const words = Object.entries(reasons).map(
    ([reason, rows]) => `${count(rows)} ${reason}: ${rejectReasons[reason as keyof typeof rejectReasons]}`,
  );
  return words.length === 0 ? '' : ` (${words.join('; ')})`;
}

/** Grouped by thousands, without relying on a locale. */
function count(value: number): string {
  return String(Math.round(value)).replaceAll(/\B(?=(\d{3})+$)/g, ',');
}

function time(seconds: number): string {
  return seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
}
