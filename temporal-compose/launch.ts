/**
 * Starting a server so that it outlives us, knowing it again later, and ending it. The process that becomes the server
 * writes its pid file itself, before it does.
 */
import { spawn } from 'node:child_process';
import { mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type CommandLine, named } from './command.js';
import { type Identity, isRunning, parsePidFile } from './identity.js';

export interface Launch {
  readonly command: CommandLine;
  /** The folder it runs in; its relative paths start here. */
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Configuration files it reads, by name inside `cwd`; they may hold secrets and are written with mode 0600. */
  readonly files?: Readonly<Record<string, string>>;
}

/** Variables that would change how a server behaves behind our back. */
function cleanEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !/^(NODE_|VITEST|TEMPORAL_|MYSQL_)/.test(name)));
}

export async function startDetached(launch: Launch, pidFile: string, log: string): Promise<Identity> {
  await mkdir(launch.cwd, { recursive: true, mode: 0o700 });
  await mkdir(dirname(log), { recursive: true, mode: 0o700 });
  await rm(pidFile, { force: true });
  // The log of one run, so that its last lines are about this start; the run before stays beside it.
  await rename(log, `${log}.1`).catch(() => undefined);
  for (const [name, text] of Object.entries(launch.files ?? {})) {
    await rm(join(launch.cwd, name), { force: true });
    await writeFile(join(launch.cwd, name), text, { mode: 0o600 });
  }
  const output = await open(log, 'a', 0o600);
  try {
    const [program, ...args] = named(launch.command, pidFile);
    const child = spawn(program, args, {
      cwd: launch.cwd,
      env: { ...cleanEnvironment(process.env), ...launch.env },
      detached: true,
      stdio: ['ignore', output.fd, output.fd],
    });
    await new Promise<void>((resolve, reject) => {
      child.once('error', reject);
      child.once('spawn', resolve);
    });
    child.unref();
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    return await identityWritten(pidFile, ended);
  } finally {
    await output.close();
  }
}

async function identityWritten(pidFile: string, ended: Promise<void>): Promise<Identity> {
  let over = false;
  void ended.then(() => (over = true));
  for (;;) {
    const identity = await readIdentity(pidFile);
    if (identity !== undefined) return identity;
    if (over) throw new Error(`the shell that starts a server ended before it wrote ${pidFile}`);
    await pause(5);
  }
}

async function readIdentity(pidFile: string): Promise<Identity | undefined> {
  return parsePidFile(await readFile(pidFile, 'utf8').catch(() => ''));
}

/** The server a pid file names, if that very process still runs. */
export async function findRunning(pidFile: string): Promise<Identity | undefined> {
  const identity = await readIdentity(pidFile);
  return identity !== undefined && (await isRunning(identity)) ? identity : undefined;
}

const lookEveryMs = 20;

async function waitGone(identity: Identity, timeoutMs: number): Promise<boolean> {
  for (const deadline = Date.now() + timeoutMs; Date.now() < deadline;) {
    if (!(await isRunning(identity))) return true;
    await pause(lookEveryMs);
  }
  return false;
}

function send(identity: Identity, signal: 'SIGTERM' | 'SIGKILL'): void {
  try {
    process.kill(identity.pid, signal);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

export type Ending = 'was not running' | 'stopped' | 'killed';

/** Asks the server to stop, waits, and kills it if it does not. Never signals a process that only has its old pid. */
export async function stop(pidFile: string, graceMs: number): Promise<Ending> {
  const identity = await findRunning(pidFile);
  let ending: Ending = 'was not running';
  if (identity !== undefined) {
    send(identity, 'SIGTERM');
    ending = (await waitGone(identity, graceMs)) ? 'stopped' : 'killed';
    if (ending === 'killed' && (await isRunning(identity))) {
      send(identity, 'SIGKILL');
      await waitGone(identity, 10_000);
    }
  }
  await rm(pidFile, { force: true });
  return ending;
}
