import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import type { Definition } from '../../core/definition.js';
import { recordForm } from '../../core/envelope.js';
import { decodeHeader, type Op } from '../../core/event.js';
import { partitionOf } from '../../core/partitioner.js';
import { planBatch, type BatchContext, type Change, type Route } from '../../stages/captureBatch.js';

const definition: Definition = { database: 'shop', table: 'orders', columns: [], key: ['id'] };
const route: Route = {
  definition,
  hash: 'a'.repeat(32),
  topic: 'p.shop.orders',
  partitions: 3,
  maxMessageBytes: 2_000,
  form: recordForm({ name: 'p', database: 'shop', table: 'orders' }, '1.0.0', null),
};
const context: BatchContext = {
  incarnation: 'i',
  publishedAt: 5,
  ordinals: new Map([['p.shop.orders', [10, 20, 30]]]),
  earlier: [],
  isParked: null,
  lowestLeft: null,
};

let nextSeq = 1;
function change(op: Op, id: number, before: string | null, after: string | null, more: Partial<Change> = {}): Change {
  const seq = nextSeq++;
  return {
    kind: 'event',
    seq,
    identity: seq.toString(16).padStart(16, '0'),
    tableId: 1,
    op,
    key: Buffer.from(`{"id":${id}}`),
    before: before === null ? null : Buffer.from(before),
    after: after === null ? null : Buffer.from(after),
    at: 1,
    route,
    reason: '',
    ...more,
  };
}

function written(changes: readonly Change[], more: Partial<BatchContext> = {}): string[] {
  const plan = planBatch(changes, { ...context, ...more });
  return plan.partitions.flatMap(({ partition, records }) =>
    records.map(({ key, header }) => {
      const facts = decodeHeader(header ?? '');
      return `${partition} ${key.toString()} ${facts?.op} ${facts?.ordinal}`;
    }),
  );
}

test('a delete is followed by its tombstone; ordinals go on without a gap', () => {
  const partition = partitionOf(Buffer.from('{"id":1}'), 3);
  const base = [10, 20, 30][partition] ?? 0;
  expect(written([change('c', 1, null, '{}'), change('d', 1, '{}', null), change('c', 1, null, '{}')])).toEqual([
    `${partition} {"id":1} c ${base + 1}`,
    `${partition} {"id":1} d ${base + 2}`,
    `${partition} {"id":1} t ${base + 3}`,
    `${partition} {"id":1} c ${base + 4}`,
  ]);
});

test('every row is named, whatever became of it; every partition counts its records', () => {
  const op = fc.constantFrom<Op>('c', 'u', 'd', 'r');
  const kind = fc.constantFrom<Change['kind']>(
    'event',
    'event',
    'event',
    'marker',
    'parked',
    'gone',
    'locked',
    'nothing',
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(op, fc.nat(20), kind, fc.nat(3_000)), { maxLength: 60 }), (list) => {
      const changes = list.map(([o, id, k, size]) =>
        change(
          o,
          id,
          o === 'u' || o === 'd' ? `"${'b'.repeat(size)}"` : null,
          o === 'd' ? null : `"${'a'.repeat(size)}"`,
          { kind: k },
        ),
      );
      const plan = planBatch(changes, context);
      const named = [...plan.rows, ...plan.left].map(({ seq }) => seq).toSorted((a, b) => a - b);
      expect(named).toEqual(changes.map(({ seq }) => seq));
      const firstLocked = changes.find(({ kind: k }) => k === 'locked')?.seq ?? Infinity;
      const staying = changes.filter((c) => c.kind === 'locked' || (c.kind === 'marker' && c.seq > firstLocked));
      expect(plan.left.map(({ seq }) => seq)).toEqual(staying.map(({ seq }) => seq));
      const seqs = new Set<number>();
      for (const { partition, records, topic } of plan.partitions) {
        const before = context.ordinals.get(topic)?.[partition] ?? 0;
        const facts = records.map(({ header }) => decodeHeader(header ?? ''));
        expect(facts.map((f) => f?.ordinal)).toEqual(records.map((_, i) => before + i + 1));
        expect(plan.ordinals.get(topic)?.[partition]).toBe(before + records.length);
        for (const f of facts) if (f !== undefined && f.op !== 't') seqs.add(f.seq);
        const tombstones = facts.flatMap((f, i) => (f?.op === 'd' ? [facts[i + 1]?.op] : []));
        expect(tombstones.every((next) => next === 't')).toBe(true);
      }
      expect(seqs.size).toBe(plan.published);
      // A delete always arrives.
      const parked = new Set(plan.parked.map(({ seq }) => seq));
      expect(changes.filter((c) => c.kind === 'event' && c.op === 'd' && parked.has(c.seq))).toEqual([]);
    }),
  );
});

test('a marker waits behind a row that was left earlier, and behind none that came later', () => {
  const marker = change('r', 1, null, null, { kind: 'marker', route: null });
  expect(planBatch([marker], { ...context, lowestLeft: marker.seq - 1 })).toMatchObject({ rows: [], markers: [] });
  expect(planBatch([marker], { ...context, lowestLeft: marker.seq + 1 }).left).toEqual([]);
});

test('an update that changed nothing is no event', () => {
  expect(written([change('u', 1, '{"a":1}', '{"a":1}')])).toEqual([]);
});

test('a delete of a key that could only ever be parked is told to nobody, and frees it', () => {
  const gone = change('d', 1, null, null, { kind: 'gone' });
  const isParked = (): boolean => true;
  expect(planBatch([gone], { ...context, isParked })).toMatchObject({ rows: [gone], published: 0, freed: [gone] });
  expect(planBatch([gone], context).freed).toEqual([]);
  const parked = change('c', 1, null, null, { kind: 'parked', reason: 'no text' });
  const again = planBatch([parked, change('d', 1, null, null, { kind: 'gone' }), parked], context);
  expect([again.parked.length, again.freed]).toEqual([2, []]);
});

describe('twins of two triggers', () => {
  test('a change with a parked one of its key before it is no twin, and frees the key', () => {
    const changes = [
      change('u', 1, null, '{"v":2}'),
      change('u', 1, null, null, { kind: 'parked', route: null, reason: 'too large' }),
      change('u', 1, null, '{"v":2}'),
    ];
    const plan = planBatch(changes, context);
    expect(plan.published).toBe(2);
    expect(plan.freed).toEqual([changes[2]]);
  });

  test.each<[string, Change[], number]>([
    ['an insert twice', [change('c', 1, null, 'x'), change('c', 1, null, 'x')], 1],
    [
      'an insert twice with others between',
      [change('c', 1, null, 'x'), change('c', 2, null, 'x'), change('c', 1, null, 'x'), change('c', 2, null, 'x')],
      2,
    ],
    [
      'a changed key twice',
      [change('d', 1, 'x', null), change('c', 2, null, 'y'), change('d', 1, 'x', null), change('c', 2, null, 'y')],
      3,
    ],
    ['an update twice', [change('u', 1, 'x', 'y'), change('u', 1, 'x', 'y')], 1],
    [
      'insert, delete, insert again',
      [change('c', 1, null, 'x'), change('d', 1, 'x', null), change('c', 1, null, 'x')],
      4,
    ],
    ['to and fro', [change('u', 1, 'x', 'y'), change('u', 1, 'y', 'x'), change('u', 1, 'x', 'y')], 3],
    ['the same in two tables', [change('c', 1, null, 'x'), change('c', 1, null, 'x', { tableId: 2 })], 2],
    ['copied rows', [change('r', 1, null, 'x'), change('r', 1, null, 'x')], 2],
  ])('%s', (_, changes, records) => {
    expect(written(changes)).toHaveLength(records);
  });

  test('across two batches', () => {
    const first = change('c', 1, null, 'x');
    expect(written([change('c', 1, null, 'x')], { earlier: [first] })).toEqual([]);
  });
});

describe('sizes', () => {
  const large = 'x'.repeat(1_990);
  test('a change that is too large is parked, and freed by the next that fits', () => {
    const plan = planBatch(
      [change('c', 1, null, large), change('c', 2, null, large), change('u', 1, 'y', 'z')],
      context,
    );
    expect(plan.parked.map(({ key }) => String(key))).toEqual(['{"id":1}', '{"id":2}']);
    expect(plan.freed.map(({ key }) => String(key))).toEqual(['{"id":1}']);
    expect(plan.published).toBe(1);
  });

  test('a key that is parked again after it was freed stays parked', () => {
    const plan = planBatch([change('u', 1, 'y', 'z'), change('u', 1, 'z', large)], {
      ...context,
      isParked: () => true,
    });
    expect(plan.parked).toHaveLength(1);
    expect(plan.freed).toEqual([]);
  });

  test('the before-image gives way before the change does', () => {
    const [partition] = planBatch([change('u', 1, large, 'small')], context).partitions;
    expect(JSON.parse(String(partition?.records[0]?.value).replace('small', '"small"'))).toMatchObject({
      before: null,
      after: 'small',
    });
  });
});
