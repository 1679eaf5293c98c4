/** An ingest in Markdown, for the page of its workflow in Temporal's web UI. */
import type { IngestProgress } from '../core/ingestReport.js';
import type { OpenProblem } from '../core/status.js';

export function ingestDetails(
  table: string,
  phase: string,
  progress: IngestProgress | null,
  problem: OpenProblem | null,
): string {
  const name = `\`${table.replaceAll('`', "'").replaceAll('|', '\\|')}\``;
  return [
    `### ingest into ${name}: ${phase}`,
    ...(progress === null ? [] : progressLines(progress)),
    ...(problem === null ? [] : [`**${problem.code}**: ${problem.message}. ${problem.fix}`]),
  ].join('\n\n');
}

function progressLines(progress: IngestProgress): readonly string[] {
  const { accepted, rejected, records, percent, rowsPerSecond, secondsLeft, inFlight, road } = progress;
  const left = secondsLeft === null ? '' : `, ${secondsLeft} s left`;
  return [
    road === 'direct' ? 'Directly: the table is captured once it is loaded.' : 'Through triggers and the log.',
    [
      '| rows | rejected | of | done | rows/s | chunks under way |',
      '| --- | --- | --- | --- | --- | --- |',
      `| ${accepted} | ${rejected} | ${records} | ${percent.toFixed(1)} %${left} | ${rowsPerSecond} | ${inFlight} |`,
    ].join('\n'),
    ...(progress.slowedBy === null ? [] : [`Slowed down for the ${progress.slowedBy}.`]),
    ...(progress.trouble === null ? [] : [`In the way: ${progress.trouble}`]),
  ];
}
