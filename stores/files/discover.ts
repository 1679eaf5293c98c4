/** What the user named → the files to load: patterns, archives with several entries, formats told by name and first bytes. */
import { open } from 'node:fs/promises';
import { resolve } from 'node:path';
import { glob, isDynamicPattern } from 'tinyglobby';
import { LockstepError } from '../../core/errors.js';
import type { Compression, IngestFormat } from '../../core/ingest.js';
import { fileFailure, identityOf, type ContentSource } from './content.js';
import { zipEntries } from './zip.js';

export interface FoundFile extends ContentSource {
  /** As its name and its first bytes say; null when they say nothing. */
  readonly format: IngestFormat | null;
  /** `.tsv`: fields are separated by tabs. */
  readonly tabs: boolean;
}

/** Files for names and patterns, each name in its order, the matches of a pattern in the order of their names. */
export async function discover(named: readonly string[]): Promise<readonly FoundFile[]> {
  const found: FoundFile[] = [];
  for (const name of named) {
    for (const path of await pathsOf(name)) found.push(...(await filesAt(path)));
  }
  return found;
}

async function pathsOf(name: string): Promise<readonly string[]> {
  if (!isDynamicPattern(name)) return [resolve(name)];
  // A file whose name holds a `*` or `[` is that file.
  const literal = resolve(name);
  const exists = await identityOf(literal).then(
    () => true,
    () => false,
  );
  if (exists) return [literal];
  const matches = await glob(name, { absolute: true, onlyFiles: true, expandDirectories: false });
  if (matches.length > 0) return matches.sort();
  throw new LockstepError('LS-INGEST-FILE-MISSING', `no file matches ${name}`);
}

async function filesAt(path: string): Promise<readonly FoundFile[]> {
  const head = await firstBytes(path);
  const compression = compressionOf(head);
  if (compression !== 'zip') {
    const inner = path.replace(/\.(?:gz|gzip|zst|zstd)$/i, '');
    return [{ path, entry: null, compression, ...formOf(inner, compression === 'none' ? head : null, path) }];
  }
  const entries = await zipEntries(path).catch((error: unknown) => {
    throw fileFailure(error, path);
  });
  if (entries.length === 0) throw new LockstepError('LS-INGEST-FILE-FORM', `${path} holds no file`);
  return entries.map((entry) => ({ path, entry, compression, ...formOf(entry, null, `${path}: ${entry}`) }));
}

async function firstBytes(path: string): Promise<Buffer> {
  const handle = await open(path, 'r').catch((error: unknown) => {
    throw fileFailure(error, path);
  });
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(4096), 0, 4096, 0);
    return buffer.subarray(0, bytesRead);
  } catch (error) {
    throw fileFailure(error, path);
  } finally {
    await handle.close();
  }
}

/** By what the bytes say, not by the name: a file without its `.gz` is still one. */
function compressionOf(head: Buffer): Compression {
  if (head[0] === 0x1f && head[1] === 0x8b) return 'gzip';
  if (head.length >= 4 && head.readUInt32LE(0) === 0xfd2fb528) return 'zstd';
  if (head.length >= 4 && head.readUInt32BE(0) === 0x504b0304) return 'zip';
  return 'none';
}

function formOf(name: string, head: Buffer | null, shown: string): { format: IngestFormat | null; tabs: boolean } {
  if (/\.parquet$/i.test(name) || head?.toString('latin1', 0, 4) === 'PAR1') return { format: 'parquet', tabs: false };
  if (/\.(?:tsv|tab)$/i.test(name)) return { format: 'csv', tabs: true };
  if (/\.(?:csv|txt)$/i.test(name)) return { format: 'csv', tabs: false };
  if (/\.(?:ndjson|jsonl|json)$/i.test(name)) {
    if (head !== null) refuseArray(head, shown);
    return { format: 'ndjson', tabs: false };
  }
  return { format: head?.toString('latin1').trimStart().startsWith('{') === true ? 'ndjson' : null, tabs: false };
}

function refuseArray(head: Buffer, shown: string): void {
  if (!head.toString('latin1').replace('\u00ef\u00bb\u00bf', '').trimStart().startsWith('[')) return;
  const message = `${shown} is one JSON array: what can be loaded has one object a line (jq -c '.[]' makes it)`;
  throw new LockstepError('LS-INGEST-FILE-FORM', message);
}
