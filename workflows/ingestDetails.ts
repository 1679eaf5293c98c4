/** An ingest in Markdown, for the page of its workflow in Temporal's web UI. */
import type { IngestProgress } from '../core/ingestReport.js';
import type { OpenProblem } from '../core/status.js';

/** What matters most comes first: the page shows a few lines before it has to be scrolled. */
export function ingestDetails(phase: string, progress: IngestProgress | null, problem: OpenProblem | null): string {
  return [
    `**${phase}**${progress === null ? '' : `: ${progressLine(progress)}`}`,
    ...(problem === null ? [] : [`**${problem.code}**: ${problem.message}. ${problem.fix}`]),
    ...(progress === null ? [] : circumstances(progress)),
  ].join('\n\n');
}

function progressLine(progress: IngestProgress): string {
  const { accepted, rejected, records, percent, rowsPerSecond, secondsLeft, inFlight } = progress;
  const left = secondsLeft === null ? '' : `, ${secondsLeft} s left`;
  return `${accepted} of ${records} rows in, ${rejected} rejected, ${percent.toFixed(1)} %${left}, ${rowsPerSecond} rows/s, ${inFlight} chunks under way`;
}

function circumstances({ road, slowedBy, trouble }: IngestProgress): readonly string[] {
  return [
    ...(trouble === null ? [] : [`In the way: ${trouble}`]),
    ...(slowedBy === null ? [] : [`Slowed down for the ${slowedBy}.`]),
    road === 'direct' ? 'Directly: the table is captured once it is loaded.' : 'Through triggers and the log.',
  ];
}
