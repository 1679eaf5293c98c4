import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeState, encodeState, type StateRecord } from '../../core/stateRecord.js';

const seq = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
const identity = fc.uint8Array({ minLength: 8, maxLength: 8 }).map((bytes) => Buffer.from(bytes).toString('hex'));

const state: fc.Arbitrary<StateRecord> = fc.record({
  pipeline: fc.string(),
  database: fc.string({ unit: 'binary' }),
  incarnation: fc.uuid(),
  beginning: fc.record({ cause: fc.constantFrom('first', 'log-lost', 'source-rewound'), reason: fc.string() }),
  serverUuid: fc.uuid(),
  highestSeq: seq,
  floor: seq,
  published: seq,
  rows: fc
    .uniqueArray(seq, { maxLength: 50 })
    .chain((seqs) =>
      fc.tuple(...seqs.toSorted((a, b) => a - b).map((s) => identity.map((i) => ({ seq: s, identity: i })))),
    ),
  markers: fc.array(fc.uuid()),
  freed: fc.array(fc.record({ tableId: fc.nat(), keyHash: fc.string(), seq })),
  ordinals: fc
    .array(fc.tuple(fc.string(), fc.array(fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }))))
    .map((entries) => new Map(entries)),
  knownGaps: fc.array(fc.tuple(fc.string(), seq)).map((entries) => new Map(entries)),
});

test('every state survives the way to Kafka and back', () => {
  fc.assert(
    fc.property(state, (value) => {
      expect(decodeState(encodeState(value))).toEqual(value);
    }),
  );
});

test('a cut or foreign record is refused, never read as another state', () => {
  fc.assert(
    fc.property(state, fc.double({ min: 0, max: 0.999, noNaN: true }), (value, share) => {
      const bytes = encodeState(value);
      expect(() => decodeState(bytes.subarray(0, Math.floor(bytes.length * share)))).toThrow(/LS-STATE|state record/);
    }),
  );
  expect(() => decodeState(Buffer.from('{"pipeline":"x"}'))).toThrow(/state record/);
});
