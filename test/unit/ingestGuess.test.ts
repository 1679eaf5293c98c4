/** Tables proposed for files, the order of several, the command's options, and the files around an ingest. */
import { mkdtemp, readdir, readFile, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { optionsFrom, readingFrom, targetsFrom, withIngestOptions, type IngestFlags } from '../../cli/ingestOptions.js';
import { LockstepError } from '../../core/errors.js';
import { defaultReading } from '../../core/ingest.js';
import { Guess, guessKey, type GuessedColumn } from '../../core/ingestGuess.js';
import { parentsFirst } from '../../core/ingestOrder.js';
import { guessColumns } from '../../stages/ingestGuess.js';
import { readingOf } from '../../stages/ingestPlan.js';
import { writeRejects, type RejectedRow } from '../../stores/files/rejectFile.js';
import { spool } from '../../stores/files/spool.js';
import { createTableText } from '../../stores/mysql/createTable.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lockstep-guess-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

function guessed(texts: readonly string[]): GuessedColumn {
  const guess = new Guess('c', true);
  for (const text of texts) {
    if (text === '') guess.seeNull();
    else guess.see(text, 'any');
  }
  return guess.column();
}

test.each([
  [['1', '-2'], 'INT'],
  [['1', '2147483648'], 'BIGINT'],
  [['18446744073709551615'], 'BIGINT UNSIGNED'],
  [['18446744073709551615', '-1'], 'DECIMAL(22,0)'],
  [['007'], 'VARCHAR(32)'],
  [['1.50', '200'], 'DECIMAL(7,2)'],
  [['10.357019999999999'], 'DOUBLE'],
  [['1', '1e+05'], 'DOUBLE'],
  [['true', 'FALSE'], 'BOOLEAN'],
  [['2024-02-29'], 'DATE'],
  [['2024-02-30'], 'VARCHAR(32)'],
  [['2024-02-29', '2024-02-29T10:00:00.120Z'], 'DATETIME(2)'],
  [['12:34', '1:02:03.5'], 'TIME(1)'],
  [['x'.repeat(100)], 'VARCHAR(255)'],
  [['x'.repeat(600)], 'TEXT'],
  [['ä'.repeat(40_000)], 'MEDIUMTEXT'],
  [[''], 'VARCHAR(255)'],
])('%j is %s', (texts, type) => {
  expect(guessed(texts).type).toBe(type);
});

test('a text that means NULL is named when it alone stands in the way', () => {
  expect(guessed(['1', 'NA', '2'])).toMatchObject({ type: 'VARCHAR(32)', nullLooks: ['NA'] });
  expect(guessed(['a', 'NA'])).toMatchObject({ nullLooks: [] });
});

test('the key is the wish, a unique field called like one, or a column of its own', () => {
  const id = { ...guessed(['3', '1', '2']), name: 'id' };
  const twice = { ...guessed(['1', '1']), name: 'id' };
  expect(guessKey('t', [id], [])).toEqual({ columns: ['id'], added: null });
  expect(guessKey('t', [twice], [])).toEqual({ columns: ['row_id'], added: 'row_id' });
  expect(guessKey('t', [twice], ['a', 'b'])).toEqual({ columns: ['a', 'b'], added: null });
});

test('NDJSON and CSV give a table; names that no column can have are refused', async () => {
  const lines = join(folder, 'a.ndjson');
  await writeFile(lines, '{"id":1,"n":"5","d":{"x":1},"at":"2024-01-01T00:00:00Z"}\n{"id":2,"f":1.5}\nnot json\n');
  const { sources, reading } = await readingOf([lines], { ...defaultReading, format: null, delimiter: null });
  const columns = await guessColumns(sources, reading, 'things');
  expect(createTableText('shop', 'things', columns, guessKey('things', columns, []))).toBe(
    'CREATE TABLE `shop`.`things` (\n  `id` INT NOT NULL,\n  `n` VARCHAR(32),\n  `d` JSON,\n  `at` DATETIME,\n' +
      '  `f` DECIMAL(4,1),\n  PRIMARY KEY (`id`)\n)',
  );
  const bad = join(folder, 'bad.csv');
  await writeFile(bad, ',a,A\n1,2,3\n');
  const csv = await readingOf([bad], { ...defaultReading, format: null, delimiter: null });
  await expect(guessColumns(csv.sources, csv.reading, 't')).rejects.toThrow(/"".*twice/);
});

test('parents come first, and a circle is named', () => {
  const parents = new Map([
    ['lines', ['orders', 'items']],
    ['orders', ['customers']],
  ]);
  expect(parentsFirst(['lines', 'orders', 'customers', 'items'], parents)).toEqual([
    'customers',
    'items',
    'orders',
    'lines',
  ]);
  const circle = new Map([
    ['a', ['b']],
    ['b', ['a']],
  ]);
  expect(() => parentsFirst(['c', 'a', 'b'], circle)).toThrow(/a, b name each other/);
});

describe('the command line', () => {
  async function flagsOf(...words: readonly string[]): Promise<IngestFlags> {
    const command = withIngestOptions(
      new Command('ingest').exitOverride().configureOutput({ writeErr: () => undefined }),
    );
    await command.parseAsync(words, { from: 'user' });
    return command.opts<IngestFlags>();
  }

  test('options become a reading and a way of loading', async () => {
    const flags = await flagsOf(
      '--null',
      'NA',
      '--null',
      '',
      '--delimiter',
      'tab',
      '--quote',
      'none',
      '--no-header',
      '--columns',
      'a, -,b',
      '--ignore',
      'x,y',
      '--ignore',
      'z',
      '--encoding',
      'latin1',
      '--mode',
      'upsert',
      '--max-rejects',
      '5',
    );
    expect(readingFrom(flags)).toMatchObject({
      nullTokens: ['NA', ''],
      delimiter: '\t',
      quote: null,
      header: false,
      columns: ['a', '-', 'b'],
      ignore: ['x', 'y', 'z'],
      encoding: 'windows-1252',
    });
    expect(optionsFrom(flags)).toMatchObject({ mode: 'upsert', maxRejects: 5, again: false });
    expect(() => readingFrom({ header: false, config: '', spool: '' })).toThrow(/--columns/);
    await expect(flagsOf('--delimiter', '"')).rejects.toThrow(/Allowed/);
    await expect(flagsOf('--encoding', 'nonsense')).rejects.toThrow(/Allowed/);
  });

  test('one table with files, or tables with a file each', () => {
    expect(targetsFrom(['t', 'a.csv', 'b=c.csv'])).toEqual([{ table: 't', files: ['a.csv', 'b=c.csv'] }]);
    expect(targetsFrom(['t=a.csv', 'u=x/b.csv', 't=c.csv'])).toEqual([
      { table: 't', files: ['a.csv', 'c.csv'] },
      { table: 'u', files: ['x/b.csv'] },
    ]);
    expect(() => targetsFrom(['t'])).toThrow(/at least one file/);
  });
});

async function* pieces(...texts: readonly string[]): AsyncGenerator<Buffer> {
  for (const text of texts) yield await Promise.resolve(Buffer.from(text));
}

async function* breaking(): AsyncGenerator<Buffer> {
  yield await Promise.resolve(Buffer.from('a'));
  throw new Error('cut off');
}

test('standard input is one file for one content, and none when it breaks off', async () => {
  const kept = join(folder, 'spool');
  const first = await spool(pieces('a,b\n', '1,2\n'), kept, () => undefined);
  const { mtimeNs } = await stat(first, { bigint: true });
  expect(await spool(pieces('a,b\n1,2\n'), kept, () => undefined)).toBe(first);
  // A running ingest knows it by its time, to the nanosecond.
  expect((await stat(first, { bigint: true })).mtimeNs).toBe(mtimeNs);
  expect(await readFile(first, 'utf8')).toBe('a,b\n1,2\n');
  await expect(spool(breaking(), kept, () => undefined)).rejects.toMatchObject({ code: 'LS-INGEST-SPOOL' });
  expect(await readdir(kept)).toHaveLength(1);
  await expect(spool(pieces('x'), '/dev/null/no', () => undefined)).rejects.toMatchObject({ code: 'LS-INGEST-SPOOL' });
});

test('inputs that nobody asked for in a month go with the next one, and whatever a killed command left', async () => {
  const kept = join(folder, 'old-spool');
  const old = await spool(pieces('old\n'), kept, () => undefined);
  const asked = await spool(pieces('asked for again\n'), kept, () => undefined);
  const part = join(kept, 'left.part');
  await writeFile(part, 'half');
  const today = Math.floor(Date.now() / 1000) * 1000;
  const [longAgo, days] = [new Date(today - 40 * 86_400_000), new Date(today - 2 * 86_400_000)];
  for (const path of [old, asked]) await utimes(path, longAgo, longAgo);
  await utimes(part, days, days);
  // The same content again is the same file, with the time of its content.
  expect(await spool(pieces('asked for again\n'), kept, () => undefined)).toBe(asked);
  expect((await stat(asked)).mtimeMs).toBe(longAgo.getTime());
  const next = await spool(pieces('new\n'), kept, () => undefined);
  expect((await readdir(kept)).map((name) => join(kept, name)).toSorted()).toEqual([asked, next].toSorted());
});

test('rejected rows are JSON lines or CSV, whole or not at all', async () => {
  async function* rejects(): AsyncGenerator<RejectedRow> {
    yield await Promise.resolve({
      file: 'f.csv',
      line: 3,
      reason: 'type' as const,
      column: 'n',
      detail: 'not a number',
      raw: '1,"x"\n',
    });
  }
  const json = join(folder, 'r.ndjson');
  expect(await writeRejects(json, rejects())).toBe(1);
  expect(JSON.parse(await readFile(json, 'utf8'))).toMatchObject({ line: 3, reason: 'type', raw: '1,"x"\n' });
  const csv = join(folder, 'r.csv');
  await writeRejects(csv, rejects());
  expect(await readFile(csv, 'utf8')).toContain('f.csv,3,type,n,not a number,');
  await expect(writeRejects(join(folder, 'none', 'r.csv'), rejects())).rejects.toMatchObject({
    code: 'LS-INGEST-REJECT-FILE',
  });
  await writeFile(json, 'kept');
  expect(await writeRejects(json, none())).toBe(0);
  // The disk fills while the rows are still being read.
  async function* endless(): AsyncGenerator<RejectedRow> {
    for (;;) yield* rejects();
  }
  await symlink('/dev/full', `${json}.part`);
  await expect(writeRejects(json, endless())).rejects.toMatchObject({
    code: 'LS-INGEST-REJECT-FILE',
    message: expect.stringContaining('ENOSPC') as unknown,
  });
  const gone = new LockstepError('LS-MYSQL-UNREACHABLE', 'MySQL went away');
  await expect(writeRejects(json, failing(gone))).rejects.toBe(gone);
  expect(await readFile(json, 'utf8')).toBe('kept');
  expect((await readdir(folder)).filter((name) => name.endsWith('.part'))).toEqual([]);

  async function* none(): AsyncGenerator<RejectedRow> {}
  async function* failing(error: Error): AsyncGenerator<RejectedRow> {
    yield* rejects();
    throw error;
  }
});
