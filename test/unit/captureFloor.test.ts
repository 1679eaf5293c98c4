import fc from 'fast-check';
import { expect, test } from 'vitest';
import { afterRead, afterTransactions, noFloor, type Floor } from '../../stages/captureFloor.js';

/**
 * A change log in small: transactions take numbers while they are open, and their rows appear together at the commit.
 * Capture reads and deletes in any order of events; at each tick it looks at the open transactions, in a picture taken at
 * the tick before. A transaction that took a number shows as a writer at the next tick at the latest.
 */
type Step =
  | { kind: 'begin' | 'write' | 'commit' | 'rollback'; transaction: number }
  | { kind: 'read'; limit: number }
  | { kind: 'confirm' | 'tick' | 'blind' };

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
      transaction: fc.nat(3),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('read' as const), limit: fc.integer({ min: 1, max: 4 }) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom('confirm' as const, 'tick' as const, 'tick' as const, 'blind' as const),
    }),
  },
);

interface Transaction {
  readonly id: string;
  readonly rows: number[];
  /** As MySQL shows it. */
  writes: boolean;
}

interface Picture {
  readonly open: ReadonlyMap<string, boolean>;
  readonly highestSeen: number;
}

class Model {
  floor: Floor = noFloor;
  readonly #open = new Map<number, Transaction>();
  readonly #visible = new Set<number>();
  readonly #unconfirmed = new Set<number>();
  readonly #pictures: Picture[] = [];
  #nextSeq = 1;
  #begun = 0;
  #highestSeen = 0;

  do(action: Step): void {
    switch (action.kind) {
      case 'begin':
        if (this.#open.has(action.transaction)) break;
        this.#open.set(action.transaction, { id: `${this.#begun++}`, rows: [], writes: false });
        break;
      case 'write': {
        const transaction = this.#open.get(action.transaction);
        if (transaction === undefined) break;
        transaction.rows.push(this.#nextSeq);
        this.#nextSeq += 1;
        break;
      }
      case 'commit':
        for (const seq of this.#open.get(action.transaction)?.rows ?? []) this.#visible.add(seq);
        this.#open.delete(action.transaction);
        break;
      case 'rollback':
        this.#open.delete(action.transaction);
        break;
      case 'read':
        this.#read(action.limit);
        break;
      case 'confirm':
        for (const seq of this.#unconfirmed) this.#visible.delete(seq);
        this.#unconfirmed.clear();
        break;
      case 'tick':
        this.#look();
        break;
      case 'blind':
        this.floor = afterTransactions(this.floor, null, this.#highestSeen);
        break;
    }
  }

  /** Rows that are to be published or deleted, now or after a commit. */
  alive(): number[] {
    return [...this.#visible, ...[...this.#open.values()].flatMap(({ rows }) => rows)];
  }

  #read(limit: number): void {
    const found = [...this.#visible]
      .filter((seq) => seq >= this.floor.at && !this.#unconfirmed.has(seq))
      .toSorted((a, b) => a - b)
      .slice(0, limit);
    const undeleted = this.#unconfirmed.size === 0 ? null : Math.min(...this.#unconfirmed);
    this.floor = afterRead(this.floor, found[0] ?? null, undeleted);
    for (const seq of found) this.#unconfirmed.add(seq);
    this.#highestSeen = Math.max(this.#highestSeen, ...found);
  }

  #look(): void {
    const [before, picture] = this.#pictures.slice(-2);
    if (before !== undefined && picture !== undefined) {
      this.floor = afterTransactions(this.floor, picture.open, before.highestSeen);
    }
    const open = new Map([...this.#open.values()].map(({ id, writes }) => [id, writes]));
    this.#pictures.push({ open, highestSeen: this.#highestSeen });
    for (const transaction of this.#open.values()) transaction.writes = transaction.rows.length > 0;
  }
}

test('the floor never passes a row that is still to be published or deleted', () => {
  let moved = 0;
  fc.assert(
    fc.property(fc.array(step, { minLength: 50, maxLength: 300, size: 'max' }), (steps) => {
      const model = new Model();
      for (const action of steps) {
        model.do(action);
        expect(Math.min(Number.POSITIVE_INFINITY, ...model.alive())).toBeGreaterThanOrEqual(model.floor.at);
      }
      if (model.floor.at > 1) moved += 1;
    }),
    { numRuns: 500 },
  );
  expect(moved).toBeGreaterThan(100);
});

test('an old snapshot that never writes does not hold it down', () => {
  const snapshot = new Map([['reader', false]]);
  let floor = afterTransactions(noFloor, new Map([...snapshot, ['writer', true]]), 10);
  floor = afterTransactions(floor, new Map([...snapshot, ['writer', true]]), 20);
  expect(afterRead(floor, null, null).at).toBe(0);
  floor = afterTransactions(floor, snapshot, 30);
  expect(afterRead(floor, null, null).at).toBe(11);
});
