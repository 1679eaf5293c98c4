/**
 * Turns what the driver throws into a code. The driver's errors carry the statement with its bound values and some of
 * MySQL's messages quote row values, so neither is kept.
 */
import { LockstepError, type ErrorCode } from '../../core/errors.js';
import { isTlsFailure } from '../../core/tlsFailure.js';

const byNumber: Readonly<Record<number, ErrorCode>> = {
  1040: 'LS-MYSQL-BUSY',
  1203: 'LS-MYSQL-BUSY',
  1226: 'LS-MYSQL-BUSY',
  1045: 'LS-MYSQL-ACCESS',
  1698: 'LS-MYSQL-ACCESS',
  1862: 'LS-MYSQL-ACCESS',
  3118: 'LS-MYSQL-ACCESS',
  1130: 'LS-MYSQL-ACCESS',
  1049: 'LS-MYSQL-DATABASE',
  1044: 'LS-MYSQL-PRIVILEGE',
  1142: 'LS-MYSQL-PRIVILEGE',
  1143: 'LS-MYSQL-PRIVILEGE',
  1227: 'LS-MYSQL-PRIVILEGE',
  1370: 'LS-MYSQL-PRIVILEGE',
  1410: 'LS-MYSQL-PRIVILEGE',
  1419: 'LS-MYSQL-TRUST',
  1836: 'LS-MYSQL-READ-ONLY',
  1205: 'LS-MYSQL-LOCK-WAIT',
  3572: 'LS-MYSQL-LOCK-WAIT',
  1213: 'LS-MYSQL-DEADLOCK',
  1021: 'LS-MYSQL-FULL',
  1114: 'LS-MYSQL-FULL',
  1878: 'LS-MYSQL-FULL',
  1053: 'LS-MYSQL-UNREACHABLE',
  1077: 'LS-MYSQL-UNREACHABLE',
  1317: 'LS-MYSQL-LOCK-WAIT',
  1927: 'LS-MYSQL-UNREACHABLE',
  2006: 'LS-MYSQL-UNREACHABLE',
  2013: 'LS-MYSQL-UNREACHABLE',
  4031: 'LS-MYSQL-UNREACHABLE',
  3159: 'LS-MYSQL-TLS',
};

const byName: Readonly<Record<string, ErrorCode>> = {
  ECONNREFUSED: 'LS-MYSQL-UNREACHABLE',
  ECONNRESET: 'LS-MYSQL-UNREACHABLE',
  EHOSTUNREACH: 'LS-MYSQL-UNREACHABLE',
  ENETUNREACH: 'LS-MYSQL-UNREACHABLE',
  ENOTFOUND: 'LS-MYSQL-UNREACHABLE',
  EAI_AGAIN: 'LS-MYSQL-UNREACHABLE',
  ENOENT: 'LS-MYSQL-UNREACHABLE',
  EPIPE: 'LS-MYSQL-UNREACHABLE',
  ETIMEDOUT: 'LS-MYSQL-UNREACHABLE',
  PROTOCOL_CONNECTION_LOST: 'LS-MYSQL-UNREACHABLE',
  PROTOCOL_SEQUENCE_TIMEOUT: 'LS-MYSQL-UNREACHABLE',
  HANDSHAKE_NO_SSL_SUPPORT: 'LS-MYSQL-TLS',
  HANDSHAKE_SSL_ERROR: 'LS-MYSQL-TLS',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'LS-MYSQL-TLS',
  SELF_SIGNED_CERT_IN_CHAIN: 'LS-MYSQL-TLS',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'LS-MYSQL-TLS',
  ERR_TLS_CERT_ALTNAME_INVALID: 'LS-MYSQL-TLS',
  CERT_HAS_EXPIRED: 'LS-MYSQL-TLS',
};

/** Duplicate key, wrong or out-of-range value, too long, check constraint: their messages quote values. */
const quotesValues = new Set([1062, 1264, 1265, 1292, 1366, 1406, 1411, 1586, 3140, 3141, 3819, 3854]);

/** MySQL's error number, 0 when the error is not from the server. */
export function errorNumber(error: unknown): number {
  if (error instanceof LockstepError) {
    const errno = error.details['errno'];
    return typeof errno === 'number' ? errno : 0;
  }
  if (!(error instanceof Error)) return 0;
  const errno = 'errno' in error ? error.errno : undefined;
  return typeof errno === 'number' && errno > 0 ? errno : 0;
}

/** where: `host:port`, for the operator; no user, no password. */
export function mysqlFailure(error: unknown, where: string): LockstepError {
  if (error instanceof LockstepError) return error;
  if (!(error instanceof Error)) return new LockstepError('LS-MYSQL-STATEMENT', `MySQL at ${where}: ${String(error)}`);
  const name = 'code' in error && typeof error.code === 'string' ? error.code : error.name;
  const errno = errorNumber(error);
  const code =
    (forReadOnly(errno, error) ? 'LS-MYSQL-READ-ONLY' : undefined) ??
    (errno > 0 && errno <= 1030 && noRoom.test(error.message) ? 'LS-MYSQL-FULL' : undefined) ??
    byNumber[errno] ??
    byName[name] ??
    (errno === 0 && isTlsFailure(error) ? 'LS-MYSQL-TLS' : undefined) ??
    (lostConnection(error) ? 'LS-MYSQL-UNREACHABLE' : 'LS-MYSQL-STATEMENT');
  const text = quotesValues.has(errno) ? name : error.message === '' ? name : error.message;
  return new LockstepError(code, `MySQL at ${where}: ${text}`, { details: { errno, name, ...namesIn(error.message) } });
}

/** What a refused row broke, as far as the message names it: an index, a constraint, a column. Never a value. */
function namesIn(message: string): { readonly index?: string; readonly constraint?: string; readonly column?: string } {
  const index = / for key '([^']+)'$/.exec(message)?.[1];
  // Our sessions have ANSI_QUOTES, under which names stand in double quotes.
  const constraint = /^Check constraint '(.+)' is violated\.$|, CONSTRAINT ["`](.+?)["`] FOREIGN KEY /.exec(message);
  const column = / for column '([^']+)' at row \d+$|^(?:Column|Field) '([^']+)' /.exec(message);
  const [broken, fault] = [constraint?.[1] ?? constraint?.[2], column?.[1] ?? column?.[2]];
  return {
    ...(index === undefined ? {} : { index: index.slice(index.lastIndexOf('.') + 1) }),
    ...(broken === undefined ? {} : { constraint: broken }),
    ...(fault === undefined ? {} : { column: fault }),
  };
}

/** Several errors about files (3, 20, 1026, 1030) quote the system's: 28 no space, 122 quota. */
const noRoom = /\berrno:? (?:28|122) - |\bGot error (?:28|122) - /;

/** 1290 names whichever server option forbids the statement. */
function forReadOnly(errno: number, error: Error): boolean {
  return errno === 1290 && /read-only/.test(error.message);
}

/** The driver reports some states of a dead connection by text alone. */
function lostConnection(error: Error): boolean {
  return /closed state|connection (?:is )?closed|Connection lost|socket hang up/i.test(error.message);
}
