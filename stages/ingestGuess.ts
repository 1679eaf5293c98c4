/** A table for files that have none: a pass over all their values proposes the types that hold them exactly as written. */
import { LockstepError } from '../core/errors.js';
import type { Reading } from '../core/ingest.js';
import { fieldNames, isLeftOut, wrongDelimiter } from '../core/ingestColumns.js';
import { Fault } from '../core/ingestFault.js';
import { Guess, keyNames, type GuessedColumn } from '../core/ingestGuess.js';
import { contentOf, type ContentSource } from '../stores/files/content.js';
import { fieldsOf } from '../stores/files/csv.js';
import { recordOf } from '../stores/files/checkedRows.js';
import { tokensOf } from '../stores/files/ndjsonRows.js';
import { openParquet } from '../stores/files/parquet.js';
import { columnTypeOf } from '../stores/files/parquetValues.js';
import { blocksOf } from '../stores/files/records.js';
import { dialectOf, headOf } from '../stores/files/textFile.js';

/** Columns in the order of the first file. Throws LS-INGEST-COLUMNS for names that no column can have. */
export async function guessColumns(
  sources: readonly ContentSource[],
  reading: Reading,
  table: string,
): Promise<readonly GuessedColumn[]> {
  if (reading.format === 'parquet') return parquetColumns(sources, reading);
  const guesses = new Guesses(keyNames(table));
  for (const source of sources) {
    if (reading.format === 'csv') await guessCsv(source, reading, guesses);
    else await guessNdjson(source, reading, guesses);
  }
  return guesses.columns(reading);
}

async function guessCsv(source: ContentSource, reading: Reading, guesses: Guesses): Promise<void> {
  const head = await headOf(source, reading);
  const names = fieldNames(reading, reading.header ? head.first : []);
  const columns = names.map((name) => (isLeftOut(reading, name) ? null : guesses.of(name)));
  const content = contentOf(source, reading.encoding, head.records.offset);
  const nulls = new Set(['', ...reading.nullTokens]);
  for await (const block of blocksOf(content, dialectOf(reading, names.length), reading, head.records)) {
    for (const fields of fieldsOf(block, reading)) {
      if (fields instanceof Fault || fields.length !== names.length) continue;
      for (const [i, text] of fields.entries()) {
        if (nulls.has(text)) columns[i]?.seeNull();
        else columns[i]?.see(text, 'any');
      }
    }
  }
}

async function guessNdjson(source: ContentSource, reading: Reading, guesses: Guesses): Promise<void> {
  const head = await headOf(source, reading);
  const content = contentOf(source, reading.encoding, head.records.offset);
  for await (const block of blocksOf(content, dialectOf(reading, 0), reading, head.records)) {
    for (let i = 0; i < block.starts.length; i++) {
      for (const { name, text, written } of tokensOf(recordOf(block, i))) {
        if (isLeftOut(reading, name)) continue;
        const guess = guesses.of(name);
        if (written === 'null') guess.seeNull();
        else guess.see(text, written);
      }
    }
  }
}

class Guesses {
  readonly #byName = new Map<string, Guess>();
  readonly #keyNames: ReadonlySet<string>;

  constructor(names: readonly string[]) {
    this.#keyNames = new Set(names);
  }

  of(name: string): Guess {
    const known = this.#byName.get(name);
    if (known !== undefined) return known;
    const guess = new Guess(name, this.#keyNames.has(name.toLowerCase()));
    this.#byName.set(name, guess);
    return guess;
  }

  columns(reading: Reading): readonly GuessedColumn[] {
    refuseNames([...this.#byName.keys()], reading);
    return Array.from(this.#byName.values(), (guess) => guess.column());
  }
}

/** Parquet says its types. */
async function parquetColumns(sources: readonly ContentSource[], reading: Reading): Promise<readonly GuessedColumn[]> {
  const [first] = sources;
  if (first === undefined) return [];
  const file = await openParquet(first.path);
  await file.close();
  const fields = file.fields.filter(({ name }) => !isLeftOut(reading, name));
  refuseNames(
    fields.map(({ name }) => name),
    reading,
  );
  return fields.map((field) => ({ name: field.name, type: columnTypeOf(field), unique: false, nullLooks: [] }));
}

function refuseNames(names: readonly string[], reading: Reading): void {
  const bad = names.filter((name) => name === '' || name.length > 64 || name !== name.trim() || name.includes('\0'));
  const folded = names.map((name) => name.toLowerCase());
  const twice = names.filter((_, i) => folded.indexOf(folded[i] ?? '') !== i);
  const separated = wrongDelimiter(names, reading);
  if (bad.length === 0 && twice.length === 0 && separated.length === 0) return;
  if (separated.length > 0) {
    throw new LockstepError('LS-INGEST-COLUMNS', `the header is one field, ${names.join()}: ${separated.join()}`);
  }
  const list = [...bad.map((name) => JSON.stringify(name)), ...twice.map((name) => `${name} (twice)`)];
  const message = `no column can be called ${list.join(', ')}: --ignore leaves a field out, --columns names all`;
  throw new LockstepError('LS-INGEST-COLUMNS', message);
}
