/**
 * The five servers as a production has them: nothing without TLS, nobody without a name. Their certificates come from an
 * authority of the test's own; beside the names and passwords there is a client certificate for those who ask for one.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import type { OutgoingHttpHeaders } from 'node:http';
import { connect as connectPlain, createSecureServer, type Http2SecureServer } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { MongoClient } from 'mongodb';
import { createConnection } from 'mysql2/promise';
import { run } from '../../temporal-compose/command.js';
import { cacheFolder } from '../../temporal-compose/place.js';
import { Progress } from '../../temporal-compose/progress.js';
import { kafka } from '../../temporal-compose/servers/kafka.js';
import { mongo } from '../../temporal-compose/servers/mongo.js';
import { down, up } from '../../temporal-compose/stack.js';
import { findProgram } from '../../temporal-compose/tool.js';
import { freePort } from './ports.js';
import { until } from './processes.js';

/** Undefined where the test can run; else why not. */
export function securedMissing(): string | undefined {
  if (findProgram('openssl') === undefined) return 'there is no openssl to make certificates';
  return findProgram('java') === undefined ? 'there is no java to run a Kafka of its own' : undefined;
}

export interface Secured {
  readonly folder: string;
  /** Files of the client: authority, certificate, key. Another authority, which signed nothing. */
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  readonly otherCa: string;
  readonly password: string;
  /** Administrator; each takes TLS alone. */
  readonly mysqlUri: string;
  readonly mysqlPort: number;
  readonly mongoUri: string;
  readonly mongoPort: number;
  readonly redisUri: string;
  readonly redisPort: number;
  readonly kafkaBroker: string;
  readonly temporalAddress: string;
  /** What the frontend of Temporal was shown by the newest call. */
  readonly shownToTemporal: { authorization: string | undefined; certificate: string | undefined };
  remove(): Promise<void>;
}

/** temporal: the address of a Temporal that does not know of TLS; a frontend with TLS stands before it. */
export async function startSecured(temporal: string): Promise<Secured> {
  const folder = await mkdtemp(join(tmpdir(), 'lockstep-secured-'));
  const removals: (() => Promise<void>)[] = [async () => await rm(folder, { recursive: true, force: true })];
  const remove = async (): Promise<void> => {
    for (const step of removals.splice(0).toReversed()) await step();
  };
  try {
    await certificates(folder);
    const password = 'p@ss/w:rd#1%';
    const names = { ca: 'ca.pem', cert: 'client.pem', key: 'client.key', otherCa: 'other.pem' } as const;
    const [ca, cert, key, otherCa] = Object.values(names).map((name) => join(folder, name)) as [
      string,
      string,
      string,
      string,
    ];
    const root = join(folder, 'stack');
    removals.push(async () => await down({ root, wipe: true }));
    const starting = up({ root, ports: 'free', only: ['mysql', 'redis'] });
    const [stack, mongoPort, kafkaPort, frontend] = await Promise.all([
      starting,
      startMongo(folder, password, (stop) => removals.push(stop)),
      startKafka(folder, password, (stop) => removals.push(stop)),
      startFrontend(folder, temporal, (stop) => removals.push(stop)),
    ]);
    await secureMysql(stack.mysql.uri, folder);
    const redisPort = await secureRedis(stack.redis.uri, folder, password);
    const secret = encodeURIComponent(password);
    return {
      folder,
      ca,
      cert,
      key,
      otherCa,
      password,
      mysqlUri: stack.mysql.uri,
      mysqlPort: Number(new URL(stack.mysql.uri).port),
      mongoUri: `mongodb://root:${secret}@127.0.0.1:${mongoPort}/?replicaSet=rs0&authSource=admin&tls=true&tlsCAFile=${ca}`,
      mongoPort,
      redisUri: `rediss://root:${secret}@127.0.0.1:${redisPort}`,
      redisPort,
      kafkaBroker: `127.0.0.1:${kafkaPort}`,
      temporalAddress: `127.0.0.1:${frontend.port}`,
      shownToTemporal: frontend.shown,
      remove,
    };
  } catch (error) {
    await remove();
    throw error;
  }
}

type OnStop = (stop: () => Promise<void>) => void;

async function certificates(folder: string): Promise<void> {
  const openssl = async (...args: string[]): Promise<unknown> => await run(['openssl', ...args], { cwd: folder });
  const authority = async (name: string): Promise<unknown> =>
    await openssl(
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-days',
      '2',
      '-subj',
      `/CN=${name} authority`,
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.pem`,
    );
  await Promise.all([authority('ca'), authority('other')]);
  await writeFile(join(folder, 'names'), 'subjectAltName=IP:127.0.0.1,DNS:localhost\n');
  for (const [name, subject] of [
    ['server', '/O=servers/CN=localhost'],
    ['client', '/O=clients/CN=lockstep'],
  ] as const) {
    await openssl(
      'req',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-subj',
      subject,
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.csr`,
    );
    await openssl(
      'x509',
      '-req',
      '-in',
      `${name}.csr`,
      '-CA',
      'ca.pem',
      '-CAkey',
      'ca.key',
      '-CAcreateserial',
      '-days',
      '2',
      '-extfile',
      'names',
      '-out',
      `${name}.pem`,
    );
    const [certificate, key] = await Promise.all([
      readFile(join(folder, `${name}.pem`)),
      readFile(join(folder, `${name}.key`)),
    ]);
    await writeFile(join(folder, `${name}-both.pem`), Buffer.concat([key, certificate]), { mode: 0o600 });
  }
}

async function secureMysql(uri: string, folder: string): Promise<void> {
  const connection = await createConnection({ uri });
  try {
    for (const [name, file] of [
      ['ssl_ca', 'ca.pem'],
      ['ssl_cert', 'server.pem'],
      ['ssl_key', 'server.key'],
    ] as const) {
      await connection.query(`SET GLOBAL ${name} = ?`, [join(folder, file)]);
    }
    await connection.query('ALTER INSTANCE RELOAD TLS');
    await connection.query('SET GLOBAL require_secure_transport = ON');
  } finally {
    await connection.end();
  }
}

/** A second port with TLS; the first one closes. The default user goes, `root` and whoever a test makes remain. */
async function secureRedis(uri: string, folder: string, password: string): Promise<number> {
  const port = await freePort();
  const redis = new Redis(uri);
  try {
    const files = { 'tls-ca-cert-file': 'ca.pem', 'tls-cert-file': 'server.pem', 'tls-key-file': 'server.key' };
    const settings = Object.entries(files).flatMap(([name, file]) => [name, join(folder, file)]);
    await redis.call('CONFIG', 'SET', 'tls-auth-clients', 'optional', ...settings, 'tls-port', String(port));
    await redis.call('ACL', 'SETUSER', 'root', 'on', `>${password}`, '~*', '&*', '+@all');
    await redis.call('ACL', 'SETUSER', 'default', 'off');
    return port;
  } finally {
    redis.disconnect();
  }
}

async function startMongo(folder: string, password: string, onStop: OnStop): Promise<number> {
  const port = await freePort();
  const program = (await mongo.find()) ?? (await mongo.fetch(shelf()));
  const home = join(folder, 'mongo');
  await mkdir(join(home, 'data'), { recursive: true });
  const keyFile = Buffer.from('a key of this replica set alone').toString('base64').replaceAll('=', '');
  await writeFile(join(home, 'set.key'), keyFile, { mode: 0o600 });
  const tlsArguments = [
    '--tlsMode=requireTLS',
    `--tlsCAFile=${join(folder, 'ca.pem')}`,
    '--tlsAllowConnectionsWithoutCertificates',
    `--tlsCertificateKeyFile=${join(folder, 'server-both.pem')}`,
  ];
  const set = [
    '--replSet=rs0',
    `--port=${port}`,
    '--bind_ip=127.0.0.1',
    '--nounixsocket',
    '--dbpath=data',
    '--keyFile=set.key',
    '--wiredTigerCacheSizeGB=0.25',
  ];
  onStop(serve([...program.command, ...set, ...tlsArguments], home));
  const options = {
    directConnection: true,
    serverSelectionTimeoutMS: 2_000,
    tls: true,
    tlsCAFile: join(folder, 'ca.pem'),
  };
  const system = { username: '__system', password: keyFile };
  await untilItAnswers('mongod', async () => {
    const client = new MongoClient(`mongodb://127.0.0.1:${port}/`, { ...options, auth: system, authSource: 'local' });
    try {
      const admin = client.db('admin');
      const hello = await admin.command({ hello: 1 });
      if (hello['setName'] === undefined) {
        await admin.command({ replSetInitiate: { _id: 'rs0', members: [{ _id: 0, host: `127.0.0.1:${port}` }] } });
      }
      if (hello['isWritablePrimary'] !== true) throw new Error('no primary yet');
      await admin.command({ createUser: 'root', pwd: password, roles: ['root'] });
    } finally {
      await client.close();
    }
  });
  return port;
}

async function startKafka(folder: string, password: string, onStop: OnStop): Promise<number> {
  const [port, controller] = [await freePort(), await freePort()];
  const program = (await kafka.find()) ?? (await kafka.fetch(shelf()));
  const home = join(folder, 'kafka');
  await mkdir(home);
  const [server, ca] = await Promise.all(
    ['server-both.pem', 'ca.pem'].map(async (name) => await readFile(join(folder, name), 'utf8')),
  );
  await writeFile(join(home, 'keystore.pem'), server ?? '', { mode: 0o600 });
  await writeFile(join(home, 'truststore.pem'), ca ?? '');
  const login = `org.apache.kafka.common.security.scram.ScramLoginModule required username="admin" password="${password}";`;
  const plain = `org.apache.kafka.common.security.plain.PlainLoginModule required username="admin" password="${password}" user_admin="${password}" user_lockstep="${password}";`;
  const settings = {
    'process.roles': 'broker,controller',
    'node.id': '1',
    'controller.quorum.voters': `1@127.0.0.1:${controller}`,
    listeners: `SECURE://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controller}`,
    'advertised.listeners': `SECURE://127.0.0.1:${port}`,
    'controller.listener.names': 'CONTROLLER',
    'listener.security.protocol.map': 'SECURE:SASL_SSL,CONTROLLER:PLAINTEXT',
    'inter.broker.listener.name': 'SECURE',
    'sasl.mechanism.inter.broker.protocol': 'SCRAM-SHA-512',
    'sasl.enabled.mechanisms': 'SCRAM-SHA-512,PLAIN',
    'listener.name.secure.scram-sha-512.sasl.jaas.config': login,
    'listener.name.secure.plain.sasl.jaas.config': plain,
    'ssl.keystore.type': 'PEM',
    'ssl.keystore.location': join(home, 'keystore.pem'),
    'ssl.truststore.type': 'PEM',
    'ssl.truststore.location': join(home, 'truststore.pem'),
    'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
    'super.users': 'User:admin;User:ANONYMOUS',
    'log.dirs': 'data',
    'auto.create.topics.enable': 'false',
    'offsets.topic.replication.factor': '1',
    'transaction.state.log.replication.factor': '1',
    'transaction.state.log.min.isr': '1',
    'transaction.state.log.num.partitions': '5',
    'share.coordinator.state.topic.replication.factor': '1',
    'share.coordinator.state.topic.min.isr': '1',
  };
  const text = Object.entries(settings).map(([name, value]) => `${name}=${value}\n`);
  await writeFile(join(home, 'server.properties'), text.join(''), { mode: 0o600 });
  const users = ['admin', 'lockstep'].flatMap((name) => [
    '--add-scram',
    `SCRAM-SHA-512=[name=${name},password=${password}]`,
  ]);
  const cluster = 'bG9ja3N0ZXAtc2VjdXJlZA';
  await run(
    [...program.command, 'kafka.tools.StorageTool', 'format', '-t', cluster, '-c', 'server.properties', ...users],
    { cwd: home },
  );
  const [java, ...classes] = program.command;
  const light = [
    '-Xmx384m',
    '-XX:TieredStopAtLevel=1',
    '-XX:+UseSerialGC',
    '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
  ];
  onStop(serve([java, ...light, ...classes, 'kafka.Kafka', 'server.properties'], home));
  await untilItListens(port);
  return port;
}

/** gRPC over TLS in front of one without, as a proxy of a company or Temporal Cloud stands there: h2 in, h2c out. */
async function startFrontend(
  folder: string,
  behind: string,
  onStop: OnStop,
): Promise<{ port: number; shown: Secured['shownToTemporal'] }> {
  const [ca, cert, key] = await Promise.all(
    ['ca.pem', 'server.pem', 'server.key'].map(async (name) => await readFile(join(folder, name))),
  );
  const shown: Secured['shownToTemporal'] = { authorization: undefined, certificate: undefined };
  const server: Http2SecureServer = createSecureServer({
    ca: ca ?? '',
    cert: cert ?? '',
    key: key ?? '',
    requestCert: true,
    rejectUnauthorized: true,
  });
  const upstream = connectPlain(`http://${behind}`);
  const open = new Set<{ destroy(): void }>();
  server.on('session', (session) => open.add(session));
  server.on('sessionError', () => undefined);
  server.on('stream', (stream, headers) => {
    shown.authorization = headers.authorization;
    const socket = stream.session?.socket as { getPeerCertificate?: () => { subject?: { CN?: string } } } | undefined;
    shown.certificate = socket?.getPeerCertificate?.().subject?.CN;
    const forwarded = upstream.request({ ...headers, ':scheme': 'http', ':authority': behind });
    forwarded.on('response', (answer, flags) => {
      if (stream.destroyed) return;
      // An answer that is all trailers ends with its headers.
      const over = (flags & 1) === 1;
      stream.respond(answer, { waitForTrailers: !over, endStream: over });
    });
    let trailers: OutgoingHttpHeaders = {};
    forwarded.on('trailers', (found: OutgoingHttpHeaders) => (trailers = found));
    stream.on('wantTrailers', () => stream.sendTrailers(trailers));
    forwarded.on('error', () => stream.destroy());
    stream.on('error', () => forwarded.destroy());
    stream.on('close', () => forwarded.close());
    stream.pipe(forwarded);
    forwarded.pipe(stream);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
  onStop(async () => {
    for (const session of open) session.destroy();
    upstream.destroy();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  });
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('no port');
  return { port: address.port, shown };
}

/** Runs until it is stopped; returns what stops it. */
function serve([program = '', ...args]: readonly string[], cwd: string): () => Promise<void> {
  const child: ChildProcess = spawn(program, args, { cwd, stdio: ['ignore', 'ignore', 'ignore'] });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  return async () => {
    child.kill('SIGKILL');
    await ended;
  };
}

function shelf(): { cache: string; progress: Progress; signal: AbortSignal } {
  const report = (line: string): void => void process.stderr.write(`${line}\n`);
  return { cache: cacheFolder(), progress: new Progress(report), signal: AbortSignal.timeout(300_000) };
}

async function untilItAnswers(what: string, ask: () => Promise<void>): Promise<void> {
  let last: unknown;
  await until(
    `${what} answers`,
    async () => {
      try {
        await ask();
        return true;
      } catch (error) {
        last = error;
        return false;
      }
    },
    { timeoutMs: 60_000, everyMs: 100 },
  ).catch((error: unknown) => {
    throw new Error(String(last), { cause: error });
  });
}

async function untilItListens(port: number): Promise<void> {
  const { connect } = await import('node:net');
  await untilItAnswers(`port ${port}`, async () => {
    await new Promise<void>((resolve, reject) => {
      const socket = connect(port, '127.0.0.1', () => {
        socket.destroy();
        resolve();
      });
      socket.once('error', reject);
    });
  });
}
