/**
 * Standard input kept in a file, so that an ingest of it can be resumed and verified. Its name is its content: the same input
 * twice is one file, and an input that was cut off leaves none behind.
 */
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, open, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { LockstepError } from '../../core/errors.js';

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
    // The file that is there already keeps its time, by which a running ingest knows it.
    if (await exists(path)) await rm(part);
    else await rename(part, path);
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

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

function spoolFailure(error: unknown, folder: string): LockstepError {
  if (error instanceof LockstepError) return error;
  const why = error instanceof Error ? error.message : String(error);
  return new LockstepError('LS-INGEST-SPOOL', `standard input could not be kept in ${folder}: ${why}`, {
    cause: error,
  });
}
