/** Real files → chunks: every format and packing, resumed at every chunk, and what happens when a file is not what it was. */
import { appendFile, mkdtemp, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';
import { crc32, deflateRawSync, gzipSync } from 'node:zlib';
import type { SchemaElement } from 'hyparquet';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Column, Definition } from '../../core/definition.js';
import { codeOf } from '../../core/errors.js';
import {
  beginning,
  defaultReading,
  type FileChunk,
  type IngestMode,
  type IngestPlan,
  type ResumePoint,
} from '../../core/ingest.js';
import type { InsertFacts } from '../../core/ingestColumns.js';
import { planIngest, readingOf, surveyFiles, type WantedReading } from '../../stages/ingestPlan.js';
import { readChunks } from '../../stores/files/readChunks.js';

const fixtures = fileURLToPath(new URL('../files/', import.meta.url)).replace('/dist/test/', '/test/');

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lockstep-ingest-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

function column(name: string, type: string, changes: Partial<Column> = {}): Column {
  return {
    name,
    type,
    columnType: type,
    nullable: true,
    unsigned: false,
    zerofill: false,
    length: null,
    precision: null,
    scale: null,
    fsp: null,
    charset: null,
    collation: null,
    generated: false,
    invisible: false,
    members: [],
    ...changes,
  };
}

const text = { length: 1000, charset: 'utf8mb4', collation: 'utf8mb4_0900_ai_ci' };

function definition(...columns: readonly Column[]): Definition {
  return { database: 'd', table: 't', columns: [column('id', 'int', { nullable: false }), ...columns], key: ['id'] };
}

const people = definition(column('name', 'varchar', text), column('text', 'varchar', text));
const idFacts: InsertFacts = { autoIncrement: null, required: ['id'] };

interface Wanted extends Partial<WantedReading> {
  readonly of?: Definition;
  readonly facts?: InsertFacts;
  readonly mode?: IngestMode;
}

async function planOf(
  files: readonly string[],
  { of = people, facts = idFacts, mode = 'insert', ...wanted }: Wanted = {},
): Promise<IngestPlan> {
  const { sources, reading } = await readingOf(files, { ...defaultReading, format: null, delimiter: null, ...wanted });
  return planIngest(await surveyFiles(sources, reading, () => undefined), reading, { definition: of, facts }, mode);
}

async function chunksOf(plan: IngestPlan, from: ResumePoint = beginning): Promise<FileChunk[]> {
  const chunks: FileChunk[] = [];
  for await (const chunk of readChunks(plan, from)) chunks.push(chunk);
  return chunks;
}

async function rowsOf(files: readonly string[], wanted: Wanted = {}): Promise<unknown[]> {
  return (await chunksOf(await planOf(files, wanted))).flatMap(({ rows }) => rows.map(({ values }) => values));
}

async function rejectsOf(files: readonly string[], wanted: Wanted = {}) {
  return (await chunksOf(await planOf(files, wanted))).flatMap(({ rejects }) => rejects);
}

async function file(name: string, content: string | Uint8Array): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

function lines(count: number): string {
  let rows = 'id,name,text\n';
  for (let i = 0; i < count; i++) rows += `${i},name ${i % 7},${'x'.repeat(i % 50)}\n`;
  return rows;
}

/** A zip archive of deflated entries. */
function zip(...entries: readonly (readonly [string, string])[]): Buffer {
  const [locals, central]: [Buffer[], Buffer[]] = [[], []];
  let at = 0;
  for (const [name, content] of entries) {
    const [packed, label] = [deflateRawSync(content), Buffer.from(name)];
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(0x800, 2);
    common.writeUInt16LE(8, 4);
    common.writeUInt32LE(crc32(content), 10);
    common.writeUInt32LE(packed.length, 14);
    common.writeUInt32LE(Buffer.byteLength(content), 18);
    common.writeUInt16LE(label.length, 22);
    locals.push(Buffer.from('504b0304', 'hex'), common, label, packed);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(at, 10);
    central.push(Buffer.from('504b01021400', 'hex'), common, tail, label);
    at += 30 + label.length + packed.length;
  }
  const directory = Buffer.concat(central);
  const end = Buffer.alloc(22);
  end.writeUInt32BE(0x504b0506, 0);
  end.writeUInt16LE(entries.length, 8);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(at, 16);
  return Buffer.concat([...locals, directory, end]);
}

const expected = Array.from({ length: 600 }, (_, i) => [i, `name ${i % 7}`, 'x'.repeat(i % 50)]);

describe('one content in every packing', () => {
  test.each([
    ['plain.csv', () => lines(600)],
    ['packed.csv.gz', () => gzipSync(lines(600))],
    ['two members.gz', () => Buffer.concat([gzipSync(lines(300)), gzipSync(lines(600).slice(lines(300).length))])],
    ['packed.zip', () => zip(['rows.csv', lines(600)], ['__MACOSX/._rows.csv', 'x'])],
    ['marked.csv', () => `\ufeff${lines(600)}`],
    ['crlf.csv', () => lines(600).replaceAll('\n', '\r\n')],
    ['tabs.tsv', () => lines(600).replaceAll(',', '\t')],
  ])('%s', async (name, content) => {
    expect(await rowsOf([await file(name, content())])).toEqual(expected);
  });

  test('zstd', async () => {
    expect(await rowsOf([join(fixtures, 'rows.csv.zst')])).toEqual(expected);
  });

  test('zstd in several frames, and cut short', async () => {
    const frame = await readFile(join(fixtures, 'rows.csv.zst'));
    const twice = await file('twice.csv.zst', Buffer.concat([frame, frame]));
    const rejects = await rejectsOf([twice]);
    expect(rejects.map(({ line, reason, column: name }) => [line, reason, name])).toEqual([[602, 'type', 'id']]);
    const cut = await file('cut.csv.zst', frame.subarray(0, frame.length - 20));
    await expect(planOf([cut])).rejects.toMatchObject({ code: 'LS-INGEST-FILE-BROKEN' });
  });

  test('UTF-16 and Latin-1 by --encoding', async () => {
    const content = 'id,name,text\n1,ä,€\n';
    const wide = await file('wide.csv', Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(content, 'utf16le')]));
    await expect(planOf([wide])).rejects.toMatchObject({ code: 'LS-INGEST-FILE-FORM' });
    expect(await rowsOf([wide], { encoding: 'utf-16le' })).toEqual([[1, 'ä', '€']]);
    const narrow = await file('narrow.csv', Buffer.from(content.replace('€', '\u0080'), 'latin1'));
    expect(await rowsOf([narrow], { encoding: 'latin1' })).toEqual([[1, 'ä', '€']]);
  });

  test('the hash is of the content, whatever packs it', async () => {
    const plain = await planOf([await file('same.csv', lines(10))]);
    const packed = await planOf([await file('same.csv.gz', gzipSync(lines(10)))]);
    const other = await planOf([await file('other.csv', lines(11))]);
    expect(packed.contentHash).toBe(plain.contentHash);
    expect(other.contentHash).not.toBe(plain.contentHash);
  });
});

/** Numbers of the chunks from which reading on does not give exactly the chunks that follow. */
async function unlikeOnResume(plan: IngestPlan): Promise<number[]> {
  const all = await chunksOf(plan);
  expect(all.map(({ from }) => from.chunk)).toEqual(Array.from({ length: plan.chunks }, (_, i) => i));
  expect(all.map(({ next }) => next?.chunk)).toEqual([...all.slice(1).map(({ from }) => from.chunk), undefined]);
  expect(all.reduce((sum, { records }) => sum + records, 0)).toBe(plan.records);
  const texts = all.map((chunk) => inspect(chunk, { depth: 9, maxArrayLength: null }));
  const unlike: number[] = [];
  for (const [i, { from }] of all.entries()) {
    const rest = (await chunksOf(plan, from)).map((chunk) => inspect(chunk, { depth: 9, maxArrayLength: null }));
    if (rest.join('\n') !== texts.slice(i).join('\n')) unlike.push(i);
  }
  return unlike;
}

describe('a resume at any chunk is exact', () => {
  const small = { chunkRows: 64, chunkBytes: 2_000 };

  test.each(['a.csv', 'a.csv.gz'])('%s', async (name) => {
    const content = name.endsWith('gz') ? gzipSync(lines(500)) : lines(500);
    expect(await unlikeOnResume(await planOf([await file(name, content)], small))).toEqual([]);
  });

  test('several files of different orders, one of them empty', async () => {
    const first = await file('1.csv', lines(200));
    const empty = await file('2.csv', 'id,name,text\n');
    const turned = await file('3.csv', 'text,id,name\r\n"a\r\nb",7,c\r\n' + 'd,8,e\r\n'.repeat(130));
    const plan = await planOf([join(folder, '[123].csv')], small);
    expect(plan.files.map(({ path, records }) => [path, records])).toEqual([
      [first, 200],
      [empty, 0],
      [turned, 131],
    ]);
    expect(await unlikeOnResume(plan)).toEqual([]);
    const rows = (await chunksOf(plan)).flatMap((chunk) => chunk.rows.map(({ values }) => values));
    expect(rows.slice(200, 202)).toEqual([
      [7, 'c', 'a\r\nb'],
      [8, 'e', 'd'],
    ]);
  });

  test('NDJSON', async () => {
    const content = Array.from({ length: 300 }, (_, i) => JSON.stringify({ id: i, name: `n${i}`, text: null })).join(
      '\n\n',
    );
    expect(await unlikeOnResume(await planOf([await file('rows.ndjson', content)], small))).toEqual([]);
  });

  test('Parquet', async () => {
    const ids = Array.from({ length: 5_000 }, (_, i) => i);
    const buffer = parquetWriteBuffer({
      columnData: [
        { name: 'id', data: ids, type: 'INT32' },
        { name: 'name', data: ids.map((i) => `n${i % 13}`), type: 'STRING' },
      ],
      rowGroupSize: 1_700,
    });
    const plan = await planOf([await file('rows.parquet', new Uint8Array(buffer))], { chunkRows: 600 });
    expect(plan.chunks).toBe(9);
    expect(await unlikeOnResume(plan)).toEqual([]);
    const rows = (await chunksOf(plan)).flatMap((chunk) => chunk.rows.map(({ values }) => values));
    expect(rows).toEqual(ids.map((i) => [i, `n${i % 13}`]));
  });
});

test('NULL tokens, in quotes and out of them, and empty fields', async () => {
  const of = definition(column('n', 'int'), column('s', 'varchar', text));
  const path = await file('nulls.csv', 'id,n,s\n1,NA,NA\n2,"NA","NA"\n3,,\n4,"",""\n5, ,-\n');
  expect(await rowsOf([path], { of, nullTokens: ['NA', '-'] })).toEqual([
    [1, null, null],
    [2, null, 'NA'],
    [3, null, ''],
    [4, null, ''],
    [5, null, null],
  ]);
  expect(await rowsOf([path], { of, nullTokens: ['', 'NA'] })).toEqual([
    [1, null, null],
    [2, null, 'NA'],
    [3, null, null],
    [4, null, ''],
    [5, null, '-'],
  ]);
});

test('rejected rows have reason, line, column and text', async () => {
  const path = await file('bad.csv', 'id,name,text\n1,a,b\nx,a,b\n2,a\n,a,b\n3,"a\nb"c,d\n4,ok,ok\n99999999999,a,b\n');
  const chunk = (await chunksOf(await planOf([path])))[0]!;
  expect(chunk.rows.map(({ line, values }) => [line, values[0]])).toEqual([
    [2, 1],
    [8, 4],
  ]);
  expect(chunk.rejects.map(({ line, reason, column: name, raw }) => [line, reason, name, raw])).toEqual([
    [3, 'type', 'id', 'x,a,b'],
    [4, 'column-count', null, '2,a'],
    [5, 'null', 'id', ',a,b'],
    [6, 'quote', null, '3,"a\nb"c,d'],
    [9, 'range', 'id', '99999999999,a,b'],
  ]);
  expect(chunk.raw(8)).toBe('4,ok,ok');
});

describe('NDJSON', () => {
  const of = definition(
    column('big', 'bigint', { unsigned: true }),
    column('price', 'decimal', { precision: 20, scale: 2 }),
    column('doc', 'json'),
    column('tags', 'set', { members: ['a', 'b'] }),
    column('s', 'varchar', text),
  );
  const rows = [
    '{"id":1,"big":18446744073709551615,"price":123456789012345678.90,"doc":{"x":1.10},"tags":["b","a"],"s":"a\\nü"}',
    ' { "s" : 1.50, "id" : 2, "doc" : null, "big" : "7" } ',
    '{"id":3,"doc":"text","tags":"a,b","s":true}',
    '[1]',
    '{"id":4',
    '{"big":1}',
    '{"id":5,"s":{"a":1}}',
  ];

  test('keeps every digit, and what is absent stays absent', async () => {
    const path = await file('typed.ndjson', rows.join('\n'));
    expect(await rowsOf([path], { of })).toEqual([
      [1, 18446744073709551615n, '123456789012345678.90', '{"x":1.10}', 'a,b', 'a\nü'],
      [2, 7, undefined, null, undefined, '1.50'],
      [3, undefined, undefined, '"text"', 'a,b', 'true'],
    ]);
    expect((await rejectsOf([path], { of })).map(({ line, reason }) => [line, reason])).toEqual([
      [4, 'json'],
      [5, 'json'],
      [6, 'missing'],
      [7, 'type'],
    ]);
  });

  test('a member that no column takes is told before anything is loaded', async () => {
    const path = await file('unknown.ndjson', `${'{"id":1}\n'.repeat(100)}{"id":2,"nmae":"x"}\n{"zzz`);
    await expect(planOf([path])).rejects.toThrow(/no column nmae \(did you mean name\?\)/);
    expect(await rowsOf([path], { ignore: ['nmae'] })).toHaveLength(101);
  });

  test('half of a surrogate pair is rejected, a whole pair and what only looks like one are not', async () => {
    const of = definition(column('s', 'varchar', text));
    const texts = ['\\ud800', 'a\\uDC00b', '\\ud83d\\ude00', '\\\\ud800', '😀'];
    const path = await file('halves.ndjson', texts.map((s, i) => `{"id":${i + 1},"s":"${s}"}`).join('\n'));
    expect((await rejectsOf([path], { of })).map(({ line, reason, column: name }) => [line, reason, name])).toEqual([
      [1, 'encoding', 's'],
      [2, 'encoding', 's'],
    ]);
    expect(await rowsOf([path], { of })).toEqual([
      [3, '😀'],
      [4, '\\ud800'],
      [5, '😀'],
    ]);
  });

  describe('what a line must give', () => {
    const of: Definition = {
      database: 'd',
      table: 't',
      columns: [
        column('n', 'int', { nullable: false }),
        column('part', 'int', { nullable: false }),
        column('must', 'int', { nullable: false }),
        column('may', 'int'),
      ],
      key: ['n', 'part'],
    };
    /** `part` has a default. */
    const facts: InsertFacts = { autoIncrement: 'n', required: ['must'] };
    const given = ['{"n":1,"part":1,"must":1,"may":1}', '{"part":1,"must":1}', '{"n":2,"must":1}', '{"n":3,"part":1}'];

    test.each<readonly [IngestMode, readonly unknown[]]>([
      [
        'insert',
        [
          [3, 'missing', 'part'],
          [4, 'missing', 'must'],
        ],
      ],
      [
        'replace',
        [
          [3, 'missing', 'part'],
          [4, 'missing', 'must'],
        ],
      ],
      ['upsert', [[3, 'missing', 'part']]],
    ])('%s', async (mode, rejects) => {
      const path = await file('lacking.ndjson', given.join('\n'));
      const found = await rejectsOf([path], { of, facts, mode });
      expect(found.map(({ line, reason, column: name }) => [line, reason, name])).toEqual(rejects);
    });

    test('a plan of an earlier version is read as before', async () => {
      const path = await file('older.ndjson', given.join('\n'));
      const plan = await planOf([path], { of, facts, mode: 'upsert' });
      const older = { ...plan, columns: plan.columns.map(({ name, field }) => ({ name, field })) };
      const [chunk] = await chunksOf(older);
      expect(chunk?.rejects.map(({ line, column: name }) => [line, name])).toEqual([
        [3, 'part'],
        [4, 'must'],
      ]);
    });
  });

  test('an array is told from lines', async () => {
    const path = await file('array.json', '[{"id":1}]');
    await expect(planOf([path])).rejects.toThrow(/one JSON array/);
  });
});

test('Parquet: every type comes exact', async () => {
  const of = definition(
    column('small', 'smallint'),
    column('big', 'bigint', { unsigned: true }),
    column('price', 'decimal', { precision: 19, scale: 2 }),
    column('cents', 'decimal', { precision: 5, scale: 1 }),
    column('ratio', 'double'),
    column('single', 'float'),
    column('flag', 'tinyint'),
    column('name', 'varchar', text),
    column('raw', 'varbinary', { length: 9 }),
    column('day', 'date'),
    column('micros', 'datetime', { fsp: 6 }),
    column('nanos', 'datetime', { fsp: 6 }),
    column('clock', 'time', { fsp: 6 }),
    column('list', 'json'),
    column('dict', 'varchar', text),
  );
  expect(await rowsOf([join(fixtures, 'types.parquet')], { of })).toEqual([
    [
      1,
      -32768,
      18446744073709551615n,
      '12345678901234567.89',
      '1.5',
      '0.1',
      '0.10000000149011612',
      1,
      'ä',
      Buffer.from([0, 255]),
      '2024-02-29',
      '2024-02-29 23:59:59.123456',
      '2023-11-14 22:13:20.123456',
      '23:59:59.999999',
      '[1,2]',
      'x',
    ],
    [2, null, null, null, null, null, null, null, '', Buffer.alloc(0), null, null, null, null, null, 'y'],
    [
      3,
      0,
      0,
      '-0.01',
      '-1.5',
      '-0',
      '-0',
      0,
      '😀',
      null,
      '0001-01-01',
      '1969-12-31 23:59:59.999999',
      '1970-01-01 00:00:00.000000',
      '00:00:00.000000',
      '[]',
      null,
    ],
    [
      4,
      1,
      1,
      '0.10',
      '0.0',
      '1e+300',
      '1.0000000150474662e+30',
      1,
      null,
      Buffer.from('abc'),
      '9999-12-31',
      '1970-01-01 00:00:00.000000',
      '1969-12-31 23:59:59.999999',
      '01:02:03.000000',
      '[3]',
      'x',
    ],
    // Line 5 has a nanosecond that no column holds: rejected.
    [
      6,
      32767,
      3,
      '99.99',
      '3.1',
      '2.5',
      '2.5',
      1,
      'x,y',
      Buffer.from('1'),
      '1969-12-31',
      '2000-01-01 00:00:00.000000',
      '2023-11-14 22:13:20.000000',
      '12:00:00.000000',
      '[5]',
      'x',
    ],
  ]);
  const [reject] = await rejectsOf([join(fixtures, 'types.parquet')], { of });
  expect(reject).toMatchObject({ line: 5, reason: 'precision', column: 'nanos' });
  expect(reject?.raw).toContain('"name":"a\\"b"');
});

/** One row with a column beside `id`, as these schema elements describe it. */
async function parquetFile(name: string, elements: readonly SchemaElement[], value: unknown): Promise<string> {
  const schema: SchemaElement[] = [
    { name: 'root', num_children: 2 },
    { name: 'id', type: 'INT32', repetition_type: 'REQUIRED' },
    ...elements,
  ];
  const [, , top] = schema;
  const columnData = [
    { name: 'id', data: [1] },
    { name: top?.name ?? '', data: [value] },
  ];
  return await file(name, new Uint8Array(parquetWriteBuffer({ schema, columnData })));
}

function listOf(element: Omit<SchemaElement, 'name'>): SchemaElement[] {
  return [
    { name: 'v', repetition_type: 'OPTIONAL', num_children: 1, converted_type: 'LIST' },
    { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
    { name: 'element', repetition_type: 'OPTIONAL', ...element },
  ];
}

describe('Parquet: a list or struct that cannot be read exactly is refused', () => {
  const of = definition(column('v', 'json'));
  const micros = { isAdjustedToUTC: true, unit: 'MICROS' } as const;

  test.each<readonly [string, SchemaElement[], unknown]>([
    ['DECIMAL', listOf({ type: 'INT64', converted_type: 'DECIMAL', precision: 10, scale: 2 }), [12.34]],
    ['DATE', listOf({ type: 'INT32', converted_type: 'DATE' }), [19_000]],
    ['TIME', listOf({ type: 'INT64', logical_type: { type: 'TIME', ...micros } }), [1n]],
    ['TIMESTAMP', listOf({ type: 'INT64', converted_type: 'TIMESTAMP_MICROS' }), [1n]],
    ['TIMESTAMP', listOf({ type: 'INT64', logical_type: { type: 'TIMESTAMP', ...micros } }), [1n]],
    [
      'UUID',
      listOf({ type: 'FIXED_LEN_BYTE_ARRAY', type_length: 16, logical_type: { type: 'UUID' } }),
      [new Uint8Array(16)],
    ],
    [
      'DECIMAL',
      [
        { name: 'v', repetition_type: 'OPTIONAL', num_children: 2 },
        { name: 'a', type: 'INT32', repetition_type: 'OPTIONAL' },
        { name: 'b', type: 'INT32', converted_type: 'DECIMAL', precision: 5, scale: 1, repetition_type: 'OPTIONAL' },
      ],
      { a: 1, b: 1.5 },
    ],
    [
      'VARIANT',
      [
        { name: 'v', repetition_type: 'OPTIONAL', num_children: 2, logical_type: { type: 'VARIANT' } },
        { name: 'metadata', type: 'BYTE_ARRAY', repetition_type: 'REQUIRED' },
        { name: 'value', type: 'BYTE_ARRAY', repetition_type: 'OPTIONAL' },
      ],
      { a: 1 },
    ],
  ])('%s', async (type, elements, value) => {
    const path = await parquetFile(`nested ${type}.parquet`, elements, value);
    const refusal = await planOf([path], { of }).catch((error: unknown) => error);
    expect(codeOf(refusal)).toBe('LS-INGEST-COLUMNS');
    expect(String(refusal)).toContain(`${path} has columns that cannot be read exactly:\n  v has ${type}`);
    expect(String(refusal)).toContain('--ignore v');
    const plan = await planOf([path], { of, ignore: ['v'] });
    expect((await chunksOf(plan)).flatMap(({ rows }) => rows.map(({ values }) => values))).toEqual([[1]]);
    // A plan of an earlier version: its reader refuses, before it gives a row away.
    const older = { ...plan, columns: [...plan.columns, { name: 'v', field: 'v' }] };
    await expect(chunksOf(older)).rejects.toMatchObject({ code: 'LS-INGEST-COLUMNS' });
  });

  test('one that can be is JSON', async () => {
    const path = await parquetFile('nested INT64.parquet', listOf({ type: 'INT64' }), [2n ** 60n]);
    expect(await rowsOf([path], { of })).toEqual([[1, '[1152921504606846976]']]);
  });
});

describe('Parquet: a time beyond the column is one rejected row, and no time is another one', () => {
  const farAway = '9223372036854775807 µs since 1970';
  const stamps: SchemaElement[] = [{ name: 'v', type: 'INT64', converted_type: 'TIMESTAMP_MICROS' }];
  const days: SchemaElement[] = [{ name: 'v', type: 'INT32', converted_type: 'DATE' }];
  const clocks: SchemaElement[] = [{ name: 'v', type: 'INT64', converted_type: 'TIME_MICROS' }];
  const seconds = (count: number): bigint => BigInt(count) * 1_000_000n;

  test.each<readonly [string, SchemaElement[], unknown, Column, unknown]>([
    ['DATETIME', stamps, 2n ** 63n - 1n, column('v', 'datetime', { fsp: 6 }), 'type'],
    ['TIMESTAMP', stamps, -(2n ** 63n), column('v', 'timestamp', { fsp: 6 }), 'type'],
    ['a year of five digits', stamps, seconds(253_402_300_800), column('v', 'datetime', { fsp: 6 }), 'type'],
    ['text', stamps, 2n ** 63n - 1n, column('v', 'varchar', text), farAway],
    ['the last moment of a Date', stamps, seconds(8_640_000_000_000), column('v', 'datetime', { fsp: 6 }), 'type'],
    ['DATE', days, 2 ** 31 - 1, column('v', 'date'), 'type'],
    ['DATE before', days, -(2 ** 31), column('v', 'date'), 'type'],
    ['DATE of five digits', days, 2_932_897, column('v', 'date'), 'type'],
    ['DATE as text', days, 2_932_897, column('v', 'varchar', text), '+010000-01-01'],
    ['DATE as text beyond', days, 2 ** 31 - 1, column('v', 'varchar', text), '2147483647 days since 1970'],
    ['24:00:00', clocks, seconds(86_400), column('v', 'time', { fsp: 6 }), '24:00:00.000000'],
    ['the longest TIME', clocks, seconds(3_020_399), column('v', 'time', { fsp: 0 }), '838:59:59'],
    ['one more', clocks, seconds(3_020_400), column('v', 'time', { fsp: 0 }), 'range'],
    ['a negative TIME', clocks, -1_500_000n, column('v', 'time', { fsp: 6 }), '-00:00:01.500000'],
    ['the most that 64 bits hold', clocks, 2n ** 63n - 1n, column('v', 'time', { fsp: 6 }), 'type'],
  ])('%s', async (name, elements, value, into, expected) => {
    const path = await parquetFile(`${name}.parquet`, elements, value);
    const [chunk] = await chunksOf(await planOf([path], { of: definition(into) }));
    expect(chunk?.rejects[0]?.reason ?? chunk?.rows[0]?.values[1]).toBe(expected);
  });

  test('the rejected row says what it is', async () => {
    const path = await parquetFile('far away.parquet', stamps, 2n ** 63n - 1n);
    const [reject] = await rejectsOf([path], { of: definition(column('v', 'datetime', { fsp: 6 })) });
    expect(reject).toMatchObject({ line: 1, column: 'v', raw: `{"id":1,"v":"${farAway}"}` });
  });
});

test('of two entries with one name the second would never be read: the archive is refused', async () => {
  const entries = [
    ['rows.csv', 'id,name,text\n1,a,b\n'],
    ['rows.csv', 'id,name,text\n2,c,d\n'],
  ] as const;
  const twins = await file('twins.zip', zip(...entries));
  const refusal = await planOf([twins]).catch((error: unknown) => error);
  expect(codeOf(refusal)).toBe('LS-INGEST-FILE-FORM');
  expect(String(refusal)).toContain('two entries called rows.csv');
  const unread = await file('macs.zip', zip(entries[0], ['.DS_Store', 'x'], ['.DS_Store', 'x']));
  expect(await rowsOf([unread])).toEqual([[1, 'a', 'b']]);
});

describe('a file that is not what it should be', () => {
  test('missing, a folder, an empty pattern, empty, a truncated archive, an open quote, unknown columns', async () => {
    const cases: readonly (readonly [string, string])[] = [
      [join(folder, 'nothing.csv'), 'LS-INGEST-FILE-MISSING'],
      [folder, 'LS-INGEST-FILE-MISSING'],
      [join(folder, 'nothing*.csv'), 'LS-INGEST-FILE-MISSING'],
      [await file('empty.csv', ''), 'LS-INGEST-FILE-FORM'],
      [await file('header.csv', 'id,name,text\n'), 'LS-INGEST-FILE-FORM'],
      [await file('cut.csv.gz', gzipSync(lines(600)).subarray(0, 500)), 'LS-INGEST-FILE-BROKEN'],
      [await file('cut.zip', zip(['a', lines(600)]).subarray(0, 500)), 'LS-INGEST-FILE-BROKEN'],
      [await file('bad.zip', spoiled(zip(['a', lines(600)]), 200)), 'LS-INGEST-FILE-BROKEN'],
      [await file('bad.csv.gz', spoiled(gzipSync(lines(600)), 200)), 'LS-INGEST-FILE-BROKEN'],
      [await file('bad.parquet', 'PAR1 and nothing else'), 'LS-INGEST-FILE-BROKEN'],
      [await file('quote.csv', 'id,name,text\n1,"a,b\n2,c,d\n'), 'LS-INGEST-QUOTE'],
      [await file('unknown.csv', 'id,nam,text\n1,a,b\n'), 'LS-INGEST-COLUMNS'],
      [await file('keyless.csv', 'name,text\na,b\n'), 'LS-INGEST-COLUMNS'],
      [await file('twice.csv', 'id,name,NAME\n1,a,b\n'), 'LS-INGEST-COLUMNS'],
      [await file('semicolons.csv', 'id;name;text\n1;a;b\n'), 'LS-INGEST-COLUMNS'],
    ];
    const codes = await Promise.all(cases.map(([path]) => planOf([path]).catch((error: unknown) => error)));
    expect(codes.map((error, i) => [cases[i]?.[0], codeOf(error)])).toEqual(cases);
    await expect(planOf([join(folder, 'semicolons.csv')])).rejects.toThrow(/--delimiter ';'/);
  });

  test('changed after the plan, or while it is read', async () => {
    const path = await file('moving.csv', lines(500));
    const plan = await planOf([path], { chunkRows: 100 });
    const seen: number[] = [];
    const reading = (async () => {
      for await (const { from } of readChunks(plan, beginning)) {
        seen.push(from.chunk);
        if (from.chunk === 1) await appendFile(path, '900,late,row\n');
      }
    })();
    await expect(reading).rejects.toMatchObject({ code: 'LS-INGEST-FILE-CHANGED' });
    expect(seen).toEqual([0, 1]);
    await expect(chunksOf(plan)).rejects.toMatchObject({ code: 'LS-INGEST-FILE-CHANGED' });
    await rm(path);
    await expect(chunksOf(plan)).rejects.toMatchObject({ code: 'LS-INGEST-FILE-MISSING' });
  });

  test('other content of the same size and time is noticed at the end', async () => {
    const path = await file('sly.csv', lines(500));
    const then = new Date(1_700_000_000_000);
    await utimes(path, then, then);
    const plan = await planOf([path]);
    await writeFile(path, lines(500).replace('name 6', 'name 5'));
    await utimes(path, then, then);
    await expect(chunksOf(plan)).rejects.toMatchObject({ code: 'LS-INGEST-FILE-CHANGED' });
  });
});

function spoiled(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ 0xff;
  return copy;
}

test('without a header the fields have the names that were given', async () => {
  const path = await file('bare.csv', '1,x,a\n2,y,b\n');
  expect(await rowsOf([path], { header: false, columns: ['id', '-', 'name'] })).toEqual([
    [1, 'a'],
    [2, 'b'],
  ]);
  const headed = await file('headed.csv', 'nr,x,who\n1,x,a\n');
  expect(await rowsOf([headed], { columns: ['id', '-', 'name'] })).toEqual([[1, 'a']]);
  await expect(planOf([headed], { columns: ['id', 'name'] })).rejects.toMatchObject({ code: 'LS-INGEST-COLUMNS' });
});
