/**
 * The local stack: MySQL, MongoDB, Redis, Kafka and Temporal for developing, testing and trying lockstep. One state folder
 * is one stack; stacks do not know of each other. `up` brings a stack to "all five answer" from whatever state it is in.
 */
import { existsSync } from 'node:fs';
import { mkdir, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { CommandLine } from './command.js';
import { describeTrouble, requireCompose } from './compose.js';
import { bringUpDocker, dockerLog, lookAtContainers, stopDocker } from './docker.js';
import { chooseEngine } from './engine.js';
import { removeFolder } from './folder.js';
import { pullImages } from './images.js';
import { findRunning, startDetached } from './launch.js';
import { withLock } from './lock.js';
import { bringUpNative, stopNative } from './native.js';
import { cacheFolder, defaultRoot, packageRoot, type Place, placeOf } from './place.js';
import type { PortBook, PortPolicy } from './ports.js';
import { Progress, type Report } from './progress.js';
import type { Secrets } from './secrets.js';
import type { Shelf } from './server.js';
import { type Ports, type ServerName, serverNames } from './server-name.js';
import { openState, readState, type State, writeState } from './state.js';

export type { ServerName } from './server-name.js';
export { serverNames } from './server-name.js';

/** Where the servers are, with administrator rights: what `lockstep up --json` prints. */
export interface Stack {
  readonly mysql: { readonly uri: string };
  readonly mongo: { readonly uri: string };
  readonly redis: { readonly uri: string };
  readonly kafka: { readonly brokers: string[] };
  readonly temporal: { readonly address: string; readonly namespace: string; readonly ui: string };
}

export interface UpOptions {
  /** The state folder; default `.lockstep`. */
  readonly root?: string | undefined;
  /** Receives progress, one plain line at a time. */
  readonly onProgress?: Report | undefined;
  /** Throw away what the stack holds and start empty. */
  readonly fresh?: boolean | undefined;
  /** For a new stack: the usual ports where they are free (default), or none of them. */
  readonly ports?: PortPolicy | undefined;
  /** Some of the servers; the addresses of the others are returned all the same. */
  readonly only?: readonly ServerName[] | undefined;
  /**
   * Pid of the process that the stack is for: when it has ended, however it did, the stack is taken down and wiped. Needs
   * a built lockstep. Without it the stack stays until `down`.
   */
  readonly owner?: number | undefined;
  /** Ends the attempt; what it started is stopped. */
  readonly signal?: AbortSignal | undefined;
}

export interface DownOptions {
  readonly root?: string | undefined;
  /** Remove data, secrets and logs too. The cache of downloads stays. */
  readonly wipe?: boolean | undefined;
  readonly onProgress?: Report | undefined;
}

export interface ServerStatus {
  readonly name: ServerName;
  readonly running: boolean;
  readonly port: number;
}

export function describeStack(ports: Ports, secrets: Secrets): Stack {
  const at = (port: number): string => `127.0.0.1:${port}`;
  return {
    mysql: { uri: `mysql://root:${secrets.mysql}@${at(ports.mysql)}` },
    mongo: { uri: `mongodb://root:${secrets.mongo}@${at(ports.mongo)}/?replicaSet=rs0&authSource=admin` },
    redis: { uri: `redis://:${secrets.redis}@${at(ports.redis)}` },
    kafka: { brokers: [at(ports.kafka)] },
    temporal: { address: at(ports.temporal), namespace: 'default', ui: `http://${at(ports.temporalUi)}` },
  };
}

/** Brings the stack up and returns its addresses once every server answers. */
export async function up(options: UpOptions = {}): Promise<Stack> {
  const place = placeOf(options.root ?? defaultRoot);
  const progress = new Progress(options.onProgress ?? (() => undefined));
  const names = options.only ?? serverNames;
  return await locked(place, progress, options.signal, async () => {
    if (options.fresh === true) await takeDown(place, progress, true);
    if (options.owner !== undefined) await startGuard(place, options.owner);
    const { state, secrets } = await openState(
      place,
      async () => await chooseEngine(progress),
      options.ports ?? 'usual',
    );
    const result = await bringUp(place, progress, state, secrets, names, options.signal);
    progress.line('stack', `ready in ${progress.elapsedSeconds.toFixed(1)} s`);
    return describeStack(result, secrets);
  });
}

/** Stops every server of the stack. Nothing happens when none runs. */
export async function down(options: DownOptions = {}): Promise<void> {
  const place = placeOf(options.root ?? defaultRoot);
  if (!existsSync(place.root)) return;
  const progress = new Progress(options.onProgress ?? (() => undefined));
  await locked(place, progress, undefined, async () => await takeDown(place, progress, options.wipe === true));
  // Only if it is empty: the folder may hold what others keep in it.
  if (options.wipe === true) await rmdir(place.root).catch(() => undefined);
}

/** What runs, without touching it; undefined when there is no stack in that folder. */
export async function status(
  options: { root?: string | undefined } = {},
): Promise<readonly ServerStatus[] | undefined> {
  const place = placeOf(options.root ?? defaultRoot);
  const state = await readState(place);
  if (state === undefined) return undefined;
  const containers = state.engine === 'docker' ? await lookAtContainers(place) : undefined;
  return await Promise.all(
    serverNames.map(async (name) => {
      const process = state.engine === 'native' ? await findRunning(place.pidFile(name)) : undefined;
      return { name, running: process !== undefined || containers?.get(name) === 'running', port: state.ports[name] };
    }),
  );
}

async function locked<T>(
  place: Place,
  progress: Progress,
  signal: AbortSignal | undefined,
  body: () => Promise<T>,
): Promise<T> {
  await mkdir(place.root, { recursive: true, mode: 0o700 });
  const onWait = (owner: number): void =>
    progress.line('stack', `process ${owner} works on this stack; waiting for it`);
  return await withLock(place.lock, { signal, onWait }, body);
}

async function startGuard(place: Place, owner: number): Promise<void> {
  if ((await findRunning(place.guardPid)) !== undefined) return;
  const program = join(packageRoot(), 'temporal-compose', 'guard.mjs');
  const command: CommandLine = [process.execPath, program, place.root, String(owner), place.guardPid];
  await startDetached({ command, cwd: packageRoot() }, place.guardPid, place.guardLog);
}

/** @returns the ports in use: a port that was taken by somebody else has been exchanged. */
async function bringUp(
  place: Place,
  progress: Progress,
  state: State,
  secrets: Secrets,
  names: readonly ServerName[],
  signal: AbortSignal | undefined,
): Promise<Ports> {
  // One failure ends what the others are doing; so does the caller's signal.
  const ending = new AbortController();
  const stop = (): void => ending.abort(signal?.reason);
  signal?.addEventListener('abort', stop, { once: true });
  if (signal?.aborted === true) stop();
  const shelf: Shelf = { cache: cacheFolder(), progress, signal: ending.signal };
  try {
    const engine = state.engine === 'docker' ? await engineWithImages(place, state, names, shelf) : 'native';
    const ports = portBook(place, { ...state, engine });
    await (engine === 'docker'
      ? bringUpContainers(place, secrets, names, shelf, ports, ending)
      : bringUpProcesses(place, secrets, names, shelf, ports, ending));
    return ports.current();
  } finally {
    signal?.removeEventListener('abort', stop);
  }
}

/** Changes are written one after the other: servers start at the same time. */
function portBook(place: Place, state: State): PortBook {
  let { ports } = state;
  let writing = Promise.resolve();
  const change: PortBook['change'] = async (changed) => {
    ports = { ...ports, ...changed };
    const text: State = { ...state, ports };
    writing = writing.then(async () => await writeState(place, text));
    await writing;
  };
  return { current: () => ports, change };
}

/**
 * Fetches the images. Where they cannot be had (an engine without Docker Hub) and the stack is empty as yet, it becomes a
 * native one.
 */
async function engineWithImages(
  place: Place,
  state: State,
  names: readonly ServerName[],
  shelf: Shelf,
): Promise<State['engine']> {
  try {
    await requireCompose(runsInDocker(place));
    await pullImages(shelf, names, dockerLog(place));
    return 'docker';
  } catch (error) {
    shelf.signal.throwIfAborted();
    const empty = !existsSync(place.composeEnv);
    if (!empty || process.env['LOCKSTEP_ENGINE'] === 'docker') throw error;
    shelf.progress.line('docker', `the images cannot be pulled: ${describeTrouble(error)}`);
    shelf.progress.line('stack', 'running the servers as processes of this machine');
    await writeState(place, { ...state, engine: 'native' });
    return 'native';
  }
}

function runsInDocker(place: Place): string {
  return `the stack in ${place.root} runs in Docker`;
}

async function bringUpContainers(
  place: Place,
  secrets: Secrets,
  names: readonly ServerName[],
  shelf: Shelf,
  ports: PortBook,
  ending: AbortController,
): Promise<void> {
  const compose = await requireCompose(runsInDocker(place));
  await bringUpDocker({ compose, place, ports, secrets, shelf }, names, ending);
}

async function bringUpProcesses(
  place: Place,
  secrets: Secrets,
  names: readonly ServerName[],
  shelf: Shelf,
  ports: PortBook,
  ending: AbortController,
): Promise<void> {
  const started = new Set<ServerName>();
  const stack = { place, secrets, ports, shelf, started };
  const tasks = names.map(async (name) => await bringUpNative(stack, [name]));
  try {
    await Promise.all(tasks);
  } catch (error) {
    ending.abort(error);
    await Promise.allSettled(tasks);
    await stopNative(place, [...started], (name, text) => shelf.progress.line(name, text));
    throw error;
  }
}

async function takeDown(place: Place, progress: Progress, wipe: boolean): Promise<void> {
  const state = await readState(place).catch((error: unknown) => {
    // A state nobody can read must not keep its own removal from working.
    if (wipe) return undefined;
    throw error;
  });
  // The file is there before the first container is.
  if (state?.engine !== 'native' && existsSync(place.composeEnv)) {
    const compose = await requireCompose(runsInDocker(place));
    await progress.during('docker', 'stopping', async () => await stopDocker(compose, place, wipe));
  }
  await stopNative(place, serverNames, (name, text) => progress.line(name, text));
  // Its guard, if it has one, ends without it.
  await rm(place.guardPid, { force: true });
  if (!wipe) return;
  for (const name of serverNames) await removeFolder(place.server(name));
  await removeFolder(place.logs);
  for (const file of [place.composeEnv, place.state, place.secrets]) {
    await rm(file, { force: true });
    await rm(`${file}.new`, { force: true });
  }
}
