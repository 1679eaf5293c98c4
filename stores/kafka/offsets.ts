/** Where the committed log of each partition begins and ends. Leaders move: a refusal is waited out for a few seconds. */
import { LockstepError } from '../../core/errors.js';
import { partitionName, splitPartitionName, type PartitionName } from '../../core/position.js';
import { allPartitions, byLeader, type Brokers } from './brokers.js';
import { kafkaError } from './client.js';

/** Which end, as the protocol asks for it. */
const offsetOf = { end: -1, beginning: -2 } as const;

const backoffMs = { first: 50, most: 1_000 };
/** Callers that can wait longer ask again. */
const patienceMs = 5_000;

/** Topics that do not exist are absent. */
export async function readOffsets(
  brokers: Brokers,
  topics: readonly string[],
  which: keyof typeof offsetOf,
  isClosed: () => boolean,
): Promise<Map<PartitionName, number>> {
  const giveUpAt = Date.now() + patienceMs;
  for (let pause = backoffMs.first; ; pause = Math.min(backoffMs.most, pause * 2)) {
    try {
      return await readOnce(brokers, topics, offsetOf[which]);
    } catch (error) {
      const failure = kafkaError(error, 'ask for the ends of the log');
      if (failure.code === 'LS-KAFKA-REFUSED' || Date.now() > giveUpAt || isClosed()) throw failure;
    }
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

async function readOnce(
  brokers: Brokers,
  topics: readonly string[],
  timestamp: number,
): Promise<Map<PartitionName, number>> {
  const found = new Map<PartitionName, number>();
  if (topics.length === 0) return found;
  const leaders = await brokers.leaders(topics);
  const names = allPartitions(leaders);
  for (const [node, partitions] of byLeader(names.map(splitPartitionName), leaders)) {
    const broker = await brokers.node(node);
    const { responses } = await broker.listOffsets({
      isolationLevel: 1,
      topics: partitions.map(({ topic, partition }) => ({ topic, partitions: [{ partition, timestamp }] })),
    });
    for (const response of responses) {
      for (const { partition, offset } of response.partitions) {
        found.set(partitionName(response.topic, partition), Number(offset));
      }
    }
  }
  if (found.size < names.length) {
    throw new LockstepError('LS-KAFKA-UNREACHABLE', 'a partition has no leader at the moment');
  }
  return found;
}
