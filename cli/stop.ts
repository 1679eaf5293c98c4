/** `lockstep stop`: drains and ends the pipeline's workflows. Triggers stay, and the change log keeps what happens. */
import type { Command } from 'commander';
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

type Options = FileOption & JsonOption & { readonly now?: true };

export function addStop(program: Command): void {
  const command = addCommand(program, {
    name: 'stop',
    summary: 'Ends the pipeline. Triggers stay: the change log keeps every change until the next start.',
    examples: ['lockstep stop', 'lockstep stop --now', 'lockstep stop -c shop.yaml --json'],
  }).option('--now', 'without draining: needs no worker, loses nothing');
  withJson(withConfig(command)).action(async (options: Options) => {
    const config = await configOf(options);
    const { withPipeline } = await import('./pipeline.js');
    if (options.now === true) {
      const workflows = await withPipeline(config, (pipeline) => pipeline.stopNow());
      printResult(options, { stopped: true, stillDraining: [], workflows }, `pipeline ${config.pipeline} is stopped`);
      return;
    }
    const { stillDraining } = await withPipeline(config, (pipeline) => pipeline.stop());
    if (stillDraining.length > 0) say(`not ended yet, because no worker answers for them: ${stillDraining.join(', ')}`);
    printResult(options, { stopped: true, stillDraining }, `pipeline ${config.pipeline} is stopped`);
  });
}
