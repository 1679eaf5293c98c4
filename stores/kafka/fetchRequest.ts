/** One fetch from one broker: committed records only, decoded by us (fetchResponse.ts). */
import { partitionName, splitPartitionName, type PartitionName } from '../../core/position.js';
import type { Brokers } from './brokers.js';
import { fetchProtocol } from './driver.js';
import { decodeFetch, type FetchResponse } from './fetchResponse.js';

export interface FetchLimits {
  readonly maxBytesPerPartition: number;
  readonly maxBytes: number;
  readonly maxWaitMs: number;
}

type Positions = ReadonlyMap<PartitionName, number>;

export async function sendFetch(
  brokers: Brokers,
  node: number,
  asked: Positions,
  { maxBytesPerPartition, maxBytes, maxWaitMs }: FetchLimits,
): Promise<FetchResponse> {
  const broker = await brokers.node(node);
  const { request, requestTimeout } = fetchProtocol.protocol({ version: 11 })({
    replicaId: -1,
    isolationLevel: 1,
    maxWaitTime: maxWaitMs,
    minBytes: 1,
    maxBytes,
    topics: perTopic(asked, maxBytesPerPartition),
    rackId: '',
  });
  return broker.connectionPool.send<FetchResponse>({
    request,
    response: {
      decode: async (payload) =>
        decodeFetch(payload, (topic, partition) => asked.get(partitionName(topic, partition)) ?? 0),
      parse: async (decoded) => decoded as FetchResponse,
    },
    ...(requestTimeout === undefined ? {} : { requestTimeout }),
  });
}

interface AskedPartition {
  readonly partition: number;
  readonly fetchOffset: string;
  readonly maxBytes: number;
}

function perTopic(asked: Positions, maxBytes: number): { topic: string; partitions: AskedPartition[] }[] {
  const topics = new Map<string, AskedPartition[]>();
  // Answers fill up in this order: shuffled, so that a full answer starves no partition.
  for (const [name, offset] of shuffled([...asked])) {
    const { topic, partition } = splitPartitionName(name);
    const entry = { partition, fetchOffset: String(offset), maxBytes };
    const list = topics.get(topic);
    if (list === undefined) topics.set(topic, [entry]);
    else list.push(entry);
  }
  return [...topics].map(([topic, partitions]) => ({ topic, partitions }));
}

function shuffled<T>(list: T[]): T[] {
  for (let i = list.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    const [a, b] = [list[i], list[j]];
    if (a !== undefined && b !== undefined) [list[i], list[j]] = [b, a];
  }
  return list;
}
