/** `lockstep uninstall`: takes lockstep out of MySQL and its positions out of the stores. Their data stay. */
import type { Command } from 'commander';
import type { Config } from '../core/config.js';
import { codeOf, LockstepError } from '../core/errors.js';
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

type Options = FileOption & JsonOption & { readonly force?: true };

export function addUninstall(program: Command): void {
  const command = addCommand(program, {
    name: 'uninstall',
    summary: "Drops triggers, the change log and lockstep's positions. Data in MongoDB, Redis and the topics stay.",
    examples: ['lockstep stop && lockstep uninstall'],
  }).option('--force', 'even when Temporal cannot say whether the pipeline runs');
  withJson(withConfig(command)).action(async (options: Options) => {
    const config = await configOf(options);
    await refuseWhileRunning(config, options.force === true);
    const [{ withClients }, { uninstall }] = await Promise.all([
      import('./clients.js'),
      import('../stages/uninstall.js'),
    ]);
    const report = await withClients(config, async (clients) => {
      const done = await uninstall(clients);
      // After the triggers: what a store forgets too early, a capture that still runs would bring back.
      for (const store of clients.stores) {
        await store.forget();
        say(`${store.name}: positions removed, data left`);
      }
      return { ...done, stores: clients.stores.map(({ name }) => name) };
    });
    const state = report.stateDropped ? ` and database ${config.mysql.stateDatabase}` : '';
    printResult(options, report, `removed ${report.triggers} triggers${state}`);
  });
}

async function refuseWhileRunning(config: Config, force: boolean): Promise<void> {
  const { withPipeline } = await import('./pipeline.js');
  try {
    const running = await withPipeline(config, (pipeline) => pipeline.view());
    if (running === null) return;
  } catch (error) {
    if (codeOf(error) !== 'LS-PIPELINE-NO-WORKER') {
      if (!force) throw error;
      say(`not known whether the pipeline runs: ${error instanceof Error ? error.message : String(error)}`);
      return;
    }
  }
  throw new LockstepError('LS-PIPELINE-RUNNING', `pipeline ${config.pipeline} runs`);
}
