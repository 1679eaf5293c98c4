/**
 * The content of a source as a stream of bytes: decompressed, in UTF-8, from any byte on. Whatever is damaged on the way there
 * is LS-INGEST-FILE-BROKEN, and a file that is not the planned one any more LS-INGEST-FILE-CHANGED.
 */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { LockstepError } from '../../core/errors.js';
import type { Compression, SourceFile } from '../../core/ingest.js';
import { zipEntry } from './zip.js';
import { unzstd } from '../zstd.js';

export interface ContentSource {
  readonly path: string;
  readonly entry: string | null;
  readonly compression: Compression;
}

const pieceBytes = 256 * 1024;

/** From byte `from` of the content on. Only plain UTF-8 files can be entered in the middle; others are read up to there. */
export async function* contentOf(source: ContentSource, encoding: string, from: number): AsyncGenerator<Buffer> {
  const plain = source.compression === 'none' && isUtf8Label(encoding);
  const raw = plain ? pieces(source, from) : skipped(decoded(pieces(source, 0), encoding, source.path), from);
  try {
    yield* raw;
  } catch (error) {
    throw fileFailure(error, source.path);
  }
}

async function* pieces(source: ContentSource, start: number): AsyncGenerator<Buffer> {
  if (source.compression === 'zstd') {
    yield* unzstd(createReadStream(source.path, { highWaterMark: pieceBytes }));
    return;
  }
  const stream = await opened(source, start);
  try {
    for await (const piece of stream) yield piece as Buffer;
  } finally {
    stream.destroy();
  }
}

async function opened(source: ContentSource, start: number): Promise<Readable> {
  if (source.compression === 'zip') return zipEntry(source.path, source.entry ?? '');
  const file = createReadStream(source.path, { highWaterMark: pieceBytes, start });
  if (source.compression === 'none') return file;
  const gunzip = createGunzip({ chunkSize: pieceBytes });
  file.on('error', (error) => gunzip.destroy(error));
  gunzip.on('close', () => file.destroy());
  return file.pipe(gunzip);
}

async function* skipped(bytes: AsyncIterable<Buffer>, count: number): AsyncGenerator<Buffer> {
  let left = count;
  for await (const piece of bytes) {
    if (left >= piece.length) left -= piece.length;
    else {
      yield left === 0 ? piece : piece.subarray(left);
      left = 0;
    }
  }
}

/** Text of another encoding becomes UTF-8 on the way; bytes that are none of its characters are refused. */
async function* decoded(bytes: AsyncIterable<Buffer>, encoding: string, path: string): AsyncGenerator<Buffer> {
  if (isUtf8Label(encoding)) {
    yield* bytes;
    return;
  }
  const decoder = new TextDecoder(encoding, { fatal: true });
  try {
    for await (const piece of bytes) {
      const text = decoder.decode(piece, { stream: true });
      if (text !== '') yield Buffer.from(text);
    }
    const rest = decoder.decode();
    if (rest !== '') yield Buffer.from(rest);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    const message = `${path} is not text in ${encoding}: --encoding says what it is`;
    throw new LockstepError('LS-INGEST-FILE-FORM', message, { cause: error });
  }
}

export function isUtf8Label(encoding: string): boolean {
  return new TextDecoder(encoding).encoding === 'utf-8';
}

/** Size and time on disk, by which a changed file is noticed. */
export async function identityOf(path: string): Promise<Pick<SourceFile, 'size' | 'mtimeNs'>> {
  try {
    const { size, mtimeNs } = await stat(path, { bigint: true });
    return { size: Number(size), mtimeNs: String(mtimeNs) };
  } catch (error) {
    throw fileFailure(error, path);
  }
}

export async function proveUnchanged(file: Pick<SourceFile, 'path' | 'size' | 'mtimeNs'>): Promise<void> {
  const now = await identityOf(file.path);
  if (now.size !== file.size || now.mtimeNs !== file.mtimeNs) throw changed(file.path);
}

export function changed(path: string): LockstepError {
  return new LockstepError('LS-INGEST-FILE-CHANGED', `${path} is not the file that the ingest began with`);
}

export function fileFailure(error: unknown, path: string): LockstepError {
  if (error instanceof LockstepError) return error;
  if (!(error instanceof Error)) return new LockstepError('LS-INGEST-FILE-BROKEN', `${path}: ${String(error)}`);
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return new LockstepError('LS-INGEST-FILE-MISSING', `${path} is not there`);
    case 'EACCES':
    case 'EPERM':
      return new LockstepError('LS-INGEST-FILE-MISSING', `${path} may not be read`);
    case 'EISDIR':
      return new LockstepError('LS-INGEST-FILE-MISSING', `${path} is a folder: give a pattern, such as ${path}/*.csv`);
    case 'Z_BUF_ERROR':
      return new LockstepError('LS-INGEST-FILE-BROKEN', `${path} is cut short`, { cause: error });
    default:
      return new LockstepError('LS-INGEST-FILE-BROKEN', `${path} cannot be read: ${error.message}`, { cause: error });
  }
}
