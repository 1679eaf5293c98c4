import { randomBytes } from 'node:crypto';
import { Kafka, logLevel, type Producer } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { KafkaConfig } from '../../core/config.js';
import { partitionName } from '../../core/position.js';
import { KafkaProxy } from '../support/kafkaProxy.js';
import { openReader, type FetchResult, type Reader } from '../../stores/kafka/reader.js';

const prefix = `kafka-reader-${randomBytes(4).toString('hex')}`;
const topic = `${prefix}.shop.orders`;
const kafka = new Kafka({
  brokers: inject('stack').kafka.brokers,
  logLevel: logLevel.NOTHING,
  retry: { initialRetryTime: 5 },
});
const admin = kafka.admin();
const config: KafkaConfig = {
  brokers: inject('stack').kafka.brokers,
  topicPrefix: prefix,
  partitions: 2,
  replicationFactor: 1,
  minInsyncReplicas: 1,
  retentionMs: 86_400_000,
  maxMessageBytes: 1_048_576,
  envelope: 'plain',
  tls: null,
  sasl: null,
};
const never = new AbortController().signal;
let producer: Producer;
let reader: Reader;

beforeAll(async () => {
  await admin.connect();
  await admin.createTopics({
    topics: [
      { topic, numPartitions: 2 },
      { topic: `${prefix}.one`, numPartitions: 1 },
    ],
  });
  producer = kafka.producer({ transactionalId: prefix, idempotent: true, maxInFlightRequests: 1 });
  await producer.connect();
  reader = openReader(config, { maxWaitMs: 100 });
});

afterAll(async () => {
  await reader.close();
  await producer.disconnect();
  await admin.deleteTopics({ topics: [topic, `${prefix}.one`] });
  await admin.disconnect();
});

async function write(to: string, partition: number, entries: Record<string, string>, end: 'commit' | 'abort') {
  const transaction = await producer.transaction();
  const messages = Object.entries(entries).map(([key, value]) => ({
    key,
    value,
    partition,
    headers: { lockstep: `h-${key}` },
  }));
  await transaction.send({ topic: to, messages });
  await transaction[end]();
}

async function readAll(from: Record<string, number>, until: Record<string, number>): Promise<FetchResult[]> {
  const positions = new Map(Object.entries(from));
  const results: FetchResult[] = [];
  const deadline = Date.now() + 10_000;
  while (Object.entries(until).some(([name, offset]) => (positions.get(name) ?? 0) < offset)) {
    expect(Date.now()).toBeLessThan(deadline);
    for (const result of await reader.fetch(positions, never)) {
      positions.set(partitionName(result.topic, result.partition), result.nextOffset);
      results.push(result);
    }
  }
  return results;
}

describe('reader', () => {
  test('reads committed records with raw offsets that count control records', async () => {
    await write(topic, 0, { a: '1', b: '2' }, 'commit');
    await write(topic, 0, { lost: 'x' }, 'abort');
    await write(topic, 0, { '\0\0\0\0': 'zero' }, 'commit');
    await write(topic, 1, { c: '3' }, 'commit');
    const ends = await reader.endOffsets([topic]);
    expect(Object.fromEntries(ends)).toEqual({ [`${topic}/0`]: 7, [`${topic}/1`]: 2 });
    const results = await readAll({ [`${topic}/0`]: 0, [`${topic}/1`]: 0 }, Object.fromEntries(ends));
    const records = results.flatMap((r) =>
      r.records.map((record) => [r.partition, record.offset, String(record.key), String(record.value), record.header]),
    );
    expect(records.toSorted((a, b) => Number(a[0]) - Number(b[0]))).toEqual([
      [0, 0, 'a', '1', 'h-a'],
      [0, 1, 'b', '2', 'h-b'],
      [0, 5, '\0\0\0\0', 'zero', 'h-\0\0\0\0'],
      [1, 0, 'c', '3', 'h-c'],
    ]);
  });

  test('begins inside a batch and leaves out what lies before', async () => {
    const [result] = await readAll({ [`${topic}/0`]: 1 }, { [`${topic}/0`]: 3 });
    expect(result?.records.map((record) => record.offset)[0]).toBe(1);
  });

  test('reports a position outside of the log', async () => {
    const [result] = await reader.fetch(new Map([[`${topic}/0`, 1000]]), never);
    expect(result).toMatchObject({ outOfRange: true, missing: false });
  });

  test('reports a topic that does not exist, and reads the others meanwhile', async () => {
    const positions = new Map([
      [`${prefix}.none/0`, 0],
      [`${topic}/1`, 0],
    ]);
    const deadline = Date.now() + 10_000;
    const seen = new Set<string>();
    while (seen.size < 2) {
      expect(Date.now()).toBeLessThan(deadline);
      for (const result of await reader.fetch(positions, never))
        seen.add(`${result.topic === topic} ${result.missing}`);
    }
    expect([...seen].toSorted()).toEqual(['false true', 'true false']);
  });

  test('returns at once when aborted', async () => {
    const abort = new AbortController();
    const started = Date.now();
    setTimeout(() => abort.abort(), 20);
    const slow = openReader(config, { maxWaitMs: 5_000 });
    const ends = await slow.endOffsets([topic]);
    expect(await slow.fetch(ends, abort.signal)).toEqual([]);
    await slow.close();
    expect(Date.now() - started).toBeLessThan(1_000);
  });

  test('reads on when connections break, from where it was', async () => {
    const proxy = new KafkaProxy(inject('stack').kafka.brokers[0] ?? '');
    const far = openReader(config, { maxWaitMs: 100, dial: await proxy.listen() });
    try {
      const name = `${topic}/1`;
      let position = (await far.endOffsets([topic])).get(name) ?? 0;
      const seen: string[] = [];
      const deadline = Date.now() + 20_000;
      for (let round = 0; round < 5; round++) {
        await write(topic, 1, { [`broken ${round}`]: 'x' }, 'commit');
        proxy.cut();
        while (seen.length <= round) {
          expect(Date.now()).toBeLessThan(deadline);
          for (const result of await far.fetch(new Map([[name, position]]), never)) {
            position = result.nextOffset;
            seen.push(...result.records.map(({ key }) => String(key)));
          }
        }
        expect(far.trouble()).toBeNull();
      }
      expect(seen).toEqual([0, 1, 2, 3, 4].map((round) => `broken ${round}`));
    } finally {
      await far.close();
      proxy.close();
    }
  });

  test('reads on when a connection breaks in the middle of an answer', async () => {
    const proxy = new KafkaProxy(inject('stack').kafka.brokers[0] ?? '');
    const far = openReader(config, { maxWaitMs: 100, dial: await proxy.listen() });
    try {
      const name = `${topic}/1`;
      let position = (await far.endOffsets([topic])).get(name) ?? 0;
      await far.fetch(new Map([[name, position]]), never);
      proxy.cutAfter(50_000);
      await write(topic, 1, { large: 'x'.repeat(200_000) }, 'commit');
      const seen: string[] = [];
      for (const deadline = Date.now() + 5_000; seen.length === 0;) {
        expect(Date.now()).toBeLessThan(deadline);
        for (const result of await far.fetch(new Map([[name, position]]), never)) {
          position = result.nextOffset;
          seen.push(...result.records.map(({ key }) => String(key)));
        }
      }
      expect(seen).toEqual(['large']);
    } finally {
      await far.close();
      proxy.close();
    }
  });

  test('without a broker it returns empty-handed and says why', async () => {
    const nowhere = openReader({ ...config, brokers: ['127.0.0.1:1'] }, { maxWaitMs: 50 });
    expect(await nowhere.fetch(new Map([[`${topic}/0`, 0]]), never)).toEqual([]);
    expect(nowhere.trouble()?.code).toBe('LS-KAFKA-UNREACHABLE');
    await nowhere.close();
  });

  test('finds the last committed record of a key behind many others', async () => {
    const one = `${prefix}.one`;
    expect(await reader.lastCommitted(one, 'capture')).toBeNull();
    expect(await reader.lastCommitted(`${prefix}.none`, 'capture')).toBeNull();
    await write(one, 0, { capture: 'first' }, 'commit');
    for (let i = 0; i < 12; i++) await write(one, 0, { other: `${i}` }, 'commit');
    await write(one, 0, { capture: 'never' }, 'abort');
    expect(String((await reader.lastCommitted(one, 'capture'))?.value)).toBe('first');
    await write(one, 0, { capture: 'second' }, 'commit');
    expect(String((await reader.lastCommitted(one, 'capture'))?.value)).toBe('second');
  });
});
