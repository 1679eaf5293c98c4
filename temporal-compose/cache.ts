/** The folder that all stacks share: what was downloaded or built, each under a name with its version. */
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { RunOptions } from './command.js';
import { makeFolder } from './folder.js';
import { withLock } from './lock.js';
import type { Shelf } from './server.js';

/**
 * The folder `name` in the cache, filled now if it is not there. Two set-ups at once fill it once: the second waits.
 * @param fill gets the folder to fill and what to give to every program it runs.
 * @param what what filling means to a person, with how long it takes: "building Temporal (about 3 min, once)".
 */
export async function obtain(
  shelf: Shelf,
  subject: string,
  name: string,
  what: string,
  fill: (draft: string, running: RunOptions) => Promise<void>,
): Promise<string> {
  const path = join(shelf.cache, name);
  if (existsSync(path)) return path;
  await mkdir(shelf.cache, { recursive: true });
  const onWait = (owner: number): void => shelf.progress.line(subject, `process ${owner} is ${what}; waiting for it`);
  await withLock(`${path}.lock`, { signal: shelf.signal, onWait }, async () => {
    if (existsSync(path)) return;
    const log = join(shelf.cache, 'log', `${name}.log`);
    await shelf.progress.during(subject, what, async () => {
      await makeFolder(path, async (draft, pidFile) => await fill(draft, { log, pidFile, signal: shelf.signal }));
    });
  });
  return path;
}
