/** Rejected rows as a file for people and scripts: JSON lines, or CSV where its name ends in `.csv`. */
import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { once } from 'node:events';
import Papa from 'papaparse';
import { LockstepError } from '../../core/errors.js';
import { rejectReasons, type Reject } from '../../core/ingest.js';

export interface RejectedRow extends Reject {
  /** The file's path, with the entry of an archive. */
  readonly file: string;
}

const fields = ['file', 'line', 'reason', 'column', 'detail', 'message', 'raw'] as const;

/** The whole file or none: it appears under its name once it is complete. Returns how many rows it holds. */
export async function writeRejects(path: string, rejects: AsyncIterable<RejectedRow>): Promise<number> {
  const part = `${path}.part`;
  const csv = /\.csv$/i.test(path);
  const stream = createWriteStream(part);
  let count = 0;
  try {
    await once(stream, 'open');
    if (csv) stream.write(csvLine(fields));
    for await (const reject of rejects) {
      count += 1;
      const line = { ...reject, message: `the record ${rejectReasons[reject.reason]}` };
      const text = csv ? csvLine(fields.map((field) => line[field])) : `${jsonLine(line)}\n`;
      if (!stream.write(text)) await once(stream, 'drain');
    }
    stream.end();
    await once(stream, 'close');
    if (count > 0) await rename(part, path);
    else await rm(part);
    return count;
  } catch (error) {
    stream.destroy();
    // What broke is told; a part that stays behind is harmless.
    await rm(part, { force: true }).catch(() => undefined);
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
