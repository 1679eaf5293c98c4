/** A text file as blocks of records: its byte order mark, its header, and its records from any place on. */
import { LockstepError } from '../../core/errors.js';
import type { Reading } from '../../core/ingest.js';
import { Fault } from '../../core/ingestFault.js';
import { contentOf, type ContentSource } from './content.js';
import { csvDialect, fieldsOf } from './csv.js';
import { blocksOf, type Block, type Dialect, type Place } from './records.js';

/** Where the records begin, and what names their fields. */
export interface TextHead {
  /** Texts of the header's fields; of the first record where there is no header; empty for an empty file. */
  readonly first: readonly string[];
  /** The first record behind the mark and the header. */
  readonly records: Place;
}

const lines: Dialect = { delimiter: Buffer.alloc(0), quote: -1, skipBlank: true };
const one = { chunkRows: 1, chunkBytes: Number.MAX_SAFE_INTEGER };

export function dialectOf(reading: Pick<Reading, 'format' | 'delimiter' | 'quote'>, fields: number): Dialect {
  return reading.format === 'csv' ? csvDialect(reading, fields) : lines;
}

/** Reads the beginning of a file. A mark of another encoding than the reading's is refused: its text would be nonsense. */
export async function headOf(source: ContentSource, reading: Reading): Promise<TextHead> {
  const start = { offset: await markLength(source, reading.encoding), line: 1 };
  if (reading.format !== 'csv') return { first: [], records: start };
  const content = contentOf(source, reading.encoding, start.offset);
  // A blank line before the header is none of the fields.
  const dialect = { ...csvDialect(reading, 2) };
  for await (const block of blocksOf(content, dialect, one, start)) {
    const [first] = fieldsOf(block, reading);
    if (first === undefined || first instanceof Fault) {
      const why = first === undefined ? 'is empty' : 'is no CSV in this encoding and with this quote';
      throw new LockstepError('LS-INGEST-FILE-FORM', `the first line of ${nameOf(source)} ${why}`);
    }
    return { first, records: reading.header ? block.next : start };
  }
  return { first: [], records: start };
}

/** Blocks of records from a place on. */
export function blocksFrom(
  source: ContentSource,
  reading: Reading,
  dialect: Dialect,
  from: Place,
): AsyncGenerator<Block> {
  return blocksOf(contentOf(source, reading.encoding, from.offset), dialect, reading, from);
}

export function nameOf(source: ContentSource): string {
  return source.entry === null ? source.path : `${source.path} (${source.entry})`;
}

async function markLength(source: ContentSource, encoding: string): Promise<number> {
  let head = Buffer.alloc(0);
  for await (const piece of contentOf(source, encoding, 0)) {
    head = Buffer.concat([head, piece]);
    if (head.length >= 4) break;
  }
  if (head.length >= 3 && head.readUIntBE(0, 3) === 0xefbbbf) return 3;
  const mark = head.length >= 2 ? head.readUInt16BE(0) : 0;
  if (mark === 0xfeff || mark === 0xfffe) {
    const label = mark === 0xfeff ? 'utf-16be' : 'utf-16le';
    throw new LockstepError('LS-INGEST-FILE-FORM', `${nameOf(source)} is in UTF-16: --encoding ${label}`);
  }
  return 0;
}
