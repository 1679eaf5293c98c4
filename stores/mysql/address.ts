/** From configuration to the driver's options: the URI's parts, its TLS parameters and ours. */
import { format } from 'mysql2';
import type { ConnectionOptions, SslOptions } from 'mysql2/promise';
import type { MysqlConfig, TlsOptions } from '../../core/config.js';
import { LockstepError } from '../../core/errors.js';

/** `host:port`, the only form in which an address appears in messages. */
export function whereIs(config: Pick<MysqlConfig, 'uri'>): string {
  const url = parse(config.uri);
  return url.searchParams.get('socketPath') ?? `${url.hostname}:${url.port === '' ? 3306 : url.port}`;
}

export function connectionOptions(config: MysqlConfig): ConnectionOptions {
  const url = parse(config.uri);
  const ssl = tls(config.tls, url.searchParams);
  const socketPath = url.searchParams.get('socketPath');
  return {
    ...(socketPath === null
      ? { host: url.hostname.replace(/^\[(.*)\]$/, '$1'), port: url.port === '' ? 3306 : Number(url.port) }
      : { socketPath }),
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    ...(ssl === null ? {} : { ssl }),
    charset: 'utf8mb4_bin',
    timezone: 'Z',
    queryFormat: withValues,
    dateStrings: true,
    jsonStrings: true,
    supportBigNumbers: true,
    rowsAsArray: true,
    multipleStatements: false,
    flags: ['-LOCAL_FILES', '-IGNORE_SPACE'],
    connectTimeout: 10_000,
    enableKeepAlive: true,
    keepAliveInitialDelay: 5_000,
    connectAttributes: { program_name: 'lockstep' },
  };
}

/** The driver looks through a statement for placeholders even where nothing is to be bound: 5 µs for each row of an INSERT of many. */
function withValues(sql: string, values: Parameters<typeof format>[1]): string {
  return Array.isArray(values) && values.length === 0 ? sql : format(sql, values, false, 'Z');
}

function parse(uri: string): URL {
  const url = URL.canParse(uri) ? new URL(uri) : null;
  if (url === null || (url.protocol !== 'mysql:' && url.protocol !== 'mysqls:')) {
    throw new LockstepError(
      'LS-CONFIG-INVALID',
      'mysql.uri is not of the form mysql://user:password@host:port/database',
    );
  }
  return url;
}

/** `tls` beside the URI wins; `?ssl-mode=` has the meaning it has for MySQL's own clients. */
function tls(options: TlsOptions | null, parameters: URLSearchParams): SslOptions | null {
  if (options !== null) {
    return {
      ...(options.ca === undefined ? {} : { ca: options.ca }),
      ...(options.cert === undefined ? {} : { cert: options.cert }),
      ...(options.key === undefined ? {} : { key: options.key }),
      rejectUnauthorized: options.rejectUnauthorized ?? true,
      verifyIdentity: options.rejectUnauthorized ?? true,
    };
  }
  switch ((parameters.get('ssl-mode') ?? 'DISABLED').toUpperCase()) {
    case 'REQUIRED':
      return { rejectUnauthorized: false };
    case 'VERIFY_CA':
      return { rejectUnauthorized: true };
    case 'VERIFY_IDENTITY':
      return { rejectUnauthorized: true, verifyIdentity: true };
    default:
      return null;
  }
}
