/** The demo's worker processes: started as an operator would, killed as a machine would. */
import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { packageRoot } from '../temporal-compose/place.js';
import type { WorkerView } from './view.js';

export interface Workers {
  start(): number;
  /** SIGKILL: no goodbye to anyone. */
  kill(pid: number): void;
  view(): readonly WorkerView[];
  pids(): readonly number[];
  /** A worker that ended by itself is a failure of the demo. */
  died(): string | undefined;
  /** SIGTERM, and SIGKILL for what has not ended after ten seconds. */
  stop(): Promise<void>;
  /** Lets them live on when the demo ends. */
  release(): void;
}

/** Ends workers that an earlier demo was told to leave: their servers are about to be replaced. */
export function endLeftovers(configFile: string): void {
  const file = join(dirname(configFile), keptFile);
  if (!existsSync(file)) return;
  for (const pid of JSON.parse(readFileSync(file, 'utf8')) as number[]) {
    // The number may belong to somebody else by now.
    const command = spawnSync('ps', ['-o', 'args=', '-p', String(pid)], { encoding: 'utf8' }).stdout;
    if (command.includes(configFile)) process.kill(pid, 'SIGKILL');
  }
  rmSync(file);
}

const keptFile = 'workers.json';

interface Worker {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly log: string;
  readonly late: boolean;
  killed: boolean;
}

/** Each worker writes a log of its own. */
export function openWorkers(configFile: string, logs: string): Workers {
  const all: Worker[] = [];
  const alive = ({ child }: Worker): boolean => child.exitCode === null && child.signalCode === null;
  let anyKilled = false;
  mkdirSync(logs, { recursive: true });
  return {
    start() {
      const log = join(logs, `worker-${all.length + 1}.log`);
      const file = openSync(log, 'w', 0o600);
      const command = join(packageRoot(), 'bin', 'lockstep');
      const child = spawn(command, ['worker', '-c', configFile], {
        // Apart from the terminal: Ctrl-C reaches the demo, which then ends them in order.
        detached: true,
        stdio: ['ignore', file, file],
      });
      closeSync(file);
      if (child.pid === undefined) throw new Error(`the worker did not start; see ${log}`);
      all.push({ child, pid: child.pid, log, late: anyKilled, killed: false });
      return child.pid;
    },
    kill(pid) {
      const worker = all.find((w) => w.pid === pid && alive(w));
      if (worker === undefined) return;
      worker.killed = anyKilled = true;
      worker.child.kill('SIGKILL');
    },
    view: () => all.map(({ pid, killed, late }) => ({ pid, state: killed ? 'killed' : late ? 'new' : 'running' })),
    pids: () => all.filter(alive).map(({ pid }) => pid),
    died() {
      const worker = all.find((w) => !w.killed && !alive(w));
      return worker === undefined ? undefined : `worker ${worker.pid} ended by itself; its log: ${worker.log}`;
    },
    async stop() {
      await Promise.all(all.filter(alive).map(async ({ child }) => await end(child)));
    },
    release() {
      writeFileSync(join(dirname(configFile), keptFile), JSON.stringify(all.filter(alive).map(({ pid }) => pid)));
      for (const { child } of all) child.unref();
    },
  };
}

async function end(child: ChildProcess): Promise<void> {
  const gone = new Promise<void>((resolve) => void child.once('close', () => resolve()));
  const timer = setTimeout(() => child.kill('SIGKILL'), 10_000);
  child.kill('SIGTERM');
  await gone;
  clearTimeout(timer);
}
