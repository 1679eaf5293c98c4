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

export function addStop(program: Command): void {
  const command = addCommand(program, {
    name: 'stop',
    summary: 'Ends the pipeline. Triggers stay: the change log keeps every change until the next start.',
    examples: ['lockstep stop', 'lockstep stop -c shop.yaml --json'],
  });
  withJson(withConfig(command)).action(async (options: FileOption & JsonOption) => {
    const config = await configOf(options);
    const { withPipeline } = await import('./pipeline.js');
    const { stillDraining } = await withPipeline(config, (pipeline) => pipeline.stop());
    if (stillDraining.length > 0) say(`not ended yet, because no worker answers for them: ${stillDraining.join(', ')}`);
    printResult(options, { stopped: true, stillDraining }, `pipeline ${config.pipeline} is stopped`);
  });
}
