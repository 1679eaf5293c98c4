/** Real files → chunks: every format and packing, resumed at every chunk, and what happens when a file is not what it was. */
import { appendFile, mkdtemp, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';
import { crc32, deflateRawSync, gzipSync } from 'node:zlib';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Column, Definition } from '../../core/definition.js';
import { codeOf } from '../../core/errors.js';
import { beginning, defaultReading, type FileChunk, type IngestPlan, type ResumePoint } from '../../core/ingest.js';
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
const facts = { autoIncrement: null, required: ['id'] };

interface Wanted extends Partial<WantedReading> {
  readonly of?: Definition;
}

async function planOf(files: readonly string[], { of = people, ...wanted }: Wanted = {}): Promise<IngestPlan> {
  const { sources, reading } = await readingOf(files, { ...defaultReading, format: null, delimiter: null, ...wanted });
  return planIngest(await surveyFiles(sources, reading, () => undefined), reading, { definition: of, facts }, 'insert');
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
function zip(entries: Readonly<Record<string, string>>): Buffer {
  const [locals, central]: [Buffer[], Buffer[]] = [[], []];
  let at = 0;
  for (const [name, content] of Object.entries(entries)) {
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
  end.writeUInt16LE(Object.keys(entries).length, 8);
  end.writeUInt16LE(Object.keys(entries).length, 10);
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
    ['packed.zip', () => zip({ 'rows.csv': lines(600), '__MACOSX/._rows.csv': 'x' })],
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

describe('a file that is not what it should be', () => {
  test('missing, a folder, an empty pattern, empty, a truncated archive, an open quote, unknown columns', async () => {
    const cases: readonly (readonly [string, string])[] = [
      [join(folder, 'nothing.csv'), 'LS-INGEST-FILE-MISSING'],
      [folder, 'LS-INGEST-FILE-MISSING'],
      [join(folder, 'nothing*.csv'), 'LS-INGEST-FILE-MISSING'],
      [await file('empty.csv', ''), 'LS-INGEST-FILE-FORM'],
      [await file('header.csv', 'id,name,text\n'), 'LS-INGEST-FILE-FORM'],
      [await file('cut.csv.gz', gzipSync(lines(600)).subarray(0, 500)), 'LS-INGEST-FILE-BROKEN'],
      [await file('cut.zip', zip({ a: lines(600) }).subarray(0, 500)), 'LS-INGEST-FILE-BROKEN'],
      [await file('bad.zip', spoiled(zip({ a: lines(600) }), 200)), 'LS-INGEST-FILE-BROKEN'],
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
