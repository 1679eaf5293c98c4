/**
 * The cluster as our reader and producer see it: who leads which partition, who coordinates a transactional id, and
 * connections to them. Retries belong to the callers, who know what is safe to repeat. A topic that does not exist is
 * an answer here, where kafkajs's own cluster would fail for every topic at once.
 */
import type { Socket } from 'node:net';
import type { KafkaConfig } from '../../core/config.js';
import { LockstepError } from '../../core/errors.js';
import { partitionName, type PartitionName } from '../../core/position.js';
import {
  connectionTimeoutMs,
  kafkaError,
  quietLogger,
  requestTimeoutMs,
  sameAddress,
  saslOptions,
  socketFactory,
  tlsOptions,
  type Dial,
} from './client.js';
import {
  BrokerConnection,
  connectionPoolBuilder,
  metadataProtocol,
  type Broker,
  type ConnectionPool,
  type ConnectionPoolBuilder,
  type MetadataResponse,
} from './driver.js';

export interface TopicLeaders {
  readonly partitions: number;
  /** Leader's node id by partition; a partition in the middle of an election has none. */
  readonly leaders: ReadonlyMap<number, number>;
}

const transactionCoordinator = 1;

export class Brokers {
  readonly #builder: ConnectionPoolBuilder;
  readonly #sockets = new Set<Socket>();
  readonly #nodes = new Map<number, Broker>();
  readonly #seeds: number;
  #seed: Broker | null = null;

  constructor(config: KafkaConfig, clientId: string, dial: Dial = sameAddress) {
    this.#seeds = config.brokers.length;
    this.#builder = connectionPoolBuilder({
      socketFactory: socketFactory(dial, (socket) => {
        this.#sockets.add(socket);
        socket.once('close', () => this.#sockets.delete(socket));
      }),
      brokers: [...config.brokers],
      ssl: config.tls === null ? null : tlsOptions(config.tls),
      sasl: saslOptions(config.sasl),
      clientId,
      requestTimeout: requestTimeoutMs,
      enforceRequestTimeout: true,
      connectionTimeout: connectionTimeoutMs,
      maxInFlightRequests: null,
      logger: quietLogger,
    });
  }

  /** Leaders of the topics that exist; also refreshes the addresses of all nodes. */
  async leaders(topics: readonly string[]): Promise<Map<string, TopicLeaders>> {
    const found = new Map<string, TopicLeaders>();
    // An empty list would ask for every topic of the cluster.
    const { topicMetadata } = await this.#metadata(topics.length === 0 ? ['__consumer_offsets'] : topics);
    for (const { topic, topicErrorCode, partitionMetadata } of topicMetadata) {
      if (topicErrorCode !== 0 && partitionMetadata.length === 0) continue;
      const leaders = new Map<number, number>();
      for (const { partitionId, leader } of partitionMetadata) if (leader >= 0) leaders.set(partitionId, leader);
      found.set(topic, { partitions: partitionMetadata.length, leaders });
    }
    return found;
  }

  /** Connected, or an error of ours. */
  async node(nodeId: number): Promise<Broker> {
    const broker = this.#nodes.get(nodeId);
    if (broker === undefined) {
      throw new LockstepError('LS-KAFKA-UNREACHABLE', `broker ${nodeId} is not among the nodes of the cluster`);
    }
    return this.#connected(broker);
  }

  async coordinator(transactionalId: string): Promise<Broker> {
    const seed = await this.#anyNode();
    const { coordinator } = await seed.findGroupCoordinator({
      groupId: transactionalId,
      coordinatorType: transactionCoordinator,
    });
    if (!this.#nodes.has(coordinator.nodeId)) await this.leaders([]);
    return this.node(coordinator.nodeId);
  }

  /** Ends every connection at once; requests under way fail. */
  close(): void {
    // With an error, so that kafkajs rejects what waits on the socket instead of letting it time out.
    for (const socket of this.#sockets) socket.destroy(new Error('closed by lockstep'));
    this.#nodes.clear();
    this.#seed = null;
  }

  async #metadata(topics: readonly string[]): Promise<MetadataResponse> {
    const broker = await this.#anyNode();
    const { request, response } = metadataProtocol.protocol({ version: 5 })({ topics, allowAutoTopicCreation: false });
    const metadata = await broker.connectionPool.send({
      request,
      response: {
        decode: async (payload) => response.decode(payload),
        parse: async (decoded) => decoded as MetadataResponse,
      },
    });
    await this.#meet(metadata.brokers, broker.versions);
    return metadata;
  }

  async #meet(brokers: MetadataResponse['brokers'], versions: object | null): Promise<void> {
    for (const { nodeId, host, port, rack } of brokers) {
      const known = this.#nodes.get(nodeId);
      if (known?.connectionPool.host === host && known.connectionPool.port === port) continue;
      const seed = this.#seed;
      if (seed !== null && seed.connectionPool.host === host && seed.connectionPool.port === port) {
        this.#nodes.set(nodeId, seed);
        continue;
      }
      this.#nodes.set(nodeId, newBroker(await this.#builder.build({ host, port, rack }), nodeId, versions));
    }
  }

  async #anyNode(): Promise<Broker> {
    for (const broker of this.#nodes.values()) if (broker.isConnected()) return broker;
    let failure: unknown;
    for (let attempt = 0; attempt < this.#seeds; attempt++) {
      try {
        // The builder walks through the configured addresses, one at each call.
        this.#seed ??= newBroker(await this.#builder.build(), undefined, null);
        return await this.#connected(this.#seed);
      } catch (error) {
        this.#seed = null;
        failure = error;
      }
    }
    throw kafkaError(failure, 'reach any of the configured brokers');
  }

  async #connected(broker: Broker): Promise<Broker> {
    if (!broker.isConnected()) {
      try {
        await broker.connect();
      } catch (error) {
        throw kafkaError(error, `connect to ${broker.connectionPool.host}:${broker.connectionPool.port}`);
      }
    }
    return broker;
  }
}

function newBroker(connectionPool: ConnectionPool, nodeId: number | undefined, versions: object | null): Broker {
  return new BrokerConnection({
    connectionPool,
    logger: quietLogger,
    ...(nodeId === undefined ? {} : { nodeId }),
    versions,
    authenticationTimeout: 10_000,
    allowAutoTopicCreation: false,
  });
}

/** Partitions of all topics that have a leader, by node. */
export function byLeader(
  names: Iterable<{ topic: string; partition: number }>,
  topics: ReadonlyMap<string, TopicLeaders>,
): Map<number, { topic: string; partition: number }[]> {
  const nodes = new Map<number, { topic: string; partition: number }[]>();
  for (const { topic, partition } of names) {
    const leader = topics.get(topic)?.leaders.get(partition);
    if (leader === undefined) continue;
    const list = nodes.get(leader);
    if (list === undefined) nodes.set(leader, [{ topic, partition }]);
    else list.push({ topic, partition });
  }
  return nodes;
}

export function allPartitions(topics: ReadonlyMap<string, TopicLeaders>): PartitionName[] {
  const names: PartitionName[] = [];
  for (const [topic, { partitions }] of topics) {
    for (let partition = 0; partition < partitions; partition++) names.push(partitionName(topic, partition));
  }
  return names;
}
