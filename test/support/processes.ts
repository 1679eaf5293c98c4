/** bin/lockstep as real processes: commands that end, workers that run until they are killed. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { packageRoot } from '../../temporal-compose/place.js';

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly ms: number;
}

export interface WorkerProcess {
  readonly pid: number;
  /** Everything it wrote so far. */
  log(): string;
  running(): boolean;
  /** SIGKILL, and waits until it is gone. */
  kill(): Promise<void>;
  /** SIGTERM; the exit code, or null when a signal ended it. */
  stop(): Promise<number | null>;
  /** SIGSTOP and SIGCONT: a process that hangs and comes back. */
  freeze(): void;
  thaw(): void;
}

const command = join(packageRoot(), 'bin', 'lockstep');

export async function runCommand(
  args: readonly string[],
  options: {
    readonly cwd: string;
    readonly env?: NodeJS.ProcessEnv;
    readonly timeoutMs?: number;
    readonly input?: Buffer;
    /** SIGKILL. */
    readonly kill?: AbortSignal;
    /** What a shell does first, such as `ulimit -f 8`. */
    readonly first?: string;
  },
): Promise<CommandResult> {
  const started = performance.now();
  const plain = [command, ...args] as const;
  const [program, ...rest] =
    options.first === undefined ? plain : ['bash', '-c', `${options.first}; exec "$@"`, 'bash', ...plain];
  const child = spawn(program, rest, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  // A command that reads nothing may be gone before its input is.
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.input);
  options.kill?.addEventListener('abort', () => child.kill('SIGKILL'), { once: true });
  const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)];
  const timer = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? 100_000);
  const code = await ended(child);
  clearTimeout(timer);
  return { code: code ?? -1, stdout: stdout(), stderr: stderr(), ms: performance.now() - started };
}

export function spawnWorker(
  args: readonly string[],
  options: { readonly cwd: string; readonly env?: NodeJS.ProcessEnv },
): WorkerProcess {
  const profiles = process.env['BENCH_PROFILE'];
  const [program, ...first] =
    profiles === undefined
      ? ([command] as const)
      : ([process.execPath, '--cpu-prof', `--cpu-prof-dir=${profiles}`, command] as const);
  const child = spawn(program, [...first, ...args], {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)];
  const exit = ended(child);
  if (child.pid === undefined) throw new Error('the worker did not start');
  return {
    pid: child.pid,
    log: () => stdout() + stderr(),
    running: () => child.exitCode === null && child.signalCode === null,
    async kill() {
      child.kill('SIGKILL');
      await exit;
    },
    async stop() {
      child.kill('SIGTERM');
      return await exit;
    },
    freeze: () => void child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT'),
  };
}

async function ended(child: ChildProcess): Promise<number | null> {
  return await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code));
  });
}

function collect(stream: NodeJS.ReadableStream): () => string {
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  return () => Buffer.concat(chunks).toString();
}

/** Polls until the condition holds; fails with what it waited for. */
export async function until(
  what: string,
  condition: () => Promise<boolean> | boolean,
  { timeoutMs = 30_000, everyMs = 50 }: { timeoutMs?: number; everyMs?: number } = {},
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
