/** MongoDB clients by configuration, and what the driver throws, by cause. */
import { MongoClient, MongoError, MongoNetworkError, MongoServerError, MongoServerSelectionError } from 'mongodb';
import type { MongoClientOptions } from 'mongodb';
import type { MongoConfig } from '../../core/config.js';
import { LockstepError, type ErrorCode } from '../../core/errors.js';
import { isTlsFailure } from '../../core/tlsFailure.js';

/** Connects at its first command. Failures show within seconds: whoever calls backs off and tries again. */
export function openMongo(config: MongoConfig, pipeline: string): MongoClient {
  const options: MongoClientOptions = {
    appName: `lockstep/${pipeline}`,
    maxPoolSize: 10,
    serverSelectionTimeoutMS: 3_000,
    connectTimeoutMS: 3_000,
    socketTimeoutMS: 20_000,
    writeConcern: { w: 'majority', journal: true },
    readPreference: 'primary',
    ...tlsOptions(config),
  };
  try {
    return new MongoClient(config.uri, options);
  } catch (error) {
    throw mongoError(error, 'read mongo.uri');
  }
}

function tlsOptions(config: MongoConfig): MongoClientOptions {
  const { tls } = config;
  if (tls === null) return {};
  return {
    tls: true,
    ...(tls.ca === undefined ? {} : { ca: tls.ca }),
    ...(tls.cert === undefined ? {} : { cert: tls.cert }),
    ...(tls.key === undefined ? {} : { key: tls.key }),
    ...(tls.servername === undefined ? {} : { servername: tls.servername }),
    ...(tls.rejectUnauthorized === undefined ? {} : { rejectUnauthorized: tls.rejectUnauthorized }),
  };
}

const accessCodes = new Set([11, 13, 18, 8000]);

/** `what` completes "cannot …". Messages of refused writes may hold values, so only their code's name is kept. */
export function mongoError(error: unknown, what: string): LockstepError {
  if (error instanceof LockstepError) return error;
  const text = error instanceof Error ? error.message : String(error);
  const options = { cause: error, details: detailsOf(error) };
  if (isConnection(error) && isTlsFailure(error))
    return new LockstepError('LS-MONGO-TLS', `cannot ${what}: ${text}`, options);
  if (error instanceof MongoServerError) {
    const code: ErrorCode = accessCodes.has(Number(error.code)) ? 'LS-MONGO-ACCESS' : 'LS-MONGO-WRITE';
    // "not authorized on <database> to execute command …": the command may hold keys.
    const said = text.replace(/ to execute command .*/s, '');
    const shown = code === 'LS-MONGO-ACCESS' ? said : (error.codeName ?? `error ${String(error.code)}`);
    return new LockstepError(code, `cannot ${what}: MongoDB says ${shown}`, options);
  }
  const code: ErrorCode = error instanceof MongoError ? 'LS-MONGO-UNREACHABLE' : 'LS-INTERNAL';
  return new LockstepError(code, `cannot ${what}: ${text}`, options);
}

function detailsOf(error: unknown): Record<string, string | number> {
  return error instanceof MongoServerError && error.code !== undefined ? { mongoCode: Number(error.code) } : {};
}

function isConnection(error: unknown): boolean {
  return error instanceof MongoNetworkError || error instanceof MongoServerSelectionError;
}

/** A failed transaction that may simply be tried again: write conflicts, elections, a killed session. */
export function isTransient(error: unknown): boolean {
  return error instanceof MongoError && error.hasErrorLabel('TransientTransactionError');
}

export function serverCode(error: unknown): number | undefined {
  return error instanceof MongoServerError ? Number(error.code) : undefined;
}
