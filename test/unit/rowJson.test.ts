import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { foldByTable } from '../../core/fold.js';
import { endOfValue, stringAt } from '../../core/jsonScan.js';
import { bytesOfPart, keyParts, keyTextOf } from '../../core/keyText.js';
import { columnText, finishRowJson, scanRow, vectorText } from '../../core/rowJson.js';
import { targetOf } from '../../core/target.js';
import { undecodableInKey, undecodableInRow, whyUndecodable } from '../../core/undecodable.js';
import { column, definition, event, put, remove, target } from '../support/storeRig.js';

describe('the scanner', () => {
  it('finds each column of a row where JSON.parse finds it', () => {
    const names = fc.uniqueArray(fc.string({ minLength: 1, unit: 'grapheme', maxLength: 12 }), {
      minLength: 1,
      maxLength: 8,
    });
    const row = names.chain((all) =>
      fc.tuple(fc.constant(all), fc.array(fc.jsonValue(), { minLength: all.length, maxLength: all.length })),
    );
    fc.assert(
      fc.property(row, ([all, values]) => {
        const of = definition(
          all.map((name) => column(name, 'json')),
          [all[0]!],
        );
        const text = `{${all.map((name, i) => `${JSON.stringify(name)}:${JSON.stringify(values[i])}`).join(',')}}`;
        const bytes = Buffer.from(text);
        const spans = scanRow(of, bytes);
        const found = all.map((_, i) => JSON.parse(bytes.toString('utf8', spans[2 * i], spans[2 * i + 1])) as unknown);
        expect(found).toEqual(values.map((v) => JSON.parse(JSON.stringify(v)) as unknown));
      }),
      { numRuns: 500 },
    );
  });

  it('allows names that are written with other escapes, and white space', () => {
    const of = definition([column('é/', 'int'), column('b', 'int')], ['b']);
    const row = Buffer.from(String.raw` { "\u00e9\/" : 1 , "b" : 2 } `.trim());
    const spans = scanRow(of, row);
    expect([row.toString('utf8', spans[0], spans[1]), row.toString('utf8', spans[2], spans[3])]).toEqual(['1', '2']);
  });

  it.each(['"', '"a', String.raw`"a\"`, '{', '{"a":[1,2}', '[[]', '', ',', '}'])('refuses the end of %s', (text) => {
    const bytes = Buffer.from(text);
    expect(() => endOfValue(bytes, 0, bytes.length)).toThrow(/row JSON/);
  });

  it('reads a string as JSON.parse does', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        const bytes = Buffer.from(JSON.stringify(text));
        expect(stringAt(bytes, 0, bytes.length)).toBe(text);
      }),
    );
  });
});

describe('text that Unicode does not have', () => {
  const of = definition(
    [
      { ...column('k', 'varchar'), charset: 'ucs2' },
      { ...column('n', 'int') },
      { ...column('a', 'varchar'), charset: 'utf8mb4' },
      { ...column('b', 'text'), charset: 'cp932', nullable: true },
      column('j', 'json'),
    ],
    ['k', 'n'],
  );
  const bytes = '{"charset":"cp932","hex":"81AD"}';

  it.each<[string, string, string | null]>([
    ['nowhere', '{"k":"x","n":1,"a":"y","b":"z","j":{}}', null],
    ['NULL', '{"k":"x","n":1,"a":"y","b":null,"j":null}', null],
    ['JSON that looks like it', `{"k":"x","n":1,"a":"y","b":"z","j":${bytes}}`, null],
    ['text that looks like it', `{"k":"x","n":1,"a":"y","b":${JSON.stringify(bytes)},"j":1}`, null],
    ['there', `{"k":"x","n":1,"a":"y","b":${bytes},"j":1}`, 'b'],
    ['in the key, too', `{"k":${bytes},"n":1,"a":"y","b":${bytes},"j":1}`, 'k'],
  ])('is found: %s', (_, row, name) => {
    expect(undecodableInRow(of, Buffer.from(row))?.name ?? null).toBe(name);
  });

  it('is a part of its own in a key, which no text can look like', () => {
    const marked = `{"k":${bytes},"n":-1}`;
    const alike = `{"k":${JSON.stringify(bytes)},"n":-1}`;
    expect([marked, alike].map((key) => undecodableInKey(of, Buffer.from(key))?.name ?? null)).toEqual(['k', null]);
    const [ofMarked, ofAlike] = [marked, alike].map((key) => keyParts(of, Buffer.from(key)));
    expect([ofMarked, ofAlike].map((parts) => keyTextOf(of, parts ?? []))).toEqual([marked, alike]);
    expect([ofMarked, ofAlike].map((parts) => bytesOfPart(parts?.[0] ?? ''))).toEqual(['81AD', null]);
  });

  it('says which column, and never what', () => {
    expect(whyUndecodable(of.columns[3]!, false)).toMatch(/^column b .*cp932/);
  });
});

describe('key text', () => {
  const single = (type: string): ReturnType<typeof definition> => definition([column('id', type)]);
  it.each<[string, string, string[]]>([
    ['int', '{"id":12}', ['12']],
    ['int', '{"id":-12}', ['-12']],
    ['bigint', '{"id":18446744073709551615}', ['18446744073709551615']],
    ['decimal', '{"id":"1.50"}', ['1.50']],
    ['varchar', '{"id":"12"}', ['12']],
    ['varchar', '{"id":""}', ['']],
    ['varchar', String.raw`{"id":"a\"b\\}é"}`, [String.raw`a"b\}é`]],
    ['varchar', '{"id":"9}"}', ['9}']],
    ['bit', '{"id":true}', ['true']],
    ['date', '{"id":"2024-01-01"}', ['2024-01-01']],
  ])('%s %s', (type, text, parts) => {
    expect(keyParts(single(type), Buffer.from(text))).toEqual(parts);
    expect(keyTextOf(single(type), parts)).toBe(text);
  });

  it('of a composite key comes in key order', () => {
    const of = definition([column('a', 'int'), column('b', 'varchar')], ['b', 'a']);
    const text = '{"b":"x:y","a":-3}';
    expect(keyParts(of, Buffer.from(text))).toEqual(['x:y', '-3']);
    expect(keyTextOf(of, ['x:y', '-3'])).toBe(text);
  });

  it.each(['{"other":1}', '{"id":', '1', ''])('refuses %s', (text) => {
    expect(() => keyParts(single('int'), Buffer.from(text))).toThrow(/row JSON/);
  });
});

describe('a column as text', () => {
  it.each([
    ['varchar', '"a\\"b"', 'a"b'],
    ['json', '"a\\"b"', '"a\\"b"'],
    ['json', '{"a": [1.50]}', '{"a": [1.50]}'],
    ['int', '-7', '-7'],
    ['bit', 'true', 'true'],
    ['varchar', 'null', null],
  ])('%s %s', (type, json, text) => {
    const bytes = Buffer.from(json);
    expect(columnText(column('c', type), bytes, 0, bytes.length)).toBe(text);
  });
});

describe('vectors', () => {
  it('become the shortest numbers that are exactly the stored ones', () => {
    fc.assert(
      fc.property(fc.array(fc.float({ noNaN: true, noDefaultInfinity: true })), (numbers) => {
        const bytes = Buffer.alloc(numbers.length * 4);
        numbers.forEach((n, i) => bytes.writeFloatLE(n, i * 4));
        const read = JSON.parse(vectorText(bytes.toString('base64'))) as number[];
        expect(read).toEqual([...numbers]);
      }),
    );
  });

  it('are finished in their place, and rows without them are left as they are', () => {
    const of = definition([column('id', 'int'), column('v', 'vector'), column('s', 'varchar'), column('w', 'vector')]);
    const one = Buffer.alloc(4);
    one.writeFloatLE(1.5);
    const base64 = one.toString('base64');
    const finish = (text: string): string => finishRowJson(of, Buffer.from(text)).toString();
    expect(finish(`{"id":1,"v":"${base64}","s":"${base64}","w":null}`)).toBe(
      `{"id":1,"v":[1.5],"s":"${base64}","w":null}`,
    );
    expect(finish('{"id":1,"v":null,"s":"é","w":""}')).toBe('{"id":1,"v":null,"s":"é","w":[]}');
    const plain = Buffer.from('{"id":1}');
    expect(finishRowJson(definition([column('id', 'int')]), plain)).toBe(plain);
  });
});

describe('folding', () => {
  it('keeps the last event of each key and knows which keys began in the batch', () => {
    const events = [
      put(1, 'a', 'c'),
      put(2, 'b'),
      remove(3),
      put(1, 'c'),
      put(3, 'd', 'c'),
      remove(2),
      put(4, 'e', 'r'),
    ];
    const folded = foldByTable(events).get('things')!;
    expect(folded.map((f) => [f.last.key.toString(), f.last.after?.toString() ?? null, f.fresh])).toEqual([
      ['{"id":1}', '{"id":1,"v":"c"}', true],
      ['{"id":2}', null, false],
      ['{"id":3}', '{"id":3,"v":"d"}', false],
      ['{"id":4}', '{"id":4,"v":"e"}', true],
    ]);
  });

  it('never mixes tables, and leaves what a replay one by one would leave', () => {
    const step = fc.record({ table: fc.constantFrom('a', 'b'), id: fc.nat(4), v: fc.option(fc.nat(9)) });
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const oneByOne = new Map<string, string | null>();
        const events = steps.map(({ table, id, v }) => {
          const after = v === null ? null : JSON.stringify({ id, v });
          oneByOne.set(`${table}/{"id":${id}}`, after);
          return event(v === null ? 'd' : 'u', id, after, { target: target(table) });
        });
        const folded = [...foldByTable(events)].flatMap(([table, keys]) =>
          keys.map((k) => [`${table}/${k.key}`, k.last.after?.toString() ?? null] as const),
        );
        expect(new Map(folded)).toEqual(oneByOne);
        expect(folded).toHaveLength(oneByOne.size);
      }),
    );
  });
});

describe('targets', () => {
  it('follow the names unless overridden', () => {
    const overrides = { orders: { redis: { layout: 'hash', ttlMs: 5 }, mongo: { collection: 'o' } } } as const;
    expect(targetOf('a$b', { overrides })).toEqual({
      table: 'a$b',
      collection: 'a-0024b',
      redis: { layout: 'json', ttlMs: null },
    });
    expect(targetOf('orders', { overrides })).toEqual({
      table: 'orders',
      collection: 'o',
      redis: { layout: 'hash', ttlMs: 5 },
    });
    expect(targetOf('constructor', { overrides }).collection).toBe('constructor');
  });
});
