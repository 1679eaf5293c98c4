/** `lockstep doctor`: proves, before anything is installed, that every server has what a pipeline needs. */
import type { Command } from 'commander';
import type { Config } from '../core/config.js';
import { errorsAmong, type Problem } from '../core/problem.js';
import { redactUri } from '../core/uri.js';
import {
  addCommand,
  configOf,
  printResult,
  withConfig,
  withJson,
  type FileOption,
  type JsonOption,
} from './command.js';
import { problemLines } from './problems.js';

export function addDoctor(program: Command): void {
  const command = addCommand(program, {
    name: 'doctor',
    summary: 'Checks versions, privileges, settings and reachability of every server; names the fix for each failure.',
    examples: ['lockstep doctor', 'lockstep doctor --json -c shop.yaml'],
  });
  withJson(withConfig(command)).action(async (options: FileOption & JsonOption) => {
    const config = await configOf(options);
    const problems = await checkEverything(config);
    const errors = errorsAmong(problems).length;
    const words =
      errors === 0 ? 'ready: every server has what the pipeline needs' : `not ready: ${errors} to set right`;
    const text = [serverLines(config), problemLines(problems), words].filter((part) => part !== '').join('\n');
    printResult(options, { ok: errors === 0, problems }, text);
    if (errors > 0) process.exitCode = 1;
  });
}

/** What was looked at, without passwords. */
function serverLines({ mysql, kafka, mongo, redis, temporal }: Config): string {
  const servers = [
    ['MySQL', `${redactUri(mysql.uri)}, database ${mysql.database}`],
    ['Kafka', `${kafka.brokers.join(', ')}, topics ${kafka.topicPrefix}.…`],
    ['MongoDB', mongo === null ? 'off' : `${redactUri(mongo.uri)}, database ${mongo.database}`],
    ['Redis', redis === null ? 'off' : `${redactUri(redis.uri)}, keys ${redis.keyPrefix}:…`],
    ['Temporal', `${temporal.address}, namespace ${temporal.namespace}`],
  ];
  return servers.map(([name = '', place = '']) => `${name.padEnd(8)}  ${place}`).join('\n');
}

/** Every problem of every server at once, errors first. */
export async function checkEverything(config: Config): Promise<readonly Problem[]> {
  const [{ preflight }, { checkKafka }, { checkMongo }, { checkRedis }, { checkTemporal }, { checkSource }] =
    await Promise.all([
      import('../stages/preflight.js'),
      import('../stores/kafka/check.js'),
      import('../stores/mongo/check.js'),
      import('../stores/redis/check.js'),
      import('./temporalCheck.js'),
      import('./sourceCheck.js'),
    ]);
  const checks = [checkKafka, checkMongo, checkRedis, checkTemporal];
  const problems = await preflight({ config, checks });
  // Without MySQL the tables cannot be asked for; preflight has said why.
  if (errorsAmong(problems).some(({ code }) => code.startsWith('LS-MYSQL'))) return problems;
  const source = await checkSource(config);
  return [...errorsAmong([...source, ...problems]), ...[...source, ...problems].filter(isWarning)];
}

function isWarning({ severity }: Problem): boolean {
  return severity === 'warning';
}
