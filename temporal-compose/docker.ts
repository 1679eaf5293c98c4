/**
 * The five servers as containers of `docker-compose.yml`. What runs is kept, what died is started again on its volume, what
 * does not answer is made anew. Whether a container is ready is asked of its server, as natively.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { LockstepError } from '../core/errors.js';
import { type CommandLine, lastLines, run } from './command.js';
import { composeCommand, composeEnvironment, composeValues, describeTrouble, projectName } from './compose.js';
import type { Place } from './place.js';
import { exchangeTaken, type PortBook } from './ports.js';
import { type Patience, NotReady, requireSupported, waitReady } from './ready.js';
import type { Secrets } from './secrets.js';
import type { Shelf, Site } from './server.js';
import { type ServerName, serverNames, titles } from './server-name.js';
import { servers } from './servers/all.js';
import { writePrivate } from './state.js';
import { describeVersion, type Version } from './version.js';

/** The images are here by now. MySQL fills a new volume first: 15 s on two free cores. */
const startTimeoutMs = 180_000;
/** A container that was up already may still be filling its volume: an `up` before this one was killed. */
const answerTimeoutMs = 60_000;
const lookEveryMs = 2000;
const starts = 3;
/** Of a start that failed or was interrupted. Whatever it had written is durable, or not whole and made anew. */
const hastySeconds = 10;

export interface DockerStack {
  readonly compose: CommandLine;
  readonly place: Place;
  readonly ports: PortBook;
  readonly secrets: Secrets;
  readonly shelf: Shelf;
}

/** Neither up nor to be started: such a container is made anew. */
const stuckStates: ReadonlySet<string> = new Set(['paused', 'restarting', 'removing', 'dead']);

/** What the engine says of a container: "running", "exited", "paused", … A server without one is not in the map. */
export type Containers = ReadonlyMap<ServerName, string>;

/** One line a container, "kafka running". */
export function parseContainers(text: string): Containers {
  const found = new Map<ServerName, string>();
  for (const line of text.split('\n')) {
    const [service, state] = line.trim().split(' ');
    const name = serverNames.find((known) => known === service);
    if (name !== undefined && state !== undefined) found.set(name, state);
  }
  return found;
}

/** Asked of the engine, not of Compose: its two versions print this each in its own way, and take ten times as long. */
export async function lookAtContainers(place: Place): Promise<Containers> {
  const label = 'com.docker.compose';
  const filter = ['--filter', `label=${label}.project=${projectName(place.root)}`];
  const format = `{{.Label "${label}.service"}} {{.State}}`;
  return parseContainers((await run(['docker', 'ps', '--all', ...filter, '--format', format])).stdout);
}

export function dockerLog(place: Place): string {
  return join(place.logs, 'docker.log');
}

async function callCompose(stack: DockerStack, ...args: readonly string[]): Promise<string> {
  const { place, shelf } = stack;
  const env = composeValues(stack.ports.current(), stack.secrets);
  const options = { env, log: dockerLog(place), signal: shelf.signal };
  return (await run(composeCommand(stack.compose, place, ...args), options)).all;
}

/** Gives the servers other ports where somebody else listens on their own. True if anything changed. */
async function settlePorts(stack: DockerStack, names: readonly ServerName[]): Promise<boolean> {
  const before = stack.ports.current();
  // Kafka's controller is spoken to inside its container alone.
  const published = names.flatMap((name) => servers[name].ports.filter((port) => port !== 'kafkaController'));
  const changed = await exchangeTaken(published, before);
  for (const port of published) {
    const other = changed[port];
    if (other !== undefined) stack.shelf.progress.line('docker', `port ${before[port]} is taken; using ${other}`);
  }
  await stack.ports.change(changed);
  return Object.keys(changed).length > 0;
}

async function startContainers(stack: DockerStack, names: readonly ServerName[]): Promise<void> {
  await settlePorts(stack, names);
  await stack.shelf.progress.during('docker', `starting ${names.join(', ')}`, async () => {
    for (let attempt = 1; ; attempt++) {
      await writePrivate(stack.place.composeEnv, composeEnvironment(stack.ports.current(), stack.secrets));
      try {
        await callCompose(stack, 'up', '--detach', ...names);
        return;
      } catch (error) {
        stack.shelf.signal.throwIfAborted();
        const containers = await lookAtContainers(stack.place);
        const down = names.filter((name) => containers.get(name) !== 'running');
        // Somebody took a port after we had looked.
        if (attempt < starts && (await settlePorts(stack, down))) continue;
        throw error;
      }
    }
  });
}

/** The containers as they were at most two seconds ago: five servers that wait share one look. */
function watch(place: Place): (name: ServerName) => Promise<boolean> {
  let seen = lookAtContainers(place);
  let at = Date.now();
  return async (name) => {
    if (Date.now() - at > lookEveryMs) {
      at = Date.now();
      seen = lookAtContainers(place);
    }
    return (await seen).get(name) === 'running';
  };
}

async function waitFor(stack: DockerStack, name: ServerName, patience: Patience): Promise<Version | undefined> {
  const site: Site = {
    folder: stack.place.server(name),
    log: stack.place.log(name),
    ports: stack.ports.current(),
    secrets: stack.secrets,
  };
  const version = await waitReady(servers[name], site, patience);
  if (version !== undefined) requireSupported(servers[name], version, 'its image');
  return version;
}

/** True for a server that was up already and answers. One that does not is removed; its volume stays. */
async function isKept(stack: DockerStack, name: ServerName, patience: Patience): Promise<boolean> {
  try {
    await waitFor(stack, name, patience);
    stack.shelf.progress.line(name, `already running on port ${stack.ports.current()[name]}`);
    return true;
  } catch (error) {
    if (!(error instanceof NotReady)) throw error;
    stack.shelf.progress.line(name, 'runs but does not answer: making its container anew');
    await callCompose(stack, 'rm', '--force', '--stop', name);
    return false;
  }
}

async function waitStarted(stack: DockerStack, name: ServerName, patience: Patience): Promise<void> {
  try {
    const version = await waitFor(stack, name, patience);
    const number = version === undefined ? '' : ` ${describeVersion(version)}`;
    stack.shelf.progress.line(name, `ready: ${titles[name]}${number} on port ${stack.ports.current()[name]}`);
  } catch (error) {
    if (!(error instanceof NotReady)) throw error;
    const log = lastLines(await callCompose(stack, 'logs', '--no-color', '--tail', '12', name));
    throw new LockstepError(
      'LS-STACK-START',
      `${titles[name]} did not start in its container: ${error.message}. LOCKSTEP_ENGINE=native does without Docker. ` +
        `Its log ends with\n${log}`,
      { cause: error },
    );
  }
}

async function bringUp(stack: DockerStack, names: readonly ServerName[], started: Set<ServerName>): Promise<void> {
  const { place, shelf } = stack;
  const before = await lookAtContainers(place);
  const listens = (): Promise<boolean> => Promise.resolve(true);
  const patience = (name: ServerName, timeoutMs: number, look: (name: ServerName) => Promise<boolean>): Patience => {
    return { timeoutMs, signal: shelf.signal, alive: async () => await look(name), listens };
  };
  const running = names.filter((name) => before.get(name) === 'running');
  const stuck = names.filter((name) => stuckStates.has(before.get(name) ?? ''));
  if (stuck.length > 0) await callCompose(stack, 'rm', '--force', '--stop', ...stuck);
  const first = watch(place);
  const kept = await Promise.all(
    running.map(async (name) => ((await isKept(stack, name, patience(name, answerTimeoutMs, first))) ? [name] : [])),
  );
  const rest = names.filter((name) => !kept.flat().includes(name));
  if (rest.length === 0) return;
  for (const name of rest) {
    if (before.get(name) === 'exited') shelf.progress.line(name, 'it had ended: starting it again');
    started.add(name);
  }
  await startContainers(stack, rest);
  const second = watch(place);
  await Promise.all(rest.map(async (name) => await waitStarted(stack, name, patience(name, startTimeoutMs, second))));
}

/**
 * @param ending ended at the first failure, so that nobody goes on waiting; `stack.shelf.signal` is its signal.
 * What this call started is stopped when it fails or is interrupted.
 */
export async function bringUpDocker(
  stack: DockerStack,
  names: readonly ServerName[],
  ending: AbortController,
): Promise<void> {
  await mkdir(stack.place.logs, { recursive: true, mode: 0o700 });
  const started = new Set<ServerName>();
  try {
    await bringUp(stack, names, started);
  } catch (error) {
    ending.abort(error);
    const { shelf } = stack;
    if (started.size > 0) {
      const calm = { ...stack, shelf: { ...shelf, signal: new AbortController().signal } };
      await callCompose(calm, 'stop', '--timeout', String(hastySeconds), ...started).catch((trouble: unknown) => {
        // Why it failed matters more than that it could not be tidied up: the next `up` or `down` sees what still runs.
        shelf.progress.line('docker', `what was started could not be stopped: ${describeTrouble(trouble)}`);
      });
    }
    throw error;
  }
}

/** Ends and removes the containers. Volumes stay unless wiped: then nobody needs to write anything down first. */
export async function stopDocker(compose: CommandLine, place: Place, wipe: boolean): Promise<void> {
  const command = composeCommand(compose, place, 'down', ...(wipe ? ['--volumes', '--timeout', '0'] : []));
  await run(command, { log: dockerLog(place) });
}
