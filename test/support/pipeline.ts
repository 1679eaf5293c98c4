/**
 * One pipeline of a test's own on the shared servers: databases, a user with no more rights than the documentation asks
 * for, prefixes, a lockstep.yaml; workers and commands as real processes of the built bin/lockstep, killed at will.
 */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection as TemporalConnection } from '@temporalio/client';
import { Redis } from 'ioredis';
import { MongoClient } from 'mongodb';
import { createConnection } from 'mysql2/promise';
import type { Connection } from 'mysql2/promise';
import { stringify } from 'yaml';
import type { Stack } from '../../temporal-compose/stack.js';
import type { CompareTargets } from './compare.js';
import { runCommand, spawnWorker } from './processes.js';
import type { CommandResult, WorkerProcess } from './processes.js';
import { deleteTopics } from './topics.js';

export interface PipelineOptions {
  /** First part of every name. */
  readonly label: string;
  readonly tables?: { readonly include?: readonly string[]; readonly exclude?: readonly string[] };
  readonly overrides?: Record<string, unknown>;
  /** Merged into the configuration's sections, such as `{ kafka: { partitions: 2 } }`. */
  readonly settings?: Record<string, unknown>;
  readonly mongoUri?: string;
  readonly redisUri?: string;
  /** Grants on the source database; the documented ones by default. */
  readonly sourceGrants?: string;
  /** Global ones; the documented ones by default. */
  readonly globalGrants?: string;
  /** A command is killed after so long. */
  readonly commandTimeoutMs?: number;
}

export interface Pipeline {
  readonly name: string;
  readonly database: string;
  readonly stateDatabase: string;
  readonly configFile: string;
  readonly folder: string;
  /** The least-privilege user's URI, with its password and the source database. */
  readonly mysqlUri: string;
  /** Administrator connection whose default database is the source. */
  readonly root: Connection;
  readonly workers: readonly WorkerProcess[];
  worker(...args: string[]): WorkerProcess;
  cli(...args: string[]): Promise<CommandResult>;
  /** Runs a command that must succeed; its error output is the failure's message. */
  run(...args: string[]): Promise<CommandResult>;
  targets(): CompareTargets;
  /** Ends workers and workflows, and removes everything the pipeline had anywhere. */
  remove(): Promise<void>;
}

/** What README asks of an administrator. */
export const stateGrants = 'SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX';

export async function createPipeline(stack: Stack, options: PipelineOptions): Promise<Pipeline> {
  const suffix = randomBytes(3).toString('hex');
  const database = `${options.label}_${suffix}`;
  const name = database.replaceAll('_', '-');
  const stateDatabase = `${database}_state`;
  const password = randomBytes(12).toString('hex');
  const root = await createConnection({ uri: stack.mysql.uri, charset: 'utf8mb4', multipleStatements: true });
  await root.query(`CREATE DATABASE \`${database}\`; USE \`${database}\``);
  await root.query(`CREATE USER '${database}'@'%' IDENTIFIED BY '${password}'`);
  const escaped = (db: string): string => db.replaceAll('_', String.raw`\_`);
  await root.query(
    `GRANT ${options.sourceGrants ?? 'SELECT, TRIGGER'} ON \`${escaped(database)}\`.* TO '${database}'@'%'`,
  );
  await root.query(`GRANT ${stateGrants} ON \`${escaped(stateDatabase)}\`.* TO '${database}'@'%'`);
  await root.query(
    `GRANT ${options.globalGrants ?? 'PROCESS, REPLICATION SLAVE, REPLICATION CLIENT'} ON *.* TO '${database}'@'%'`,
  );

  const mongoUri = options.mongoUri ?? stack.mongo.uri;
  const redisUri = options.redisUri ?? stack.redis.uri;
  const folder = await mkdtemp(join(tmpdir(), `lockstep-${database}-`));
  const configFile = join(folder, 'lockstep.yaml');
  const mysqlUri = new URL(stack.mysql.uri);
  mysqlUri.username = database;
  mysqlUri.password = password;
  mysqlUri.pathname = `/${database}`;
  const config = merge(
    {
      pipeline: name,
      mysql: { uri: mysqlUri.href, stateDatabase },
      kafka: { brokers: stack.kafka.brokers, topicPrefix: name },
      mongo: { uri: mongoUri, database, stateDatabase },
      redis: { uri: redisUri, keyPrefix: name },
      temporal: { address: stack.temporal.address, namespace: stack.temporal.namespace },
      ...(options.tables === undefined ? {} : { tables: { include: ['*'], ...options.tables } }),
      ...(options.overrides === undefined ? {} : { overrides: options.overrides }),
    },
    options.settings ?? {},
  );
  await writeFile(configFile, stringify(config), { mode: 0o600 });

  const workers: WorkerProcess[] = [];
  const hashTables = Object.entries(options.overrides ?? {})
    .filter(([, o]) => (o as { redis?: { layout?: string } }).redis?.layout === 'hash')
    .map(([table]) => table);
  const cli = async (...args: string[]): Promise<CommandResult> =>
    await runCommand([...args, '-c', configFile], {
      cwd: folder,
      ...(options.commandTimeoutMs === undefined ? {} : { timeoutMs: options.commandTimeoutMs }),
    });
  return {
    name,
    database,
    stateDatabase,
    configFile,
    folder,
    mysqlUri: mysqlUri.href,
    root,
    workers,
    worker(...args) {
      const worker = spawnWorker(['worker', '-c', configFile, ...args], { cwd: folder });
      workers.push(worker);
      return worker;
    },
    cli,
    async run(...args) {
      const result = await cli(...args);
      if (result.code === 0) return result;
      const logs = workers.map((w) => `--- worker ${w.pid}\n${w.log().slice(-6000)}`).join('\n');
      throw new Error(
        `lockstep ${args.join(' ')} ended with ${result.code}\n${result.stderr}${result.stdout}\n${logs}`,
      );
    },
    targets: () => ({
      mysql: { uri: stack.mysql.uri, database },
      mongo: config['mongo'] === 'off' ? null : { uri: mongoUri, database },
      redis: config['redis'] === 'off' ? null : { uri: redisUri, keyPrefix: name, hashTables },
      exclude: options.tables?.exclude ?? [],
    }),
    async remove() {
      await terminateWorkflows(stack, name);
      await Promise.all(workers.map(async (worker) => await worker.kill()));
      await removeEverything(stack, { pipeline: name, database, stateDatabase, root, mongoUri, redisUri });
      await root.query(`DROP USER IF EXISTS '${database}'@'%'`);
      await root.end();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function merge(base: Record<string, unknown>, over: Record<string, unknown>): Record<string, unknown> {
  const merged = { ...base };
  for (const [section, value] of Object.entries(over)) {
    const old = merged[section];
    const both = typeof old === 'object' && old !== null && typeof value === 'object' && value !== null;
    merged[section] = both ? { ...old, ...value } : value;
  }
  return merged;
}

/** What a pipeline has in the servers; its workers are gone already. The pipeline's name is its prefix everywhere. */
export async function removeEverything(
  stack: Stack,
  of: {
    readonly pipeline: string;
    readonly database: string;
    readonly stateDatabase: string;
    readonly root: Connection;
    readonly mongoUri?: string;
    readonly redisUri?: string;
  },
): Promise<void> {
  await terminateWorkflows(stack, of.pipeline);
  const databases = [of.database, of.stateDatabase];
  for (const database of databases) await of.root.query(`DROP DATABASE IF EXISTS \`${database}\``);
  await removeStores(of.mongoUri ?? stack.mongo.uri, of.redisUri ?? stack.redis.uri, databases, of.pipeline);
  await deleteTopics(stack.kafka.brokers, of.pipeline);
}

/** Every workflow of the pipeline that still runs. */
export async function terminateWorkflows(stack: Stack, pipeline: string): Promise<void> {
  const connection = await TemporalConnection.connect({ address: stack.temporal.address });
  try {
    const client = new Client({ connection, namespace: stack.temporal.namespace });
    const query = `WorkflowId STARTS_WITH 'lockstep/${pipeline}' AND ExecutionStatus = 'Running'`;
    for await (const { workflowId } of client.workflow.list({ query })) {
      await client.workflow.getHandle(workflowId).terminate('test ended').catch(ignoreEnded);
    }
  } finally {
    await connection.close();
  }
}

/** A child ends with its parent: it may be gone before its own turn. */
function ignoreEnded(error: unknown): void {
  if ((error as Error).name !== 'WorkflowNotFoundError') throw error;
}

async function removeStores(mongoUri: string, redisUri: string, databases: string[], prefix: string): Promise<void> {
  // A test may have stopped its private store for good.
  const mongo = new MongoClient(mongoUri, { serverSelectionTimeoutMS: 1500 });
  try {
    // The usual state database serves other pipelines too.
    for (const database of databases.filter((name) => name !== 'lockstep')) await mongo.db(database).dropDatabase();
    for (const { name } of await mongo.db('lockstep').listCollections().toArray()) {
      await mongo
        .db('lockstep')
        .collection(name)
        .deleteMany({ _id: { $regex: `^${prefix}/` } as never });
    }
  } catch (error) {
    if ((error as Error).name !== 'MongoServerSelectionError') throw error;
  } finally {
    await mongo.close();
  }
  const redis = new Redis(redisUri, { retryStrategy: () => null, lazyConnect: true });
  redis.on('error', () => undefined);
  try {
    await redis.connect();
    for (const pattern of [`${prefix}:*`]) {
      let cursor = '0';
      do {
        const [next, keys] = await redis.scan(cursor, 'MATCH', pattern, 'COUNT', 5000);
        if (keys.length > 0) await redis.unlink(keys);
        cursor = next;
      } while (cursor !== '0');
    }
  } catch (error) {
    if (!/Connection is closed|ECONNREFUSED/.test(String(error))) throw error;
  } finally {
    redis.disconnect();
  }
}
