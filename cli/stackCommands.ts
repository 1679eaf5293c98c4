/** `lockstep up` and `lockstep down`: the local servers. */
import type { Command } from 'commander';
import { addCommand, withJson, type JsonOption } from './command.js';

export function addUpCommand(program: Command): void {
  const command = addCommand(program, {
    name: 'up',
    summary:
      'Brings up MySQL, MongoDB, Redis, Kafka and Temporal on this machine: by Docker when it answers, else natively.',
    examples: ['lockstep up', 'lockstep up --json > stack.json   # addresses with administrator URIs'],
  });
  withJson(withFolder(command)).action(async (options: JsonOption & FolderOption) => {
    const { up } = await import('./up.js');
    await up({ json: options.json === true, root: options.dir });
  });
}

export function addDownCommand(program: Command): void {
  const command = addCommand(program, {
    name: 'down',
    summary: 'Stops the servers that `lockstep up` started.',
    examples: ['lockstep down', 'lockstep down --wipe   # removes their data as well'],
  }).option('--wipe', 'remove the data of the servers');
  withFolder(command).action(async (options: FolderOption & { readonly wipe?: true }) => {
    const { down } = await import('./down.js');
    await down({ wipe: options.wipe === true, root: options.dir });
  });
}

interface FolderOption {
  readonly dir: string;
}

function withFolder(command: Command): Command {
  return command.option('--dir <folder>', 'where the state of these servers lies', '.lockstep');
}
