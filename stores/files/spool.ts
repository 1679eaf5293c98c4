/**
 * Standard input kept in a file, so that an ingest of it can be resumed and verified. Its name is its content: the same input
 * twice is one file, and an input that was cut off leaves none behind.
 */
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, open, readdir, rename, rm, stat, utimes, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { LockstepError } from '../../core/errors.js';

const dayMs = 86_400_000;
/** An input that nobody asked for in so long is not taken up again. */
const keptMs = 30 * dayMs;

/** Returns the file's path. `onRead`: bytes kept so far. */
export async function spool(
  input: AsyncIterable<Buffer>,
  folder: string,
  onRead: (bytes: number) => void,
): Promise<string> {
  const part = join(folder, `${randomUUID()}.part`);
  try {
    await mkdir(folder, { recursive: true });
    const handle = await open(part, 'wx');
    let name: string;
    try {
      name = await copy(input, handle, onRead);
      await handle.sync();
    } finally {
      await handle.close();
    }
    const path = join(folder, `${name}.spool`);
    const there = await stat(path, { bigint: true }).catch(() => null);
    if (there === null) {
      // A whole second: the only time that can be given back to the nanosecond.
      const now = new Date(Math.floor(Date.now() / 1000) * 1000);
      await utimes(part, now, now);
      await rename(part, path);
    } else {
      // It keeps the time of its content, by which a running ingest knows it; the other one says that it is asked for.
      if (there.mtimeNs % 1_000_000_000n === 0n) await utimes(path, new Date(), there.mtime);
      await rm(part);
    }
    await forgetOld(folder, path, Date.now());
    return path;
  } catch (error) {
    // Whether the rest can be removed does not matter: what broke is told, and a part is never read.
    await rm(part, { force: true }).catch(() => undefined);
    throw spoolFailure(error, folder);
  }
}

async function copy(
  input: AsyncIterable<Buffer>,
  handle: FileHandle,
  onRead: (bytes: number) => void,
): Promise<string> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const piece of input) {
    hash.update(piece);
    await handle.writeFile(piece);
    bytes += piece.length;
    onRead(bytes);
  }
  return hash.digest('hex').slice(0, 32);
}

/** Old inputs, and parts that a killed command left behind. What cannot be removed is for the next call. */
async function forgetOld(folder: string, kept: string, now: number): Promise<void> {
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    const limit = name.endsWith('.part') ? dayMs : name.endsWith('.spool') ? keptMs : Infinity;
    const found = path === kept || limit === Infinity ? null : await stat(path).catch(() => null);
    if (found === null || now - Math.max(found.atimeMs, found.mtimeMs) < limit) continue;
    await rm(path, { force: true }).catch(() => undefined);
  }
}

function spoolFailure(error: unknown, folder: string): LockstepError {
  if (error instanceof LockstepError) return error;
  const why = error instanceof Error ? error.message : String(error);
  return new LockstepError('LS-INGEST-SPOOL', `standard input could not be kept in ${folder}: ${why}`, {
    cause: error,
  });
}
