/** Connections to Temporal, and its faults as ours. */
import {
  Client,
  Connection,
  isGrpcServiceError,
  NamespaceNotFoundError,
  ServiceError,
  WorkflowFailedError,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
} from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import type { ConnectionOptions } from '@temporalio/client';
import type { TemporalConfig } from '../core/config.js';
import { errorCodes, LockstepError, type ErrorCode } from '../core/errors.js';

type Tls = Exclude<ConnectionOptions['tls'], boolean | null | undefined>;

/** The same for clients and workers. */
export interface TemporalAddress {
  readonly address: string;
  readonly tls?: Tls | true;
  readonly apiKey?: string;
}

export function temporalAddress(config: TemporalConfig): TemporalAddress {
  const tls = tlsOf(config);
  return {
    address: config.address,
    ...(tls === undefined ? {} : { tls }),
    ...(config.apiKey === null ? {} : { apiKey: config.apiKey }),
  };
}

/** An API key never travels in the clear: with one, TLS is on unless it is configured in detail anyway. */
function tlsOf({ tls, apiKey }: TemporalConfig): Tls | true | undefined {
  if (tls === null) return apiKey === null ? undefined : true;
  return {
    ...(tls.servername === undefined ? {} : { serverNameOverride: tls.servername }),
    ...(tls.ca === undefined ? {} : { serverRootCACertificate: Buffer.from(tls.ca) }),
    ...(tls.cert === undefined || tls.key === undefined
      ? {}
      : { clientCertPair: { crt: Buffer.from(tls.cert), key: Buffer.from(tls.key) } }),
  };
}

/** A client that is connected; the caller closes its connection. */
export async function connectClient(config: TemporalConfig): Promise<Client> {
  try {
    const connection = await Connection.connect({ ...temporalAddress(config), connectTimeout: '5 seconds' });
    return new Client({ connection, namespace: config.namespace });
  } catch (error) {
    throw temporalFailure(error, config);
  }
}

/** gRPC's numbers, as far as they mean something to us. */
/** `cancelled`: our own patience ended; what is connected and does not answer lacks a worker, not a server. */
const grpc = {
  cancelled: 1,
  deadlineExceeded: 4,
  permissionDenied: 7,
  failedPrecondition: 9,
  unauthenticated: 16,
} as const;

export function grpcCode(error: unknown): number | undefined {
  if (isGrpcServiceError(error)) return error.code;
  return error instanceof Error && error.cause !== undefined ? grpcCode(error.cause) : undefined;
}

/** Any fault of a call to Temporal as an error of ours; what is ours already stays. */
export function temporalFailure(error: unknown, { address, namespace }: TemporalConfig): LockstepError {
  if (error instanceof LockstepError) return error;
  if (error instanceof WorkflowUpdateFailedError || error instanceof WorkflowFailedError) return failureInside(error);
  if (error instanceof WorkflowNotFoundError) {
    return new LockstepError('LS-PIPELINE-NOT-RUNNING', 'no pipeline of this name runs', { cause: error });
  }
  const code = grpcCode(error);
  const timedOut = code === grpc.deadlineExceeded || code === grpc.cancelled;
  const unanswered = error instanceof WorkflowUpdateRPCTimeoutOrCancelledError || timedOut;
  // A query is refused outright when nobody has polled the queue for a while.
  if (unanswered || code === grpc.failedPrecondition) {
    return new LockstepError('LS-PIPELINE-NO-WORKER', 'the pipeline did not answer in time', { cause: error });
  }
  const where = `Temporal at ${address}, namespace ${namespace}`;
  const refused = code === grpc.permissionDenied || code === grpc.unauthenticated;
  // A worker's connection tells gRPC's code in its text alone.
  const unknownNamespace = error instanceof NamespaceNotFoundError || /code: NotFound/.test(messageOf(error));
  if (refused || unknownNamespace) {
    return new LockstepError('LS-TEMPORAL-REFUSED', `${where}: ${messageOf(error)}`, { cause: error });
  }
  return new LockstepError('LS-TEMPORAL-UNREACHABLE', `${where}: ${messageOf(error)}`, { cause: error });
}

/** An update, or the pipeline itself, fails with the code of what failed in it. */
function failureInside(error: WorkflowUpdateFailedError | WorkflowFailedError): LockstepError {
  let cause: unknown = error.cause;
  while (cause instanceof Error && !(cause instanceof ApplicationFailure) && cause.cause !== undefined) {
    cause = cause.cause;
  }
  if (cause instanceof ApplicationFailure && isErrorCode(cause.type)) {
    return new LockstepError(cause.type, cause.message, { cause: error });
  }
  return new LockstepError('LS-TEMPORAL-ACTIVITY', messageOf(cause), { cause: error });
}

function isErrorCode(type: string | null | undefined): type is ErrorCode {
  return typeof type === 'string' && Object.hasOwn(errorCodes, type);
}

/** The innermost message says what; the outer ones only where in the client. */
function messageOf(error: unknown): string {
  if (error instanceof ServiceError && error.cause !== undefined) return messageOf(error.cause);
  return error instanceof Error ? error.message : String(error);
}
