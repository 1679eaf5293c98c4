/**
 * The servers that store, workflow and e2e tests run against; tests get their addresses by `inject('stack')`.
 * One stack serves all projects of a run, in a state folder of its own, and is gone afterwards. Two variables change that:
 * LOCKSTEP_TEST_STACK names a file of `up --json`: those servers are used, none are started;
 * LOCKSTEP_TEST_KEEP=1 (`npm test -- --keep`) uses one fixed state folder and leaves its servers running.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { packageRoot } from '../../temporal-compose/place.js';
import { down, type Stack, up } from '../../temporal-compose/stack.js';

declare module 'vitest' {
  export interface ProvidedContext {
    stack: Stack;
  }
}

interface Shared {
  readonly stack: Promise<Stack>;
  readonly stop: () => Promise<void>;
  users: number;
}

/** Vitest loads this file once a project; what the projects share can only lie outside its modules. */
const shared = globalThis as typeof globalThis & { lockstepTestStack?: Shared };

const states = join(packageRoot(), '.lockstep');
const say = (line: string): void => void process.stderr.write(`${line}\n`);

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const named = process.env['LOCKSTEP_TEST_STACK'];
  if (named !== undefined && named !== '') {
    project.provide('stack', JSON.parse(await readFile(named, 'utf8')) as Stack);
    return () => Promise.resolve();
  }
  const mine = (shared.lockstepTestStack ??= start());
  mine.users += 1;
  project.provide('stack', await mine.stack);
  return async () => {
    mine.users -= 1;
    if (mine.users === 0) await mine.stop();
  };
}

function start(): Shared {
  if (process.env['LOCKSTEP_TEST_KEEP'] === '1') {
    const root = join(states, 'test');
    const stop = (): Promise<void> => {
      say(`the servers keep running; to stop them: bin/lockstep down --wipe --dir ${root}`);
      return Promise.resolve();
    };
    return { stack: up({ root, ports: 'free', onProgress: say }), stop, users: 0 };
  }
  const root = join(states, `test-${process.pid}`);
  const options = { root, ports: 'free', fresh: true, owner: process.pid, onProgress: say } as const;
  const stack = removeLeftovers().then(async () => await up(options));
  return { stack, stop: async () => await down({ root, wipe: true, onProgress: say }), users: 0 };
}

/** Servers of killed test runs, in case even their guards were killed. */
async function removeLeftovers(): Promise<void> {
  for (const name of await readdir(states).catch(() => [])) {
    const pid = /^test-(\d+)$/.exec(name)?.[1];
    if (pid !== undefined && !isAlive(Number(pid)))
      await down({ root: join(states, name), wipe: true, onProgress: say });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
