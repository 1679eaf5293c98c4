/**
 * The transactional producer of capture. Claiming it ends whatever a predecessor left open and fences the predecessor;
 * each publish is one transaction. After any failure the producer is spent: its successor claims anew, which decides
 * what became of a doubtful commit. kafkajs's own producer claims at the first send only, and a failed commit leaves it
 * stuck, so only its protocol and connections are used.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { KafkaConfig } from '../../core/config.js';
import { LockstepError } from '../../core/errors.js';
import { partitionName, type PartitionName } from '../../core/position.js';
import { Brokers, byLeader, type TopicLeaders } from './brokers.js';
import { errorType, kafkaError, requestTimeoutMs, type Dial } from './client.js';
import { errorFromCode, produceResponse, type Broker } from './driver.js';
import { batchHeadBytes, encodeProduce, recordBytes, type OutgoingBatch, type OutgoingRecord } from './recordBatch.js';

export type { OutgoingRecord } from './recordBatch.js';

/** Records for one partition, in order. Larger than one batch may be, it becomes several. */
export interface PartitionRecords {
  readonly topic: string;
  readonly partition: number;
  /** Bound of one record batch: the topic's max.message.bytes. */
  readonly maxBatchBytes: number;
  readonly records: readonly OutgoingRecord[];
}

export type Published =
  /** Offset after the last record that this transaction wrote to each partition. */
  | { readonly kind: 'committed'; readonly ends: ReadonlyMap<PartitionName, number> }
  /** Another producer claimed the transactional id, or Kafka ended a transaction that took too long. */
  | { readonly kind: 'fenced' };

export interface Producer {
  /** One transaction; an error leaves its outcome open and the producer spent. */
  publish(partitions: readonly PartitionRecords[], now: number): Promise<Published>;
  close(): void;
}

/** An open transaction of a dead producer hides everything after it from readers of committed records for this long. */
export const transactionTimeoutMs = 10_000;

export function transactionalId(pipeline: string): string {
  return `lockstep/${pipeline}/capture`;
}

/** Fences every earlier producer of this id and waits until its last transaction is decided. */
export async function claimProducer(
  config: KafkaConfig,
  id: string,
  options: { readonly dial?: Dial } = {},
): Promise<Producer> {
  const brokers = new Brokers(config, 'lockstep-capture', options.dial);
  try {
    const { producerId, producerEpoch } = await untilPossible('claim the transactional id', async () => {
      const coordinator = await brokers.coordinator(id);
      return coordinator.initProducerId({ transactionalId: id, transactionTimeout: transactionTimeoutMs });
    });
    return new TransactionalProducer(brokers, id, producerId, producerEpoch);
  } catch (error) {
    brokers.close();
    throw error;
  }
}

/** Passing states of a coordinator: an earlier transaction is being finished, or the coordinator moves. */
const passing = new Set([
  'CONCURRENT_TRANSACTIONS',
  'GROUP_LOAD_IN_PROGRESS',
  'GROUP_COORDINATOR_NOT_AVAILABLE',
  'NOT_COORDINATOR_FOR_GROUP',
  'COORDINATOR_LOAD_IN_PROGRESS',
  'COORDINATOR_NOT_AVAILABLE',
  'NOT_COORDINATOR',
  // A topic that was created a moment ago.
  'UNKNOWN_TOPIC_OR_PARTITION',
  'LEADER_NOT_AVAILABLE',
  'OPERATION_NOT_ATTEMPTED',
]);
const patienceMs = 15_000;

/** Kafka asks to try again: from 2 ms on, since the usual cause is the previous transaction's last few milliseconds. */
export async function untilPossible<T>(doing: string, attempt: () => Promise<T>): Promise<T> {
  const giveUpAt = Date.now() + patienceMs;
  for (let pause = 2; ; pause = Math.min(200, pause * 1.5)) {
    try {
      return await attempt();
    } catch (error) {
      const type = errorType(error);
      if (type === undefined || !passing.has(type) || Date.now() > giveUpAt) throw kafkaError(error, doing);
    }
    await sleep(pause);
  }
}

class TransactionalProducer implements Producer {
  readonly #brokers: Brokers;
  readonly #id: string;
  readonly #producerId: string;
  readonly #producerEpoch: number;
  readonly #sequences = new Map<PartitionName, number>();
  #topics: ReadonlyMap<string, TopicLeaders> = new Map();
  #coordinator: Broker | null = null;
  #spent = false;

  constructor(brokers: Brokers, id: string, producerId: string, producerEpoch: number) {
    this.#brokers = brokers;
    this.#id = id;
    this.#producerId = producerId;
    this.#producerEpoch = producerEpoch;
  }

  async publish(partitions: readonly PartitionRecords[], now: number): Promise<Published> {
    if (this.#spent) throw new LockstepError('LS-INTERNAL', 'a spent producer was used again');
    this.#spent = true;
    try {
      this.#coordinator ??= await this.#brokers.coordinator(this.#id);
      await this.#know(partitions);
      await this.#begin(this.#coordinator, partitions);
      const ends = new Map<PartitionName, number>();
      for (const round of rounds(partitions)) await this.#produce(round, now, ends);
      await this.#commit(this.#coordinator);
      this.#spent = false;
      return { kind: 'committed', ends };
    } catch (error) {
      if (isFenced(error)) return { kind: 'fenced' };
      throw kafkaError(error, 'publish');
    }
  }

  close(): void {
    this.#spent = true;
    this.#brokers.close();
  }

  async #know(partitions: readonly PartitionRecords[]): Promise<void> {
    if (partitions.every(({ topic, partition }) => this.#topics.get(topic)?.leaders.has(partition) === true)) return;
    const topics = new Set([...this.#topics.keys(), ...partitions.map(({ topic }) => topic)]);
    await untilPossible('find the leaders of the topics', async () => {
      this.#topics = await this.#brokers.leaders([...topics]);
      const unled = partitions.find(({ topic, partition }) => !this.#topics.get(topic)?.leaders.has(partition));
      if (unled !== undefined) throw errorFromCode(this.#topics.has(unled.topic) ? 5 : 3);
    });
  }

  /** Tells the coordinator which partitions take part, before anything is written to them. */
  async #begin(coordinator: Broker, partitions: readonly PartitionRecords[]): Promise<void> {
    const topics = new Map<string, Set<number>>();
    for (const { topic, partition } of partitions) {
      const known = topics.get(topic);
      if (known === undefined) topics.set(topic, new Set([partition]));
      else known.add(partition);
    }
    await untilPossible('begin a transaction', () =>
      coordinator.addPartitionsToTxn({
        transactionalId: this.#id,
        producerId: this.#producerId,
        producerEpoch: this.#producerEpoch,
        topics: [...topics].map(([topic, numbers]) => ({ topic, partitions: [...numbers] })),
      }),
    );
  }

  async #produce(round: readonly PartitionRecords[], now: number, ends: Map<PartitionName, number>): Promise<void> {
    const requests: Promise<void>[] = [];
    for (const [node, led] of byLeader(round, this.#topics)) {
      const names = new Set(led.map(({ topic, partition }) => partitionName(topic, partition)));
      const mine = round.filter(({ topic, partition }) => names.has(partitionName(topic, partition)));
      requests.push(this.#send(node, mine, now, ends));
    }
    await Promise.all(requests);
  }

  async #send(
    node: number,
    partitions: readonly PartitionRecords[],
    now: number,
    ends: Map<PartitionName, number>,
  ): Promise<void> {
    const broker = await this.#brokers.node(node);
    const batches = partitions.map((partition) => this.#batch(partition));
    const payload = encodeProduce({
      transactionalId: this.#id,
      producerId: this.#producerId,
      producerEpoch: this.#producerEpoch,
      timeoutMs: requestTimeoutMs,
      timestamp: now,
      batches,
    });
    const response = await broker.connectionPool.send({
      request: {
        apiKey: 0,
        apiVersion: 7,
        apiName: 'Produce',
        expectResponse: () => true,
        encode: async () => ({ buf: payload, buffer: payload }),
      },
      response: produceResponse,
    });
    const counts = new Map(batches.map((b) => [partitionName(b.topic, b.partition), b.records.length]));
    for (const { topicName, partitions: answers } of response.topics) {
      for (const { partition, baseOffset } of answers) {
        const name = partitionName(topicName, partition);
        ends.set(name, Number(baseOffset) + (counts.get(name) ?? 0));
      }
    }
  }

  #batch({ topic, partition, records }: PartitionRecords): OutgoingBatch {
    const name = partitionName(topic, partition);
    const firstSequence = this.#sequences.get(name) ?? 0;
    // Kafka counts in 31 bits, round and round.
    this.#sequences.set(name, (firstSequence + records.length) % 2 ** 31);
    return { topic, partition, firstSequence, records };
  }

  async #commit(coordinator: Broker): Promise<void> {
    try {
      await coordinator.endTxn({
        transactionalId: this.#id,
        producerId: this.#producerId,
        producerEpoch: this.#producerEpoch,
        transactionResult: true,
      });
    } catch (error) {
      if (isFenced(error)) throw error;
      const { message } = kafkaError(error, 'commit a transaction');
      throw new LockstepError('LS-KAFKA-DOUBTFUL', message, { cause: error });
    }
  }
}

/** Batches of a partition go out one after the other, those of different partitions together. */
export function rounds(partitions: readonly PartitionRecords[]): PartitionRecords[][] {
  const result: PartitionRecords[][] = [];
  for (const partition of partitions) {
    for (const [i, records] of fitting(partition).entries()) (result[i] ??= []).push({ ...partition, records });
  }
  return result;
}

function fitting({ records, maxBatchBytes }: PartitionRecords): (readonly OutgoingRecord[])[] {
  const lists: (readonly OutgoingRecord[])[] = [];
  let start = 0;
  let bytes = batchHeadBytes;
  for (const [i, { key, value, header }] of records.entries()) {
    const size = recordBytes(key.length, value?.length ?? 0, header?.length ?? 0);
    if (i > start && bytes + size > maxBatchBytes) {
      lists.push(records.slice(start, i));
      start = i;
      bytes = batchHeadBytes;
    }
    bytes += size;
  }
  lists.push(start === 0 ? records : records.slice(start));
  return lists;
}

/** INVALID_PRODUCER_EPOCH, and PRODUCER_FENCED, which kafkajs does not know by name. */
function isFenced(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if ('code' in error && (error.code === 47 || error.code === 90)) return true;
  return error.cause !== undefined && isFenced(error.cause);
}
