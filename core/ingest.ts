/**
 * What an ingest is: the files, how they are read, the chunks they give. Reading (stores/files) makes chunks of checked
 * rows; the roads (stages/ingest) carry them into the stores. Everything in a plan is JSON and holds no row: it may be kept.
 *
 * Invariant: the same content read by the same `Reading` gives the same chunks under the same numbers, so that a chunk's
 * number and its `ResumePoint` name the same rows for ever, on any machine.
 */
import type { Definition } from './definition.js';

export type IngestFormat = 'csv' | 'ndjson' | 'parquet';
export type Compression = 'none' | 'gzip' | 'zip' | 'zstd';

/** insert: a row whose key is taken is rejected. upsert: columns that are not given stay. replace: the row is as given. */
export type IngestMode = 'insert' | 'upsert' | 'replace';

/** How bytes become rows. Part of the content's identity: another reading gives other rows. */
export interface Reading {
  readonly format: IngestFormat;
  /** One character; CSV only. */
  readonly delimiter: string;
  /** One character, or null: no field is quoted. */
  readonly quote: string | null;
  /** Whether the first record of every file names the fields; without it, `columns` does. */
  readonly header: boolean;
  /** Names of the fields in order, instead of the header's. `-` leaves a field out. */
  readonly columns: readonly string[] | null;
  /** Fields of the file that are left out. */
  readonly ignore: readonly string[];
  /** Unquoted fields with one of these texts are NULL. */
  readonly nullTokens: readonly string[];
  /** A WHATWG label: `utf-8`, `windows-1252`, `utf-16le`, … */
  readonly encoding: string;
  /** How text stands for bytes. auto: base64, or hex after `\x` or `0x`; refused where it could be both. */
  readonly binary: 'auto' | 'base64' | 'hex';
  /** Decimals beyond the column's are rounded as MySQL rounds. Without it such a row is rejected. */
  readonly round: boolean;
  /** A chunk ends with the record that reaches one of these. */
  readonly chunkRows: number;
  readonly chunkBytes: number;
}

export const defaultReading: Reading = {
  format: 'csv',
  delimiter: ',',
  quote: '"',
  header: true,
  columns: null,
  ignore: [],
  nullTokens: [],
  encoding: 'utf-8',
  binary: 'auto',
  round: false,
  chunkRows: 1_000,
  chunkBytes: 1024 ** 2,
};

/** One file, or one entry of a zip archive, as it was when it was surveyed. */
export interface SourceFile {
  /** Absolute. */
  readonly path: string;
  /** Of a zip archive: the entry's name. */
  readonly entry: string | null;
  readonly compression: Compression;
  /** Size, modification time (ns, decimal) on disk: others mean that the file was changed. */
  readonly size: number;
  readonly mtimeNs: string;
  /** Bytes after decompression. */
  readonly contentBytes: number;
  /** SHA-256 of the content after decompression (Parquet: of the file), hex. */
  readonly sha256: string;
  /** Records without the header, good or bad. */
  readonly records: number;
  readonly chunks: number;
}

/** Where a chunk begins. */
export interface ResumePoint {
  /** Index into the plan's files. */
  readonly file: number;
  /** Number of the chunk, counted through all files of the plan from 0. */
  readonly chunk: number;
  /** Byte of the decompressed content (Parquet: row). */
  readonly offset: number;
  /** Line of the first record there, from 1 (Parquet: row, from 1). */
  readonly line: number;
}

export const beginning: ResumePoint = { file: 0, chunk: 0, offset: 0, line: 1 };

/** One given column: the table's name for it, and the field of the file that holds it. */
export interface GivenColumn {
  /** The column's name, as the table spells it. */
  readonly name: string;
  /** The field's name in the file, or in `Reading.columns`. */
  readonly field: string;
  /** NDJSON on upsert: a record may lack it although new rows need it. Where there is no row yet, MySQL refuses the record. */
  readonly mayStay?: true;
}

/** Everything that decides which rows a chunk holds. */
export interface IngestPlan {
  readonly definition: Definition;
  readonly files: readonly SourceFile[];
  readonly reading: Reading;
  /** In the order of `InputRow.values`. */
  readonly columns: readonly GivenColumn[];
  /** The AUTO_INCREMENT column: NULL or absence lets MySQL number the row. */
  readonly autoIncrement: string | null;
  /** Columns that a new row must be given: NOT NULL, without default, neither generated nor AUTO_INCREMENT. */
  readonly required: readonly string[];
  /** SHA-256 over the files' content hashes and what of the reading changes values; hex. */
  readonly contentHash: string;
  readonly records: number;
  readonly chunks: number;
}

/**
 * A checked value, ready to be bound: DECIMAL, FLOAT, DOUBLE, dates, JSON, ENUM, SET and text as text; integers and BIT as
 * number or bigint (text would be bytes to a BIT); binary types, GEOMETRY (SRID, WKB) and VECTOR (float32) as bytes.
 * undefined: this row does not give the column (NDJSON only): DEFAULT on insert and replace, left as it is on upsert.
 * Bound in a session in UTC with STRICT_ALL_TABLES and NO_AUTO_VALUE_ON_ZERO and without NO_ZERO_DATE, each value ends
 * in MySQL exactly as written (`expectedJson` says in which text), or MySQL refuses the row.
 */
export type InputValue = string | number | bigint | Buffer | null | undefined;

export interface InputRow {
  /** Line on which the record begins, from 1 (Parquet: row, from 1). */
  readonly line: number;
  /** One for each of the plan's columns. */
  readonly values: readonly InputValue[];
}

/** Why a record is not loaded. The first group is found by reading, the second by MySQL. */
export const rejectReasons = {
  encoding: 'is not valid text in the encoding of the file',
  quote: 'has a quote that does not belong there',
  'column-count': 'has another number of fields than the header',
  json: 'is not a JSON object',
  'unknown-column': 'has a member that the table or the list of columns does not name',
  missing: 'does not give a column that has no default, or that is part of the key',
  null: 'gives NULL to a column that is NOT NULL',
  type: 'has text that is no value of the column’s type',
  range: 'has a value out of the column’s range',
  precision: 'has more decimals than the column holds (--round rounds them)',
  length: 'has a value longer than the column',
  member: 'has a value that the ENUM or SET does not have',
  ambiguous: 'has a binary value that could be hex or base64 (--binary says which)',
  'too-large': 'is longer than a statement of MySQL may be',
  duplicate: 'has a key that is taken',
  'foreign-key': 'names a row that the other table does not have',
  check: 'breaks a CHECK constraint',
  refused: 'was refused by MySQL',
} as const;

export type RejectReason = keyof typeof rejectReasons;

export interface Reject {
  readonly line: number;
  readonly reason: RejectReason;
  /** The column at fault, where there is one. */
  readonly column: string | null;
  /** More about it; never the value. */
  readonly detail: string | null;
  /** The record as it stands in the file, without its line end; bytes that are no text as `\xHH`. */
  readonly raw: string;
}

/** rows.length + rejects.length = records. */
export interface FileChunk {
  readonly from: ResumePoint;
  /** Where the next chunk begins; null after the last one of the last file. */
  readonly next: ResumePoint | null;
  /** Input records: accepted and rejected. */
  readonly records: number;
  /** Bytes of content that the chunk covers. */
  readonly bytes: number;
  readonly rows: readonly InputRow[];
  readonly rejects: readonly Reject[];
  /** The record as it stands in the file: for rows that MySQL refuses. */
  readonly raw: (line: number) => string;
}

/**
 * Chunks from a point on, to the end. Implemented in stores/files/readChunks.ts. Holds no more than a few chunks in memory
 * and stops reading when the iteration stops. Throws LockstepError: LS-INGEST-FILE-MISSING, LS-INGEST-FILE-CHANGED (another
 * size, time, or content than the plan's), LS-INGEST-FILE-BROKEN (archive or Parquet file damaged), LS-INGEST-QUOTE.
 */
export type ReadChunks = (plan: IngestPlan, from: ResumePoint, signal?: AbortSignal) => AsyncIterable<FileChunk>;

/** Implemented in core/ingestContent.ts: the rows of the file against what MySQL returned, over the given columns. */
export interface ContentCheck {
  /**
   * Canonical texts of an accepted row, one for each given column: what it must read as in row JSON once MySQL has it. Absent
   * values and numbers that MySQL gives stand as `*`.
   */
  expected(row: InputRow): readonly string[];
  /** Name of the first given column that a row which MySQL returned (row JSON, finished) holds otherwise, or null. */
  difference(expected: readonly string[], rowJson: Buffer): string | null;
}

/** What the user asked for beside the reading. */
export interface IngestOptions {
  readonly mode: IngestMode;
  /** Rejected rows after which the ingest stops; null: no limit. */
  readonly maxRejects: number | null;
  /** Load the same content again, although it is in. */
  readonly again: boolean;
  /** Take the road through the log even where the direct one is open. */
  readonly throughLog: boolean;
  /** Direct road: consumers of the topics get the rows as `r` events. */
  readonly asEvents: boolean;
  /** Gives way to nobody: for a server that no application uses at the time. */
  readonly fullSpeed?: boolean;
}
