/**
 * Parquet files: their columns, and values in windows of rows, column by column, so that memory is bounded by a window and by
 * one column of a row group, whatever the file's size. Values come exact: where the library would round (DECIMAL to a double,
 * times to milliseconds) it is given the physical type, and the logical one is read here. Lists and structs come as the library
 * puts them together: one with such a type in it is refused, see `refuseInexact`.
 */
import { isUtf8 } from 'node:buffer';
import { open } from 'node:fs/promises';
import { parquetMetadataAsync, parquetScan, parquetSchema } from 'hyparquet';
import type { AsyncBuffer, FileMetaData, ParquetParsers, SchemaElement, SchemaTree } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { LockstepError } from '../../core/errors.js';
import { asWord } from '../../core/ingestColumns.js';
import { fileFailure } from './content.js';
import { exactValue, inexactIn, isExact } from './parquetValues.js';

export interface ParquetFile {
  readonly fields: readonly ParquetField[];
  readonly rows: number;
  /** Values of one field for the rows [start, end), which lie in one row group: see `windowEnd`. `asBytes`: a UUID is bytes. */
  readColumn(field: ParquetField, start: number, end: number, asBytes: boolean): Promise<readonly unknown[]>;
  /** Where a window that begins at `start` must end at the latest. */
  windowEnd(start: number): number;
  close(): Promise<void>;
}

export interface ParquetField {
  readonly name: string;
  readonly element: SchemaElement;
  readonly nested: boolean;
  /** The type in a list or struct that cannot be read exactly; null where there is none. */
  readonly inexact: string | null;
}

/** Texts and bytes as they are; a time that is left to the library comes as the number it is stored as. */
const parsers: ParquetParsers = {
  timestampFromMilliseconds: (value) => value,
  timestampFromMicroseconds: (value) => value,
  timestampFromNanoseconds: (value) => value,
  dateFromDays: (value) => value,
  stringFromBytes: asText,
  jsonFromBytes: asText,
  geometryFromBytes: asBuffer,
  geographyFromBytes: asBuffer,
  uuidFromBytes: asBuffer,
};

export async function openParquet(path: string): Promise<ParquetFile> {
  const handle = await open(path, 'r').catch((error: unknown) => {
    throw fileFailure(error, path);
  });
  try {
    const { size } = await handle.stat();
    const file: AsyncBuffer = {
      byteLength: size,
      async slice(start, end = size) {
        const bytes = new Uint8Array(end - start);
        const { bytesRead } = await handle.read(bytes, 0, bytes.length, start);
        if (bytesRead !== bytes.length) throw new Error('it is cut short');
        return bytes.buffer;
      },
    };
    const metadata = await parquetMetadataAsync(file, { geoparquet: false });
    const fields = parquetSchema(metadata).children.map(fieldOf);
    const starts = groupStarts(metadata);
    const scan = await parquetScan({ file, metadata: physical(metadata, fields), compressors, parsers, utf8: false });
    return {
      fields,
      rows: Number(metadata.num_rows),
      async readColumn(field, start, end, asBytes) {
        try {
          const data = await scan.readColumn({ column: field.name, rowStart: start, rowEnd: end });
          return Array.from({ length: end - start }, (_, i) => exactValue(data[i], field, asBytes));
        } catch (error) {
          throw broken(error, path);
        }
      },
      windowEnd: (start) => starts.find((group) => group > start) ?? Number(metadata.num_rows),
      close: () => handle.close(),
    };
  } catch (error) {
    await handle.close();
    throw broken(error, path);
  }
}

/** For the columns that are loaded, before a row is: LS-INGEST-COLUMNS. */
export function refuseInexact(path: string, used: readonly ParquetField[]): void {
  const faults = used.flatMap(({ name, inexact }) =>
    inexact === null
      ? []
      : [`${name} has ${inexact} in a list or struct: --ignore ${asWord(name)} leaves it out, or write it flat`],
  );
  if (faults.length === 0) return;
  const message = [`${path} has columns that cannot be read exactly:`, ...faults].join('\n  ');
  throw new LockstepError('LS-INGEST-COLUMNS', message);
}

function broken(error: unknown, path: string): LockstepError {
  if (error instanceof LockstepError) return error;
  const why = error instanceof Error ? error.message : String(error);
  return new LockstepError('LS-INGEST-FILE-BROKEN', `${path} cannot be read as Parquet: ${why}`, { cause: error });
}

function groupStarts(metadata: FileMetaData): readonly number[] {
  const starts: number[] = [];
  let row = 0;
  for (const group of metadata.row_groups) {
    starts.push(row);
    row += Number(group.num_rows);
  }
  return starts;
}

function fieldOf(tree: SchemaTree): ParquetField {
  const { element, children } = tree;
  const nested = children.length > 0 || element.repetition_type === 'REPEATED';
  return { name: element.name, element, nested, inexact: nested ? inexactIn(tree) : null };
}

/** The same file, with the logical types that we read ourselves taken off its columns; never off what lies within one. */
function physical(metadata: FileMetaData, fields: readonly ParquetField[]): FileMetaData {
  const ours = new Set(
    fields.filter(({ element, nested }) => !nested && isExact(element)).map(({ element }) => element),
  );
  return {
    ...metadata,
    schema: metadata.schema.map((element) => {
      if (!ours.has(element)) return element;
      const { converted_type: _converted, logical_type: _logical, ...plain } = element;
      return plain;
    }),
  };
}

/** Bytes that are called text and are none stay bytes: they become a rejected row, not another text. */
function asText(bytes: Uint8Array | undefined): string | Buffer | undefined {
  const buffer = asBuffer(bytes);
  return buffer !== undefined && isUtf8(buffer) ? buffer.toString('utf8') : buffer;
}

function asBuffer(bytes: Uint8Array | undefined): Buffer | undefined {
  return bytes === undefined ? undefined : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
