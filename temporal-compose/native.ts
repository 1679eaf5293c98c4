/**
 * The five servers as processes of this machine, each as soon as its program is there. What runs is kept, what died is
 * started again on its data, what was half made is made anew.
 */
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { LockstepError } from '../core/errors.js';
import { lastLinesOf } from './command.js';
import { fillerPidFile, makeFolder } from './folder.js';
import { type Identity, isRunning } from './identity.js';
import { findRunning, startDetached, stop } from './launch.js';
import { isListening } from './listener.js';
import type { Place } from './place.js';
import { exchangeTaken, type PortBook } from './ports.js';
import { NotReady, requireSupported, waitReady } from './ready.js';
import type { Secrets } from './secrets.js';
import type { Program, Server, Shelf, Site } from './server.js';
import { type ServerName, titles } from './server-name.js';
import { servers } from './servers/all.js';
import { describeRange, describeVersion, isSupported, type Version } from './version.js';

const startTimeoutMs = 120_000;
const answerTimeoutMs = 10_000;
const starts = 3;

export interface NativeStack {
  readonly place: Place;
  readonly secrets: Secrets;
  readonly ports: PortBook;
  readonly shelf: Shelf;
  /** The servers this call started itself. */
  readonly started: Set<ServerName>;
}

function siteOf(stack: NativeStack, server: Server): Site {
  return {
    folder: stack.place.server(server.name),
    log: stack.place.log(server.name),
    ports: stack.ports.current(),
    secrets: stack.secrets,
  };
}

/** The program to run: one in PATH if its version is supported, else from the cache, fetched if need be. */
async function programFor(stack: NativeStack, server: Server): Promise<Program> {
  const found = await server.find().catch(() => undefined);
  if (found !== undefined && isSupported(found.version, server.supported)) return found;
  if (found !== undefined) {
    const version = describeVersion(found.version);
    say(stack, server, `${version} in PATH is not used: supported is ${describeRange(server.supported)}`);
  }
  const fetched = await server.fetch(stack.shelf);
  requireSupported(server, fetched.version, fetched.origin);
  return fetched;
}

function dataFolder(folder: string): string {
  return join(folder, 'data');
}

function say(stack: NativeStack, server: Server, text: string): void {
  stack.shelf.progress.line(server.name, text);
}

/** Waits for the server that runs as this process. */
async function waitFor(
  stack: NativeStack,
  server: Server,
  identity: Identity,
  timeoutMs: number,
): Promise<Version | undefined> {
  const site = siteOf(stack, server);
  const alive = async (): Promise<boolean> => await isRunning(identity);
  const listens = async (): Promise<boolean> => {
    const answers = await Promise.all(server.ports.map((name) => isListening(identity.pid, site.ports[name])));
    return !answers.includes(false);
  };
  return await waitReady(server, site, { timeoutMs, signal: stack.shelf.signal, alive, listens });
}

async function isAnswering(stack: NativeStack, server: Server, identity: Identity): Promise<boolean> {
  try {
    await waitFor(stack, server, identity, answerTimeoutMs);
    return true;
  } catch (error) {
    if (error instanceof NotReady) return false;
    throw error;
  }
}

/** Gives the server other ports where somebody else listens on its own. */
async function settlePorts(stack: NativeStack, server: Server): Promise<boolean> {
  const changed = await exchangeTaken(server.ports, stack.ports.current());
  for (const name of server.ports) {
    const other = changed[name];
    if (other !== undefined) say(stack, server, `port ${stack.ports.current()[name]} is taken; using ${other}`);
  }
  await stack.ports.change(changed);
  return Object.keys(changed).length > 0;
}

async function startError(stack: NativeStack, server: Server, cause: NotReady): Promise<LockstepError> {
  const log = stack.place.log(server.name);
  return new LockstepError(
    'LS-STACK-START',
    `${titles[server.name]} did not start: ${cause.message}. Its log ${log} ends with\n${await lastLinesOf(log)}`,
    { cause },
  );
}

async function startOnce(stack: NativeStack, server: Server, program: Program): Promise<Version | undefined> {
  const site = siteOf(stack, server);
  const pidFile = stack.place.pidFile(server.name);
  const identity = await startDetached(server.launch(program, site), pidFile, site.log);
  try {
    return await waitFor(stack, server, identity, startTimeoutMs);
  } catch (error) {
    await stop(pidFile, server.stopGraceMs);
    throw error;
  }
}

async function start(stack: NativeStack, server: Server, program: Program): Promise<Version | undefined> {
  await settlePorts(stack, server);
  for (let attempt = 1; ; attempt++) {
    try {
      return await startOnce(stack, server, program);
    } catch (error) {
      if (!(error instanceof NotReady)) throw error;
      const failure = await startError(stack, server, error);
      // Somebody took the port after we had looked: others may start stacks at this very moment.
      if (attempt < starts && (await settlePorts(stack, server))) continue;
      throw failure;
    }
  }
}

async function bringUpServer(stack: NativeStack, server: Server): Promise<void> {
  const { place, shelf } = stack;
  const pidFile = place.pidFile(server.name);
  const site = siteOf(stack, server);
  const ports = (): string => `on port ${stack.ports.current()[server.name]}`;

  const running = await findRunning(pidFile);
  if (running !== undefined) {
    if (await isAnswering(stack, server, running)) return say(stack, server, `already running ${ports()}`);
    say(stack, server, 'runs but does not answer: stopping it');
    await stop(pidFile, server.stopGraceMs);
  }
  const program = await programFor(stack, server);
  const data = dataFolder(site.folder);
  // `down` removes the pid file: one that names nobody is of a server that ended by itself, or was killed.
  const died = existsSync(pidFile);
  await mkdir(site.folder, { recursive: true, mode: 0o700 });
  if (server.initialise !== undefined) {
    await makeFolder(data, async (draft, pidFile) => {
      await server.initialise?.(program, site, draft, { log: `${site.log}.first`, pidFile, signal: shelf.signal });
    });
  }
  const from = Date.now();
  say(stack, server, died ? 'it had died: starting it again' : 'starting');
  stack.started.add(server.name);
  const version = (await start(stack, server, program)) ?? program.version;
  requireSupported(server, version, 'running');
  const took = ((Date.now() - from) / 1000).toFixed(1);
  say(stack, server, `ready: ${titles[server.name]} ${describeVersion(version)} ${ports()} (${took} s)`);
}

/** Brings up the named servers together. When one fails, the others are left to be stopped by the caller. */
export async function bringUpNative(stack: NativeStack, names: readonly ServerName[]): Promise<void> {
  await mkdir(stack.place.logs, { recursive: true, mode: 0o700 });
  await Promise.all(names.map(async (name) => await bringUpServer(stack, servers[name])));
}

/** Stops the named servers, all at once; says what became of each. */
export async function stopNative(
  place: Place,
  names: readonly ServerName[],
  say: (name: ServerName, text: string) => void,
): Promise<void> {
  await Promise.all(
    names.map(async (name) => {
      const from = Date.now();
      await stop(fillerPidFile(dataFolder(place.server(name))), 0);
      const ending = await stop(place.pidFile(name), servers[name].stopGraceMs);
      if (ending !== 'was not running') say(name, `${ending} (${((Date.now() - from) / 1000).toFixed(1)} s)`);
    }),
  );
}
