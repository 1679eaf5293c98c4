/**
 * What the topics hold, as any consumer sees it: read committed, from the beginning, to a last record of the test's own
 * in every partition. Call it when the pipeline stands still for good: the last records are not capture's.
 */
import { Kafka, logLevel } from 'kafkajs';
import type { KafkaMessage } from 'kafkajs';

export interface TopicEvent {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly key: string;
  /** The record's value as it lies there; null for a tombstone. */
  readonly valueText: string | null;
  /** null for a tombstone. */
  readonly envelope: Envelope | null;
  readonly op: string;
  readonly seq: number;
  readonly ordinal: number;
  readonly incarnation: string;
  /** The text of the after-image within the value, as the header gives its place. */
  readonly afterText: string | null;
}

export interface Envelope {
  readonly before: Record<string, unknown> | null;
  readonly after: Record<string, unknown> | null;
  readonly source: Record<string, unknown>;
  readonly op: string;
  readonly ts_ms: number;
}

const sentinel = 'end of test';

/** Data topics of a prefix in partition order; lockstep's own topics are left out. */
export async function readTopics(brokers: readonly string[], prefix: string): Promise<TopicEvent[]> {
  const kafka = new Kafka({ clientId: 'proof', brokers: [...brokers], logLevel: logLevel.ERROR });
  const topics = await partitionsOf(kafka, prefix);
  if (topics.size === 0) return [];
  await writeSentinels(kafka, topics);
  const open = new Set(
    [...topics].flatMap(([topic, count]) => Array.from({ length: count }, (_, p) => `${topic}/${p}`)),
  );
  const consumer = kafka.consumer({ groupId: `proof-${Date.now()}-${Math.random()}`, maxWaitTimeInMs: 200 });
  const events: TopicEvent[] = [];
  try {
    await consumer.connect();
    await consumer.subscribe({ topics: [...topics.keys()], fromBeginning: true });
    await new Promise<void>((resolve, reject) => {
      // A coordinator that still loads is tried again by kafkajs itself.
      consumer.on('consumer.crash', ({ payload }) => {
        if (!payload.restart) reject(payload.error);
      });
      consumer
        .run({
          autoCommit: false,
          eachBatch: ({ batch }) => {
            for (const message of batch.messages) {
              if (message.key?.toString() === sentinel) open.delete(`${batch.topic}/${batch.partition}`);
              else events.push(readEvent(batch.topic, batch.partition, message));
            }
            if (open.size === 0) resolve();
            return Promise.resolve();
          },
        })
        .catch(reject);
    });
  } finally {
    await consumer.disconnect();
  }
  return events.sort((a, b) => a.topic.localeCompare(b.topic) || a.partition - b.partition || a.offset - b.offset);
}

export async function deleteTopics(brokers: readonly string[], prefix: string): Promise<void> {
  const admin = new Kafka({ clientId: 'proof', brokers: [...brokers], logLevel: logLevel.NOTHING }).admin();
  try {
    await admin.connect();
    const topics = (await admin.listTopics()).filter((topic) => topic.startsWith(`${prefix}.`));
    if (topics.length > 0) await admin.deleteTopics({ topics });
  } finally {
    await admin.disconnect();
  }
}

async function partitionsOf(kafka: Kafka, prefix: string): Promise<Map<string, number>> {
  const admin = kafka.admin();
  try {
    await admin.connect();
    const names = (await admin.listTopics()).filter(
      (topic) => topic.startsWith(`${prefix}.`) && !topic.startsWith(`${prefix}.lockstep.`),
    );
    if (names.length === 0) return new Map();
    const { topics } = await admin.fetchTopicMetadata({ topics: names });
    return new Map(topics.map((topic) => [topic.name, topic.partitions.length]));
  } finally {
    await admin.disconnect();
  }
}

async function writeSentinels(kafka: Kafka, topics: ReadonlyMap<string, number>): Promise<void> {
  const producer = kafka.producer();
  try {
    await producer.connect();
    for (const [topic, count] of topics) {
      const messages = Array.from({ length: count }, (_, partition) => ({ partition, key: sentinel, value: sentinel }));
      await producer.send({ topic, acks: -1, messages });
    }
  } finally {
    await producer.disconnect();
  }
}

function readEvent(topic: string, partition: number, message: KafkaMessage): TopicEvent {
  const header = message.headers?.['lockstep']?.toString().split(';') ?? [];
  const [, op = '', seq, ordinal, , , afterStart, afterEnd, incarnation = ''] = header;
  const text = message.value?.toString() ?? null;
  const [from, to] = [Number(afterStart), Number(afterEnd)];
  return {
    topic,
    partition,
    offset: Number(message.offset),
    key: message.key?.toString() ?? '',
    valueText: text,
    envelope: text === null ? null : (JSON.parse(text) as Envelope),
    op,
    seq: Number(seq),
    ordinal: Number(ordinal),
    incarnation,
    afterText: message.value === null || to === 0 ? null : message.value.subarray(from, to).toString(),
  };
}
