import fc from 'fast-check';
import { expect, test } from 'vitest';
import { envelopeBuilder, envelopeOverhead } from '../../core/envelope.js';

const names = fc.string({ unit: 'binary', maxLength: 64 });
const image = fc.option(
  fc.jsonValue().map((value) => Buffer.from(JSON.stringify({ v: value }))),
  { nil: null },
);

test('is the JSON of an envelope, and the range is the after-image', () => {
  fc.assert(
    fc.property(
      names,
      names,
      names,
      fc.constantFrom('c' as const, 'u' as const, 'd' as const, 'r' as const),
      fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
      image,
      image,
      (name, database, table, op, seq, before, after) => {
        const build = envelopeBuilder({ name, database, table }, '1.2.3');
        const fixed = build({ op: 'c', seq: 1, at: 1, publishedAt: 2, before: null, after: null }).value.length;
        const { value, afterStart, afterEnd } = build({
          op,
          seq,
          at: 1700000000123.456,
          publishedAt: 1700000000999,
          before,
          after,
        });
        expect(JSON.parse(value.toString('utf8'))).toEqual({
          before: before === null ? null : (JSON.parse(before.toString()) as unknown),
          after: after === null ? null : (JSON.parse(after.toString()) as unknown),
          source: {
            version: '1.2.3',
            connector: 'lockstep',
            name,
            db: database,
            table,
            ts_ms: 1700000000123,
            snapshot: String(op === 'r'),
            seq,
          },
          op,
          ts_ms: 1700000000999,
        });
        const found = afterEnd === 0 && afterStart === 0 ? null : value.subarray(afterStart, afterEnd).toString();
        expect(found).toBe(after === null ? null : after.toString());
        expect(value.length).toBeLessThanOrEqual(
          fixed + envelopeOverhead + (before?.length ?? 0) + (after?.length ?? 0),
        );
      },
    ),
  );
});
