/** `lockstep init`: writes a commented lockstep.yaml from a live database. No password ever enters the file. */
import { writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import type { Config } from '../core/config.js';
import { parseConfig } from '../core/configFile.js';
import { codeOf, LockstepError } from '../core/errors.js';
import { splitUri } from '../core/uri.js';
import type { Mysql } from '../stores/mysql/connection.js';
import type { LeftOut } from '../stores/mysql/eligibility.js';
import { addCommand, printResult, withJson, type JsonOption } from './command.js';
import { initFileText, pipelineNameOf, withoutPassword, type InitFile } from './initFile.js';

interface Options extends JsonOption {
  readonly mysql: string;
  readonly mongo: string;
  readonly redis: string;
  readonly kafka: string;
  readonly temporal: string;
  readonly pipeline?: string;
  readonly output: string;
  readonly force?: true;
}

export function addInit(program: Command): void {
  const command = addCommand(program, {
    name: 'init',
    summary: 'Writes a commented lockstep.yaml from a live database. Passwords stay in the environment.',
    examples: [
      'MYSQL_PASSWORD=… lockstep init --mysql mysql://lockstep@127.0.0.1:3306/shop',
      'lockstep init --mysql mysql://root@127.0.0.1/shop --redis off -o shop.yaml',
    ],
  })
    .requiredOption('--mysql <uri>', 'the source, with its database; a password may come from MYSQL_PASSWORD')
    .option('--mongo <uri>', 'MongoDB, or off', 'mongodb://127.0.0.1:27017')
    .option('--redis <uri>', 'Redis, or off', 'redis://127.0.0.1:6379')
    .option('--kafka <brokers>', 'host:port of the brokers, with commas', '127.0.0.1:9092')
    .option('--temporal <address>', 'host:port', '127.0.0.1:7233')
    .option('--pipeline <name>', "name of the pipeline; the database's by default")
    .option('-o, --output <file>', 'file to write', 'lockstep.yaml')
    .option('--force', 'overwrite the file');
  withJson(command).action(init);
}

async function init(options: Options): Promise<void> {
  const { file, env, variables } = fileOf(options);
  const config = configFrom(file, env);
  const { tables, leftOut, stateDatabase } = await look(config);
  const text = initFileText({ ...file, tables, leftOut, stateDatabase });
  // What is written must be what lockstep reads.
  configFrom({ ...file, tables, leftOut, stateDatabase }, env);
  await write(options, text);
  const result = { file: options.output, pipeline: file.pipeline, tables, leftOut, variables };
  printResult(options, result, wordsOf(options.output, tables, leftOut, variables));
}

/** The mistakes of a file that nobody has seen are mistakes of the arguments. */
function configFrom(file: InitFile, env: Readonly<Record<string, string>>): Config {
  try {
    return parseConfig(initFileText(file), 'the command line', { env, readSecret: noSecret });
  } catch (error) {
    if (codeOf(error) !== 'LS-CONFIG-INVALID' || !(error instanceof LockstepError)) throw error;
    throw new LockstepError('LS-USAGE', error.message.replaceAll(/^ {2}line \d+: /gm, '  '), { cause: error });
  }
}

function fileOf(options: Options): {
  readonly file: InitFile;
  readonly env: Readonly<Record<string, string>>;
  readonly variables: readonly string[];
} {
  const env: Record<string, string> = {};
  const variables: string[] = [];
  const clean = (uri: string, variable: string): string => {
    const { uri: marked, password } = withoutPassword(uri, variable);
    if (password !== null) {
      env[variable] = password;
      variables.push(variable);
    }
    return marked;
  };
  const mysqlParts = splitUri(options.mysql);
  const fromEnvironment = process.env['MYSQL_PASSWORD'];
  const given =
    fromEnvironment !== undefined && mysqlParts?.password === null
      ? withPassword(options.mysql, fromEnvironment)
      : options.mysql;
  const database = mysqlParts?.path ?? '';
  const mongo = options.mongo === 'off' ? null : clean(options.mongo, 'MONGO_PASSWORD');
  const file: InitFile = {
    pipeline: options.pipeline ?? pipelineNameOf(database),
    mysql: clean(given, 'MYSQL_PASSWORD'),
    stateDatabase: 'lockstep',
    mongo,
    mongoDatabase: mongo === null ? null : mongoDatabaseOf(database),
    redis: options.redis === 'off' ? null : clean(options.redis, 'REDIS_PASSWORD'),
    brokers: options.kafka.split(',').map((broker) => broker.trim()),
    temporal: options.temporal,
    tables: [],
    leftOut: [],
  };
  return { file, env, variables };
}

function withPassword(uri: string, password: string): string {
  return uri.replace('@', `:${encodeURIComponent(password)}@`);
}

/** A MySQL name may hold what MongoDB does not allow, and `lockstep` is taken. */
function mongoDatabaseOf(database: string): string {
  const name = database.replaceAll(/[/\\. "$*<>:|?]/g, '_');
  return name.toLowerCase() === 'lockstep' || name === '' ? 'source' : name;
}

function noSecret(): string {
  throw new LockstepError('LS-USAGE', 'init reads no secret from a file');
}

async function look(config: Config): Promise<{
  readonly tables: readonly string[];
  readonly leftOut: readonly LeftOut[];
  readonly stateDatabase: string;
}> {
  const [{ openMysql }, { readTables }, { leftOut }, { databaseProblems, databaseNames }] = await Promise.all([
    import('../stores/mysql/connection.js'),
    import('../stores/mysql/definitions.js'),
    import('../stores/mysql/eligibility.js'),
    import('../stores/mysql/check.js'),
  ]);
  const mysql = openMysql(config.mysql, { connections: 1 });
  try {
    const existing = await databaseNames(mysql);
    const [missing] = databaseProblems(config.mysql, existing);
    if (missing !== undefined) throw new LockstepError(missing.code, missing.message);
    const facts = await readTables(mysql, config.mysql.database);
    const out = facts.flatMap((table) => leftOut(table, config.tables) ?? []);
    const names = facts.map(({ definition }) => definition.table);
    const tables = names.filter((table) => !out.some((entry) => entry.table === table));
    const taken = existing.has(config.mysql.stateDatabase) && !(await isOwn(mysql, config));
    const own = `lockstep_${config.pipeline.replaceAll('-', '_')}`.slice(0, 64);
    return { tables, leftOut: out, stateDatabase: taken ? own : config.mysql.stateDatabase };
  } finally {
    await mysql.close();
  }
}

/** The usual name may serve another pipeline on this server already, or something that is not lockstep at all. */
async function isOwn(mysql: Mysql, { pipeline, mysql: { stateDatabase, database } }: Config): Promise<boolean> {
  const { readMeta } = await import('../stores/mysql/state.js');
  try {
    const meta = await readMeta(mysql, stateDatabase);
    return meta?.pipeline === pipeline && meta.sourceDatabase === database;
  } catch (error) {
    if (codeOf(error) === 'LS-MYSQL-PRIVILEGE' || codeOf(error) === 'LS-MYSQL-ACCESS') return false;
    throw error;
  }
}

async function write({ output, force }: Options, text: string): Promise<void> {
  try {
    await writeFile(output, text, { flag: force === true ? 'w' : 'wx' });
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    const message =
      reason === 'EEXIST' ? `${output} exists; --force overwrites it` : `${output} cannot be written (${reason})`;
    throw new LockstepError('LS-USAGE', message, { cause: error });
  }
}

function wordsOf(
  file: string,
  tables: readonly string[],
  leftOut: readonly LeftOut[],
  variables: readonly string[],
): string {
  const secrets = variables.map((name) => `The password is not in the file: set ${name} in the environment.`);
  const out = leftOut.map(({ table, explanation }) => `left out: ${table}: ${explanation}`);
  const found = `${tables.length} ${tables.length === 1 ? 'table' : 'tables'} to capture${tables.length === 0 ? '' : `: ${tables.join(', ')}`}`;
  return [`wrote ${file}`, found, ...out, ...secrets, 'Next: lockstep doctor'].join('\n');
}
