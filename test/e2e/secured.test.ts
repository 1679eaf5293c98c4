/**
 * Every server with TLS and a login: a whole pipeline by SCRAM, ACL user and client certificate, and for each server what
 * is said when the certificate is not to be trusted or the login is wrong. Passwords hold every character that hurts.
 */
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { Kafka, logLevel } from 'kafkajs';
import { MongoClient } from 'mongodb';
import { createConnection, type Connection } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { terminateWorkflows, stateGrants } from '../support/pipeline.js';
import { runCommand, spawnWorker, until, type CommandResult, type WorkerProcess } from '../support/processes.js';
import { packageRoot } from '../../temporal-compose/place.js';
import { securedMissing, startSecured, type Secured } from '../support/secured.js';

/** What docs/stores.md asks for. */
async function documentedCommands(): Promise<string[]> {
  const text = await readFile(join(packageRoot(), 'docs', 'stores.md'), 'utf8');
  const sentence = /and the commands ([A-Z,\s]+ and [A-Z]+)\./.exec(text)?.[1] ?? '';
  return sentence.split(/,\s+|\s+and\s+/).map((command) => command.toLowerCase());
}

/** What the help of LS-KAFKA-REFUSED asks for. */
async function grantTopics({ kafkaBroker, password }: Secured, ca: string): Promise<void> {
  const sasl = { mechanism: 'scram-sha-512', username: 'admin', password } as const;
  const admin = new Kafka({ brokers: [kafkaBroker], ssl: { ca }, sasl, logLevel: logLevel.NOTHING }).admin();
  const user = { principal: 'User:lockstep', host: '*', permissionType: allow };
  const topics = { ...user, resourceType: 2, resourceName: `${name}.`, resourcePatternType: 4 };
  const id = { ...user, resourceType: 5, resourceName: `lockstep/${name}/capture`, resourcePatternType: 3 };
  const { read, write, create, describe: show, describeConfigs } = operations;
  await admin.connect();
  await admin.createAcls({
    acl: [
      ...[read, write, create, show, describeConfigs].map((operation) => ({ ...topics, operation })),
      ...[write, show].map((operation) => ({ ...id, operation })),
    ],
  });
  await admin.disconnect();
}

/** kafkajs exports its enums in a way that Node's loader of CommonJS modules cannot see. */
const allow = 3;
const operations = { read: 3, write: 4, create: 5, describe: 8, describeConfigs: 10 };

type Settings = Record<string, unknown>;

const stack = inject('stack');
const missing = securedMissing();
const name = `secured-${randomBytes(3).toString('hex')}`;

describe.skipIf(missing !== undefined)(
  `servers with TLS and logins${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    let servers: Secured;
    let root: Connection;
    let mongo: MongoClient;
    let redis: Redis;
    let worker: WorkerProcess | null = null;

    beforeAll(async () => {
      servers = await startSecured(stack.temporal.address);
      const ca = await readFile(servers.ca);
      root = await createConnection({ uri: servers.mysqlUri, ssl: { ca }, multipleStatements: true });
      await root.query('CREATE DATABASE shop; USE shop; CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20))');
      await root.query("INSERT INTO t VALUES (1, 'copied')");
      for (const [user, demand] of [
        ['app', 'SSL'],
        ['certified', 'X509'],
      ]) {
        await root.query(`CREATE USER ${user} IDENTIFIED BY '${servers.password}' REQUIRE ${demand}`);
        await root.query(`GRANT SELECT, TRIGGER ON shop.* TO ${user}; GRANT PROCESS ON *.* TO ${user}`);
        await root.query(`GRANT ${stateGrants} ON lockstep.* TO ${user}`);
      }
      mongo = await MongoClient.connect(servers.mongoUri);
      const roles = ['shop', 'lockstep'].map((db) => ({ role: 'readWrite', db }));
      await mongo.db('admin').command({ createUser: 'app', pwd: servers.password, roles });
      await mongo.db('$external').command({ createUser: 'CN=lockstep,O=clients', roles });
      await grantTopics(servers, await readFile(servers.ca, 'utf8'));
      redis = new Redis(servers.redisUri, { tls: { ca } });
      const commands = await documentedCommands();
      await redis.call(
        'ACL',
        'SETUSER',
        'app',
        'on',
        `>${servers.password}`,
        `~${name}:*`,
        '+@connection',
        ...commands.map((command) => `+${command}`),
      );
    }, 180_000);

    afterAll(async () => {
      await terminateWorkflows(stack, name);
      await worker?.kill();
      redis.disconnect();
      await mongo.close();
      await root.end();
      await servers.remove();
    });

    /** A file of its own each time; sections replace those of the usual one. */
    async function fileWith(over: Settings = {}): Promise<string> {
      const tls = { ca: `file:${servers.ca}` };
      const login = { username: 'app', password: '${SECRET}' };
      const settings = {
        pipeline: name,
        mysql: { uri: `mysql://127.0.0.1:${servers.mysqlPort}/shop`, user: 'app', password: '${SECRET}', ssl: tls },
        kafka: {
          brokers: [servers.kafkaBroker],
          topicPrefix: name,
          ssl: tls,
          sasl: { mechanism: 'scram-sha-512', ...login, username: 'lockstep' },
        },
        mongo: {
          uri: `mongodb://127.0.0.1:${servers.mongoPort}`,
          replicaSet: 'rs0',
          authSource: 'admin',
          auth: login,
          tls,
        },
        redis: { uri: `rediss://127.0.0.1:${servers.redisPort}`, keyPrefix: name, ...login, tls },
        temporal: {
          address: servers.temporalAddress,
          namespace: stack.temporal.namespace,
          apiKey: '${API_KEY}',
          tls: {
            serverRootCACertificate: tls.ca,
            clientCertPair: { crt: `file:${servers.cert}`, key: `file:${servers.key}` },
          },
        },
        ...over,
      };
      const file = join(servers.folder, `${randomBytes(4).toString('hex')}.yaml`);
      await writeFile(file, stringify(settings, { aliasDuplicateObjects: false }));
      return file;
    }

    async function run(file: string, ...args: string[]): Promise<CommandResult> {
      const env = { SECRET: servers.password, API_KEY: 'key-of-the-pipeline' };
      return await runCommand([...args, '-c', file], { cwd: servers.folder, env });
    }

    async function must(file: string, ...args: string[]): Promise<string> {
      const { code, stdout, stderr } = await run(file, ...args);
      if (code !== 0)
        throw new Error(`${args.join(' ')} ended with ${code}\n${stderr}${stdout}\n${worker?.log() ?? ''}`);
      return stdout;
    }

    test('a pipeline runs over TLS alone: SCRAM, ACL user, client certificate and API key', async () => {
      const file = await fileWith();
      worker = spawnWorker(['worker', '-c', file], {
        cwd: servers.folder,
        env: { SECRET: servers.password, API_KEY: 'key-of-the-pipeline' },
      });
      await must(file, 'start', '--wait');
      await root.query("INSERT INTO t VALUES (2, 'streamed'); UPDATE t SET v = 'changed' WHERE id = 1");
      await must(file, 'wait', '--timeout', '60s');
      const documents = await mongo.db('shop').collection('t').find().sort({ _id: 1 }).toArray();
      expect(documents.map(({ v }) => v as unknown)).toEqual(['changed', 'streamed']);
      expect(await redis.mget(`${name}:t:1`, `${name}:t:2`)).toEqual([
        '{"id":1,"v":"changed"}',
        '{"id":2,"v":"streamed"}',
      ]);
      expect(servers.shownToTemporal).toEqual({ authorization: 'Bearer key-of-the-pipeline', certificate: 'lockstep' });
      // No secret anywhere that people look.
      const status = await must(file, 'status', '--json');
      for (const text of [status, worker.log()]) {
        expect(text).not.toContain(servers.password);
        expect(text).not.toContain(encodeURIComponent(servers.password));
        expect(text).not.toContain('key-of-the-pipeline');
      }
      await must(file, 'stop');
      await until('the worker ends', async () => (await worker?.stop()) !== undefined);
    }, 240_000);

    test('client certificates instead of passwords, PLAIN instead of SCRAM', async () => {
      const pair = { ca: `file:${servers.ca}`, cert: `file:${servers.cert}`, key: `file:${servers.key}` };
      const both = join(servers.folder, 'client-both.pem');
      const file = await fileWith({
        mysql: {
          uri: `mysql://127.0.0.1:${servers.mysqlPort}/shop`,
          user: 'certified',
          password: '${SECRET}',
          ssl: pair,
        },
        kafka: {
          brokers: [servers.kafkaBroker],
          topicPrefix: name,
          ssl: pair,
          sasl: { mechanism: 'plain', username: 'lockstep', password: '${SECRET}' },
        },
        mongo: {
          uri: `mongodb://127.0.0.1:${servers.mongoPort}/?tls=true`,
          replicaSet: 'rs0',
          authMechanism: 'MONGODB-X509',
          authSource: '$external',
          tlsCAFile: servers.ca,
          tlsCertificateKeyFile: both,
        },
        redis: {
          uri: `rediss://127.0.0.1:${servers.redisPort}`,
          keyPrefix: name,
          username: 'app',
          password: '${SECRET}',
          tls: pair,
        },
      });
      expect(await must(file, 'doctor')).toContain('ready: every server has what the pipeline needs');
    });

    test('servers whose certificate nobody vouches for are refused as that', async () => {
      const tls = { ca: `file:${servers.otherCa}` };
      const said = await doctorWith({
        mysql: { ssl: tls },
        kafka: { ssl: tls },
        mongo: { tls },
        redis: { tls },
        temporal: { tls: { serverRootCACertificate: tls.ca } },
      });
      for (const server of ['MYSQL', 'KAFKA', 'MONGO', 'REDIS', 'TEMPORAL']) expect(said).toContain(`LS-${server}-TLS`);
    });

    test('servers that refuse the login are told apart', async () => {
      const said = await doctorWith({
        mysql: { password: 'wrong' },
        kafka: { sasl: { mechanism: 'scram-sha-512', username: 'lockstep', password: 'wrong' } },
        mongo: { auth: { username: 'app', password: 'wrong' } },
        redis: { password: 'wrong' },
      });
      for (const code of ['MYSQL-ACCESS', 'KAFKA-REFUSED', 'MONGO-ACCESS', 'REDIS-ACCESS']) {
        expect(said).toContain(`LS-${code}`);
      }
    });

    test('a Kafka user without rights is told before anything is installed', async () => {
      const said = await doctorWith({ kafka: { topicPrefix: 'of-others' } });
      expect(said).toContain('error LS-KAFKA-REFUSED');
    });

    test('without TLS, none of them is reached', async () => {
      const said = await doctorWith({
        mysql: { ssl: 'off' },
        kafka: { ssl: 'off' },
        mongo: { tls: 'off' },
        redis: { uri: `redis://127.0.0.1:${servers.redisPort}`, tls: 'off' },
        temporal: { tls: 'off', apiKey: undefined },
      });
      for (const server of ['MYSQL', 'KAFKA', 'MONGO', 'REDIS', 'TEMPORAL'])
        expect(said).toContain(`error LS-${server}-`);
    });

    async function doctorWith(over: Readonly<Record<string, Settings>>): Promise<string> {
      const usual = parse(await readFile(await fileWith(), 'utf8')) as Record<string, Settings>;
      const sections = Object.entries(over).map(([section, settings]) => [section, { ...usual[section], ...settings }]);
      const { code, stdout, stderr } = await run(await fileWith(Object.fromEntries(sections) as Settings), 'doctor');
      expect(code).toBe(1);
      return stdout + stderr;
    }
  },
);
