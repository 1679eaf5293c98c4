/** Our own wire encoding against kafkajs's, whose Kafka accepts: what one writes the other must read. */
import { createRequire } from 'node:module';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { crc32c } from '../../stores/kafka/crc32c.js';
import { decodeFetch } from '../../stores/kafka/fetchResponse.js';
import { rounds } from '../../stores/kafka/producer.js';
import { batchHeadBytes, encodeProduce, recordBytes, type OutgoingRecord } from '../../stores/kafka/recordBatch.js';

const load = createRequire(import.meta.url);
const kafkajsCrc = load('kafkajs/src/protocol/recordBatch/crc32C') as (bytes: Buffer) => number;
const Decoder = load('kafkajs/src/protocol/decoder') as new (bytes: Buffer) => object;
const decodeBatch = load('kafkajs/src/protocol/recordBatch/v0/decoder') as (decoder: object) => Promise<{
  inTransaction: boolean;
  producerId: string;
  producerEpoch: number;
  firstSequence: number;
  records: { offset: string; timestamp: string; key: Buffer; value: Buffer | null; headers: Record<string, Buffer> }[];
}>;

const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array));
const record: fc.Arbitrary<OutgoingRecord> = fc.record({
  key: bytes,
  value: fc.option(bytes, { nil: null }),
  header: fc.option(
    fc.string({ maxLength: 120 }).map((text) => text.replaceAll(/[^ -~]/g, '.')),
    { nil: null },
  ),
});
const records = fc.array(record, { minLength: 1, maxLength: 80 });

test('the checksum is kafkajs’s', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 5_000 }), fc.nat(20), (array, start) => {
      const from = Math.min(start, array.length);
      expect(crc32c(array, from, array.length)).toBe(kafkajsCrc(Buffer.from(array.subarray(from))));
    }),
  );
});

/** The record batch in a request of one batch: behind the topic and the partition. */
function batchOf(request: Buffer): Buffer {
  // Partition 257, then the size of what follows: whose last byte may be 0, as the first of the batch are.
  const partition = request.indexOf(Buffer.from([0, 0, 1, 1]), 20);
  return request.subarray(partition + 8);
}

test('kafkajs reads what we write', async () => {
  await fc.assert(
    fc.asyncProperty(
      records,
      fc.nat(2 ** 31 - 1),
      fc.integer({ min: 0, max: 2 ** 45 }),
      async (list, sequence, now) => {
        const request = encodeProduce({
          transactionalId: 'lockstep/shop/capture',
          producerId: '123456789012',
          producerEpoch: 7,
          timeoutMs: 1_000,
          timestamp: now,
          batches: [{ topic: 'shop.db.orders', partition: 257, firstSequence: sequence, records: list }],
        });
        const batch = batchOf(request);
        expect(batch.readUInt32BE(17)).toBe(kafkajsCrc(batch.subarray(21)));
        const decoded = await decodeBatch(new Decoder(batch));
        expect(decoded).toMatchObject({
          inTransaction: true,
          producerId: '123456789012',
          producerEpoch: 7,
          firstSequence: sequence,
        });
        expect(
          decoded.records.map(({ key, value, headers, timestamp }) => ({
            key,
            value,
            timestamp: Number(timestamp),
            header: headers['lockstep']?.toString() ?? null,
          })),
        ).toEqual(list.map(({ key, value, header }) => ({ key, value, timestamp: now, header })));
        expect(batch.length).toBeLessThanOrEqual(
          list.reduce(
            (sum, r) => sum + recordBytes(r.key.length, r.value?.length ?? 0, r.header?.length ?? 0),
            batchHeadBytes,
          ),
        );
      },
    ),
  );
});

test('batches stay within their bound, in order, with nothing left out', () => {
  fc.assert(
    fc.property(records, fc.integer({ min: 200, max: 3_000 }), (list, maxBatchBytes) => {
      const result = rounds([{ topic: 't', partition: 0, maxBatchBytes, records: list }]);
      expect(result.flatMap((round) => round.flatMap((partition) => partition.records))).toEqual(list);
      for (const round of result) {
        expect(round).toHaveLength(1);
        const size = (round[0]?.records ?? []).reduce(
          (sum, r) => sum + recordBytes(r.key.length, r.value?.length ?? 0, r.header?.length ?? 0),
          batchHeadBytes,
        );
        expect(size <= maxBatchBytes || round[0]?.records.length === 1).toBe(true);
      }
    }),
  );
});

/** A Fetch response of one partition around record batches. */
function fetchResponse(batches: Buffer, aborted: readonly { producer: number; first: number }[]): Buffer {
  const int16 = (n: number): Buffer => Buffer.from([(n >> 8) & 255, n & 255]);
  const int32 = (n: number): Buffer => {
    const b = Buffer.alloc(4);
    b.writeInt32BE(n);
    return b;
  };
  const int64 = (n: number): Buffer => {
    const b = Buffer.alloc(8);
    b.writeBigInt64BE(BigInt(n));
    return b;
  };
  return Buffer.concat([
    int32(0),
    int16(0),
    int32(0),
    int32(1),
    int16(1),
    Buffer.from('t'),
    int32(1),
    int32(0),
    int16(0),
    int64(1_000),
    int64(999),
    int64(0),
    int32(aborted.length),
    ...aborted.flatMap(({ producer, first }) => [int64(producer), int64(first)]),
    int32(-1),
    int32(batches.length),
    batches,
  ]);
}

function batch(options: { offset: number; producer: number; values: readonly string[]; control?: boolean }): Buffer {
  const list = options.values.map((value) => ({ key: Buffer.from('k'), value: Buffer.from(value), header: null }));
  const result = Buffer.from(
    batchOf(
      encodeProduce({
        transactionalId: 'lockstep/shop/capture',
        producerId: String(options.producer),
        producerEpoch: 0,
        timeoutMs: 1,
        timestamp: 5,
        batches: [{ topic: 'shop.db.orders', partition: 257, firstSequence: 0, records: list }],
      }),
    ),
  );
  result.writeBigInt64BE(BigInt(options.offset), 0);
  if (options.control === true) result.writeInt16BE(0x30, 21);
  return result;
}

test('aborted transactions are left out, whoever else writes at the same time; offsets count control records', () => {
  const batches = Buffer.concat([
    batch({ offset: 0, producer: 1, values: ['a', 'b'] }),
    batch({ offset: 2, producer: 2, values: ['lost'] }),
    batch({ offset: 3, producer: 1, values: ['c'] }),
    batch({ offset: 4, producer: 1, values: ['commit'], control: true }),
    batch({ offset: 5, producer: 2, values: ['lost too'] }),
    batch({ offset: 6, producer: 2, values: ['abort'], control: true }),
    batch({ offset: 7, producer: 2, values: ['d'] }),
    batch({ offset: 8, producer: 2, values: ['commit'], control: true }),
  ]);
  const response = fetchResponse(batches, [{ producer: 2, first: 2 }]);
  const read = (from: number): [string[], number] => {
    const [partition] = decodeFetch(response, () => from).partitions;
    return [(partition?.records ?? []).map(({ value }) => String(value)), partition?.nextOffset ?? -1];
  };
  expect(read(0)).toEqual([['a', 'b', 'c', 'd'], 9]);
  expect(read(1)).toEqual([['b', 'c', 'd'], 9]);
  // Cut anywhere, as a broker cuts at maxBytes: whole batches only.
  for (let cut = 0; cut < batches.length; cut += 7) {
    const [partition] = decodeFetch(fetchResponse(batches.subarray(0, cut), []), () => 0).partitions;
    const next = partition?.nextOffset ?? -1;
    expect((partition?.records ?? []).every(({ offset }) => offset < next)).toBe(true);
  }
});
