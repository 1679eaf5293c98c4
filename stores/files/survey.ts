/**
 * A first pass over a file, before anything is written: its content's hash, its records and chunks, and proof that it can be read
 * to its end. A truncated archive or a quote that is never closed is found here, when nothing has to be undone.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { Reading, SourceFile } from '../../core/ingest.js';
import { isLeftOut } from '../../core/ingestColumns.js';
import { changed, contentOf, fileFailure, identityOf, type ContentSource } from './content.js';
import { isObject, membersOf } from './ndjsonRows.js';
import { openParquet, refuseInexact } from './parquet.js';
import { recordOf } from './checkedRows.js';
import { blocksOf, type Block } from './records.js';
import { dialectOf, headOf } from './textFile.js';

export interface Surveyed {
  readonly file: SourceFile;
  /** Names of the fields: the header's, the first record's texts where there is none, or every member's and column's. */
  readonly fields: readonly string[];
}

/** Bytes of the file's content read so far. */
export type OnRead = (bytes: number) => void;

export async function survey(source: ContentSource, reading: Reading, onRead: OnRead): Promise<Surveyed> {
  const { path, entry, compression } = source;
  const identity = await identityOf(path);
  const surveyed =
    reading.format === 'parquet'
      ? await surveyParquet(path, reading, onRead)
      : await surveyText(source, reading, onRead);
  const now = await identityOf(path);
  if (now.size !== identity.size || now.mtimeNs !== identity.mtimeNs) throw changed(path);
  const { fields, ...content } = surveyed;
  return { file: { path, entry, compression, ...identity, ...content }, fields };
}

type Content = Pick<SourceFile, 'contentBytes' | 'sha256' | 'records' | 'chunks'> & {
  readonly fields: readonly string[];
};

async function surveyText(source: ContentSource, reading: Reading, onRead: OnRead): Promise<Content> {
  const head = await headOf(source, reading);
  const hash = createHash('sha256');
  let contentBytes = 0;
  async function* watched(): AsyncGenerator<Buffer> {
    for await (const piece of contentOf(source, reading.encoding, 0)) {
      hash.update(piece);
      const begun = contentBytes;
      contentBytes += piece.length;
      onRead(contentBytes);
      if (contentBytes > head.records.offset) yield piece.subarray(Math.max(0, head.records.offset - begun));
    }
  }
  const members = new Set<string>();
  let [records, chunks] = [0, 0];
  const dialect = dialectOf(reading, reading.columns?.length ?? head.first.length);
  for await (const block of blocksOf(watched(), dialect, reading, head.records)) {
    records += block.starts.length;
    chunks += 1;
    if (reading.format === 'ndjson') collectMembers(block, members);
  }
  const fields = reading.format === 'ndjson' ? [...members] : head.first;
  return { contentBytes, sha256: hash.digest('hex'), records, chunks, fields };
}

/** Only a line that is a JSON object names members: any other is a rejected row later. */
function collectMembers(block: Block, members: Set<string>): void {
  for (let i = 0; i < block.starts.length; i++) {
    const bytes = recordOf(block, i);
    const names = namesIn(bytes).filter((name) => !members.has(name));
    if (names.length > 0 && isObject(bytes.toString('utf8'))) for (const name of names) members.add(name);
  }
}

function namesIn(bytes: Buffer): string[] {
  try {
    return Array.from(membersOf(bytes), ([name]) => name);
  } catch {
    return [];
  }
}

async function surveyParquet(path: string, reading: Reading, onRead: OnRead): Promise<Content> {
  const file = await openParquet(path);
  await file.close();
  refuseInexact(
    path,
    file.fields.filter(({ name }) => !isLeftOut(reading, name)),
  );
  const hash = createHash('sha256');
  let contentBytes = 0;
  try {
    for await (const piece of createReadStream(path, { highWaterMark: 1024 ** 2 })) {
      hash.update(piece as Buffer);
      contentBytes += (piece as Buffer).length;
      onRead(contentBytes);
    }
  } catch (error) {
    throw fileFailure(error, path);
  }
  return {
    contentBytes,
    sha256: hash.digest('hex'),
    records: file.rows,
    chunks: Math.ceil(file.rows / reading.chunkRows),
    fields: file.fields.map(({ name }) => name),
  };
}
