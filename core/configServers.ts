/** The sections of lockstep.yaml that name a server: URI, user, TLS and SASL under the names that each client uses itself. */
import { z } from 'zod';
import type { MongoConfig, MysqlConfig, RedisConfig, SaslOptions, TemporalConfig, TlsOptions } from './config.js';
import { duration, flag, group, integer, list, matching, oneOf, size, text } from './configScalars.js';
import { joinUri, splitUri, type UriParts } from './uri.js';

const pem = text('the PEM text itself, or file:/path of it');

/** Drops what was left out: `exactOptionalPropertyTypes` tells an absent property from an undefined one. */
export function given<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, v]) => v !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}

/** `true`, `false` or `off`, or a group of options. A union would hide what is wrong within the group. */
function tlsOf(options: z.ZodType<TlsOptions>) {
  return z.unknown().transform((input, context): TlsOptions | null => {
    if (isOff(input)) return null;
    const result = options.safeParse(input === true || input === 'true' ? {} : input);
    if (result.success) return result.data;
    for (const issue of result.error.issues) context.issues.push({ ...issue, input: undefined });
    return z.NEVER;
  });
}

const nodeTls = tlsOf(
  group({
    ca: pem.optional(),
    cert: pem.optional(),
    key: pem.optional(),
    servername: text('a host name').optional(),
    rejectUnauthorized: flag().optional(),
  }).transform(given),
);

type Report = (path: string, problem: string) => void;

/** A section whose fields depend on each other. */
function section<T extends z.ZodRawShape, R>(shape: T, build: (values: z.output<z.ZodObject<T>>, report: Report) => R) {
  return group(shape).transform((values, context) => {
    let failed = false;
    const built = build(values as z.output<z.ZodObject<T>>, (path, problem) => {
      failed = true;
      context.issues.push({ code: 'custom', path: [path], message: problem, input: undefined });
    });
    return failed ? z.NEVER : built;
  });
}

function uri(allowed: string) {
  const hint = 'percent-encode special characters of user and password, or give them beside it';
  return text(allowed, (value) =>
    splitUri(value) === undefined ? `is no URI that can be taken apart (${hint})` : undefined,
  ).transform((value): UriParts => splitUri(value) as UriParts);
}

const hostPort = /^(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::\d{1,5})?$/;

function checkUri(parts: UriParts, schemes: readonly string[], allowed: string, report: Report): void {
  if (!schemes.includes(parts.scheme)) report('uri', `is a URI of another kind; allowed: ${allowed}`);
  else if (!parts.hosts.split(',').every((host) => hostPort.test(host))) {
    report('uri', `names no proper host and port; allowed: ${allowed}`);
  }
}

/** Fields beside the URI win over what stands in it. */
function withLogin(parts: UriParts, user: string | undefined, password: string | undefined): UriParts {
  return { ...parts, user: user ?? parts.user, password: password ?? parts.password };
}

const systemSchemas = ['mysql', 'sys', 'information_schema', 'performance_schema'];
const mysqlForm = 'mysql://user@host:3306/database';
const mysqlOptions = ['ssl-mode', 'socketPath'];

export const mysqlSection = section(
  {
    uri: uri(mysqlForm),
    user: text('a user name').optional(),
    password: text('the password').optional(),
    stateDatabase: matching(/^[A-Za-z0-9_$-]{1,64}$/, 'letters, digits, _, $ and -, at most 64').default('lockstep'),
    ssl: nodeTls.optional(),
  },
  (values, report): MysqlConfig => {
    const parts = withLogin(values.uri, values.user, values.password);
    checkUri(parts, ['mysql', 'mysqls'], mysqlForm, report);
    if (parts.user === null || parts.user === '') report('uri', `names no user; allowed: ${mysqlForm}, or mysql.user`);
    if (parts.hosts.includes(',')) report('uri', `names several hosts; allowed: one, ${mysqlForm}`);
    const database = parts.path;
    if (database === '') report('uri', `names no database; allowed: ${mysqlForm}`);
    else if (database.length > 64 || database.endsWith(' ')) {
      report('uri', 'names an impossible database; allowed: at most 64 characters, no space at the end');
    } else if (systemSchemas.includes(database.toLowerCase())) {
      report('uri', 'names a database of MySQL itself; allowed: the database of your application');
    } else if (database.toLowerCase() === values.stateDatabase.toLowerCase()) {
      report('stateDatabase', 'is the captured database; allowed: another one, for lockstep alone');
    } else if (database.toLowerCase() === 'lockstep') {
      report('uri', 'names the database lockstep, whose topics would be those of lockstep itself; allowed: any other');
    }
    if (systemSchemas.includes(values.stateDatabase.toLowerCase())) {
      report('stateDatabase', 'is a database of MySQL itself; allowed: another one, for lockstep alone');
    }
    for (const name of parts.query.keys()) {
      if (!mysqlOptions.includes(name)) {
        report('uri', `has an option that is not known; allowed after ?: ${mysqlOptions.join(', ')} (TLS: mysql.ssl)`);
      }
    }
    const tls = values.ssl === undefined ? (parts.scheme === 'mysqls' ? {} : null) : values.ssl;
    return { uri: joinUri({ ...parts, path: '' }), database, stateDatabase: values.stateDatabase, tls };
  },
);

const topicName = /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}$/;

export const kafkaSection = section(
  {
    brokers: list(
      matching(/^(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):\d{1,5}$/, 'host:port'),
      'host:port of each, such as [127.0.0.1:9092]',
    ),
    topicPrefix: matching(topicName, 'letters, digits, . _ and -, at most 100').optional(),
    partitions: integer(1, 1000).default(4),
    replicationFactor: integer(1, 32).optional(),
    minInsyncReplicas: integer(1, 32).optional(),
    retention: duration(60_000, 3_650 * 86_400_000, 'at least 1m').default(7 * 86_400_000),
    maxMessageBytes: size(65_536, 512 * 1024 ** 2, 'from 64KB to 512MB').default(32 * 1024 ** 2),
    envelope: oneOf('plain', 'schema').default('plain'),
    ssl: nodeTls.optional(),
    sasl: group({
      mechanism: oneOf('plain', 'scram-sha-256', 'scram-sha-512'),
      username: text('a user name'),
      password: text('the password'),
    })
      .transform((sasl): SaslOptions => sasl)
      .optional(),
  },
  (values, report) => {
    const { brokers, topicPrefix, partitions, maxMessageBytes, envelope } = values;
    if (brokers.length === 0) report('brokers', 'is an empty list; allowed: at least one host:port');
    const replicationFactor = values.replicationFactor ?? Math.max(1, Math.min(3, brokers.length));
    const minInsyncReplicas = values.minInsyncReplicas ?? Math.max(1, replicationFactor - 1);
    if (minInsyncReplicas > replicationFactor) {
      report('minInsyncReplicas', `is above kafka.replicationFactor; allowed: from 1 to ${replicationFactor}`);
    }
    const sizes = { partitions, replicationFactor, minInsyncReplicas, retentionMs: values.retention, maxMessageBytes };
    return { brokers, topicPrefix, ...sizes, envelope, tls: values.ssl ?? null, sasl: values.sasl ?? null };
  },
);

const mongoForm = 'mongodb://host:27017 or mongodb+srv://host';
const mongoName = matching(
  /^[^/\\. "$*<>:|?\0]{1,63}$/u,
  'a MongoDB database name: no / \\ . " $ * < > : | ? or space',
);

export const mongoSection = section(
  {
    uri: uri(mongoForm),
    database: mongoName.optional(),
    stateDatabase: mongoName.default('lockstep'),
    auth: group({ username: text('a user name'), password: text('the password') }).optional(),
    authSource: text('a database name').optional(),
    authMechanism: oneOf('DEFAULT', 'SCRAM-SHA-1', 'SCRAM-SHA-256', 'MONGODB-X509', 'PLAIN', 'MONGODB-AWS').optional(),
    replicaSet: text('the name of the replica set').optional(),
    tls: nodeTls.optional(),
    tlsCAFile: text('a path').optional(),
    tlsCertificateKeyFile: text('a path').optional(),
    tlsCertificateKeyFilePassword: text('the password').optional(),
    tlsAllowInvalidCertificates: flag().optional(),
    tlsAllowInvalidHostnames: flag().optional(),
  },
  (values, report): Omit<MongoConfig, 'database'> & { database: string | undefined } => {
    const { uri: inUri, database, stateDatabase, auth, tls, ...options } = values;
    checkUri(inUri, ['mongodb', 'mongodb+srv'], mongoForm, report);
    if (database?.toLowerCase() === stateDatabase.toLowerCase()) {
      report('database', 'is also mongo.stateDatabase, where lockstep keeps its positions; allowed: another one');
    }
    const query = new Map([...inUri.query, ...Object.entries(given(options)).map(([k, v]) => [k, String(v)] as const)]);
    const parts = { ...withLogin(inUri, auth?.username, auth?.password), query };
    return { uri: joinUri(parts), database, stateDatabase, tls: tls ?? null };
  },
);

const redisForm = 'redis://host:6379, or rediss:// for TLS';

export const redisSection = section(
  {
    uri: uri(redisForm),
    keyPrefix: matching(
      /^(?!:)(?!.*::)[A-Za-z0-9_.:{}-]{1,200}(?<!:)$/,
      'letters, digits, _ . - { } and single : inside, at most 200',
    ).optional(),
    username: text('a user name').optional(),
    password: text('the password').optional(),
    tls: nodeTls.optional(),
  },
  (values, report): Omit<RedisConfig, 'keyPrefix'> & { keyPrefix: string | undefined } => {
    const parts = withLogin(values.uri, values.username, values.password);
    checkUri(parts, ['redis', 'rediss'], redisForm, report);
    if (parts.hosts.includes(',')) report('uri', `names several hosts; allowed: one, ${redisForm}`);
    if (!/^\d{0,4}$/.test(parts.path)) report('uri', 'has a path that is no database number; allowed: such as /0');
    const tls = values.tls === undefined ? (parts.scheme === 'rediss' ? {} : null) : values.tls;
    return { uri: joinUri(parts), keyPrefix: values.keyPrefix, tls };
  },
);

const temporalTls = tlsOf(
  group({
    serverNameOverride: text('a host name').optional(),
    serverRootCACertificate: pem.optional(),
    clientCertPair: group({ crt: pem, key: pem }).optional(),
  }).transform((tls): TlsOptions =>
    given({
      servername: tls.serverNameOverride,
      ca: tls.serverRootCACertificate,
      cert: tls.clientCertPair?.crt,
      key: tls.clientCertPair?.key,
    }),
  ),
);

export const temporalSection = section(
  {
    address: matching(/^(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):\d{1,5}$/, 'host:port, such as 127.0.0.1:7233').default(
      '127.0.0.1:7233',
    ),
    namespace: matching(/^[A-Za-z0-9._-]{2,255}$/, 'the name of a Temporal namespace').default('default'),
    tls: temporalTls.optional(),
    apiKey: text('the API key').optional(),
  },
  ({ address, namespace, tls, apiKey }): TemporalConfig => ({
    address,
    namespace,
    // A key in clear over the network is nobody's wish.
    tls: tls === undefined ? (apiKey === undefined ? null : {}) : tls,
    apiKey: apiKey ?? null,
  }),
);

/** `off` (a text in YAML 1.2, false in 1.1) leaves a store out. */
export function isOff(value: unknown): boolean {
  return value === 'off' || value === false || value === 'false';
}
