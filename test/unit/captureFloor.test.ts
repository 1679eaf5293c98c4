import fc from 'fast-check';
import { expect, test } from 'vitest';
import { afterRead, afterTransactions, noFloor, type Floor } from '../../stages/captureFloor.js';

/**
 * A change log in small: transactions take numbers while they are open, and their rows appear together at the commit.
 * Capture reads, deletes, looks at the open transactions, in any order of events.
 */
type Step =
  | { kind: 'begin' | 'write' | 'commit' | 'rollback'; transaction: number }
  | { kind: 'read'; limit: number }
  | { kind: 'confirm' | 'look' | 'blind' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        'begin' as const,
        'write' as const,
        'write' as const,
        'commit' as const,
        'rollback' as const,
      ),
      transaction: fc.nat(2),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('read' as const), limit: fc.integer({ min: 1, max: 4 }) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom('confirm' as const, 'look' as const, 'blind' as const) }) },
);

test('the floor never passes a row that is still to be published or deleted', () => {
  let moved = 0;
  fc.assert(
    fc.property(fc.array(step, { minLength: 50, maxLength: 300, size: 'max' }), (steps) => {
      let nextSeq = 1;
      let started = 0;
      const open = new Map<number, { id: string; rows: number[] }>();
      const visible = new Set<number>();
      const unconfirmed = new Set<number>();
      let highestSeen = 0;
      let floor: Floor = noFloor;
      for (const action of steps) {
        switch (action.kind) {
          case 'begin':
            if (!open.has(action.transaction))
              open.set(action.transaction, { id: `${action.transaction} ${started++}`, rows: [] });
            break;
          case 'write':
            open.get(action.transaction)?.rows.push(nextSeq);
            if (open.has(action.transaction)) nextSeq += 1;
            break;
          case 'commit':
            for (const seq of open.get(action.transaction)?.rows ?? []) visible.add(seq);
            open.delete(action.transaction);
            break;
          case 'rollback':
            open.delete(action.transaction);
            break;
          case 'read': {
            const found = [...visible]
              .filter((seq) => seq >= floor.at && !unconfirmed.has(seq))
              .toSorted((a, b) => a - b)
              .slice(0, action.limit);
            floor = afterRead(floor, found[0] ?? null, unconfirmed.size === 0 ? null : Math.min(...unconfirmed));
            for (const seq of found) unconfirmed.add(seq);
            highestSeen = Math.max(highestSeen, ...found);
            break;
          }
          case 'confirm':
            for (const seq of unconfirmed) visible.delete(seq);
            unconfirmed.clear();
            break;
          case 'look':
            floor = afterTransactions(floor, new Set([...open.values()].map(({ id }) => id)), highestSeen);
            break;
          case 'blind':
            floor = afterTransactions(floor, null, highestSeen);
            break;
        }
        const alive = [...visible, ...[...open.values()].flatMap(({ rows }) => rows)];
        for (const seq of alive) expect(seq).toBeGreaterThanOrEqual(floor.at);
      }
      if (floor.at > 1) moved += 1;
    }),
    { numRuns: 500 },
  );
  expect(moved).toBeGreaterThan(100);
});
