/**
 * Capture alone, on real MySQL and Kafka: a source database with real triggers, a pipeline without stores or workflows,
 * and capture as a call in this process or as a process of its own.
 */
import { randomBytes } from 'node:crypto';
import { createConnection, type Connection } from 'mysql2/promise';
import type { Config } from '../../core/config.js';
import { validateDefaults } from '../../core/configValidate.js';
import { decodeHeader } from '../../core/event.js';
import { ownTopic, tableTopic } from '../../core/names.js';
import type { CaptureOutcome } from '../../core/outcome.js';
import { partitionName } from '../../core/position.js';
import { runCapture, type CaptureDeps } from '../../stages/capture.js';
import { install } from '../../stages/install.js';
import type { Dial } from '../../stores/kafka/client.js';
import { claimProducer, transactionalId } from '../../stores/kafka/producer.js';
import { openReader, type LogRecord } from '../../stores/kafka/reader.js';
import { readCompacted } from '../../stores/kafka/tails.js';
import { openMysql, type Mysql } from '../../stores/mysql/connection.js';
import type { Stack } from '../../temporal-compose/stack.js';
import type { StateDatabases } from './stateDatabases.js';
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
  /** Ends by itself on a failure, as in a worker: a supervisor calls it again. */
  capture(dial?: Dial): CaptureRun;
  /** Calls capture again after every failure, until stopped or until it ends with an outcome. */
  keepCapturing(dial?: Dial): CaptureRun & { readonly failures: string[] };
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
  settings: {
    readonly batchRows?: number;
    readonly partitions?: number;
    readonly maxMessageBytes?: number;
    readonly envelope?: 'plain' | 'schema';
    /** Of the tests of one file: the state database is one of these, and goes back there. */
    readonly states?: StateDatabases;
  } = {},
): Promise<CaptureRig> {
  const suffix = randomBytes(3).toString('hex');
  const database = `${label}_${suffix}`;
  const stateDatabase = settings.states?.take() ?? `${database}_state`;
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
      envelope: settings.envelope ?? 'plain',
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
    validate: validateDefaults,
    resync: { automatic: true },
    verify: { sample: 1, repair: true },
  };
  const mysql = openMysql(config.mysql, { connections: 4 });
  const waiting = async (): Promise<number> => {
    const [row] = await mysql.rows(`SELECT COUNT(*) FROM \`${stateDatabase}\`.change_log`);
    return Number(row?.[0]);
  };
  const deps = (dial?: Dial): CaptureDeps => ({
    config,
    mysql,
    version: '0.0.0-test',
    ...(dial === undefined ? {} : { dial }),
  });
  return {
    config,
    mysql,
    root,
    stateDatabase,
    install: async () => void (await install({ config, mysql })),
    capture(dial) {
      const abort = new AbortController();
      const done = runCapture(deps(dial), abort.signal, { beat: () => undefined });
      done.catch(() => undefined);
      return { done, stop: () => stopped(abort, done) };
    },
    keepCapturing(dial) {
      const abort = new AbortController();
      const failures: string[] = [];
      const keep = async (): Promise<CaptureOutcome> => {
        for (;;) {
          try {
            return await runCapture(deps(dial), abort.signal, { beat: () => undefined });
          } catch (error) {
            failures.push(error instanceof Error ? error.message : String(error));
            if (abort.signal.aborted) return { kind: 'stopped' };
            await new Promise((resolve) => setTimeout(resolve, 50));
          }
        }
      };
      const done = keep();
      return { done, failures, stop: () => stopped(abort, done) };
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
      for (const db of [database, `${database}_ledger`]) await root.query(`DROP DATABASE IF EXISTS \`${db}\``);
      if (settings.states === undefined) await root.query(`DROP DATABASE IF EXISTS \`${stateDatabase}\``);
      else await settings.states.giveBack(mysql, stateDatabase);
      await mysql.close();
      await root.end();
      await deleteTopics(stack.kafka.brokers, name);
    },
  };
}

async function stopped(abort: AbortController, done: Promise<CaptureOutcome>): Promise<CaptureOutcome> {
  abort.abort();
  return await done;
}

export interface CapturedEvent {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly key: string;
  readonly op: string;
  readonly seq: number;
  readonly ordinal: number;
  readonly incarnation: string;
  readonly afterText: string | null;
}

/** Every event of the captured tables, in partition order. */
export async function readEvents(config: Config): Promise<CapturedEvent[]> {
  // A commit is answered before it can be read; the claim waits until the last one can.
  (await claimProducer(config.kafka, transactionalId(config.pipeline))).close();
  const reader = openReader(config.kafka, { maxWaitMs: 100 });
  try {
    const definitions = await readCompacted(reader, ownTopic(config.kafka.topicPrefix, 'definitions'));
    const topics = [...definitions.values()].map((bytes) => {
      const { database, table } = JSON.parse(bytes.toString('utf8')) as { database: string; table: string };
      return tableTopic(config.kafka.topicPrefix, database, table);
    });
    const ends = await reader.endOffsets([...new Set(topics)]);
    const positions = new Map(await reader.beginningOffsets([...new Set(topics)]));
    const events: CapturedEvent[] = [];
    const deadline = AbortSignal.timeout(20_000);
    for (;;) {
      for (const [name, offset] of positions) if (offset >= (ends.get(name) ?? 0)) positions.delete(name);
      if (positions.size === 0) break;
      deadline.throwIfAborted();
      for (const { topic, partition, records, nextOffset } of await reader.fetch(positions, deadline)) {
        positions.set(partitionName(topic, partition), nextOffset);
        for (const record of records) events.push(eventOf(topic, partition, record));
      }
    }
    return events.toSorted(
      (a, b) => a.topic.localeCompare(b.topic) || a.partition - b.partition || a.offset - b.offset,
    );
  } finally {
    await reader.close();
  }
}

function eventOf(topic: string, partition: number, { offset, key, value, header }: LogRecord): CapturedEvent {
  const facts = decodeHeader(header ?? '');
  if (facts === undefined) throw new Error(`a record without a header in ${topic}`);
  const { op, seq, ordinal, incarnation, afterStart, afterEnd } = facts;
  const afterText = value === null || afterEnd === 0 ? null : value.toString('utf8', afterStart, afterEnd);
  return { topic, partition, offset, key: String(key), op, seq, ordinal, incarnation, afterText };
}
