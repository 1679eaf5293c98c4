/**
 * The one door to kafkajs's inside: its wire protocol and connections, without its consumer groups, its partition by
 * partition promises and its retries. These are not its public API, so the version is pinned and checked here.
 */
import { createRequire } from 'node:module';
import type { Socket } from 'node:net';
import { LockstepError } from '../../core/errors.js';

/** What kafkajs's own `Encoder` gives: `buffer` is the written part of `buf`. */
export interface Encoded {
  readonly buf: Buffer;
  readonly buffer: Buffer;
}

export interface WireRequest {
  readonly apiKey: number;
  readonly apiVersion: number;
  readonly apiName: string;
  readonly expectResponse?: () => boolean;
  encode(): Promise<Encoded>;
}

export interface WireExchange<T> {
  readonly request: WireRequest;
  readonly response: { decode(payload: Buffer): Promise<unknown>; parse(decoded: unknown): Promise<T> };
  readonly requestTimeout?: number;
  readonly logResponseError?: boolean;
}

export interface ConnectionPool {
  readonly host: string;
  readonly port: number;
  send<T>(exchange: WireExchange<T>): Promise<T>;
  destroy(): Promise<void>;
}

export interface ConnectionPoolBuilder {
  build(address?: { host: string; port: number; rack: string | null }): Promise<ConnectionPool>;
}

export interface TopicPartitions {
  readonly topic: string;
  readonly partitions: readonly number[];
}

export interface Broker {
  readonly nodeId: number | null;
  readonly versions: object | null;
  readonly connectionPool: ConnectionPool;
  isConnected(): boolean;
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  findGroupCoordinator(request: {
    groupId: string;
    coordinatorType: number;
  }): Promise<{ coordinator: { nodeId: number; host: string; port: number } }>;
  initProducerId(request: {
    transactionalId: string;
    transactionTimeout: number;
  }): Promise<{ producerId: string; producerEpoch: number }>;
  addPartitionsToTxn(request: {
    transactionalId: string;
    producerId: string;
    producerEpoch: number;
    topics: readonly TopicPartitions[];
  }): Promise<unknown>;
  endTxn(request: {
    transactionalId: string;
    producerId: string;
    producerEpoch: number;
    transactionResult: boolean;
  }): Promise<unknown>;
  listOffsets(request: {
    isolationLevel: number;
    topics: readonly { topic: string; partitions: readonly { partition: number; timestamp: number }[] }[];
  }): Promise<{
    responses: readonly { topic: string; partitions: readonly { partition: number; offset: string }[] }[];
  }>;
}

export interface Logger {
  namespace(name: string): Logger;
}

export interface MetadataResponse {
  readonly brokers: readonly { nodeId: number; host: string; port: number; rack: string | null }[];
  readonly controllerId: number;
  readonly topicMetadata: readonly {
    readonly topicErrorCode: number;
    readonly topic: string;
    readonly partitionMetadata: readonly { partitionErrorCode: number; partitionId: number; leader: number }[];
  }[];
}

export type SocketFactory = (options: {
  host: string;
  port: number;
  ssl: object | null;
  onConnect: () => void;
}) => Socket;

const pinned = '2.2.4';
const load = createRequire(import.meta.url);

function inside<T>(path: string): T {
  const { version } = load('kafkajs/package.json') as { version: string };
  if (version !== pinned) {
    throw new LockstepError('LS-INTERNAL', `lockstep is built on kafkajs ${pinned}, but ${version} is installed`);
  }
  return load(`kafkajs/src/${path}`) as T;
}

interface RequestQueue {
  readonly pending: readonly unknown[];
  scheduleCheckPendingRequests: (this: RequestQueue) => void;
}

/**
 * kafkajs looks for requests to send after every answer, and again a millisecond after every look, for ever and on each
 * connection: 5 % of a core at rest. It is only needed while requests are held back.
 */
const requestQueue = inside<{ prototype: RequestQueue }>('network/requestQueue').prototype;
const { scheduleCheckPendingRequests } = requestQueue;
requestQueue.scheduleCheckPendingRequests = function lookIfNeeded(this: RequestQueue): void {
  if (this.pending.length > 0) scheduleCheckPendingRequests.call(this);
};

export const BrokerConnection =
  inside<
    new (options: {
      connectionPool: ConnectionPool;
      logger: Logger;
      nodeId?: number;
      versions?: object | null;
      authenticationTimeout: number;
      allowAutoTopicCreation: false;
    }) => Broker
  >('broker');

export const connectionPoolBuilder = inside<
  (options: {
    socketFactory: SocketFactory;
    brokers: readonly string[];
    ssl: object | null;
    sasl: object | null;
    clientId: string;
    requestTimeout: number;
    enforceRequestTimeout: boolean;
    connectionTimeout: number;
    maxInFlightRequests: null;
    logger: Logger;
  }) => ConnectionPoolBuilder
>('cluster/connectionPoolBuilder');

export const createLogger = inside<{
  createLogger: (options: { level: number; logCreator: (level: number) => (entry: unknown) => void }) => Logger;
}>('loggers').createLogger;

interface Versioned<Arguments> {
  protocol(choice: { version: number }): (args: Arguments) => WireExchange<unknown>;
}

export const metadataProtocol =
  inside<Versioned<{ topics: readonly string[]; allowAutoTopicCreation: boolean }>>('protocol/requests/metadata');

export const fetchProtocol = inside<
  Versioned<{
    replicaId: number;
    isolationLevel: number;
    maxWaitTime: number;
    minBytes: number;
    maxBytes: number;
    topics: readonly {
      topic: string;
      partitions: readonly { partition: number; fetchOffset: string; maxBytes: number }[];
    }[];
    rackId: string;
  }>
>('protocol/requests/fetch');

export const produceResponse = inside<
  WireExchange<{
    topics: readonly {
      topicName: string;
      partitions: readonly { partition: number; errorCode: number; baseOffset: string }[];
    }[];
  }>['response']
>('protocol/requests/produce/v7/response');

/** kafkajs's name for a protocol error code, such as `NOT_LEADER_FOR_PARTITION`. */
export const errorFromCode = inside<{ createErrorFromCode: (code: number) => Error & { type?: string } }>(
  'protocol/error',
).createErrorFromCode;
