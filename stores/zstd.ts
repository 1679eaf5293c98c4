/** Zstandard frames → bytes: by Node's own zlib where it has it (from 22.15 on; it proves the checksums), else by fzstd. */
import type { Readable } from 'node:stream';
import zlib from 'node:zlib';
import { decompress, Decompress } from 'fzstd';

interface NativeZstd {
  createZstdDecompress(): Readable & NodeJS.WritableStream;
  zstdDecompressSync(bytes: Buffer): Buffer;
}

/** The types are those of the oldest Node that is supported. */
const native = zlib as unknown as Partial<NativeZstd>;

export function unzstd(file: Readable): AsyncIterable<Buffer> {
  return native.createZstdDecompress === undefined ? byLibrary(file) : byNode(file, native.createZstdDecompress());
}

/** All of it at once. */
export function unzstdBytes(bytes: Buffer): Buffer {
  return native.zstdDecompressSync?.(bytes) ?? Buffer.from(decompress(bytes));
}

async function* byNode(file: Readable, unzip: Readable & NodeJS.WritableStream): AsyncGenerator<Buffer> {
  file.on('error', (error) => unzip.destroy(error));
  file.pipe(unzip);
  try {
    for await (const piece of unzip) yield piece as Buffer;
  } finally {
    file.destroy();
  }
}

async function* byLibrary(file: Readable): AsyncGenerator<Buffer> {
  let ready: Buffer[] = [];
  const unzip = new Decompress((piece) => {
    // The library reuses its window: what it shows is only good during the call.
    if (piece.length > 0) ready.push(Buffer.from(piece));
  });
  try {
    for await (const piece of file) {
      unzip.push(piece as Buffer, false);
      yield* ready;
      ready = [];
    }
    unzip.push(new Uint8Array(0), true);
    yield* ready;
  } finally {
    file.destroy();
  }
}
