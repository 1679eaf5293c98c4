/**
 * Where things lie. A stack is one state folder: ports, secrets, data and logs of its five servers. What was downloaded or
 * built lies in a cache that all stacks share.
 */
import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { ServerName } from './server-name.js';

/** The folder of lockstep itself: the nearest one above this file with a package.json (this file may run from dist/). */
export function packageRoot(from: string = import.meta.dirname): string {
  let folder = from;
  while (!existsSync(join(folder, 'package.json'))) {
    const above = dirname(folder);
    if (above === folder) return from;
    folder = above;
  }
  return folder;
}

export function cacheFolder(env: NodeJS.ProcessEnv = process.env): string {
  const named = env['LOCKSTEP_CACHE'];
  return named === undefined || named === '' ? join(packageRoot(), '.cache') : resolve(named);
}

export const defaultRoot = '.lockstep';

export interface Place {
  readonly root: string;
  readonly lock: string;
  readonly state: string;
  readonly secrets: string;
  readonly logs: string;
  readonly composeEnv: string;
  readonly guardPid: string;
  readonly guardLog: string;
  /** Own folder of a server: its data, configuration files and pid file. */
  readonly server: (name: ServerName) => string;
  readonly pidFile: (name: ServerName) => string;
  readonly log: (name: ServerName) => string;
}

export function placeOf(root: string): Place {
  const folder = resolve(root);
  const logs = join(folder, 'log');
  return {
    root: folder,
    lock: join(folder, 'lock'),
    state: join(folder, 'stack.json'),
    secrets: join(folder, 'secrets.json'),
    logs,
    composeEnv: join(folder, 'compose.env'),
    guardPid: join(folder, 'guard.pid'),
    guardLog: join(logs, 'guard.log'),
    server: (name) => join(folder, name),
    pidFile: (name) => join(folder, name, 'pid'),
    log: (name) => join(logs, `${name}.log`),
  };
}
