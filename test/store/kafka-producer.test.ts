import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { partitionName } from '../../core/position.js';
import { claimProducer, type PartitionRecords } from '../../stores/kafka/producer.js';
import { batchHeadBytes, recordBytes } from '../../stores/kafka/recordBatch.js';
import { openReader, type LogRecord, type Reader } from '../../stores/kafka/reader.js';
import { readCompacted, readTails } from '../../stores/kafka/tails.js';
import { dataTopic, differences, ensureTopics, ownTopics } from '../../stores/kafka/topics.js';
import { kafkaConfig } from '../support/kafkaConfig.js';
import { KafkaProxy } from '../support/kafkaProxy.js';
import { deleteTopics } from '../support/topics.js';

const stack = inject('stack');
const config = kafkaConfig(stack.kafka.brokers, 'kafka-producer');
const topic = `${config.topicPrefix}.shop.orders`;
const id = `lockstep/${config.topicPrefix}/capture`;
let reader: Reader;

beforeAll(async () => {
  await ensureTopics(config, [...ownTopics(config), dataTopic(config, topic)]);
  reader = openReader(config, { maxWaitMs: 100 });
});

afterAll(async () => {
  await reader.close();
  await deleteTopics(stack.kafka.brokers, config.topicPrefix);
});

function records(partition: number, values: readonly string[], maxBatchBytes = 1_000_000): PartitionRecords {
  const list = values.map((value) => ({ key: Buffer.from('k'), value: Buffer.from(value), header: 'h' }));
  return { topic, partition, maxBatchBytes, records: list };
}

/** A commit is answered before it can be read: the claim that follows waits until it can. */
async function contents(partition: number): Promise<LogRecord[]> {
  const name = partitionName(topic, partition);
  (await claimProducer(config, id)).close();
  const end = (await reader.endOffsets([topic])).get(name) ?? 0;
  const found: LogRecord[] = [];
  for (let position = 0; position < end;) {
    for (const result of await reader.fetch(new Map([[name, position]]), AbortSignal.timeout(10_000))) {
      position = result.nextOffset;
      found.push(...result.records);
    }
  }
  return found;
}

async function values(partition: number): Promise<string[]> {
  return (await contents(partition)).map(({ value }) => String(value));
}

describe('producer', () => {
  test('one publish is one transaction over partitions, and tells where each ends', async () => {
    const producer = await claimProducer(config, id);
    const first = await producer.publish([records(0, ['a', 'b']), records(1, ['c'])], Date.now());
    expect(first).toEqual({
      kind: 'committed',
      ends: new Map([
        [`${topic}/0`, 2],
        [`${topic}/1`, 1],
      ]),
    });
    // The commit took an offset of its own.
    const second = await producer.publish([records(0, ['d'])], Date.now());
    expect(second).toEqual({ kind: 'committed', ends: new Map([[`${topic}/0`, 4]]) });
    expect(await values(0)).toEqual(['a', 'b', 'd']);
    producer.close();
  });

  test('what is larger than a batch goes out in several, in one transaction', async () => {
    const before = (await values(1)).length;
    const producer = await claimProducer(config, id);
    const list = Array.from({ length: 50 }, (_, i) => `${i}:${'x'.repeat(5_000)}`);
    const published = await producer.publish([records(1, list, 20_000)], Date.now());
    expect(published.kind).toBe('committed');
    expect((await values(1)).slice(before)).toEqual(list);
    const found = await contents(1);
    expect(published.kind === 'committed' ? published.ends.get(`${topic}/1`) : 0).toBe((found.at(-1)?.offset ?? 0) + 1);
    producer.close();
  });

  test('what is counted to fit into max.message.bytes is taken, what is above it is not', async () => {
    const overhead = batchHeadBytes + recordBytes(1, 1_000_000, 1) - 1_000_000;
    const fits = config.maxMessageBytes - overhead;
    for (const length of [fits - 1, fits]) {
      const producer = await claimProducer(config, id);
      const published = await producer.publish([records(1, ['x'.repeat(length)], 2_000_000)], Date.now());
      expect(published.kind).toBe('committed');
      producer.close();
    }
    const producer = await claimProducer(config, id);
    await expect(
      producer.publish([records(1, ['x'.repeat(config.maxMessageBytes)], 2_000_000)], Date.now()),
    ).rejects.toThrow(/too large|larger than/i);
    producer.close();
  });

  test('a claim fences every earlier producer, at work or not', async () => {
    const before = await values(0);
    const zombie = await claimProducer(config, id);
    await zombie.publish([records(0, ['by the zombie'])], Date.now());
    const successor = await claimProducer(config, id);
    expect(await zombie.publish([records(0, ['never'])], Date.now())).toEqual({ kind: 'fenced' });
    await expect(zombie.publish([records(0, ['never'])], Date.now())).rejects.toThrow(/spent/);
    expect((await successor.publish([records(0, ['by the successor'])], Date.now())).kind).toBe('committed');
    expect((await values(0)).slice(before.length)).toEqual(['by the zombie', 'by the successor']);
    zombie.close();
    successor.close();
  });

  test('after a commit without an answer, the claim of the next tells what became of it', async () => {
    const proxy = new KafkaProxy(stack.kafka.brokers[0] ?? '');
    const dial = await proxy.listen();
    try {
      const before = (await values(0)).length;
      const producer = await claimProducer(config, id, { dial });
      await producer.publish([records(0, ['known'])], Date.now());
      proxy.swallowCommits(1);
      await expect(producer.publish([records(0, ['doubtful'])], Date.now())).rejects.toMatchObject({
        code: 'LS-KAFKA-DOUBTFUL',
      });
      producer.close();
      const next = await claimProducer(config, id);
      // Decided: it was committed, and is readable before the successor writes.
      const tails = await readTails(reader, [topic]);
      expect(String(tails.get(`${topic}/0`)?.last?.value)).toBe('doubtful');
      next.close();
      expect((await values(0)).slice(before)).toEqual(['known', 'doubtful']);
    } finally {
      proxy.close();
    }
  });

  test('an open transaction of a dead producer hides nothing after the next claim', async () => {
    const proxy = new KafkaProxy(stack.kafka.brokers[0] ?? '');
    const dial = await proxy.listen();
    try {
      const before = (await values(0)).length;
      const producer = await claimProducer(config, id, { dial });
      await producer.publish([records(0, ['known'])], Date.now());
      proxy.cutAtCommit(1);
      await expect(producer.publish([records(0, ['aborted'])], Date.now())).rejects.toThrow(/cannot commit/);
      const next = await claimProducer(config, id);
      await next.publish([records(0, ['after'])], Date.now());
      expect((await values(0)).slice(before)).toEqual(['known', 'after']);
      producer.close();
      next.close();
    } finally {
      proxy.close();
    }
  });

  test('no broker is an error that can be tried again', async () => {
    const nowhere = { ...config, brokers: ['127.0.0.1:1'] };
    await expect(claimProducer(nowhere, id)).rejects.toMatchObject({ code: 'LS-KAFKA-UNREACHABLE' });
  });
});

describe('tails', () => {
  test('the last committed record, behind control records and aborted ones; nothing where nothing is', async () => {
    const tails = await readTails(reader, [
      topic,
      `${config.topicPrefix}.lockstep.state`,
      `${config.topicPrefix}.none`,
    ]);
    expect(String(tails.get(`${topic}/0`)?.last?.value)).toBe('after');
    expect(tails.get(`${config.topicPrefix}.lockstep.state/0`)).toEqual({ beginning: 0, end: 0, last: null });
    expect([...tails.keys()].some((name) => name.includes('.none'))).toBe(false);
  });

  test('a compacted topic read as a map', async () => {
    const producer = await claimProducer(config, id);
    const definitions = `${config.topicPrefix}.lockstep.definitions`;
    const entry = (key: string, value: string | null): PartitionRecords => ({
      topic: definitions,
      partition: 0,
      maxBatchBytes: 1_000_000,
      records: [{ key: Buffer.from(key), value: value === null ? null : Buffer.from(value), header: null }],
    });
    for (const [key, value] of [
      ['a', '1'],
      ['b', '2'],
      ['a', '3'],
      ['b', null],
    ] as const) {
      await producer.publish([entry(key, value)], Date.now());
    }
    (await claimProducer(config, id)).close();
    expect(await readCompacted(reader, definitions)).toEqual(new Map([['a', Buffer.from('3')]]));
    producer.close();
  });
});

describe('topics', () => {
  test('are created with their settings, once', async () => {
    const again = await ensureTopics(config, [...ownTopics(config), dataTopic(config, topic)]);
    expect(again.get(topic)).toEqual({ partitions: 2, maxMessageBytes: 1_048_576, created: false });
    expect(again.get(`${config.topicPrefix}.lockstep.state`)?.partitions).toBe(1);
  });

  test('an existing one with other settings is refused by name, with the fix', async () => {
    const other = { ...config, partitions: 5 };
    await expect(ensureTopics(other, [dataTopic(other, topic)])).rejects.toMatchObject({
      code: 'LS-KAFKA-TOPIC-SETTINGS',
      message: `topic ${topic} has 2 partitions, not 5: set kafka.partitions to 2, or delete the topic`,
    });
    const wrong = { topic: `${config.topicPrefix}.lockstep.state`, kind: 'data' as const, partitions: 1 };
    await expect(ensureTopics(config, [wrong])).rejects.toThrow(/cleanup.policy=compact: set it to delete/);
  });

  test('more replicas than brokers are refused with Kafka’s own words', async () => {
    const many = { ...config, replicationFactor: 9 };
    const spec = dataTopic(many, `${config.topicPrefix}.many`);
    await expect(ensureTopics(many, [spec])).rejects.toMatchObject({ code: 'LS-KAFKA-TOPIC-CREATE' });
  });

  test.each([
    [
      new Map([
        ['cleanup.policy', 'delete'],
        ['compression.type', 'producer'],
      ]),
      0,
    ],
    [new Map([['cleanup.policy', 'compact,delete']]), 1],
    [new Map([['compression.type', 'zstd']]), 1],
    [new Map<string, string>(), 0],
  ])('settings %j', (settings, count) => {
    expect(differences({ topic: 't', kind: 'data', partitions: 3 }, 3, settings)).toHaveLength(count);
  });
});
