/** `lockstep pause` and `lockstep resume`: the stores are left alone, one table or all; capture goes on. */
import { InvalidArgumentError, type Command } from 'commander';
import type { Config } from '../core/config.js';
import {
  addCommand,
  configOf,
  printResult,
  withConfig,
  withJson,
  type FileOption,
  type JsonOption,
} from './command.js';

type Options = FileOption & JsonOption;

export function addPause(program: Command): void {
  const command = addCommand(program, {
    name: 'pause',
    summary: 'Leaves the stores alone: all tables, or one. Changes are kept in the log meanwhile.',
    examples: ['lockstep pause', 'lockstep pause orders   # the others go on'],
  });
  steering(command, 'pause');
}

export function addResume(program: Command): void {
  const command = addCommand(program, {
    name: 'resume',
    summary: 'Goes on after `pause`: with everything, or with one table.',
    examples: ['lockstep resume', 'lockstep resume orders'],
  });
  steering(command, 'resume');
}

function steering(command: Command, wish: 'pause' | 'resume'): void {
  withJson(withConfig(command.argument('[table]', 'one table', notEmpty))).action(
    async (table: string | undefined, options: Options) => {
      const config = await configOf(options);
      if (table !== undefined) await refuseUnknownTable(config, table);
      const { withPipeline } = await import('./pipeline.js');
      await withPipeline(config, (pipeline) => pipeline[wish](table));
      const what = table === undefined ? `pipeline ${config.pipeline}` : `table ${table}`;
      printResult(
        options,
        { paused: wish === 'pause', table: table ?? null },
        `${what} ${wish === 'pause' ? 'is paused' : 'goes on'}`,
      );
    },
  );
}

export function notEmpty(text: string): string {
  if (text.trim() === '') throw new InvalidArgumentError('It is empty.');
  return text;
}

/** A wish for a table that is not captured would be granted silently and do nothing. */
export async function refuseUnknownTable(config: Config, table: string): Promise<void> {
  const { withMysql } = await import('./mysql.js');
  await withMysql(config, (mysql) => refuseUncaptured(mysql, config.mysql.stateDatabase, table));
}

export async function refuseUncaptured(
  mysql: import('../stores/mysql/connection.js').Mysql,
  stateDatabase: string,
  table: string,
): Promise<void> {
  const [{ readCapturedTables }, { nearest }, { LockstepError }] = await Promise.all([
    import('../stores/mysql/state.js'),
    import('../core/suggest.js'),
    import('../core/errors.js'),
  ]);
  const tables = (await readCapturedTables(mysql, stateDatabase)).map(({ name }) => name);
  if (tables.includes(table)) return;
  if (tables.length === 0) {
    throw new LockstepError('LS-NOT-INSTALLED', `database ${stateDatabase} holds no pipeline`);
  }
  const meant = nearest(table, tables);
  const suggestion = meant === undefined ? '' : ` (did you mean ${meant}?)`;
  throw new LockstepError('LS-TABLE-UNKNOWN', `table ${table} is not captured${suggestion}`, { details: { table } });
}
