/** `lockstep status`: what the data say, with what the workflow knows besides. Works while anything is down. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import type { Config } from '../core/config.js';
import { LockstepError } from '../core/errors.js';
import { problemOf } from '../core/problem.js';
import type { OpenProblem, PipelineStatus, Sample } from '../core/status.js';
import type { ObserveDeps } from '../stages/observe.js';
import type { ParkedSomewhere } from '../stages/parked.js';
import type { PipelineClient } from '../workers/pipelineClient.js';
import type { PipelineView } from '../workflows/messages.js';
import { addCommand, configOf, withConfig, withJson, type FileOption, type JsonOption } from './command.js';
import { fitted } from './progress.js';
import { parkedText, statusText } from './statusText.js';

type Options = FileOption & JsonOption & { readonly watch?: true };

/** Without a worker the workflow is silent, and everything else can be told all the same. */
const viewWithinMs = 4_000;
const watchEveryMs = 1_000;
/** A watcher sees the rates of this long, so that they move with what happens. */
const watchWindowMs = 10_000;
/** Of parked keys; tables and stores tell how many there are. */
const parkedShown = 1_000;
const standingEveryMs = 30_000;
const standingWithinMs = 2_000;

export function addStatus(program: Command): void {
  const command = addCommand(program, {
    name: 'status',
    summary: 'Stage, lag, throughput and open problems, for each table and store.',
    examples: ['lockstep status', 'lockstep status --watch', 'lockstep status --json | jq .stores'],
  }).option('--watch', 'again every second until stopped');
  withJson(withConfig(command)).action(async (options: Options) => {
    const config = await configOf(options);
    const { withClients } = await import('./clients.js');
    await withClients(config, async (clients) => {
      const look = await openLook(config, clients);
      try {
        if (options.watch === true) await watch(look, options);
        else print(await look.now(), options);
      } finally {
        await look.close();
      }
    });
  });
}

interface Seen {
  readonly status: PipelineStatus;
  readonly parked: readonly ParkedSomewhere[];
}

interface Look {
  now(): Promise<Seen>;
  close(): Promise<void>;
}

async function openLook(config: Config, clients: ObserveDeps): Promise<Look> {
  const { observe } = await import('../stages/observe.js');
  const { readParkedEverywhere } = await import('../stages/parked.js');
  const pipeline = await connect(config);
  const { standingProblems } = await import('./sourceCheck.js');
  const samples: Sample[] = [];
  let standing: readonly OpenProblem[] = [];
  let standingAt = 0;
  return {
    async now() {
      if (Date.now() - standingAt > standingEveryMs) {
        // A MySQL that does not answer is told by what follows.
        const silent = sleep(standingWithinMs, standing);
        standing = await Promise.race([standingProblems(config, clients.mysql).catch(() => standing), silent]);
        standingAt = Date.now();
      }
      const known = await viewOf(pipeline);
      const { view } = known;
      const problems = [...known.problems, ...standing];
      const since = samples[0] ?? view?.since ?? null;
      const { paused = false, pausedTables = [] } = view ?? {};
      const observation = await observe(clients, { since, paused, pausedTables, problems });
      samples.push(observation.sample);
      while (samples[0] !== undefined && samples[0].at < observation.sample.at - watchWindowMs) samples.shift();
      const { status } = observation;
      const anyParked = [...status.tables, ...status.stores].some(({ parkedKeys }) => parkedKeys > 0);
      const parked = anyParked ? await readParkedEverywhere(clients, parkedShown) : [];
      return { status: { ...status, stage: stageOf(status, known) }, parked };
    },
    close: async () => {
      if ('close' in pipeline) await pipeline.close();
    },
  };
}

/** A Temporal that is down is a problem among others: the data can still be read. */
async function connect(config: Config): Promise<PipelineClient | OpenProblem> {
  const { openPipelineClient } = await import('../workers/pipelineClient.js');
  return openPipelineClient(config).catch(problemOf);
}

/** `undefined`: nobody could say whether the pipeline runs. */
interface Known {
  readonly view: PipelineView | null | undefined;
  readonly problems: readonly OpenProblem[];
}

async function viewOf(pipeline: PipelineClient | OpenProblem): Promise<Known> {
  if (!('view' in pipeline)) return { view: undefined, problems: [pipeline] };
  try {
    const silent = sleep(viewWithinMs).then((): never => {
      throw new LockstepError('LS-PIPELINE-NO-WORKER', `the workflow did not answer within ${viewWithinMs / 1000} s`);
    });
    const view = await Promise.race([pipeline.view(), silent]);
    if (view !== null) return { view, problems: workflowProblems(view) };
    const ended = await pipeline.ended();
    return { view, problems: ended instanceof Error ? [problemOf(ended)] : [] };
  } catch (error) {
    return { view: undefined, problems: [problemOf(error)] };
  }
}

/** What its newest look found is looked at again now. */
function workflowProblems({ problems, status }: PipelineView): readonly OpenProblem[] {
  const seen = new Set((status?.problems ?? []).map((found) => JSON.stringify(found)));
  return problems.filter((found) => !seen.has(JSON.stringify(found)));
}

/** The data tell copying from streaming; only the workflow knows whether it runs at all, and whether anyone works for it. */
function stageOf(status: PipelineStatus, { view, problems }: Known): PipelineStatus['stage'] {
  if (problems.some(({ code }) => code === 'LS-PIPELINE-NO-WORKER')) return 'unattended';
  if (view === null || (view === undefined && status.tables.length === 0)) return 'stopped';
  if (view?.stage === 'starting' || view?.stage === 'stopping') return view.stage;
  return status.stage;
}

async function watch(look: Look, options: Options): Promise<void> {
  const stop = new AbortController();
  const interrupt = (): void => stop.abort();
  process.once('SIGINT', interrupt);
  process.once('SIGTERM', interrupt);
  const repaint = process.stdout.isTTY && options.json !== true;
  while (!stop.signal.aborted) {
    const seen = await look.now();
    if (repaint) paint(textOf(seen));
    else print(seen, options);
    await sleep(watchEveryMs, undefined, { signal: stop.signal }).catch(() => undefined);
  }
}

/** Over the picture before, line by line: clearing first would flicker. */
function paint(text: string): void {
  const { columns, rows } = process.stdout;
  const lines = fitted(text, columns, rows - 1).replaceAll('\n', '\u001b[K\n');
  process.stdout.write(`\u001b[H${lines}\u001b[K\n\u001b[J`);
}

function print(seen: Seen, options: JsonOption): void {
  const text = options.json === true ? JSON.stringify({ ...seen.status, parked: seen.parked }) : textOf(seen);
  process.stdout.write(`${text}\n`);
}

function textOf({ status, parked }: Seen): string {
  return [statusText(status), parkedText(parked)].filter((part) => part !== '').join('\n\n');
}
