/** `lockstep schema`: what is captured and what became of it; `schema check` compares the stores; `schema apply` runs DDL. */
import { readFile } from 'node:fs/promises';
import { InvalidArgumentError, type Command } from 'commander';
import type { Config } from '../core/config.js';
import type { Definition } from '../core/definition.js';
import { LockstepError } from '../core/errors.js';
import type { StatementPlan } from '../stages/schemaPlan.js';
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
import { refuseUnknownTable } from './pause.js';
import { planText, checkText, schemaText } from './schemaText.js';
import { timeout } from './wait.js';

type ShowOptions = FileOption & JsonOption & { readonly table?: string; readonly limit: number };
type CheckOptions = FileOption & JsonOption & { readonly table?: string };
type ApplyOptions = FileOption &
  JsonOption & { readonly plan?: true; readonly again?: true; readonly mysql?: string; readonly patience: number };

export function addSchema(program: Command): void {
  const command = addCommand(program, {
    name: 'schema',
    summary: 'The captured schema, its changes, and what each store expects.',
    examples: [
      'lockstep schema --table orders',
      'lockstep schema check --json   # exit code 3 when the three stores disagree',
      'lockstep schema apply change.sql --plan   # shows what would happen',
      'lockstep schema apply change.sql --mysql mysql://admin@127.0.0.1:3306',
    ],
  })
    .option('--table <table>', 'one table')
    .option('--limit <n>', 'changes to show', count, 20);
  withJson(withConfig(command)).action(async (options: ShowOptions) => show(options));

  const check = addCommand(command, {
    name: 'check',
    summary: 'Compares the schemas of MySQL, MongoDB and Redis and names each disagreement; exit code 3 on any.',
    examples: ['lockstep schema check', 'lockstep schema check --table orders --json'],
  });
  withJson(withConfig(check.option('--table <table>', 'one table'))).action(async (_: unknown, self: Command) =>
    compare(self.optsWithGlobals<CheckOptions>()),
  );

  const apply = addCommand(command, {
    name: 'apply',
    summary: 'Runs DDL from a file with triggers, validators and both stores prepared; goes on where it stopped.',
    examples: ['lockstep schema apply change.sql --plan', 'lockstep schema apply change.sql'],
  })
    .argument('<file>', 'SQL: ALTER, CREATE, DROP, RENAME TABLE; CREATE, DROP INDEX')
    .option('--plan', 'show what would happen and change nothing')
    .option('--again', 'run a file once more that ran to its end before')
    .option('--mysql <uri>', 'who runs it, where lockstep itself may not; a missing password comes from MYSQL_PASSWORD')
    .option(
      '--patience <duration>',
      'how long a statement tries for its lock, giving way in between; as long for a MongoDB collection',
      timeout,
      60_000,
    );
  withJson(withConfig(apply)).action(async (file: string, _: unknown, self: Command) =>
    run(file, self.optsWithGlobals<ApplyOptions>()),
  );
}

async function show(options: ShowOptions): Promise<void> {
  const config = await configOf(options);
  if (options.table !== undefined) await refuseUnknownTable(config, options.table);
  const [{ openMysql }, { readSchemaView }] = await Promise.all([
    import('../stores/mysql/connection.js'),
    import('../stages/schemaView.js'),
  ]);
  const mysql = openMysql(config.mysql, { connections: 4 });
  try {
    const { table, limit } = options;
    const view = await readSchemaView({ config, mysql }, { limit, ...(table === undefined ? {} : { table }) });
    if (view.tables.length === 0) {
      throw new LockstepError('LS-NOT-INSTALLED', `database ${config.mysql.stateDatabase} holds no pipeline`);
    }
    printResult(options, view, schemaText(view));
  } finally {
    await mysql.close();
  }
}

async function compare(options: CheckOptions): Promise<void> {
  const config = await configOf(options);
  const [{ withClients }, { checkSchemas }] = await Promise.all([
    import('./clients.js'),
    import('../stages/schemaCheck.js'),
  ]);
  const found = await withClients(config, (clients) => checkSchemas(clients, options.table));
  printResult(options, found, checkText(found));
  if (found.disagreements.length > 0) process.exitCode = 3;
}

async function run(file: string, options: ApplyOptions): Promise<void> {
  const config = await configOf(options);
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
    throw new LockstepError('LS-USAGE', `${file} cannot be read (${reason})`, { cause: error });
  });
  const [{ withClients }, { applySchema }, { openMysql }] = await Promise.all([
    import('./clients.js'),
    import('../stages/schemaApply.js'),
    import('../stores/mysql/connection.js'),
  ]);
  await withClients(config, async (clients) => {
    if (options.plan === true) return plan(clients, text, options);
    const owner = openMysql(ownerOf(config, options.mysql), { connections: 3 });
    try {
      const choice = { again: options.again === true, patienceMs: options.patience };
      const result = await applySchema({ ...clients, owner }, text, choice, {
        step: (step, index, { statement }) => {
          if (step === 'altered' || step === 'followed') say(`statement ${index + 1}: ${step} (${statement.kind})`);
        },
      });
      await askForLook(config);
      const already = result.before === 0 ? '' : `, ${result.before} of them before`;
      const words = `${result.statements} statements have run${already}; lockstep status shows copies that follow`;
      printResult(options, result, words);
    } finally {
      await owner.close();
    }
  });
}

async function plan(
  deps: Parameters<typeof import('../stages/schemaPlan.js').planStatement>[0],
  text: string,
  options: JsonOption,
): Promise<void> {
  const { planStatement, readFile: readStatements } = await import('../stages/schemaPlan.js');
  const known = new Map<string, Definition | null>();
  const plans: StatementPlan[] = [];
  for (const statement of readStatements(text, deps.config.mysql.database)) {
    plans.push(await planStatement(deps, statement, known));
  }
  const shown = plans.map(({ statement, tables, changes, algorithm, policy, steps }) => ({
    statement: statement.text,
    tables,
    changes,
    algorithm,
    policy,
    steps,
  }));
  printResult(options, { plan: shown }, planText(plans));
}

/** The pipeline's own account, or the one that is given, on the same server unless it names another. */
function ownerOf({ mysql }: Config, uri: string | undefined): Config['mysql'] {
  if (uri === undefined) return mysql;
  let url: URL;
  try {
    url = new URL(uri);
  } catch (error) {
    throw new LockstepError('LS-USAGE', '--mysql is no URI; allowed: mysql://user@host:3306', { cause: error });
  }
  const password = process.env['MYSQL_PASSWORD'];
  if (url.password === '' && password !== undefined) url.password = encodeURIComponent(password);
  url.pathname = '';
  return { ...mysql, uri: url.href };
}

/** A pipeline that does not run, or cannot be reached, looks for itself when it is back. */
async function askForLook(config: Config): Promise<void> {
  const { withPipeline } = await import('./pipeline.js');
  await withPipeline(config, (pipeline) => pipeline.look()).catch((error: unknown) => {
    say(`the pipeline was not told: ${error instanceof Error ? error.message : String(error)}`);
  });
}

function count(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0 || value > 10_000) throw new InvalidArgumentError('Allowed: 0 to 10000.');
  return value;
}
