/**
 * Running a program to its end: fetching, building, initialising. What it prints goes to a log file; a failure shows the
 * last lines of it and names the file.
 */
import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type ErrorCode, LockstepError } from '../core/errors.js';

export type CommandLine = readonly [program: string, ...args: string[]];

export interface RunOptions {
  readonly cwd?: string | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Where the process writes who it is, so that it can be ended even when we were killed meanwhile. */
  readonly pidFile?: string | undefined;
  /** Where its output goes; added to. */
  readonly log?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number | undefined;
  /** The code of the error when it fails. */
  readonly failure?: ErrorCode | undefined;
}

/** `exec` keeps pid and start time, so what the shell says about itself stays true of what it becomes. */
const naming = `umask 077
ulimit -n 65536 2>/dev/null || ulimit -n "$(ulimit -Hn)" 2>/dev/null
pidfile=$1
shift
{
  echo $$
  if [ -r /proc/$$/stat ]; then cat /proc/sys/kernel/random/boot_id /proc/$$/stat; else ps -o lstart= -p $$; fi
} >"$pidfile.new" && mv "$pidfile.new" "$pidfile" && exec "$@"`;

/**
 * The command, run by a shell that first writes a pid file about itself and then becomes the command: killed at any
 * instruction, we leave no process that nobody knows of.
 */
export function named(command: CommandLine, pidFile: string): CommandLine {
  return ['/bin/sh', '-c', naming, 'lockstep', pidFile, ...command];
}

const shownLines = 12;

/** The last lines of a text, indented, as part of an error message. */
export function lastLines(text: string, count = shownLines): string {
  const lines = text.trimEnd().split('\n');
  return lines
    .slice(-count)
    .map((line) => `    ${line.slice(0, 400)}`)
    .join('\n');
}

export async function lastLinesOf(file: string, count = shownLines): Promise<string> {
  return lastLines(await readFile(file, 'utf8').catch(() => '(no log)'), count);
}

export interface Printed {
  readonly stdout: string;
  /** stdout and stderr together. */
  readonly all: string;
}

/** Runs a command to its end and returns what it printed. */
export async function run(command: CommandLine, options: RunOptions = {}): Promise<Printed> {
  options.signal?.throwIfAborted();
  const [program, ...args] = options.pidFile === undefined ? command : named(command, options.pidFile);
  const failure = options.failure ?? 'LS-STACK-START';
  if (options.log !== undefined) await mkdir(dirname(options.log), { recursive: true });
  const log = options.log === undefined ? undefined : createWriteStream(options.log, { flags: 'a', mode: 0o600 });
  log?.write(`$ ${command.join(' ')}\n`);
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const stdout: Buffer[] = [];
  const all: Buffer[] = [];
  const take = (chunk: Buffer): void => {
    all.push(chunk);
    log?.write(chunk);
  };
  child.stdout.on('data', (chunk: Buffer) => void stdout.push(chunk));
  child.stdout.on('data', take);
  child.stderr.on('data', take);
  let late = false;
  const stop = (): void => void child.kill('SIGTERM');
  const timer =
    options.timeoutMs === undefined
      ? undefined
      : setTimeout(() => {
          late = true;
          child.kill('SIGKILL');
        }, options.timeoutMs);
  options.signal?.addEventListener('abort', stop, { once: true });
  try {
    const ending = await new Promise<string | undefined>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => resolve(code === 0 ? undefined : `ended with ${code ?? signal}`));
    });
    options.signal?.throwIfAborted();
    const text = Buffer.concat(all).toString('utf8');
    if (ending === undefined) return { stdout: Buffer.concat(stdout).toString('utf8'), all: text };
    const how = late ? `took longer than ${options.timeoutMs} ms` : ending;
    const where = options.log === undefined ? '' : ` (whole log: ${options.log})`;
    throw new LockstepError(failure, `${command[0]} ${how}${where}\n${lastLines(text)}`);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') {
      throw new LockstepError('LS-STACK-TOOL', `${command[0]} cannot be run: no such program`, { cause: error });
    }
    throw error;
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener('abort', stop);
    log?.end();
  }
}

const fetchTries = 3;

/** `run` for what goes over a network: a failure may be the network's and is tried again. */
export async function runFetch(command: CommandLine, options: RunOptions): Promise<Printed> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await run(command, { ...options, failure: 'LS-STACK-FETCH' });
    } catch (error) {
      const again = error instanceof LockstepError && error.code === 'LS-STACK-FETCH' && attempt < fetchTries;
      if (!again) throw error;
      await pause(attempt * 1000, undefined, options.signal === undefined ? {} : { signal: options.signal });
    }
  }
}
