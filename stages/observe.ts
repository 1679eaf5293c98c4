/**
 * Reads the state of a pipeline from where it lives: MySQL, the log, the stores. Needs no workflow and no worker, and
 * answers within seconds whatever is down: what does not answer becomes a problem, the rest is told all the same.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../core/config.js';
import { ownTopic, tableTopic } from '../core/names.js';
import { problem, problemOf, type Problem } from '../core/problem.js';
import type { ErrorCode } from '../core/errors.js';
import { decodeState, stateKey } from '../core/stateRecord.js';
import type { OpenProblem, PipelineStatus, Sample } from '../core/status.js';
import {
  sampleOf,
  statusOf,
  type LogReading,
  type Reading,
  type StoreReading,
  type TableReading,
} from '../core/statusReading.js';
import type { Store } from '../core/store.js';
import type { Reader } from '../stores/kafka/reader.js';
import { readBacklog } from '../stores/mysql/backlog.js';
import type { Mysql } from '../stores/mysql/connection.js';
import { readCopies } from '../stores/mysql/copies.js';
import { readParkedKeys } from '../stores/mysql/parked.js';
import { readCapturedTables } from '../stores/mysql/state.js';
import { readSweeps } from './sweepStatus.js';
import { readVerified } from '../stores/mysql/verified.js';
import { readWitnessStatus } from '../stores/mysql/witnessState.js';

export interface ObserveDeps {
  readonly config: Config;
  readonly mysql: Mysql;
  readonly reader: Reader;
  readonly stores: readonly Store[];
}

export interface ObserveOptions {
  /** Rates and lag count from here. */
  readonly since: Sample | null;
  readonly paused: boolean;
  readonly pausedTables: readonly string[];
  /** What the caller knows besides. */
  readonly problems?: readonly OpenProblem[];
}

export interface Observation {
  readonly status: PipelineStatus;
  readonly sample: Sample;
}

/** Each server gets this long; drivers may try for much longer. */
const patienceMs = 4_000;
/** More parked keys than this are not counted one by one. */
const parkedKeysCounted = 1_000;

export async function observe(deps: ObserveDeps, options: ObserveOptions): Promise<Observation> {
  const { config } = deps;
  const problems: OpenProblem[] = [...(options.problems ?? [])];
  const attempt = async <T>(code: ErrorCode, who: string, work: Promise<T>, otherwise: T): Promise<T> => {
    try {
      return await withinPatience(work, code, who);
    } catch (error) {
      problems.push(error instanceof NoAnswer ? error.problem : problemOf(error));
      return otherwise;
    }
  };
  const began = Date.now();
  const fromMysql = attempt('LS-MYSQL-UNREACHABLE', 'MySQL', readMysql(deps), noMysql);
  // What was committed before it was looked for in the change log is in the log by then. A silent MySQL is not waited for.
  const inOrder = await Promise.race([fromMysql.then((read) => read !== noMysql), sleep(patienceMs / 2, false)]);
  const [mysql, log, stores] = await Promise.all([
    fromMysql,
    attempt('LS-KAFKA-UNREACHABLE', 'Kafka', readLog(deps), null),
    Promise.all(
      deps.stores.map((store) =>
        attempt(unreachable(store), store.name, readStore(store, config.apply.shards), noStore(store)),
      ),
    ),
  ]);
  const reading = {
    at: Date.now(),
    ...mysql,
    log,
    stores,
    publishedThrough: inOrder ? began - mysql.backlog.oldestMs : null,
    problems,
  };
  const { paused, pausedTables } = options;
  const circumstances = {
    pipeline: config.pipeline,
    paused,
    pausedTables,
    changeLogMaxBytes: config.changeLog.maxBytes,
    topicOf: (table: string) => tableTopic(config.kafka.topicPrefix, config.mysql.database, table),
  };
  return { status: statusOf(reading, options.since, circumstances), sample: sampleOf(reading) };
}

const noMysql: Pick<Reading, 'tables' | 'backlog' | 'verified' | 'witness' | 'sweeps'> = {
  tables: [],
  witness: null,
  verified: [],
  backlog: { rows: 0, oldestMs: 0, bytes: 0 },
};

async function readMysql({ mysql }: ObserveDeps): Promise<typeof noMysql> {
  const { stateDatabase } = mysql.config;
  const captured = await readCapturedTables(mysql, stateDatabase);
  if (captured.length === 0) return noMysql;
  const [copies, parked, backlog, verified, witness, sweeps] = await Promise.all([
    readCopies(mysql, stateDatabase),
    readParkedKeys(mysql, stateDatabase),
    readBacklog(mysql, stateDatabase),
    readVerified(mysql, stateDatabase),
    readWitnessStatus(mysql, stateDatabase),
    readSweeps(mysql, stateDatabase),
  ]);
  const copyOf = new Map(copies.map((copy) => [copy.tableId, copy]));
  const parkedOf = new Map<number, number>();
  for (const key of parked) {
    const id = Number(key.split(' ', 1)[0]);
    parkedOf.set(id, (parkedOf.get(id) ?? 0) + 1);
  }
  const tables = captured.map(({ id, name }): TableReading => {
    const copy = copyOf.get(id);
    return {
      table: name,
      copy:
        copy === undefined
          ? null
          : { phase: copy.phase, rows: copy.rowsCopied, estimated: copy.rowsEstimated, startedAt: copy.startedAt },
      parkedKeys: parkedOf.get(id) ?? 0,
    };
  });
  return { tables, backlog, verified, witness, ...(sweeps === null ? {} : { sweeps }) };
}

/** A reader serves one fetch at a time, and one that was given up on may still be under way. */
const reading = new WeakMap<Reader, Promise<unknown>>();

function readLog(deps: ObserveDeps): Promise<LogReading | null> {
  const before = reading.get(deps.reader) ?? Promise.resolve();
  const next = before.then(
    () => readStateRecord(deps),
    () => readStateRecord(deps),
  );
  reading.set(deps.reader, next);
  return next;
}

async function readStateRecord({ config, reader }: ObserveDeps): Promise<LogReading | null> {
  const record = await reader.lastCommitted(ownTopic(config.kafka.topicPrefix, 'state'), stateKey);
  return record === null || record.value === null ? null : decodeState(record.value);
}

async function readStore(store: Store, shards: number): Promise<StoreReading> {
  const states = await Promise.all(Array.from({ length: shards }, (_, shard) => store.readState(shard)));
  const parkedByTable = new Map<string, number>();
  for (const { table } of await store.parkedKeys(parkedKeysCounted)) {
    parkedByTable.set(table, (parkedByTable.get(table) ?? 0) + 1);
  }
  return { store: store.name, shards: states, parkedByTable };
}

function noStore({ name }: Store): StoreReading {
  return { store: name, shards: null, parkedByTable: new Map() };
}

function unreachable({ name }: Store): ErrorCode {
  return name === 'mongo' ? 'LS-MONGO-UNREACHABLE' : 'LS-REDIS-UNREACHABLE';
}

class NoAnswer extends Error {
  readonly problem: Problem;

  constructor(code: ErrorCode, who: string) {
    super(`${who} did not answer`);
    this.problem = problem(code, `${who} did not answer within ${patienceMs / 1000} s`);
  }
}

async function withinPatience<T>(work: Promise<T>, code: ErrorCode, who: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new NoAnswer(code, who)), patienceMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
