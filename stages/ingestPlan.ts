/**
 * From what the user named to a plan: which files, how they are read, which columns they fill, how much there is. Everything
 * that can be wrong before a row is read is found here; nothing is written.
 */
import { createHash } from 'node:crypto';
import type { Definition } from '../core/definition.js';
import { LockstepError } from '../core/errors.js';
import type { GivenColumn, IngestFormat, IngestMode, IngestPlan, Reading, SourceFile } from '../core/ingest.js';
import { fieldNames, isLeftOut, matchColumns, type InsertFacts } from '../core/ingestColumns.js';
import type { ContentSource } from '../stores/files/content.js';
import { discover, type FoundFile } from '../stores/files/discover.js';
import { survey, type Surveyed } from '../stores/files/survey.js';

/** What the user said of the reading; the files and the defaults say the rest. */
export interface WantedReading extends Omit<Reading, 'format' | 'delimiter'> {
  readonly format: IngestFormat | null;
  readonly delimiter: string | null;
}

export interface PlanTarget {
  readonly definition: Definition;
  readonly facts: InsertFacts;
}

export type OnSurvey = (file: string, bytes: number) => void;

/** The files that are named, and how all of them are read. */
export async function readingOf(
  named: readonly string[],
  wanted: WantedReading,
): Promise<{ readonly sources: readonly ContentSource[]; readonly reading: Reading }> {
  const found = await discover(named);
  const format = wanted.format ?? commonFormat(found);
  const tabs = found.every((file) => file.tabs);
  const delimiter = wanted.delimiter ?? (tabs ? '\t' : ',');
  if (format === 'parquet') refuseWrappedParquet(found);
  return { sources: found, reading: { ...wanted, format, delimiter } };
}

/** Reads every file once. Throws whatever is wrong with one of them. */
export async function surveyFiles(
  sources: readonly ContentSource[],
  reading: Reading,
  onSurvey: OnSurvey,
): Promise<readonly Surveyed[]> {
  const surveyed: Surveyed[] = [];
  for (const source of sources) {
    surveyed.push(await survey(source, reading, (bytes) => onSurvey(source.path, bytes)));
  }
  if (surveyed.some(({ file }) => file.records > 0)) return surveyed;
  throw new LockstepError('LS-INGEST-FILE-FORM', 'there is nothing to load: no file holds a record');
}

/** Throws LS-INGEST-COLUMNS where the files do not fit the table. */
export function planIngest(
  surveyed: readonly Surveyed[],
  reading: Reading,
  { definition, facts }: PlanTarget,
  mode: IngestMode,
): IngestPlan {
  const files = surveyed.map(({ file }) => file);
  const columns = commonColumns(surveyed, reading, { definition, facts }, mode);
  const records = files.reduce((sum, file) => sum + file.records, 0);
  const chunks = files.reduce((sum, file) => sum + file.chunks, 0);
  return { definition, files, reading, columns, ...facts, contentHash: contentHash(files), records, chunks };
}

function commonFormat(files: readonly FoundFile[]): IngestFormat {
  const formats = new Set(files.map(({ format }) => format ?? 'csv'));
  const [only = 'csv'] = formats;
  if (formats.size <= 1) return only;
  const message = `the files are of several formats (${[...formats].join(', ')}): load them one format at a time`;
  throw new LockstepError('LS-INGEST-FILE-FORM', message);
}

/** Its index stands at its end, and its parts are read where they stand: it cannot be read through a stream. */
function refuseWrappedParquet(files: readonly FoundFile[]): void {
  const wrapped = files.find(({ compression }) => compression !== 'none');
  if (wrapped === undefined) return;
  const message = `${wrapped.path} is Parquet in an archive: unpack it first (Parquet is compressed inside)`;
  throw new LockstepError('LS-INGEST-FILE-FORM', message);
}

/** CSV and Parquet files must give the same columns, in any order; of NDJSON each file, and each line, gives what it has. */
function commonColumns(
  surveyed: readonly Surveyed[],
  reading: Reading,
  { definition, facts }: PlanTarget,
  mode: IngestMode,
): readonly GivenColumn[] {
  const named = surveyed.map(({ fields }) => namesOf(fields, reading));
  const fields = reading.format === 'ndjson' ? [...new Set(named.flat())] : (named[0] ?? []);
  const columns = matchColumns(definition, facts, fields, reading, mode);
  if (reading.format !== 'ndjson') {
    for (const [i, names] of named.entries()) refuseOtherFields(fields, names, surveyed[i]?.file.path ?? '', reading);
  }
  return columns;
}

function namesOf(fields: readonly string[], reading: Reading): readonly string[] {
  return reading.format === 'csv' ? fieldNames(reading, reading.header ? fields : []) : fields;
}

function refuseOtherFields(wanted: readonly string[], names: readonly string[], path: string, reading: Reading): void {
  const kept = (list: readonly string[]): string[] => list.filter((name) => !isLeftOut(reading, name)).sort();
  if (kept(wanted).join('\0') === kept(names).join('\0')) return;
  const message = `${path} has other fields than the first file: ${names.join(', ')} instead of ${wanted.join(', ')}`;
  throw new LockstepError('LS-INGEST-COLUMNS', message);
}

/** The same contents in the same order, whatever the files are called and however they are packed. */
function contentHash(files: readonly SourceFile[]): string {
  return createHash('sha256')
    .update(files.map(({ sha256 }) => sha256).join('\n'))
    .digest('hex');
}
