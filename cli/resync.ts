/** `lockstep resync TABLE`: one table is copied again, orphans removed, while the rest streams on. */
import type { Command } from 'commander';
import {
  addCommand,
  configOf,
  printResult,
  withConfig,
  withJson,
  type FileOption,
  type JsonOption,
} from './command.js';
import { notEmpty, refuseUnknownTable } from './pause.js';

export function addResync(program: Command): void {
  const command = addCommand(program, {
    name: 'resync',
    summary: 'Copies one table again and removes what no longer has a row, while the rest streams on.',
    examples: ['lockstep resync orders', 'lockstep status   # shows how far the copy is'],
  }).argument('<table>', 'the table', notEmpty);
  withJson(withConfig(command)).action(async (table: string, options: FileOption & JsonOption) => {
    const config = await configOf(options);
    await refuseUnknownTable(config, table);
    const { withPipeline } = await import('./pipeline.js');
    await withPipeline(config, (pipeline) => pipeline.resync(table));
    printResult(options, { resync: table }, `${table} will be copied again; lockstep status shows how far it is`);
  });
}
