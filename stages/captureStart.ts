/**
 * How a relay begins, each time and everywhere: claim first, which ends a predecessor's open transaction and fences it;
 * then read what was committed last; then delete what that names. Nothing is decided from memory. Only after this may
 * the first row be published.
 */
import { randomUUID } from 'node:crypto';
import type { Config } from '../core/config.js';
import type { Definition } from '../core/definition.js';
import { LockstepError } from '../core/errors.js';
import { ownTopic } from '../core/names.js';
import type { CaptureOutcome } from '../core/outcome.js';
import { splitPartitionName, type PartitionName } from '../core/position.js';
import {
  decodeState,
  encodeState,
  stateKey,
  type Beginning,
  type RowName,
  type StateRecord,
} from '../core/stateRecord.js';
import { claimProducer, transactionalId, type PartitionRecords, type Producer } from '../stores/kafka/producer.js';
import { sameAddress, type Dial } from '../stores/kafka/client.js';
import { openReader, type Reader } from '../stores/kafka/reader.js';
import { readCompacted, readTails, type Tail } from '../stores/kafka/tails.js';
import { probeSeq, removeRows, stillThere } from '../stores/mysql/changeLog.js';
import type { Mysql, Queries, Session } from '../stores/mysql/connection.js';
import { acceptIncarnation, requestCopiesOf } from '../stores/mysql/incarnation.js';
import { resolveMarkers } from '../stores/mysql/markers.js';
import { freeKeys, readParkedKeys } from '../stores/mysql/parked.js';
import { takeRelayLock } from '../stores/mysql/relayLock.js';
import { readServer } from '../stores/mysql/server.js';
import { readCapturedTables, readDefinitions, readMeta, type Meta } from '../stores/mysql/state.js';
import { foundTail, newBeginning, ordinalsAfter, outcomeOf, shortened, type FoundTail } from './captureBeginning.js';
import { openRowReader, type RowReader } from './captureReread.js';
import { openTables, type Tables } from './captureTables.js';

export interface CaptureDeps {
  readonly config: Config;
  readonly mysql: Mysql;
  /** Of lockstep, for `source.version`. */
  readonly version: string;
  /** Where to connect for an address of the cluster; for tunnels and tests. */
  readonly dial?: Dial;
}

/** Everything a running relay holds. */
export interface Relay {
  readonly deps: CaptureDeps;
  /** Reads, and holds the relay's lock. */
  readonly session: Session;
  /** Deletes and resolves, beside the publishing of the next batch. */
  readonly second: Session;
  /** Reads rows that the log has no image of. */
  readonly reader: RowReader;
  readonly producer: Producer;
  readonly tables: Tables;
  readonly state: StateRecord;
  /** Offset after the last record of every partition that holds one. */
  readonly ends: ReadonlyMap<PartitionName, number>;
  /** Published rows that recovery could not delete: a lock stood in the way. */
  readonly undeleted: readonly RowName[];
  readonly parkedKeys: ReadonlySet<string>;
}

export type Start =
  | { readonly kind: 'running'; readonly relay: Relay; readonly close: () => Promise<void> }
  | { readonly kind: 'ended'; readonly outcome: CaptureOutcome };

export async function startRelay(deps: CaptureDeps): Promise<Start> {
  const opened: (() => void | Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    for (const end of opened.splice(0).toReversed()) await end();
  };
  try {
    const start = await takeOver(deps, (end) => opened.push(end));
    if (!('kind' in start)) return { kind: 'running', relay: start, close };
    await close();
    return { kind: 'ended', outcome: start };
  } catch (error) {
    await close();
    throw error;
  }
}

async function takeOver(deps: CaptureDeps, onClose: (end: () => void) => void): Promise<Relay | CaptureOutcome> {
  const { config, mysql } = deps;
  const { stateDatabase } = config.mysql;
  const open = async (): Promise<Session> => {
    const session = await mysql.session();
    onClose(() => session.destroy());
    return session;
  };
  const [session, second] = [await open(), await open()];
  const { serverUuid } = await readServer(session);
  const meta = await readOwnMeta(session, config, serverUuid);
  await takeRelayLock(session, stateDatabase);

  const producer = await claimProducer(config.kafka, transactionalId(config.pipeline), {
    dial: deps.dial ?? sameAddress,
  });
  onClose(() => producer.close());
  const log = await readLog(deps, session);

  const { last, tails, tables } = log;
  const { topicPrefix } = config.kafka;
  const nextSeq = await probeSeq(session, stateDatabase);
  const beginning = newBeginning({ last, accepted: meta.incarnation, tails, serverUuid, nextSeq, topicPrefix });
  const state = beginning === null && last !== null ? last : fresh(config, beginning, log, serverUuid, nextSeq);
  if (state !== last && !(await publishState(producer, tables, topicPrefix, state))) return { kind: 'fenced' };

  await freeKeys(session, stateDatabase, state.freed);
  await resolveMarkers(session, stateDatabase, state.markers, log.ends);
  const named = await stillThere(session, stateDatabase, state.rows);
  const undeleted = (await removeRows(session, stateDatabase, named)) ? [] : named;
  const outcome = await accept(mysql, state, meta);
  if (outcome !== null) return outcome;
  const gaps = await reportGaps(mysql, tables, state, tails);
  const reader = openRowReader(mysql);
  onClose(() => reader.close());
  return {
    deps,
    session,
    second,
    reader,
    producer,
    tables,
    state: { ...state, rows: [], markers: [], freed: [], knownGaps: gaps },
    ends: log.ends,
    undeleted,
    parkedKeys: await readParkedKeys(session, stateDatabase),
  };
}

async function readOwnMeta(queries: Queries, config: Config, serverUuid: string): Promise<Meta> {
  const { stateDatabase } = config.mysql;
  const meta = await readMeta(queries, stateDatabase);
  if (meta === null) {
    throw new LockstepError('LS-NOT-INSTALLED', `database ${stateDatabase} holds no pipeline`);
  }
  if (meta.pipeline !== config.pipeline || meta.topicPrefix !== config.kafka.topicPrefix) {
    const owner = `pipeline ${meta.pipeline}, topic prefix ${meta.topicPrefix}`;
    throw new LockstepError('LS-STATE-OTHER-PIPELINE', `the state database ${stateDatabase} belongs to ${owner}`);
  }
  if (meta.serverUuid !== serverUuid) {
    const message = `the state database ${stateDatabase} was filled on server ${meta.serverUuid}; this is ${serverUuid}`;
    throw new LockstepError('LS-SOURCE-CHANGED', message);
  }
  return meta;
}

interface Log {
  readonly last: StateRecord | null;
  readonly tables: Tables;
  readonly tails: ReadonlyMap<PartitionName, FoundTail>;
  readonly ends: ReadonlyMap<PartitionName, number>;
}

/** Everything that is committed in Kafka, after the claim has decided the predecessor's last transaction. */
async function readLog({ config, version, dial = sameAddress }: CaptureDeps, session: Session): Promise<Log> {
  const { kafka, mysql } = config;
  const captured = await capturedDefinitions(session, mysql.stateDatabase);
  const tables = await openTables({ config, version, dial, queries: session }, captured);
  const reader = openReader(kafka, { clientId: 'lockstep-capture', maxWaitMs: 200, dial });
  try {
    const last = await lastState(reader, config);
    tables.published((await readCompacted(reader, ownTopic(kafka.topicPrefix, 'definitions'))).keys());
    const tails = await readTails(reader, tables.topics());
    return { last, tables, tails: mapValues(tails, foundTail), ends: endsOf(tails) };
  } finally {
    await reader.close();
  }
}

async function lastState(reader: Reader, { pipeline, mysql, kafka }: Config): Promise<StateRecord | null> {
  const record = await reader.lastCommitted(ownTopic(kafka.topicPrefix, 'state'), stateKey);
  if (record?.value === null || record?.value === undefined) return null;
  const state = decodeState(record.value);
  if (state.pipeline !== pipeline || state.database !== mysql.database) {
    const owner = `pipeline ${state.pipeline} on database ${state.database}`;
    throw new LockstepError('LS-KAFKA-PREFIX-TAKEN', `the topics under ${kafka.topicPrefix} belong to ${owner}`);
  }
  return state;
}

async function capturedDefinitions(queries: Queries, stateDatabase: string): Promise<Definition[]> {
  const cited = new Set((await readCapturedTables(queries, stateDatabase)).map((table) => table.definition));
  const stored = await readDefinitions(queries, stateDatabase);
  return stored.filter(({ hash }) => cited.has(hash)).map(({ definition }) => definition);
}

function fresh(
  config: Config,
  beginning: Beginning | null,
  { last, tails }: Log,
  serverUuid: string,
  nextSeq: number,
): StateRecord {
  return {
    pipeline: config.pipeline,
    database: config.mysql.database,
    incarnation: randomUUID(),
    beginning: beginning ?? { cause: 'first', reason: '' },
    serverUuid,
    highestSeq: nextSeq,
    floor: 0,
    published: 0,
    rows: last?.rows ?? [],
    markers: last?.markers ?? [],
    freed: last?.freed ?? [],
    ordinals: ordinalsAfter(last, tails),
    knownGaps: new Map(),
  };
}

async function publishState(
  producer: Producer,
  tables: Tables,
  topicPrefix: string,
  state: StateRecord,
): Promise<boolean> {
  const published = await producer.publish([stateRecords(topicPrefix, tables, state)], Date.now());
  return published.kind === 'committed';
}

export function stateRecords(topicPrefix: string, tables: Tables, state: StateRecord): PartitionRecords {
  return {
    topic: ownTopic(topicPrefix, 'state'),
    partition: 0,
    maxBatchBytes: tables.maxStateBytes(),
    records: [{ key: Buffer.from(stateKey), value: encodeState(state), header: null }],
  };
}

/**
 * MySQL learns of an incarnation in the transaction that makes its copies due; until then every start ends like this
 * one. The beginning of a first log asks for nothing.
 */
async function accept(mysql: Mysql, state: StateRecord, meta: Meta): Promise<CaptureOutcome | null> {
  if (meta.incarnation === state.incarnation) return null;
  const outcome =
    outcomeOf(state.beginning) ??
    (meta.incarnation === null ? null : { kind: 'source-rewound', reason: 'the state database names another log' });
  const reason = outcome?.kind === 'log-lost' ? 'loss' : 'source-changed';
  await acceptIncarnation(mysql, state.incarnation, outcome === null ? null : { reason, newRun: randomUUID });
  return outcome;
}

/** A topic that was deleted, recreated or cut costs its table a copy, and no other table anything. */
async function reportGaps(
  mysql: Mysql,
  tables: Tables,
  state: StateRecord,
  tails: ReadonlyMap<PartitionName, FoundTail>,
): Promise<ReadonlyMap<PartitionName, number>> {
  const gaps = new Map(state.knownGaps);
  const hit = new Set<string>();
  for (const name of shortened(state, tails)) {
    const { topic, partition } = splitPartitionName(name);
    gaps.set(name, state.ordinals.get(topic)?.[partition] ?? 0);
    const table = tables.tableOf(topic);
    if (table !== undefined) hit.add(table);
  }
  await requestCopiesOf(mysql, hit, { reason: 'loss', newRun: randomUUID });
  return gaps;
}

function endsOf(tails: ReadonlyMap<PartitionName, Tail>): Map<PartitionName, number> {
  const ends = new Map<PartitionName, number>();
  for (const [name, { last }] of tails) if (last !== null) ends.set(name, last.offset + 1);
  return ends;
}

function mapValues<A, B>(map: ReadonlyMap<string, A>, change: (value: A) => B): Map<string, B> {
  return new Map([...map].map(([name, value]) => [name, change(value)]));
}
