import fc from 'fast-check';
import { expect, test } from 'vitest';
import { deleteStatement, inside, outside, seqRuns } from '../../stores/mysql/changeLog.js';

const seqs = fc
  .uniqueArray(fc.integer({ min: 1, max: 60 }), { minLength: 1 })
  .map((list) => list.toSorted((a, b) => a - b));

/** What the text says, decided by JavaScript. */
function holds(condition: string, seq: number): boolean {
  return condition.split(' OR ').some((part) => {
    const clauses = part.replaceAll(/seq BETWEEN (\d+) AND (\d+)/g, 'seq>=$1 AND seq<=$2').split(' AND ');
    return clauses.every((clause) => {
      const [, operator = '', text] = /^seq(=|<|>|<=|>=)(\d+)$/.exec(clause) ?? [];
      const bound = Number(text);
      switch (operator) {
        case '=':
          return seq === bound;
        case '<':
          return seq < bound;
        case '>':
          return seq > bound;
        case '<=':
          return seq <= bound;
        case '>=':
          return seq >= bound;
        default:
          throw new Error(`not understood: ${clause}`);
      }
    });
  });
}

test('inside names exactly the rows, outside exactly the others', () => {
  fc.assert(
    fc.property(seqs, (list) => {
      const runs = seqRuns(list.map((seq) => ({ seq })));
      const chosen = new Set(list);
      const others = outside(runs)
        .replace(/^ AND \(/, '')
        .replace(/\)$/, '');
      for (let seq = 1; seq <= 61; seq++) {
        expect(holds(inside(runs), seq)).toBe(chosen.has(seq));
        expect(holds(others, seq)).toBe(!chosen.has(seq));
      }
    }),
  );
});

test('no range of a delete ends with its last row, and every row is named with its identity', () => {
  const rows = [3, 4, 5, 9].map((seq) => ({ seq, identity: String(seq).repeat(16) }));
  expect(deleteStatement('lockstep', rows)).toBe(
    'DELETE FROM `lockstep`.`change_log` WHERE (seq BETWEEN 3 AND 4 OR seq=5 OR seq=9) AND identity IN ' +
      '(0x3333333333333333,0x4444444444444444,0x5555555555555555,0x9999999999999999)',
  );
});

test('nothing under way leaves a read unbounded', () => {
  expect(outside([])).toBe('');
});
