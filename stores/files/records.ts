/**
 * Bytes → blocks of whole records, each with its offset and line. Where a block ends depends on the content and on
 * `chunkRows` and `chunkBytes` alone, never on how the bytes arrived: a block's number names the same records for ever.
 */
import { LockstepError } from '../../core/errors.js';

/** How records are told apart: at line feeds, those within quotes excepted. */
export interface Dialect {
  /** Bytes of the delimiter; empty when there are no fields. */
  readonly delimiter: Buffer;
  /** Byte of the quote, −1 for none. */
  readonly quote: number;
  /** Whether a line without any byte is no record. */
  readonly skipBlank: boolean;
}

export interface Limits {
  readonly chunkRows: number;
  readonly chunkBytes: number;
}

export interface Place {
  /** Byte of the content. */
  readonly offset: number;
  /** From 1. */
  readonly line: number;
}

/** Records that follow each other. Record i is bytes[starts[i], ends[i]), its line end excluded, and begins on lines[i]. */
export interface Block {
  readonly at: Place;
  readonly next: Place;
  readonly bytes: Buffer;
  readonly starts: readonly number[];
  readonly ends: readonly number[];
  readonly lines: readonly number[];
  /** How the records end; mixed also where a blank line was skipped. */
  readonly lineEnd: 'lf' | 'crlf' | 'mixed';
  readonly hasQuotes: boolean;
}

/** A record may be this long; a longer one is most often a quote that nobody closed. */
export const maxRecordBytes = 32 * 1024 ** 2;

const LF = 0x0a;
const CR = 0x0d;

/** Where within a record the scan stands. `closed`: behind a quote that may have been the closing one. */
type State = 'field' | 'plain' | 'quoted' | 'closed';

/** Blocks from a place on. `bytes` begins at that place. */
export async function* blocksOf(
  bytes: AsyncIterable<Buffer>,
  dialect: Dialect,
  limits: Limits,
  from: Place,
): AsyncGenerator<Block> {
  const scanner = new Scanner(dialect, limits, from);
  for await (const piece of bytes) {
    scanner.add(piece);
    for (let block = scanner.next(false); block !== null; block = scanner.next(false)) yield block;
  }
  for (let block = scanner.next(true); block !== null; block = scanner.next(true)) yield block;
}

class Scanner {
  readonly #dialect: Dialect;
  readonly #limits: Limits;
  #at: Place;
  /** From the block's first byte on. */
  #bytes: Buffer = Buffer.alloc(0);
  #scanned = 0;
  #state: State = 'field';
  #line: number;
  #recordStart = 0;
  #recordLine: number;
  #quoteLine = 0;
  #starts: number[] = [];
  #ends: number[] = [];
  #lines: number[] = [];
  #crlf = 0;
  #blank = 0;
  #hasQuotes = false;

  constructor(dialect: Dialect, limits: Limits, from: Place) {
    this.#dialect = dialect;
    this.#limits = limits;
    this.#at = from;
    this.#line = from.line;
    this.#recordLine = from.line;
  }

  add(piece: Buffer): void {
    this.#bytes = this.#bytes.length === 0 ? piece : Buffer.concat([this.#bytes, piece]);
  }

  /** A block, or null when it takes more bytes to end one. */
  next(final: boolean): Block | null {
    const end = this.#scan(final);
    if (end !== -1) return this.#cut(end);
    if (!final) {
      if (this.#scanned - this.#recordStart > maxRecordBytes) throw this.#tooLong();
      return null;
    }
    if (this.#state === 'quoted') throw this.#unclosed();
    if (this.#recordStart < this.#bytes.length) this.#endRecord(this.#bytes.length, this.#bytes.length);
    return this.#starts.length === 0 ? null : this.#cut(this.#bytes.length);
  }

  /** The byte behind the record that fills a block, or −1 at the end of what is there. */
  #scan(final: boolean): number {
    const { delimiter, quote } = this.#dialect;
    const bytes = this.#bytes;
    const delimiterStart = delimiter[0] ?? -1;
    // A delimiter of several bytes, or a doubled quote, must not be cut in two by the edge of what has arrived.
    const limit = final ? bytes.length : bytes.length - Math.max(0, delimiter.length - 1);
    let state = this.#state;
    let at = this.#scanned;
    for (; at < limit; at++) {
      const c = bytes[at];
      if (state === 'quoted') {
        if (c === quote) state = 'closed';
        else if (c === LF) this.#line++;
        continue;
      }
      if (c === LF) {
        state = 'field';
        this.#line++;
        if (this.#endRecord(at, at + 1)) {
          this.#state = state;
          this.#scanned = at + 1;
          return at + 1;
        }
      } else if (c === delimiterStart && (delimiter.length === 1 || startsAt(bytes, at, delimiter))) {
        state = 'field';
        at += delimiter.length - 1;
      } else if (c === quote) {
        if (state === 'field') {
          state = 'quoted';
          this.#quoteLine = this.#line;
          this.#hasQuotes = true;
        } else if (state === 'closed' && bytes[at - 1] === quote) state = 'quoted';
      } else if (state === 'field') state = 'plain';
      else if (state === 'closed' && c !== CR && c !== 0x20 && c !== 0x09) state = 'plain';
    }
    this.#state = state;
    this.#scanned = at;
    return -1;
  }

  /** `end`: where the line end begins; `next`: behind it. True when the block is full. */
  #endRecord(end: number, next: number): boolean {
    const start = this.#recordStart;
    const stop = end > start && this.#bytes[end - 1] === CR ? end - 1 : end;
    const line = this.#recordLine;
    this.#recordStart = next;
    this.#recordLine = this.#line;
    if (stop === start && this.#dialect.skipBlank) {
      this.#blank++;
      return false;
    }
    this.#starts.push(start);
    this.#ends.push(stop);
    this.#lines.push(line);
    if (stop < end) this.#crlf++;
    return this.#starts.length >= this.#limits.chunkRows || next >= this.#limits.chunkBytes;
  }

  #cut(end: number): Block {
    const block: Block = {
      at: this.#at,
      next: { offset: this.#at.offset + end, line: this.#recordLine },
      bytes: this.#bytes.subarray(0, end),
      starts: this.#starts,
      ends: this.#ends,
      lines: this.#lines,
      lineEnd: this.#lineEnd(end),
      hasQuotes: this.#hasQuotes,
    };
    this.#at = block.next;
    this.#bytes = this.#bytes.subarray(end);
    this.#scanned -= end;
    this.#recordStart -= end;
    [this.#starts, this.#ends, this.#lines] = [[], [], []];
    [this.#crlf, this.#blank, this.#hasQuotes] = [0, 0, false];
    return block;
  }

  /** The last record of a file may have no line end: it fits either form. */
  #lineEnd(end: number): Block['lineEnd'] {
    if (this.#blank > 0) return 'mixed';
    const records = this.#starts.length - (this.#bytes[end - 1] === LF ? 0 : 1);
    if (this.#crlf === records && records > 0) return 'crlf';
    return this.#crlf === 0 ? 'lf' : 'mixed';
  }

  #unclosed(): LockstepError {
    return new LockstepError('LS-INGEST-QUOTE', `the quote opened on line ${this.#quoteLine} is never closed`, {
      details: { line: this.#quoteLine },
    });
  }

  #tooLong(): LockstepError {
    if (this.#state === 'quoted') return this.#unclosed();
    const message = `the record on line ${this.#recordLine} is longer than ${maxRecordBytes / 1024 ** 2} MiB`;
    return new LockstepError('LS-INGEST-RECORD', message, { details: { line: this.#recordLine } });
  }
}

function startsAt(bytes: Buffer, at: number, part: Buffer): boolean {
  for (let i = 1; i < part.length; i++) if (bytes[at + i] !== part[i]) return false;
  return true;
}

/** A record as text; bytes that are no UTF-8 as `\xHH`. */
export function rawText(bytes: Buffer): string {
  const text = bytes.toString('utf8');
  if (!text.includes('\ufffd') || Buffer.from(text).equals(bytes)) return text;
  return [...bytes].map((c) => (c < 0x80 ? String.fromCharCode(c) : `\\x${c.toString(16)}`)).join('');
}
