/** Redis clients by configuration, and what the client throws, by cause. */
import { Redis, ReplyError, type RedisOptions } from 'ioredis';
import type { RedisConfig } from '../../core/config.js';
import { LockstepError } from '../../core/errors.js';
import { isTlsFailure } from '../../core/tlsFailure.js';

/**
 * Reconnects by itself but repeats nothing: a command that got no answer fails, and its caller reads the position to
 * learn what became of it.
 */
export function openRedis(config: RedisConfig, pipeline: string): Redis {
  const { tls } = config;
  const options: Omit<RedisOptions, 'replyMapping'> = {
    connectionName: `lockstep/${pipeline}`,
    lazyConnect: true,
    connectTimeout: 3_000,
    commandTimeout: 10_000,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    enableReadyCheck: true,
    retryStrategy: (attempt) => Math.min(100 * attempt, 1_000),
    ...(tls === null ? {} : { tls }),
  };
  const client = new Redis(config.uri, options);
  // Every command's own failure is reported where it was sent; without a listener the client prints them all.
  client.on('error', () => undefined);
  return client;
}

/** Redis's own default. */
export const usualArgumentBytes = 512 * 1024 * 1024;

/** How large one argument may be, as far as this server tells: hosted ones often keep CONFIG to themselves. */
export async function argumentBytes(client: Redis): Promise<number> {
  try {
    const [, bytes] = (await client.config('GET', 'proto-max-bulk-len')) as string[];
    return bytes === undefined ? usualArgumentBytes : Number(bytes);
  } catch (error) {
    if (error instanceof ReplyError) return usualArgumentBytes;
    throw error;
  }
}

/** `what` completes "cannot …". */
export function redisError(error: unknown, what: string): LockstepError {
  if (error instanceof LockstepError) return error;
  const text = error instanceof Error ? error.message : String(error);
  const said = (code: ConstructorParameters<typeof LockstepError>[0]): LockstepError =>
    new LockstepError(code, `cannot ${what}: ${text}`, { cause: error });
  if (isTlsFailure(error)) return said('LS-REDIS-TLS');
  if (/^(?:WRONGPASS|NOAUTH|NOPERM)\b|can't run this command|invalid username-password|without any password/.test(text))
    return said('LS-REDIS-ACCESS');
  if (/^(?:-?OOM)\b|\bOOM command not allowed/.test(text)) return said('LS-REDIS-FULL');
  if (/^(?:MOVED|ASK|CROSSSLOT)\b/.test(text)) return said('LS-REDIS-CLUSTER');
  if (/^[A-Z]{3,}\b/.test(text) && !/^(?:ECONN|ETIMEDOUT|EPIPE|EHOST|ENOTFOUND|EAI)/.test(text))
    return said('LS-REDIS-WRITE');
  if (/max retries per request/.test(text)) {
    return new LockstepError('LS-REDIS-UNREACHABLE', `cannot ${what}: there is no connection to Redis`, {
      cause: error,
    });
  }
  return said('LS-REDIS-UNREACHABLE');
}
