import { createRequire } from 'node:module';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { murmur2, partitionOf } from '../../core/partitioner.js';

const kafkajs = createRequire(import.meta.url)('kafkajs/src/producer/partitioners/default/murmur2.js') as (
  key: Buffer,
) => number;

test('agrees with kafkajs and Kafka itself on every key', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const key = Buffer.from(bytes);
      expect(murmur2(key)).toBe(kafkajs(key));
    }),
    { numRuns: 2_000 },
  );
});

/** From Kafka's own UtilsTest.testMurmur2. */
test.each([
  ['21', -973932308],
  ['foobar', -790332482],
  ['a-little-bit-long-string', -985981536],
  ['a-little-bit-longer-string', -1486304829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
])('murmur2(%s)', (text, hash) => {
  expect(murmur2(Buffer.from(text))).toBe(hash);
});

test('gives a partition that exists', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.integer({ min: 1, max: 100 }), (key, partitions) => {
      const partition = partitionOf(Buffer.from(key), partitions);
      expect(partition).toBeGreaterThanOrEqual(0);
      expect(partition).toBeLessThan(partitions);
    }),
  );
});
