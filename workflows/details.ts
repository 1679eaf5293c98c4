/** The pipeline in Markdown, for the page of its workflow in Temporal's web UI: an operator needs nothing else to know how it goes. */
import type { CopyStatus, OpenProblem, StoreStatus, TableStatus } from '../core/status.js';
import { causeTexts, type WitnessStatus } from '../core/witness.js';
import { stageOf, viewOf, type PipelineState } from './pipelineState.js';

const shownTables = 20;
const shownProblems = 10;

export function renderDetails(pipeline: string, state: PipelineState): string {
  const view = viewOf(state);
  const status = state.look?.status;
  return [
    `### ${pipeline}: ${stageOf(state)}`,
    ...pausedLines(state),
    ...(status === undefined ? ['Not looked at yet.'] : [...lookLines(state), ...tableLines(status.tables)]),
    ...problemLines(view.problems),
  ].join('\n\n');
}

function lookLines(state: PipelineState): readonly string[] {
  const status = state.look?.status;
  if (status === undefined) return [];
  const { capture, stores, witness } = status;
  const streaming = (state.look?.tableCount ?? 0) - (state.look?.uncopied ?? 0);
  return [
    `${streaming} of ${state.look?.tableCount ?? 0} tables copied · as of ${status.at}`,
    table(
      ['stage', 'state', 'done', 'per second', 'lag p50', 'p95', 'p99', 'behind', 'verified through'],
      [
        [
          'capture',
          capture.backlog === 0 ? 'caught up' : `oldest ${seconds(capture.oldestMs)}`,
          '',
          count(capture.changesPerSecond),
          '',
          '',
          '',
          count(capture.backlog),
          '',
        ],
        ...stores.map(storeCells),
      ],
    ),
    ...(witness === undefined ? [] : [witnessLine(witness)]),
  ];
}

function witnessLine({ state, reason, escapes }: WitnessStatus): string {
  const open = escapes.filter(({ healedAt }) => healedAt === null).length;
  const what = state === 'standing-down' ? `stands down: ${reason ?? ''}` : state;
  const [last] = escapes;
  if (last === undefined) return `Witness ${what}; nothing escaped.`;
  return `Witness ${what}; ${open} escapes open. Last: ${code(last.table)}, ${causeTexts[last.cause]}.`;
}

function storeCells(store: StoreStatus): readonly string[] {
  return [
    `apply ${store.store}`,
    store.state,
    count(store.applied),
    count(store.eventsPerSecond),
    ...(store.lag === null
      ? ['', '', '']
      : [store.lag.p50, store.lag.p95, store.lag.p99].map((ms) => `${count(ms)} ms`)),
    count(store.behind),
    store.verify?.through ?? '',
  ];
}

function tableLines(tables: readonly TableStatus[]): readonly string[] {
  const shown = tables.slice(0, shownTables);
  if (shown.length === 0) return [];
  const rows = shown.map((t) => [
    code(t.table),
    t.stage,
    ...copyCells(t.copy),
    t.parkedKeys === 0 ? '' : count(t.parkedKeys),
  ]);
  const rest = tables.length - shown.length;
  return [
    table(['table', 'stage', 'rows', 'done', 'rows/s', 'left', 'parked keys'], rows),
    ...(rest > 0 ? [`… and ${rest} more`] : []),
  ];
}

function copyCells(copy: CopyStatus | null): readonly string[] {
  if (copy === null) return ['', '', '', ''];
  return [
    count(copy.rows),
    `${copy.percent.toFixed(1)} %`,
    count(copy.rowsPerSecond),
    copy.secondsLeft === null ? '' : seconds(copy.secondsLeft * 1000),
  ];
}

function pausedLines(state: PipelineState): readonly string[] {
  if (state.paused) return ['Paused: the stores are left alone, capture goes on.'];
  if (state.pausedTables.length === 0) return [];
  return [`Paused tables: ${state.pausedTables.map(code).join(', ')}`];
}

function problemLines(problems: readonly OpenProblem[]): readonly string[] {
  if (problems.length === 0) return ['No open problems.'];
  const shown = problems.slice(0, shownProblems);
  const rest = problems.length - shown.length;
  return [
    [
      '**Problems**',
      ...shown.map(
        (p) => `- ${p.severity === 'error' ? '**error**' : 'warning'} \`${p.code}\`: ${p.message}. ${p.fix}`,
      ),
      ...(rest > 0 ? [`- … and ${rest} more`] : []),
    ].join('\n'),
  ];
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

/** A name as code; a bar would end the cell of a table. */
function code(name: string): string {
  return `\`${name.replaceAll('`', "'").replaceAll('|', '\\|')}\``;
}

/** Grouped by thousands, without relying on a locale. */
function count(value: number): string {
  return Math.round(value)
    .toString()
    .replaceAll(/\B(?=(\d{3})+$)/g, ',');
}

function seconds(ms: number): string {
  const s = Math.round(ms / 1000);
  return s < 120 ? `${s} s` : `${Math.round(s / 60)} min`;
}
