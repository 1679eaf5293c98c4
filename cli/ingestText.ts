/** An ingest in words: the line that shows how it goes, and the report at its end. */
import type { IngestPlan } from '../core/ingest.js';
import type { IngestProgress, IngestReport } from '../core/ingestReport.js';
import type { DryRun } from '../stages/ingestDryRun.js';

export function planLines(plan: IngestPlan): string {
  const { files, definition, records, reading, columns } = plan;
  const what = files.length === 1 ? (files[0]?.path ?? '') : `${files.length} files`;
  const given = columns.map(({ name, field }) => (name === field ? name : `${field} as ${name}`)).join(', ');
  return `${what} (${reading.format}, ${thousands(records)} records) → ${definition.table}: ${given}`;
}

export function progressLine(progress: IngestProgress, columns: number): string {
  const { percent, accepted, rejected, rowsPerSecond, secondsLeft, inFlight, phase, road, paused } = progress;
  if (phase === 'finishing') return `${thousands(accepted)} rows are in; the table is compared and becomes streaming`;
  const rows = `${thousands(accepted + rejected)} rows, ${thousands(rowsPerSecond)}/s`;
  const left = secondsLeft === null ? '' : `, ${duration(secondsLeft)} left`;
  const bad = rejected === 0 ? '' : `, ${thousands(rejected)} rejected`;
  const state = paused ? ', paused' : progress.slowedBy === null ? '' : `, slowed for the ${progress.slowedBy}`;
  const trouble = progress.trouble === null ? '' : `; ${progress.trouble}`;
  const text = `${percent.toFixed(1)} % ${rows}${left}${bad}, ${inFlight} ${inFlight === 1 ? 'chunk' : 'chunks'} in flight, ${road}${state}${trouble}`;
  const width = Math.min(30, columns - text.length - 4);
  return width < 8 ? text : `${bar(percent, width)} ${text}`;
}

function bar(percent: number, width: number): string {
  const full = Math.max(0, Math.min(width, Math.round((percent / 100) * width)));
  return `[${'█'.repeat(full)}${'·'.repeat(width - full)}]`;
}

export function reportLines(report: IngestReport, rejectFile: string | null): string {
  const { table, records, accepted, rejected, notRead, seconds, rowsPerSecond, road, mysql, stores } = report;
  const proofs = Object.entries(stores).map(([name, { equal, changed, parked }]) => {
    const moved = changed === 0 ? '' : `, ${thousands(changed)} changed by applications since`;
    const kept = parked === 0 ? '' : `, ${thousands(parked)} parked`;
    return `  ${label(name)}${thousands(equal)} present and equal${moved}${kept}`;
  });
  const altered = mysql.altered === 0 ? '' : `, ${thousands(mysql.altered)} altered by MySQL (a trigger?)`;
  return [
    `${table}: ${endWords(report)} in ${duration(seconds)} (${thousands(rowsPerSecond)} rows/s, ${roadWords(road)})`,
    `  records   ${thousands(records)}: ${thousands(accepted)} accepted, ${thousands(rejected)} rejected${notRead === 0 ? '' : `, ${thousands(notRead)} not read`}`,
    ...reasonLines(report.reasons),
    ...(rejectFile === null ? [] : [`  rejected rows are in ${rejectFile}`]),
    `  mysql     ${thousands(mysql.equal)} present and equal to the file${altered}`,
    ...proofs,
    `  digest    ${report.digest.slice(0, 16)}… of the given columns, the same in the file and in MySQL${mysql.altered === 0 ? '' : ' but for the rows altered'}`,
    `  ${report.agrees ? 'all agree' : 'NOT all agree'} (ingest ${report.ingest})`,
  ].join('\n');
}

export function dryRunLines(table: string, result: DryRun, rejectFile: string | null): string {
  return [
    `${table}: ${thousands(result.accepted)} of ${thousands(result.records)} records fit; nothing was written`,
    ...reasonLines(result.reasons),
    ...(rejectFile === null ? [] : [`  rejected rows are in ${rejectFile}`]),
    '  keys that are taken, foreign keys and CHECKs are only known by loading',
  ].join('\n');
}

function reasonLines(reasons: Readonly<Record<string, number>>): readonly string[] {
  return Object.entries(reasons).map(([reason, count]) => `    ${thousands(count)} ${reason}`);
}

function endWords({ end, problem }: IngestReport): string {
  switch (end) {
    case 'loaded':
      return 'loaded';
    case 'cancelled':
      return 'cancelled: what is in is in every store';
    case 'too-many-rejects':
      return 'stopped at --max-rejects: what is in is in every store';
    case 'failed':
      return `stopped: ${problem ?? 'it failed'}; what is in is in every store`;
  }
}

function roadWords(road: IngestReport['road']): string {
  return road === 'direct' ? 'directly' : 'through the log';
}

function label(name: string): string {
  return name.padEnd(10);
}

export function thousands(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

export function duration(seconds: number): string {
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
