/** What every command has in common: `-c FILE`, `--json`, `--help` with an example, and how a result reaches the user. */
import type { Command } from 'commander';
import type { Config } from '../core/config.js';
import { loadConfig } from '../core/loadConfig.js';

export interface FileOption {
  readonly config: string;
}

export interface JsonOption {
  readonly json?: true;
}

export interface CommandText {
  readonly name: string;
  readonly summary: string;
  /** Command lines, with what they do after `#`. */
  readonly examples: readonly string[];
}

/** A sub-command with its help. Exit codes stand in every help: scripts need them. */
export function addCommand(program: Command, text: CommandText): Command {
  return program
    .command(text.name)
    .description(text.summary)
    .addHelpText('after', `\nExamples:\n${text.examples.map((line) => `  ${line}`).join('\n')}\n`);
}

export function withConfig(command: Command): Command {
  return command.option('-c, --config <file>', 'configuration of the pipeline', 'lockstep.yaml');
}

export function withJson(command: Command): Command {
  return command.option('--json', 'print the result as JSON');
}

export async function configOf(options: FileOption): Promise<Config> {
  return loadConfig(options.config, process.env);
}

/** The result on stdout: as JSON in one line, or in words. Everything else goes to stderr. */
export function printResult(options: JsonOption, result: unknown, words: string): void {
  process.stdout.write(options.json === true ? `${JSON.stringify(result)}\n` : `${words}\n`);
}

/** Progress and remarks, on stderr. */
export function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
