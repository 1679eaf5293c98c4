/**
 * A folder that exists whole or not at all. It is filled under another name and renamed at the end, so a download, an
 * unpacking or an initialisation that was killed half-way leaves nothing that looks finished.
 */
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, lstat, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { stop } from './launch.js';

const draftMark = '.new-';

/** Where a process that fills `path` says who it is. */
export function fillerPidFile(path: string): string {
  return `${path}.pid`;
}

/**
 * Makes `path` by `fill`, unless it is there. The caller holds a lock on it: drafts that lie beside it are leftovers of
 * killed attempts and are removed, after what still fills them was ended (mysqld spins when its folder goes away).
 * `fill` names the pid file when it runs a program.
 */
export async function makeFolder(path: string, fill: (draft: string, pidFile: string) => Promise<void>): Promise<void> {
  if (existsSync(path)) return;
  await stop(fillerPidFile(path), 0);
  const parent = dirname(path);
  const prefix = `${basename(path)}${draftMark}`;
  await mkdir(parent, { recursive: true });
  for (const name of await readdir(parent)) {
    if (name.startsWith(prefix)) await removeFolder(join(parent, name));
  }
  const draft = join(parent, `${prefix}${randomUUID().slice(0, 8)}`);
  await mkdir(draft, { mode: 0o700 });
  try {
    await fill(draft, fillerPidFile(path));
    await rm(fillerPidFile(path), { force: true });
    await rename(draft, path);
  } catch (error) {
    await removeFolder(draft);
    throw error;
  }
}

/** Removes a folder, read-only folders inside it included (Debian packages and Go bring such). */
export async function removeFolder(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true, maxRetries: 3, retryDelay: 100 });
  } catch {
    await makeWritable(path);
    await rm(path, { recursive: true, force: true, maxRetries: 3, retryDelay: 100 });
  }
}

async function makeWritable(path: string): Promise<void> {
  const stat = await lstat(path);
  if (!stat.isDirectory()) return;
  await chmod(path, 0o700);
  for (const name of await readdir(path)) await makeWritable(join(path, name));
}
