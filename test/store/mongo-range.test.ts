/**
 * Ranges of a collection against rows: over any cut of the keys they say together what a look at each key and a walk over
 * the whole collection say, whatever somebody has put there.
 */
import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { Binary, Decimal128, Double, Int32, Long, MaxKey, MinKey, MongoClient, ObjectId } from 'mongodb';
import { afterAll, beforeAll, beforeEach, expect, inject, it } from 'vitest';
import type { Definition } from '../../core/definition.js';
import type { RowVerdict, SourceRow, Store } from '../../core/store.js';
import { openMongoStore } from '../../stores/mongo/store.js';
import { column, definition, target, things } from '../support/storeRig.js';

const { uri } = inject('stack').mongo;
const client = new MongoClient(uri);
const name = `range_${randomBytes(4).toString('hex')}`;
const at = target();
let store: Store;

beforeAll(() => {
  store = openMongoStore({ uri, database: name, stateDatabase: `${name}_state`, tls: null }, name);
});

beforeEach(async () => {
  await collection().deleteMany({});
});

afterAll(async () => {
  await store.close();
  await client.db(name).dropDatabase();
  await client.close();
});

const collection = () => client.db(name).collection<{ _id: unknown }>('things');
const big = definition([column('id', 'bigint', { nullable: false, unsigned: true }), column('v', 'varchar')]);

function row(id: number | bigint): SourceRow {
  return { key: Buffer.from(`{"id":${id}}`), row: Buffer.from(`{"id":${id},"v":"v"}`) };
}

interface Told {
  readonly verdicts: readonly RowVerdict[];
  /** Key text, and whether it is a key. */
  readonly extra: readonly string[];
}

/** As sweeps of tables in another order do it: each row by its `_id`, then everything. */
async function byKey(of: Definition, rows: readonly SourceRow[]): Promise<Told> {
  const keys = new Set(rows.map(({ key }) => key.toString()));
  const { entries } = await store.entries([{ target: at, definition: of }], null, { limit: 10_000, everything: false });
  const extra = entries.filter(({ key, isKey }) => !isKey || !keys.has(key)).map(({ key, isKey }) => `${key} ${isKey}`);
  return { verdicts: await store.compareRows(at, of, rows), extra: extra.toSorted() };
}

/** In ranges that end behind every `step` rows; the last one has no end. */
async function byRange(of: Definition, rows: readonly SourceRow[], step: number): Promise<Told> {
  const verdicts: RowVerdict[] = [];
  const extra: string[] = [];
  let after: readonly string[] | null = null;
  for (let from = 0; from <= rows.length; from += step) {
    const some = rows.slice(from, from + step);
    const last = some.length < step ? undefined : some.at(-1);
    const upTo = last === undefined ? null : [last.key.toString().slice('{"id":'.length, -1)];
    const compared = await store.compareRange(at, of, some, { after, upTo });
    if (compared === null) throw new Error('the collection lies in the order of its keys');
    verdicts.push(...compared.verdicts);
    extra.push(...compared.extra.map(({ key, isKey }) => `${key} ${isKey}`));
    after = upTo;
    if (upTo === null) break;
  }
  return { verdicts, extra: extra.toSorted() };
}

const strange = [
  new MinKey(),
  null,
  new Double(Number.NaN),
  new Double(-Infinity),
  new Double(-2.5),
  new Double(3),
  new Double(4.5),
  Decimal128.fromString('5'),
  Long.fromNumber(6),
  new Double(Infinity),
  'a text',
  '7',
  { id: 7 },
  new Binary(Buffer.from([1])),
  new ObjectId(),
  true,
  new Date(0),
  new MaxKey(),
];

it('tells the same as a look at each key and a walk over all of them, however the rows are cut', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.integer({ min: -12, max: 12 }), { maxLength: 20 }),
      fc.uniqueArray(fc.integer({ min: -12, max: 12 }), { maxLength: 20 }),
      fc.subarray(strange),
      fc.integer({ min: 1, max: 8 }),
      async (keys, held, odd, step) => {
        await collection().deleteMany({});
        const documents = [
          ...held.map((id) => ({ _id: new Int32(id), id: new Int32(id), v: id % 5 === 0 ? 'edited' : 'v' })),
          ...odd.map((_id) => ({ _id, id: new Int32(1), v: 'v' })),
        ];
        // A number of another type may stand where a key does: whoever comes first has the place.
        if (documents.length > 0) {
          await collection()
            .insertMany(documents as { _id: unknown }[], { ordered: false })
            .catch((error: { code?: number }) => {
              if (error.code !== 11000) throw error;
            });
        }
        const rows = keys.toSorted((a, b) => a - b).map(row);
        expect(await byRange(things, rows, step)).toEqual(await byKey(things, rows));
      },
    ),
    { numRuns: 40 },
  );
});

it('finds nothing in a range that ends where it begins', async () => {
  await collection().insertOne({ _id: new Int32(5) });
  expect(await store.compareRange(at, things, [], { after: ['5'], upTo: ['5'] })).toEqual({ verdicts: [], extra: [] });
});

it('goes on behind 2^63, where a key is no integer of BSON any more', async () => {
  const keys = [1n, 2n ** 53n + 1n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n];
  const ids = keys.map((key) => (key < 2n ** 63n ? Long.fromBigInt(key) : Decimal128.fromString(String(key))));
  await collection().insertMany(ids.map((_id) => ({ _id, id: _id, v: 'v' })));
  const between = Decimal128.fromString('9223372036854775809');
  await collection().insertOne({ _id: between });
  for (const step of [1, 2, 3, 5, 9]) {
    expect(await byRange(big, keys.map(row), step)).toEqual({
      verdicts: keys.map(() => ({ kind: 'equal' })),
      extra: ['{"id":9223372036854775809} true'],
    });
  }
});

it('is left to whoever walks the collection where it holds much besides, or lies in another order', async () => {
  const range = { after: null, upTo: null };
  await collection().insertMany(Array.from({ length: 600 }, (_, id) => ({ _id: new Int32(id) })));
  expect(await store.compareRange(at, things, [row(1)], range)).toBeNull();
  expect((await store.compareRange(at, things, [row(1)], { after: ['0'], upTo: ['99'] }))?.extra).toHaveLength(98);
  const text = definition([column('id', 'varchar', { nullable: false })]);
  expect(await store.compareRange(at, text, [], range)).toBeNull();
  const pair = definition([column('id', 'int'), column('b', 'int')], ['id', 'b']);
  expect(await store.compareRange(at, pair, [], range)).toBeNull();
  const asText = definition([column('id', 'bigint', { form: 'int64-string' })]);
  expect(await store.compareRange(at, asText, [], range)).toBeNull();
});
