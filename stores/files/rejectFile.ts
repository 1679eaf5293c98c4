/** Rejected rows as a file for people and scripts: JSON lines, or CSV where its name ends in `.csv`. */
import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import Papa from 'papaparse';
import { LockstepError } from '../../core/errors.js';
import { rejectReasons, type Reject } from '../../core/ingest.js';

export interface RejectedRow extends Reject {
  /** The file's path, with the entry of an archive. */
  readonly file: string;
}

const fields = ['file', 'line', 'reason', 'column', 'detail', 'message', 'raw'] as const;

/**
 * The whole file or none: it appears under its name once it is complete and on the disk; without a row there is none. Returns
 * how many rows it holds. Throws LS-INGEST-REJECT-FILE, and what reading the rows throws.
 */
export async function writeRejects(path: string, rejects: AsyncIterable<RejectedRow>): Promise<number> {
  const rows = rejects[Symbol.asyncIterator]();
  const first = await rows.next();
  if (first.done === true) return 0;
  const part = `${path}.part`;
  const csv = /\.csv$/i.test(path);
  let count = 0;
  async function* lines(from: IteratorResult<RejectedRow, unknown>): AsyncIterable<string> {
    try {
      if (csv) yield csvLine(fields);
      for (let next = from; next.done !== true; next = await rows.next()) {
        const line = { ...next.value, message: `the record ${rejectReasons[next.value.reason]}` };
        yield csv ? csvLine(fields.map((field) => line[field])) : `${jsonLine(line)}\n`;
        count += 1;
      }
    } finally {
      await rows.return?.();
    }
  }
  try {
    await pipeline(lines(first), createWriteStream(part, { flush: true }));
    await rename(part, path);
    return count;
  } catch (error) {
    // What broke is told; a part that stays behind is harmless.
    await rm(part, { force: true }).catch(() => undefined);
    // The rows could not be read: nothing is wrong with the file.
    if (error instanceof LockstepError) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new LockstepError('LS-INGEST-REJECT-FILE', `the rejected rows could not be written to ${path}: ${why}`, {
      cause: error,
    });
  }
}

function csvLine(values: readonly (string | number | null)[]): string {
  return `${Papa.unparse([[...values]])}\r\n`;
}

function jsonLine(line: Readonly<Record<(typeof fields)[number], string | number | null>>): string {
  return JSON.stringify(Object.fromEntries(fields.map((field) => [field, line[field]])));
}
