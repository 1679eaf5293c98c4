/**
 * How lockstep connects to Kafka: one place that turns the configuration into a client, with TLS and SASL, without
 * kafkajs's own log lines, and with retries that fit transactions. Secrets stay in the options and never in a message.
 */
import net from 'node:net';
import tls from 'node:tls';
import { Kafka, logLevel, type KafkaConfig as DriverOptions, type SASLOptions } from 'kafkajs';
import type { KafkaConfig, SaslOptions, TlsOptions } from '../../core/config.js';
import { LockstepError } from '../../core/errors.js';
import { isTlsFailure } from '../../core/tlsFailure.js';
import { createLogger, type Logger, type SocketFactory } from './driver.js';

/** Where to connect for an address that the cluster announces. The identity outside tests and tunnels. */
export type Dial = (address: { host: string; port: number }) => { host: string; port: number };

export const sameAddress: Dial = (address) => address;

export const connectionTimeoutMs = 3_000;
export const requestTimeoutMs = 10_000;

/** Back-to-back transactions meet CONCURRENT_TRANSACTIONS, on which kafkajs's own defaults wait 290 ms each. */
export const tunedRetry = { initialRetryTime: 3, factor: 0.2, multiplier: 1.5, maxRetryTime: 100, retries: 50 };

export const quietLogger: Logger = createLogger({ level: logLevel.NOTHING, logCreator: () => () => undefined });

/** Kafka as kafkajs presents it, for topics and their settings. */
export function createClient(config: KafkaConfig, clientId: string, dial: Dial = sameAddress): Kafka {
  const sasl = saslOptions(config.sasl);
  const options: DriverOptions = {
    clientId,
    brokers: [...config.brokers],
    connectionTimeout: connectionTimeoutMs,
    requestTimeout: requestTimeoutMs,
    // 14 tries with growing pauses: about 5 s of an unreachable broker before the caller learns of it.
    retry: { ...tunedRetry, initialRetryTime: 20, maxRetryTime: 1_000, retries: 14 },
    logLevel: logLevel.NOTHING,
    logCreator: () => () => undefined,
    socketFactory: socketFactory(dial),
    ...(config.tls === null ? {} : { ssl: tlsOptions(config.tls) }),
    ...(sasl === null ? {} : { sasl }),
  };
  return new Kafka(options);
}

export function tlsOptions(options: TlsOptions): tls.ConnectionOptions {
  return { ...options };
}

export function saslOptions(sasl: SaslOptions | null): SASLOptions | null {
  return sasl === null ? null : { mechanism: sasl.mechanism, username: sasl.username, password: sasl.password };
}

/** As kafkajs's own, with small writes sent at once: a transaction is four short requests in turn. */
export function socketFactory(dial: Dial, opened?: (socket: net.Socket) => void): SocketFactory {
  return ({ host, port, ssl, onConnect }) => {
    const target = dial({ host, port });
    const servername = net.isIP(host) === 0 ? { servername: host } : {};
    const socket =
      ssl === null || ssl === undefined
        ? net.connect(target, onConnect)
        : tls.connect({ ...target, ...servername, ...ssl }, onConnect);
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 30_000);
    opened?.(socket);
    return socket;
  };
}

const refusals = new Set([
  'SASL_AUTHENTICATION_FAILED',
  'ILLEGAL_SASL_STATE',
  'UNSUPPORTED_SASL_MECHANISM',
  'TOPIC_AUTHORIZATION_FAILED',
  'GROUP_AUTHORIZATION_FAILED',
  'CLUSTER_AUTHORIZATION_FAILED',
  'TRANSACTIONAL_ID_AUTHORIZATION_FAILED',
]);

const unreachable = new Set([
  'KafkaJSConnectionError',
  'KafkaJSConnectionClosedError',
  'KafkaJSRequestTimeoutError',
  'KafkaJSBrokerNotFound',
  'KafkaJSNumberOfRetriesExceeded',
]);

/** The type kafkajs gives a protocol error, such as `CONCURRENT_TRANSACTIONS`; undefined for others. */
export function errorType(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  if ('type' in error && typeof error.type === 'string') return error.type;
  return error.cause === undefined ? undefined : errorType(error.cause);
}

/** One of our codes for whatever kafkajs threw. `doing` completes "Kafka: cannot …". */
export function kafkaError(error: unknown, doing: string): LockstepError {
  if (error instanceof LockstepError) return error;
  const type = errorType(error);
  const name = error instanceof Error ? error.name : '';
  const text = error instanceof Error ? error.message : String(error);
  const message = `cannot ${doing}: ${text}`;
  if ((type !== undefined && refusals.has(type)) || name === 'KafkaJSSASLAuthenticationError') {
    return new LockstepError('LS-KAFKA-REFUSED', message, { cause: error });
  }
  if (isTlsFailure(error)) return new LockstepError('LS-KAFKA-TLS', message, { cause: error });
  // What kafkajs calls a broker whose connection it gave up.
  if (unreachable.has(name) || text === 'Broker not connected')
    return new LockstepError('LS-KAFKA-UNREACHABLE', message, { cause: error });
  return new LockstepError('LS-KAFKA-REQUEST', message, { cause: error });
}
