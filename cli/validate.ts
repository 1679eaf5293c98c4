/** `lockstep validate`: one sweep now, the same that the Schedules run; returns when it has ended. Exit 3 when drift is left. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Option, type Command } from 'commander';
import type { Config } from '../core/config.js';
import { configuredStores } from '../core/config.js';
import { LockstepError } from '../core/errors.js';
import type { StoreName } from '../core/store.js';
import type { SweepReport } from '../stages/sweepReport.js';
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
import { notEmpty, refuseUncaptured } from './pause.js';
import { validateText } from './validateText.js';

type Options = FileOption &
  JsonOption & { readonly table?: string; readonly store?: StoreName; readonly repair?: true };

const progressEveryMs = 1_000;

export function addValidate(program: Command): void {
  const command = addCommand(program, {
    name: 'validate',
    summary: 'Compares MySQL, MongoDB and Redis in full, while changes flow; repairs what differs if told to.',
    examples: [
      'lockstep validate',
      'lockstep validate --table orders --repair',
      'lockstep validate --json | jq .drift   # exit code 3: drift was found and left',
    ],
  })
    .option('--table <table>', 'one table only', notEmpty)
    .addOption(new Option('--store <store>', 'one store only').choices(['mongo', 'redis']))
    .option('--repair', 'log every drifted key again, and look at it once more');
  withJson(withConfig(command)).action(async (options: Options) => {
    const config = await configOf(options);
    const report = await validateNow(config, options);
    printResult(options, report, validateText(report));
    if (report.left > 0) process.exitCode = 3;
  });
}

export interface ValidateWish {
  readonly table?: string;
  readonly store?: StoreName;
  readonly repair?: true;
}

/** Throws LS-SWEEP-STOPPED for a sweep that ended before it was through. */
export async function validateNow(config: Config, wish: ValidateWish): Promise<SweepReport> {
  const stores = storesOf(config, wish.store);
  const [{ startSweep }, { sweepReport }, { withMysql }, { withPipeline }, { openProgress }] = await Promise.all([
    import('../workers/sweepClient.js'),
    import('../stages/sweepReport.js'),
    import('./mysql.js'),
    import('./pipeline.js'),
    import('./progress.js'),
  ]);
  return withMysql(config, async (mysql) => {
    const looking = withPipeline(config, (pipeline) => pipeline.view());
    // Nothing waits for it while the table is looked up.
    looking.catch(() => undefined);
    if (wish.table !== undefined) await refuseUncaptured(mysql, config.mysql.stateDatabase, wish.table);
    const view = await looking;
    if (view === null) throw new LockstepError('LS-PIPELINE-NOT-RUNNING', `pipeline ${config.pipeline} does not run`);
    if (view.paused) throw new LockstepError('LS-PIPELINE-PAUSED', `pipeline ${config.pipeline} is paused`);
    const running = await startSweep(config, { table: wish.table ?? null, stores, repair: wish.repair === true });
    if (running.how === 'joined') say(`${running.workflowId} runs already; waiting for it`);
    const stop = new AbortController();
    const interrupt = (): void => stop.abort();
    process.once('SIGINT', interrupt);
    const progress = openProgress();
    const ended = new AbortController();
    const shown = showProgress(config, mysql, progress, ended.signal);
    try {
      const result = await running.result(stop.signal);
      if (result.state === 'ended') {
        throw new LockstepError(
          'LS-SWEEP-STOPPED',
          `sweep ${result.sweep} ended before it was through: ${result.reason ?? ''}`,
        );
      }
      const report = await sweepReport(mysql, config.mysql.stateDatabase, result.sweep);
      if (report === null) throw new LockstepError('LS-INTERNAL', `sweep ${result.sweep} left no trace in MySQL`);
      return report;
    } finally {
      ended.abort();
      await shown;
      progress.end();
      process.removeListener('SIGINT', interrupt);
      await running.close();
    }
  });
}

function storesOf(config: Config, store: StoreName | undefined): readonly StoreName[] {
  const configured = configuredStores(config);
  if (store === undefined) return configured;
  if (configured.includes(store)) return [store];
  throw new LockstepError('LS-USAGE', `${store} is off in this configuration`);
}

type ProgressOf = Awaited<ReturnType<typeof import('./progress.js').openProgress>>;

async function showProgress(
  config: Config,
  mysql: import('../stores/mysql/connection.js').Mysql,
  progress: ProgressOf,
  ended: AbortSignal,
): Promise<void> {
  const [{ lastSweep }, { readSweepTables }, { readFinishedChunks }] = await Promise.all([
    import('../stores/mysql/sweeps.js'),
    import('../stores/mysql/sweepTables.js'),
    import('../stores/mysql/sweepChunks.js'),
  ]);
  const { stateDatabase } = config.mysql;
  while (!ended.aborted) {
    await sleep(progressEveryMs, undefined, { signal: ended }).catch(() => undefined);
    if (ended.aborted) return;
    try {
      const sweep = await lastSweep(mysql, stateDatabase);
      if (sweep === null) continue;
      const chunks = await readFinishedChunks(mysql, stateDatabase, sweep.id);
      const tables = await readSweepTables(mysql, stateDatabase, sweep.id);
      const rows = chunks.reduce((sum, { counts }) => sum + counts.rows, 0);
      const all = tables.reduce((sum, { rowsEstimated }) => sum + rowsEstimated, 0);
      progress.show(`${rows} of about ${Math.max(all, rows)} rows compared`);
    } catch (error) {
      // The answer is what counts; progress is for the eye.
      if (!(error instanceof LockstepError)) throw error;
    }
  }
}
