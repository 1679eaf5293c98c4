/**
 * One owner at a time for a folder, across processes. The lock is a file that names its owner; an owner that no longer
 * runs holds nothing, so a killed set-up never blocks the next one.
 */
import { randomUUID } from 'node:crypto';
import { link, readFile, rename, rm, unlink, writeFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { type Identity, identify, isRunning } from './identity.js';

const retryEveryMs = 100;

function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

function parseOwner(text: string): Identity | undefined {
  const [pid, ...started] = text.trim().split(' ');
  return Number(pid) > 0 && started.length > 0 ? { pid: Number(pid), started: started.join(' ') } : undefined;
}

/** Undefined when the lock is ours, else the text of the lock that stands. `link` makes a file appear whole or not at all. */
async function tryAcquire(path: string, mine: string): Promise<string | undefined> {
  const draft = `${path}.${randomUUID()}`;
  await writeFile(draft, mine, { mode: 0o600 });
  try {
    await link(draft, path);
    return undefined;
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error;
    return await readFile(path, 'utf8').catch(() => '');
  } finally {
    await unlink(draft);
  }
}

/**
 * Removes a lock whose owner has ended. Two waiters may see the same stale lock: each moves it aside under a name of its
 * own first and puts it back if it was, after all, somebody's new lock.
 */
async function removeStale(path: string, seen: string): Promise<void> {
  const aside = `${path}.${randomUUID()}`;
  try {
    await rename(path, aside);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return;
    throw error;
  }
  if ((await readFile(aside, 'utf8')) !== seen) await link(aside, path).catch(() => undefined);
  await unlink(aside);
}

export interface LockOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called once when another process holds the lock. */
  readonly onWait?: ((owner: number) => void) | undefined;
}

/** Runs `body` while this process alone holds `path`; waits as long as the present owner runs. */
export async function withLock<T>(path: string, options: LockOptions, body: () => Promise<T>): Promise<T> {
  const self = await identify(process.pid);
  // The last part tells two holders inside one process apart.
  const mine = `${process.pid} ${self?.started ?? 'unknown'} ${randomUUID()}`;
  let told = false;
  for (;;) {
    options.signal?.throwIfAborted();
    const standing = await tryAcquire(path, mine);
    if (standing === undefined) break;
    const text = parseOwner(standing.replace(/ [^ ]+$/, ''));
    if (standing !== '' && (text === undefined || !(await isRunning(text)))) {
      await removeStale(path, standing);
      continue;
    }
    if (!told && text !== undefined) {
      told = true;
      options.onWait?.(text.pid);
    }
    await pause(retryEveryMs, undefined, options.signal === undefined ? {} : { signal: options.signal });
  }
  try {
    return await body();
  } finally {
    await rm(path, { force: true });
  }
}
