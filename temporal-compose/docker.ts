/**
 * The five servers as containers of `docker-compose.yml`, when an engine answers. The containers get ports and secrets
 * through an environment file in the state folder; whether they are ready is asked of the servers, as natively.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { LockstepError } from '../core/errors.js';
import { type CommandLine, run } from './command.js';
import { packageRoot, type Place } from './place.js';
import { NotReady, requireSupported, waitReady } from './ready.js';
import type { Secrets } from './secrets.js';
import type { Shelf, Site } from './server.js';
import { type Ports, type ServerName, titles } from './server-name.js';
import { servers } from './servers/all.js';
import { writePrivate } from './state.js';
import { describeVersion } from './version.js';

const askTimeoutMs = 5000;
/** Containers start after their images were pulled; the slowest, Kafka, takes seconds. */
const startTimeoutMs = 180_000;

/** The way to call Compose here, or undefined when no engine answers or Compose is missing. */
export async function findCompose(): Promise<CommandLine | undefined> {
  const works = async (command: CommandLine): Promise<boolean> =>
    await run(command, { timeoutMs: askTimeoutMs }).then(
      () => true,
      () => false,
    );
  if (!(await works(['docker', 'info']))) return undefined;
  if (await works(['docker', 'compose', 'version'])) return ['docker', 'compose'];
  if (await works(['docker-compose', 'version'])) return ['docker-compose'];
  return undefined;
}

/** One name for one state folder: two stacks never share containers or volumes. */
export function projectName(root: string): string {
  return `lockstep-${createHash('sha256').update(root).digest('hex').slice(0, 10)}`;
}

/** The environment file that docker-compose.yml reads. No value needs quoting: numbers, and letters of base64. */
export function composeEnvironment(ports: Ports, secrets: Secrets): string {
  const values = {
    MYSQL_PORT: ports.mysql,
    MONGO_PORT: ports.mongo,
    REDIS_PORT: ports.redis,
    KAFKA_PORT: ports.kafka,
    TEMPORAL_PORT: ports.temporal,
    TEMPORAL_UI_PORT: ports.temporalUi,
    MYSQL_ROOT_PASSWORD: secrets.mysql,
    MONGO_ROOT_PASSWORD: secrets.mongo,
    MONGO_REPLICA_SET_KEY: secrets.mongoKey,
    REDIS_PASSWORD: secrets.redis,
    KAFKA_CLUSTER_ID: secrets.kafkaCluster,
  };
  return Object.entries(values)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');
}

export interface DockerStack {
  readonly compose: CommandLine;
  readonly place: Place;
  readonly ports: Ports;
  readonly secrets: Secrets;
  readonly shelf: Shelf;
}

function composeCommand(compose: CommandLine, place: Place, ...args: readonly string[]): CommandLine {
  const [program, ...first] = compose;
  const file = join(packageRoot(), 'temporal-compose', 'docker-compose.yml');
  const project = ['--project-name', projectName(place.root), '--file', file, '--env-file', place.composeEnv];
  return [program, ...first, ...project, ...args];
}

/** Downloads the images. It may fail where Docker Hub cannot be reached; the caller decides what then. */
export async function pullImages(stack: DockerStack, names: readonly ServerName[]): Promise<void> {
  await writePrivate(stack.place.composeEnv, composeEnvironment(stack.ports, stack.secrets));
  const options = { log: join(stack.place.logs, 'docker.log'), signal: stack.shelf.signal };
  await stack.shelf.progress.during('docker', 'pulling images (minutes the first time)', async () => {
    const command = composeCommand(stack.compose, stack.place, 'pull', '--quiet', ...names);
    await run(command, { ...options, failure: 'LS-STACK-FETCH' });
  });
}

export async function bringUpDocker(stack: DockerStack, names: readonly ServerName[]): Promise<void> {
  const { place, ports, secrets, shelf } = stack;
  const log = join(place.logs, 'docker.log');
  await writePrivate(place.composeEnv, composeEnvironment(ports, secrets));
  await shelf.progress.during('docker', `starting ${names.join(', ')}`, async () => {
    await run(composeCommand(stack.compose, place, 'up', '--detach', ...names), { log, signal: shelf.signal });
  });
  // The engine restarts nothing and maps the ports itself: only the servers' own answers tell.
  const always = (): Promise<boolean> => Promise.resolve(true);
  const patience = { timeoutMs: startTimeoutMs, signal: shelf.signal, alive: always, listens: always };
  await Promise.all(
    names.map(async (name) => {
      const server = servers[name];
      const site: Site = { folder: place.server(name), log: place.log(name), ports, secrets };
      try {
        const version = await waitReady(server, site, patience);
        if (version !== undefined) requireSupported(server, version, 'its image');
        const number = version === undefined ? '' : ` ${describeVersion(version)}`;
        shelf.progress.line(name, `ready: ${titles[name]}${number} on port ${ports[name]}`);
      } catch (error) {
        if (!(error instanceof NotReady)) throw error;
        const shown = await run(composeCommand(stack.compose, place, 'logs', '--tail', '12', name)).catch(() => ({
          all: '',
        }));
        throw new LockstepError('LS-STACK-START', `${titles[name]} did not start: ${error.message}\n${shown.all}`, {
          cause: error,
        });
      }
    }),
  );
}

export async function stopDocker(compose: CommandLine, place: Place, wipe: boolean): Promise<void> {
  const command = composeCommand(compose, place, 'down', ...(wipe ? ['--volumes'] : []));
  await run(command, { log: join(place.logs, 'docker.log') });
}

export async function listRunningContainers(compose: CommandLine, place: Place): Promise<readonly string[]> {
  const { stdout } = await run(composeCommand(compose, place, 'ps', '--services', '--filter', 'status=running'));
  return stdout.split('\n').map((line) => line.trim());
}
