/** `lockstep start`: proves first that everything is in place, then starts the pipeline's workflow. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import type { Config } from '../core/config.js';
import { codeOf, LockstepError, type ErrorCode } from '../core/errors.js';
import { errorsAmong, problemsAsError } from '../core/problem.js';
import type { PipelineClient } from '../workers/pipelineClient.js';
import type { PipelineView } from '../workflows/messages.js';
import {
  addCommand,
  configOf,
  printResult,
  say,
  withConfig,
  withJson,
  type FileOption,
  type JsonOption,
} from './command.js';
import { problemLines } from './problems.js';
import { openProgress } from './progress.js';
import { copyLine } from './statusText.js';

type Options = FileOption & JsonOption & { readonly wait?: true; readonly adoptSource?: true };

const pollMs = 250;
/** A worker is often started beside `start --wait`: it gets this long to appear. */
const workerPatienceMs = 60_000;

export function addStart(program: Command): void {
  const command = addCommand(program, {
    name: 'start',
    summary: 'Checks every server, then starts the pipeline. A worker (`lockstep worker`) does the work.',
    examples: ['lockstep start', 'lockstep start --wait   # returns when every table is copied and streaming'],
  })
    .option('--wait', 'return when every table is copied and streaming')
    .option('--adopt-source', 'take a server with another server_uuid as the source; every table is copied again');
  withJson(withConfig(command)).action(async (options: Options) => {
    const config = await configOf(options);
    if (options.adoptSource === true) await adopt(config);
    const { withPipeline } = await import('./pipeline.js');
    const connected = withPipeline(config, async (pipeline) => {
      if ((await pipeline.view().catch(noAnswer)) === null) await proveReady(config);
      const outcome = await pipeline.start();
      say(outcome === 'started' ? `pipeline ${config.pipeline} started` : `pipeline ${config.pipeline} runs already`);
      if (options.wait === true) await untilStreaming(pipeline);
      return outcome;
    });
    const started = await connected.catch((error: unknown) => refused(config, error));
    const streaming = options.wait === true;
    const words = streaming ? 'every table is copied and streaming' : 'lockstep status --watch shows how it goes';
    printResult(options, { pipeline: config.pipeline, started, streaming }, words);
  });
}

/** After a failover, or for a server that was restored on purpose. */
async function adopt(config: Config): Promise<void> {
  const [{ openMysql }, { adoptSource }] = await Promise.all([
    import('../stores/mysql/connection.js'),
    import('../stages/install.js'),
  ]);
  const mysql = openMysql(config.mysql, { connections: 2 });
  try {
    await adoptSource({ config, mysql });
  } finally {
    await mysql.close();
  }
}

/** Temporal in the way is one problem; there may be more, and all are told at once. */
async function refused(config: Config, error: unknown): Promise<never> {
  const code = codeOf(error);
  if (code === 'LS-TEMPORAL-UNREACHABLE' || code === 'LS-TEMPORAL-REFUSED') await proveReady(config);
  throw error;
}

/** No worker answers for a pipeline that runs: it is there all the same. */
export function noAnswer(error: unknown): 'silent' {
  if (codeOf(error) === 'LS-PIPELINE-NO-WORKER') return 'silent';
  throw error;
}

/** While waiting, a Temporal that is away for a moment is waited out like a worker. */
function noAnswerYet(error: unknown): 'silent' {
  return codeOf(error) === 'LS-TEMPORAL-UNREACHABLE' ? 'silent' : noAnswer(error);
}

/** Every server has what a pipeline needs; warnings are told. `settled`: what the command itself is about to put right. */
export async function proveReady(config: Config, settled: readonly ErrorCode[] = []): Promise<void> {
  const { checkEverything } = await import('./doctor.js');
  const problems = (await checkEverything(config)).filter(({ code }) => !settled.includes(code));
  const errors = errorsAmong(problems);
  const warnings = problems.filter((problem) => !errors.includes(problem));
  if (warnings.length > 0) say(problemLines(warnings));
  const error = problemsAsError(errors);
  if (error !== undefined) throw error;
}

async function untilStreaming(pipeline: PipelineClient): Promise<void> {
  const progress = openProgress();
  let answeredAt = Date.now();
  try {
    for (;;) {
      const view = await pipeline.view().catch(noAnswerYet);
      if (view === 'silent') {
        if (Date.now() - answeredAt > workerPatienceMs) {
          throw new LockstepError('LS-PIPELINE-NO-WORKER', `no worker answered for ${workerPatienceMs / 1000} s`);
        }
        progress.show('waiting for a worker: lockstep worker starts one');
      } else {
        answeredAt = Date.now();
        if (view === null) throw await whyEnded(pipeline);
        if (view.stage === 'streaming') return;
        if (view.stage === 'paused') throw new LockstepError('LS-PIPELINE-PAUSED', 'the pipeline is paused');
        progress.show(progressLine(view));
      }
      await sleep(pollMs);
    }
  } finally {
    progress.end();
  }
}

async function whyEnded(pipeline: PipelineClient): Promise<LockstepError> {
  const ended = await pipeline.ended();
  return ended instanceof LockstepError
    ? ended
    : new LockstepError('LS-PIPELINE-NOT-RUNNING', 'the pipeline was stopped');
}

function progressLine({ stage, status, problems }: PipelineView): string {
  const due = (status?.tables ?? []).filter((table) => table.copy !== null);
  const copies = due.filter((table) => table.stage !== 'waiting').map(copyLine);
  const waiting = due.length - copies.length;
  const troubles = errorsAmong(problems).map(({ code, message }) => `${code}: ${message}`);
  return [stage, ...troubles, ...copies, ...(waiting === 0 ? [] : [`${waiting} more wait`])].join('; ');
}
