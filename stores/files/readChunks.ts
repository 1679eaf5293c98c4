/**
 * A plan's files as chunks of checked rows, from any chunk on. A file that is no longer the planned one ends the reading
 * before a chunk of it is given away: its size and time are looked at before every chunk, its content at its end.
 */
import { createHash, type Hash } from 'node:crypto';
import { LockstepError } from '../../core/errors.js';
import { fieldNames, neededColumns, plannedColumns, type PlannedColumn } from '../../core/ingestColumns.js';
import type { FileChunk, IngestPlan, ReadChunks, Reading, ResumePoint, SourceFile } from '../../core/ingest.js';
import { recordOf, type CheckedRows } from './checkedRows.js';
import { changed, contentOf, proveUnchanged } from './content.js';
import { csvRows, type CsvShape } from './csvRows.js';
import { ndjsonRows, type Members } from './ndjsonRows.js';
import { parquetRows } from './parquetRows.js';
import { blocksOf, rawText, type Block, type Dialect } from './records.js';
import { dialectOf, headOf, type TextHead } from './textFile.js';

export const readChunks: ReadChunks = async function* (plan, from, signal) {
  const columns = plannedColumns(plan);
  let chunk = from.chunk;
  for (const [index, file] of plan.files.entries()) {
    if (index < from.file) continue;
    const at = index === from.file ? from : { file: index, chunk, offset: 0, line: 1 };
    await proveUnchanged(file);
    const chunks =
      plan.reading.format === 'parquet' ? parquetChunks(plan, file, columns, at) : textChunks(plan, file, columns, at);
    const end = lastChunkOf(plan, index);
    for await (const found of chunks) {
      signal?.throwIfAborted();
      await proveUnchanged(file);
      if (chunk >= end) throw changed(file.path);
      chunk += 1;
      yield { ...found, next: nextPoint(plan, index, chunk, found.next) };
    }
    if (chunk !== end) throw changed(file.path);
  }
};

/** Chunks of this and all earlier files. */
function lastChunkOf(plan: IngestPlan, index: number): number {
  return plan.files.slice(0, index + 1).reduce((sum, file) => sum + file.chunks, 0);
}

/** The place behind a chunk; after the last one of a file, the beginning of the next file that has any. */
function nextPoint(plan: IngestPlan, index: number, chunk: number, behind: ResumePoint | null): ResumePoint | null {
  if (chunk < lastChunkOf(plan, index)) return behind;
  const next = plan.files.findIndex((file, i) => i > index && file.chunks > 0);
  return next === -1 ? null : { file: next, chunk, offset: 0, line: 1 };
}

async function* textChunks(
  plan: IngestPlan,
  file: SourceFile,
  columns: readonly PlannedColumn[],
  from: ResumePoint,
): AsyncGenerator<FileChunk> {
  const { reading } = plan;
  const head = await headOf(file, reading);
  const begin = Math.max(from.offset, head.records.offset);
  const line = from.offset > head.records.offset ? from.line : head.records.line;
  const hash = begin === head.records.offset ? createHash('sha256') : null;
  const content = watched(file, reading, begin, hash);
  const rows = rowsFor(plan, file, head, columns);
  const dialect = dialectOf(reading, reading.columns?.length ?? head.first.length);
  let chunk = from.chunk;
  for await (const block of blocksOf(content, dialect, reading, { offset: begin, line })) {
    const { offset, line: nextLine } = block.next;
    yield {
      from: { file: from.file, chunk, ...block.at },
      next: { file: from.file, chunk: chunk + 1, offset, line: nextLine },
      records: block.starts.length,
      bytes: block.bytes.length,
      ...rows(block),
      raw: (wanted) => rawAt(block, wanted),
    };
    chunk += 1;
  }
  if (hash !== null && hash.digest('hex') !== file.sha256) throw changed(file.path);
}

/** The content from a place on; read from the start when there is a hash to make, so that it covers everything. */
async function* watched(file: SourceFile, reading: Reading, begin: number, hash: Hash | null): AsyncGenerator<Buffer> {
  if (hash === null) {
    yield* contentOf(file, reading.encoding, begin);
    return;
  }
  let read = 0;
  for await (const piece of contentOf(file, reading.encoding, 0)) {
    hash.update(piece);
    const skip = Math.max(0, begin - read);
    read += piece.length;
    if (skip < piece.length) yield piece.subarray(skip);
  }
}

function rowsFor(
  plan: IngestPlan,
  file: SourceFile,
  head: TextHead,
  columns: readonly PlannedColumn[],
): (block: Block) => CheckedRows {
  const { reading } = plan;
  if (reading.format === 'ndjson') {
    const members = membersFor(plan);
    const needed = neededColumns(plan);
    return (block) => ndjsonRows(block, members, columns, needed);
  }
  const shape = shapeFor(plan, file, head.first, dialectOf(reading, reading.columns?.length ?? head.first.length));
  return (block) => csvRows(block, shape, columns, reading);
}

function membersFor({ columns, reading }: IngestPlan): Members {
  const members = new Map<string, number>(reading.ignore.map((name) => [name, -1]));
  for (const [i, { name, field }] of columns.entries()) {
    members.set(name.toLowerCase(), i);
    members.set(field, i);
  }
  return members;
}

/** Every file of a plan has the same fields; their order is its own. */
function shapeFor(plan: IngestPlan, file: SourceFile, first: readonly string[], dialect: Dialect): CsvShape {
  const names = fieldNames(plan.reading, plan.reading.header ? first : []);
  const places = plan.columns.map(({ field }) => names.indexOf(field));
  if (places.includes(-1)) {
    const missing = plan.columns.filter((_, i) => places[i] === -1).map(({ field }) => field);
    throw new LockstepError('LS-INGEST-COLUMNS', `${file.path} has no field ${missing.join(', ')}`);
  }
  return { dialect, fields: names.length, places };
}

function rawAt(block: Block, line: number): string {
  const i = block.lines.indexOf(line);
  return i === -1 ? '' : rawText(recordOf(block, i));
}

async function* parquetChunks(
  plan: IngestPlan,
  file: SourceFile,
  columns: readonly PlannedColumn[],
  from: ResumePoint,
): AsyncGenerator<FileChunk> {
  const fields = plan.columns.map(({ field }) => field);
  const bytesPerRow = file.size / Math.max(1, file.records);
  let chunk = from.chunk;
  for await (const found of parquetRows(file.path, fields, columns, plan.reading.chunkRows, from.offset)) {
    const { start, end, rows, rejects, raw } = found;
    yield {
      from: { file: from.file, chunk, offset: start, line: start + 1 },
      next: { file: from.file, chunk: chunk + 1, offset: end, line: end + 1 },
      records: end - start,
      bytes: Math.round(bytesPerRow * (end - start)),
      rows,
      rejects,
      raw,
    };
    chunk += 1;
  }
}
