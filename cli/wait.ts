/** `lockstep wait`: returns once everything committed in MySQL before the call is in every store. */
import { InvalidArgumentError, type Command } from 'commander';
import { durationForm, parseDuration } from '../core/duration.js';
import {
  addCommand,
  configOf,
  printResult,
  withConfig,
  withJson,
  type FileOption,
  type JsonOption,
} from './command.js';

type Options = FileOption & JsonOption & { readonly timeout: number };

export function addWait(program: Command): void {
  const command = addCommand(program, {
    name: 'wait',
    summary: 'Returns once everything committed in MySQL before the call is in both stores; prints the milliseconds.',
    examples: ['lockstep wait', 'lockstep wait --timeout 5s --json'],
  }).option('--timeout <duration>', 'how long to wait at most', timeout, 60_000);
  withJson(withConfig(command)).action(async (options: Options) => {
    const config = await configOf(options);
    const { waitForAll } = await import('./waitForAll.js');
    const result = await waitForAll(config, options.timeout);
    printResult(options, result, `${result.ms} ms`);
  });
}

export function timeout(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined || ms > 86_400_000) throw new InvalidArgumentError(`Allowed: ${durationForm}; at most 24h.`);
  return ms;
}
