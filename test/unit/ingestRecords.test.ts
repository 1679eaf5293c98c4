/** CSV bytes → records → fields: the same whatever the pieces the bytes come in, and the same as another parser's. */
import { parse } from 'csv-parse/sync';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { defaultReading, type Reading } from '../../core/ingest.js';
import { Fault } from '../../core/ingestFault.js';
import { csvDialect, fieldsOf, isQuoted } from '../../stores/files/csv.js';
import { blocksOf, rawText, type Block } from '../../stores/files/records.js';
import { recordOf } from '../../stores/files/checkedRows.js';

async function* inPieces(bytes: Buffer, cuts: readonly number[]): AsyncGenerator<Buffer> {
  let from = 0;
  for (const cut of [...cuts].sort((a, b) => a - b)) {
    const to = Math.min(bytes.length, cut);
    if (to > from) yield bytes.subarray(from, to);
    from = Math.max(from, to);
  }
  if (from < bytes.length) yield bytes.subarray(from);
}

type Options = Partial<Pick<Reading, 'delimiter' | 'quote' | 'chunkRows' | 'chunkBytes'>>;

async function blocks(
  bytes: Buffer,
  options: Options = {},
  cuts: readonly number[] = [],
  fields = 2,
): Promise<Block[]> {
  const reading = { ...defaultReading, ...options };
  const found: Block[] = [];
  for await (const block of blocksOf(inPieces(bytes, cuts), csvDialect(reading, fields), reading, {
    offset: 0,
    line: 1,
  })) {
    found.push(block);
  }
  return found;
}

async function rows(text: string | Buffer, options: Options = {}, cuts: readonly number[] = [], fields = 2) {
  const reading = { ...defaultReading, ...options };
  const found = await blocks(Buffer.from(text), options, cuts, fields);
  return found.flatMap((block) =>
    fieldsOf(block, reading).map((of, i) => [block.lines[i], of instanceof Fault ? of.reason : of] as const),
  );
}

const cases: readonly (readonly [string, string, Options, unknown])[] = [
  [
    'plain',
    'a,b\nc,d\n',
    {},
    [
      [1, ['a', 'b']],
      [2, ['c', 'd']],
    ],
  ],
  [
    'without a last line end',
    'a,b\nc,d',
    {},
    [
      [1, ['a', 'b']],
      [2, ['c', 'd']],
    ],
  ],
  [
    'CRLF',
    'a,b\r\n"c",d\r\n',
    {},
    [
      [1, ['a', 'b']],
      [2, ['c', 'd']],
    ],
  ],
  [
    'CRLF without the last',
    'a,b\r\nc,d',
    {},
    [
      [1, ['a', 'b']],
      [2, ['c', 'd']],
    ],
  ],
  [
    'both line ends',
    'a,"b"\r\nc,d\n"e\r\n",f\r\n',
    {},
    [
      [1, ['a', 'b']],
      [2, ['c', 'd']],
      [3, ['e\r\n', 'f']],
    ],
  ],
  [
    'quotes',
    '"a""b","c,d"\n"","x"\n',
    {},
    [
      [1, ['a"b', 'c,d']],
      [2, ['', 'x']],
    ],
  ],
  [
    'line ends within quotes',
    '"a\nb",c\nd,"e\n\nf"\ng,h',
    {},
    [
      [1, ['a\nb', 'c']],
      [3, ['d', 'e\n\nf']],
      [6, ['g', 'h']],
    ],
  ],
  [
    'blank lines',
    '\na,b\n\n\r\nc,d\n\n',
    {},
    [
      [2, ['a', 'b']],
      [5, ['c', 'd']],
    ],
  ],
  [
    'another delimiter',
    'a;b\n"c;";d\n',
    { delimiter: ';' },
    [
      [1, ['a', 'b']],
      [2, ['c;', 'd']],
    ],
  ],
  [
    'a delimiter of two characters',
    'a||b|c\n"||"||d\n',
    { delimiter: '||' },
    [
      [1, ['a', 'b|c']],
      [2, ['||', 'd']],
    ],
  ],
  [
    'a delimiter outside ASCII',
    'a¦b\nc¦d\n',
    { delimiter: '¦' },
    [
      [1, ['a', 'b']],
      [2, ['c', 'd']],
    ],
  ],
  ['another quote', "'a,''b',c\n", { quote: "'" }, [[1, ["a,'b", 'c']]]],
  ['no quote', '"a,b"\n', { quote: null }, [[1, ['"a', 'b"']]]],
  [
    'a quote within a field',
    'a"b,c"\nd,e\n',
    {},
    [
      [1, ['a"b', 'c"']],
      [2, ['d', 'e']],
    ],
  ],
  [
    'text behind a quote',
    '"a"b,c\nd,"e"\n',
    {},
    [
      [1, 'quote'],
      [2, ['d', 'e']],
    ],
  ],
  ['a mark within the file', '\ufeffa,b\n', {}, [[1, ['\ufeffa', 'b']]]],
];

test.each(cases)('%s', async (_, text, options, expected) => {
  expect(await rows(text, options)).toEqual(expected);
});

test('one column: a blank line is an empty field', async () => {
  expect(await rows('a\n\nb\n', {}, [], 1)).toEqual([
    [1, ['a']],
    [2, ['']],
    [3, ['b']],
  ]);
  expect(await rows('a\n\n', {}, [], 1)).toEqual([
    [1, ['a']],
    [2, ['']],
  ]);
});

test('bytes that are no UTF-8 spoil their record alone, and are shown', async () => {
  const bytes = Buffer.concat([Buffer.from('a,b\nc,'), Buffer.from([0xe4, 0x62]), Buffer.from('\nd,ü\n')]);
  expect(await rows(bytes)).toEqual([
    [1, ['a', 'b']],
    [2, 'encoding'],
    [3, ['d', 'ü']],
  ]);
  const [block] = await blocks(bytes);
  expect(rawText(recordOf(block!, 1))).toBe('c,\\xe4b');
});

test('a quote that is never closed is an error with its line', async () => {
  await expect(rows('a,b\nc,"d\ne,f\n')).rejects.toMatchObject({ code: 'LS-INGEST-QUOTE', details: { line: 2 } });
});

const field = fc.oneof(
  fc.string({ unit: fc.constantFrom('a', '"', ',', '\n', '\r', ' ', 'ü', '😀'), maxLength: 6 }),
  fc.string({ unit: 'binary', maxLength: 8 }),
);
const table = fc.array(fc.array(field, { minLength: 3, maxLength: 3 }), { minLength: 1, maxLength: 12 });

/** As RFC 4180 writes it; fields that need no quotes have them at random. */
function written(of: readonly (readonly string[])[], lineEnd: string, quoteAll: boolean): string {
  const quoted = (text: string): string =>
    quoteAll || /[",\r\n]/.test(text) || text === '' ? `"${text.replaceAll('"', '""')}"` : text;
  return of.map((record) => record.map(quoted).join(',')).join(lineEnd) + lineEnd;
}

describe('random tables', () => {
  const runs = { numRuns: Number(process.env['LOCKSTEP_FUZZ_RUNS'] ?? 400) };
  const cuts = fc.array(fc.nat(120), { maxLength: 12 });

  test('are read as they were written, cut anywhere, in chunks of any size', async () => {
    await fc.assert(
      fc.asyncProperty(
        table,
        fc.constantFrom('\n', '\r\n'),
        fc.boolean(),
        cuts,
        fc.integer({ min: 1, max: 5 }),
        async (of, lineEnd, quoteAll, at, chunkRows) => {
          const text = written(of, lineEnd, quoteAll);
          const read = await rows(text, { chunkRows }, at);
          expect(read.map(([, fields]) => fields)).toEqual(of);
          const places = read.map(([line]) => line);
          let line = 1;
          for (const [i, record] of of.entries()) {
            expect(places[i]).toBe(line);
            line += 1 + record.join('').split('\n').length - 1;
          }
        },
      ),
      runs,
    );
  });

  test('agree with csv-parse', async () => {
    await fc.assert(
      fc.asyncProperty(table, fc.boolean(), cuts, async (of, quoteAll, at) => {
        const text = written(of, '\n', quoteAll);
        const theirs = parse(text, { delimiter: ',', record_delimiter: '\n', relax_column_count: true }) as string[][];
        expect((await rows(text, {}, at)).map(([, fields]) => fields)).toEqual(theirs);
      }),
      runs,
    );
  });

  test('any bytes at all give the same records however they are cut', async () => {
    const noise = fc.string({ unit: fc.constantFrom('a', '"', ',', '\n', '\r', ' '), maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(noise, cuts, async (text, at) => {
        const [whole, cut] = await Promise.all([rows(text).catch(codeOf), rows(text, {}, at).catch(codeOf)]);
        expect(cut).toEqual(whole);
      }),
      runs,
    );
  });

  test('blocks resume where they end', async () => {
    await fc.assert(
      fc.asyncProperty(table, fc.integer({ min: 1, max: 4 }), async (of, chunkRows) => {
        const bytes = Buffer.from(written(of, '\n', false));
        const reading = { ...defaultReading, chunkRows };
        const all = await blocks(bytes, { chunkRows });
        for (const [i, { next }] of all.entries()) {
          const rest: Block[] = [];
          const dialect = csvDialect(reading, 3);
          for await (const block of blocksOf(inPieces(bytes.subarray(next.offset), []), dialect, reading, next))
            rest.push(block);
          expect(rest.map(({ at, lines }) => [at, lines])).toEqual(
            all.slice(i + 1).map(({ at, lines }) => [at, lines]),
          );
        }
      }),
      runs,
    );
  });

  test('whether a field was quoted is known', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(field, fc.boolean()), { minLength: 1, maxLength: 5 }), async (of) => {
        const needs = of.map(([text, quoted]) => quoted || /[",\r\n]/.test(text) || text !== text.trim());
        const text = of.map(([part], i) => (needs[i] ? `"${part.replaceAll('"', '""')}"` : part)).join(',');
        const dialect = csvDialect(defaultReading, of.length);
        const bytes = Buffer.from(text);
        expect(of.map((_, i) => isQuoted(bytes, i, dialect))).toEqual(needs);
      }),
      runs,
    );
  });
});

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'other';
}
