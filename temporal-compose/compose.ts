/**
 * Compose as it is found on this machine, and what `docker-compose.yml` is given: a project name and values. The values go
 * through the environment of the command as well as through a file, because Compose prefers the environment: a
 * REDIS_PASSWORD that somebody has exported would otherwise become the container's.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { LockstepError } from '../core/errors.js';
import { type CommandLine, run } from './command.js';
import { packageRoot, type Place } from './place.js';
import type { Secrets } from './secrets.js';
import type { Ports } from './server-name.js';

const askTimeoutMs = 5000;

/** How to call Compose here, or why that cannot be: one line for a person. */
export type Compose = { readonly command: CommandLine } | { readonly missing: string };

export async function findCompose(): Promise<Compose> {
  const trouble = async (command: CommandLine): Promise<string | undefined> =>
    await run(command, { timeoutMs: askTimeoutMs }).then(() => undefined, describeTrouble);
  const engine = await trouble(['docker', 'info']);
  if (engine !== undefined) return { missing: engine };
  if ((await trouble(['docker', 'compose', 'version'])) === undefined) return { command: ['docker', 'compose'] };
  if ((await trouble(['docker-compose', 'version'])) === undefined) return { command: ['docker-compose'] };
  return { missing: 'the engine answers, but neither `docker compose` nor `docker-compose` is installed' };
}

/** @throws where Compose is needed and cannot be had. `purpose` opens the message: "the stack in /x runs in Docker". */
export async function requireCompose(purpose: string): Promise<CommandLine> {
  const compose = await findCompose();
  if ('command' in compose) return compose.command;
  throw new LockstepError('LS-STACK-TOOL', `${purpose}, and that cannot be used: ${compose.missing}`);
}

const longestLine = 300;

/** The line of a failed docker command that says why. The client prints about itself first and may end with a formula. */
export function describeTrouble(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const lines = text
    .split('\n')
    .map((line) => line.trim().replace(/^ERROR: /, ''))
    .filter((line) => line !== '' && line !== 'errors pretty printing info');
  return (lines.at(-1) ?? text).slice(0, longestLine);
}

/** One name for one state folder: two stacks never share containers or volumes. */
export function projectName(root: string): string {
  return `lockstep-${createHash('sha256').update(root).digest('hex').slice(0, 10)}`;
}

/** The values docker-compose.yml asks for. None needs quoting: numbers, and letters of base64. */
export function composeValues(ports: Ports, secrets: Secrets): Readonly<Record<string, string>> {
  return {
    MYSQL_PORT: String(ports.mysql),
    MONGO_PORT: String(ports.mongo),
    REDIS_PORT: String(ports.redis),
    KAFKA_PORT: String(ports.kafka),
    TEMPORAL_PORT: String(ports.temporal),
    TEMPORAL_UI_PORT: String(ports.temporalUi),
    MYSQL_ROOT_PASSWORD: secrets.mysql,
    MONGO_REPLICA_SET_KEY: secrets.mongoKey,
    REDIS_PASSWORD: secrets.redis,
    KAFKA_CLUSTER_ID: secrets.kafkaCluster,
  };
}

/** The same as the text of an environment file: what whoever calls Compose by hand needs. */
export function composeEnvironment(ports: Ports, secrets: Secrets): string {
  return Object.entries(composeValues(ports, secrets))
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');
}

export const composeFile = join(packageRoot(), 'temporal-compose', 'docker-compose.yml');

export function composeCommand(compose: CommandLine, place: Place, ...args: readonly string[]): CommandLine {
  const [program, ...first] = compose;
  const project = ['--project-name', projectName(place.root), '--file', composeFile, '--env-file', place.composeEnv];
  return [program, ...first, ...project, ...args];
}
