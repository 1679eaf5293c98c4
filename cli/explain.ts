/** `lockstep explain TABLE KEY`: one key's story. Values of the row go to this terminal and nowhere else. */
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
import { explainText } from './explainText.js';
import { notEmpty } from './pause.js';

export function addExplain(program: Command): void {
  const command = addCommand(program, {
    name: 'explain',
    summary: "One key's story: row, pending changes, log, both stores, and what was found and repaired.",
    examples: [
      'lockstep explain orders 4711',
      `lockstep explain lines '{"order":4711,"line":2}'`,
      `lockstep explain lines '[4711,2]' --json | jq .stores`,
    ],
  })
    .argument('<table>', 'the table', notEmpty)
    .argument('<key>', "the key's value; several columns as JSON", notEmpty);
  withJson(withConfig(command)).action(async (table: string, key: string, options: FileOption & JsonOption) => {
    const config = await configOf(options);
    const [{ explain }, { withClients }] = await Promise.all([import('../stages/explain.js'), import('./clients.js')]);
    const story = await withClients(config, (clients) => explain(clients, table, key));
    printResult(options, story, explainText(story));
  });
}
