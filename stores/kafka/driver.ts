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

interface Connection {
  chunks: Buffer[];
  bytesBuffered: number;
  bytesNeeded: number;
  readonly socket?: Socket;
  readonly requestTimeout: number;
  isConnected: (this: Connection) => boolean;
  connect: (this: Connection) => Promise<unknown>;
  send: (this: Connection, exchange: WireExchange<unknown>) => Promise<unknown>;
  sendAuthRequest: (this: Connection, exchange: unknown) => Promise<unknown>;
}

const connection = inside<{ prototype: Connection }>('network/connection').prototype;
const { connect, send, sendAuthRequest } = connection;
const lengthBytes = 4;

/**
 * kafkajs keeps what it had read of an answer when its connection broke, and puts the next connection's answers behind
 * it: from then on none is ever whole, and every request times out (a cut in the middle of a fetch stopped a reader for good).
 */
connection.connect = function connectAfresh(this: Connection): Promise<unknown> {
  if (!this.isConnected()) {
    this.chunks = [];
    this.bytesBuffered = 0;
    this.bytesNeeded = lengthBytes;
  }
  return connect.call(this);
};

/** A connection that owes an answer for so long is not trusted with another request: kafkajs would keep it. */
connection.send = async function sendOrCut(this: Connection, exchange: WireExchange<unknown>): Promise<unknown> {
  try {
    return await send.call(this, exchange);
  } catch (error) {
    if (error instanceof Error && error.name === 'KafkaJSRequestTimeoutError') this.socket?.destroy(error);
    throw error;
  }
};

/** kafkajs waits for the answer to a login without end, even when the connection is reset meanwhile. */
connection.sendAuthRequest = async function logInOrFail(this: Connection, exchange: unknown): Promise<unknown> {
  const { socket, requestTimeout } = this;
  let timer: NodeJS.Timeout | undefined;
  let closed = (): void => undefined;
  const failed = new Promise<never>((_, reject) => {
    closed = (): void => reject(new Error('the connection was closed during the login'));
    socket?.once('close', closed);
    timer = setTimeout(() => {
      const error = new Error(`no answer to the login in ${requestTimeout} ms`);
      reject(error);
      socket?.destroy(error);
    }, requestTimeout);
  });
  try {
    return await Promise.race([sendAuthRequest.call(this, exchange), failed]);
  } finally {
    clearTimeout(timer);
    socket?.off('close', closed);
  }
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
