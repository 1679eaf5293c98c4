/**
 * Capture alone, on real MySQL and Kafka: a source database with real triggers, a pipeline without stores or workflows,
 * and capture as a call in this process or as a process of its own.
 */
import { randomBytes } from 'node:crypto';
import { createConnection, type Connection } from 'mysql2/promise';
import type { Config } from '../../core/config.js';
import type { CaptureOutcome } from '../../core/outcome.js';
import { runCapture } from '../../stages/capture.js';
import { install } from '../../stages/install.js';
import { openMysql, type Mysql } from '../../stores/mysql/connection.js';
import type { Stack } from '../../temporal-compose/stack.js';
import { deleteTopics } from './topics.js';

export interface CaptureRun {
  readonly done: Promise<CaptureOutcome>;
  stop(): Promise<CaptureOutcome>;
}

export interface CaptureRig {
  readonly config: Config;
  readonly mysql: Mysql;
  /** Administrator, in the source database. */
  readonly root: Connection;
  readonly stateDatabase: string;
  install(): Promise<void>;
  capture(): CaptureRun;
  /** Rows in the change log. */
  waiting(): Promise<number>;
  /** Until the change log is empty. */
  drained(ms?: number): Promise<void>;
  remove(): Promise<void>;
}

export async function createCaptureRig(
  stack: Stack,
  label: string,
  ddl: readonly string[],
  settings: { readonly batchRows?: number; readonly partitions?: number; readonly maxMessageBytes?: number } = {},
): Promise<CaptureRig> {
  const suffix = randomBytes(3).toString('hex');
  const database = `${label}_${suffix}`;
  const stateDatabase = `${database}_state`;
  const name = database.replaceAll('_', '-');
  const root = await createConnection({ uri: stack.mysql.uri, charset: 'utf8mb4', multipleStatements: true });
  await root.query(`CREATE DATABASE \`${database}\`; USE \`${database}\``);
  for (const statement of ddl) await root.query(statement);
  const config: Config = {
    pipeline: name,
    mysql: { uri: stack.mysql.uri, database, stateDatabase, tls: null },
    kafka: {
      brokers: stack.kafka.brokers,
      topicPrefix: name,
      partitions: settings.partitions ?? 3,
      replicationFactor: 1,
      minInsyncReplicas: 1,
      retentionMs: 86_400_000,
      maxMessageBytes: settings.maxMessageBytes ?? 1_048_576,
      tls: null,
      sasl: null,
    },
    mongo: null,
    redis: null,
    temporal: { address: stack.temporal.address, namespace: stack.temporal.namespace, tls: null, apiKey: null },
    tables: { include: ['*'], exclude: [] },
    overrides: {},
    changeLog: { maxBytes: 10 * 1024 ** 3 },
    capture: { batchRows: settings.batchRows ?? 2_000 },
    apply: { shards: 1 },
    snapshot: { chunkMs: 50, maxBacklogRows: 100_000, parallel: 1 },
  };
  const mysql = openMysql(config.mysql, { connections: 4 });
  const waiting = async (): Promise<number> => {
    const [row] = await mysql.rows(`SELECT COUNT(*) FROM \`${stateDatabase}\`.change_log`);
    return Number(row?.[0]);
  };
  return {
    config,
    mysql,
    root,
    stateDatabase,
    install: async () => void (await install({ config, mysql })),
    capture() {
      const abort = new AbortController();
      const done = runCapture({ config, mysql, version: '0.0.0-test' }, abort.signal, { beat: () => undefined });
      done.catch(() => undefined);
      return {
        done,
        stop: async () => {
          abort.abort();
          return await done;
        },
      };
    },
    waiting,
    async drained(ms = 20_000) {
      const deadline = Date.now() + ms;
      while ((await waiting()) > 0) {
        if (Date.now() > deadline) throw new Error(`${await waiting()} rows wait in the change log after ${ms} ms`);
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    },
    async remove() {
      await mysql.close();
      for (const db of [database, stateDatabase, `${database}_ledger`])
        await root.query(`DROP DATABASE IF EXISTS \`${db}\``);
      await root.end();
      await deleteTopics(stack.kafka.brokers, name);
    },
  };
}
