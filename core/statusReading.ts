/** From what MySQL, the log and the stores say at one moment, and an earlier sample, to a status. Pure. */
import { lagQuantile } from './lag.js';
import { partitionName } from './position.js';
import { warning } from './problem.js';
import type {
  CaptureStatus,
  CopyStatus,
  LagStatus,
  OpenProblem,
  PipelineStatus,
  Sample,
  StoreSample,
  StoreStatus,
  TableStage,
  TableStatus,
} from './status.js';
import type { ShardState, StoreName } from './store.js';
import { driftProblems, sweptThrough, type SweepsReading } from './sweepsReading.js';
import type { VerifiedShard } from './verified.js';
import { verifiedThrough, verifyStatus } from './verifiedReading.js';
import { causeTexts, type Escape, type WitnessStatus } from './witness.js';

/** `waiting`: the triggers are not in place; `needed`: not begun; `old-keys`: what lies under a former key is deleted. */
export type CopyPhase = 'waiting' | 'needed' | 'old-keys' | 'rows' | 'skipped' | 'orphans' | 'done' | 'clear';

export interface TableReading {
  readonly table: string;
  readonly copy: {
    readonly phase: CopyPhase;
    readonly rows: number;
    readonly estimated: number;
    /** Milliseconds since 1970. */
    readonly startedAt: number;
  } | null;
  readonly parkedKeys: number;
}

export interface StoreReading {
  readonly store: StoreName;
  /** One entry a shard; null where the store holds nothing. Null as a whole: it did not answer. */
  readonly shards: readonly ((ShardState & { readonly epoch: number }) | null)[] | null;
  readonly parkedByTable: ReadonlyMap<string, number>;
}

export interface LogReading {
  readonly incarnation: string;
  /** Changes published in this incarnation. */
  readonly published: number;
  /** Ordinal of the last record of each partition, by topic. */
  readonly ordinals: ReadonlyMap<string, readonly number[]>;
}

export interface Reading {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly tables: readonly TableReading[];
  readonly backlog: { readonly rows: number; readonly oldestMs: number; readonly bytes: number };
  /** Null before capture first wrote, or when Kafka does not answer. */
  readonly log: LogReading | null;
  readonly stores: readonly StoreReading[];
  readonly verified: readonly VerifiedShard[];
  /** Everything that was committed before is in the log, as it was read; null where that cannot be told. */
  readonly publishedThrough: number | null;
  readonly witness?: WitnessStatus | null;
  /** Absent where MySQL does not tell. */
  readonly sweeps?: SweepsReading;
  /** What did not answer, and what others found. */
  readonly problems: readonly OpenProblem[];
}

export interface Circumstances {
  readonly pipeline: string;
  readonly paused: boolean;
  readonly pausedTables: readonly string[];
  readonly changeLogMaxBytes: number;
  readonly topicOf: (table: string) => string;
}

export function sampleOf(reading: Reading): Sample {
  return {
    at: reading.at,
    published: reading.log?.published ?? 0,
    stores: reading.stores.flatMap((store) => (store.shards === null ? [] : [sampleOfStore(store)])),
  };
}

function sampleOfStore({ store, shards }: StoreReading): StoreSample {
  const lag: Record<string, number> = {};
  for (const shard of shards ?? []) {
    for (const [bucket, count] of (shard?.progress.lag ?? []).entries()) {
      if (count > 0) lag[bucket] = (lag[bucket] ?? 0) + count;
    }
  }
  return { store, applied: sum((shards ?? []).map((shard) => shard?.progress.applied ?? 0)), lag };
}

/** since: the reading that rates and lag count from; null: there is none yet, they are 0. */
export function statusOf(reading: Reading, since: Sample | null, circumstances: Circumstances): PipelineStatus {
  const now = sampleOf(reading);
  const seconds = since === null ? 0 : Math.max(0, (reading.at - since.at) / 1000);
  const tables = reading.tables.map((table) => tableStatus(table, reading, circumstances));
  const throughOf = (store: StoreName): (number | null)[] =>
    tables.flatMap(({ copy, verifiedThrough: at }) => (copy === null ? [milliseconds(at[store] ?? null)] : []));
  return {
    pipeline: circumstances.pipeline,
    stage: circumstances.paused ? 'paused' : tables.every(isCopied) ? 'streaming' : 'copying',
    at: new Date(reading.at).toISOString(),
    windowSeconds: seconds,
    tables,
    capture: captureStatus(reading, rate(since?.published, now.published, seconds)),
    stores: reading.stores.map((store) => ({
      ...storeStatus(store, reading.log, now, since, seconds, circumstances.paused),
      verify: verifyStatus(
        reading.verified,
        store.store,
        (store.shards ?? []).flatMap((shard) => [...(shard?.positions ?? [])]),
        throughOf(store.store),
      ),
    })),
    ...(reading.sweeps?.sweep ? { sweep: reading.sweeps.sweep } : {}),
    ...(reading.sweeps === undefined ? {} : { drift: reading.sweeps.drift }),
    ...(reading.witness ? { witness: reading.witness } : {}),
    problems: [...reading.problems, ...ownProblems(reading, circumstances), ...witnessProblems(reading)],
  };
}

export function isCopied(table: TableStatus): boolean {
  return table.copy === null;
}

function tableStatus(table: TableReading, reading: Reading, circumstances: Circumstances): TableStatus {
  const { copy } = table;
  const stored = reading.stores.map((store) => store.parkedByTable.get(table.table) ?? 0);
  const paused = circumstances.paused || circumstances.pausedTables.includes(table.table);
  const topic = circumstances.topicOf(table.table);
  return {
    table: table.table,
    stage: paused ? 'paused' : stageOfCopy(copy?.phase ?? 'waiting'),
    copy: copy === null || copy.phase === 'done' ? null : copyStatus(copy, reading.at),
    rowsCopied: copy?.rows ?? 0,
    parkedKeys: table.parkedKeys + sum(stored),
    verifiedThrough: Object.fromEntries(
      reading.stores.map(({ store }) => [
        store,
        copy?.phase === 'done' ? throughOf(reading, store, table, topic, copy.startedAt) : null,
      ]),
    ),
  };
}

/** By verify, change by change, or by the last sweep: whichever is the later. What was swept before a copy began is void. */
function throughOf(
  reading: Reading,
  store: StoreName,
  { table }: TableReading,
  topic: string,
  copiedAt: number,
): string | null {
  const { verified, publishedThrough, log } = reading;
  const ordinals = publishedThrough === null ? null : (log?.ordinals ?? null);
  const at = verifiedThrough(
    { shards: verified, ordinals, publishedThrough: publishedThrough ?? 0 },
    store,
    table,
    topic,
  );
  const latest = Math.max(at ?? 0, sweptThrough(reading.sweeps, store, table, copiedAt) ?? 0);
  return latest === 0 ? null : new Date(latest).toISOString();
}

function milliseconds(time: string | null): number | null {
  return time === null ? null : Date.parse(time);
}

function stageOfCopy(phase: CopyPhase): TableStage {
  switch (phase) {
    case 'waiting':
    case 'needed':
      return 'waiting';
    case 'old-keys':
    case 'rows':
    case 'skipped':
      return 'copying';
    case 'orphans':
    case 'clear':
      return 'finishing';
    case 'done':
      return 'streaming';
  }
}

/** The estimate is the server's and may be wrong by half: percent stays below 100 until the rows are all there. */
function copyStatus(copy: NonNullable<TableReading['copy']>, at: number): CopyStatus {
  const begun = copy.phase !== 'waiting' && copy.phase !== 'needed';
  const allRows = copy.phase === 'orphans' || copy.phase === 'done';
  const seconds = (at - copy.startedAt) / 1000;
  const rowsPerSecond = begun && seconds > 0 ? copy.rows / seconds : 0;
  const left = Math.max(0, copy.estimated - copy.rows);
  const percent = copy.estimated === 0 ? 0 : Math.min(99.9, (copy.rows / copy.estimated) * 100);
  return {
    rows: copy.rows,
    estimated: copy.estimated,
    percent: allRows ? 100 : percent,
    rowsPerSecond,
    secondsLeft: allRows ? 0 : rowsPerSecond > 0 ? left / rowsPerSecond : null,
  };
}

function captureStatus({ backlog }: Reading, changesPerSecond: number): CaptureStatus {
  return { backlog: backlog.rows, oldestMs: backlog.oldestMs, changesPerSecond, bytes: backlog.bytes };
}

function storeStatus(
  reading: StoreReading,
  log: LogReading | null,
  now: Sample,
  since: Sample | null,
  seconds: number,
  paused: boolean,
): Omit<StoreStatus, 'verify'> {
  const { store } = reading;
  const shards = (reading.shards ?? []).filter((shard) => shard !== null);
  const newer = now.stores.find((sample) => sample.store === store);
  const older = since?.stores.find((sample) => sample.store === store);
  const lastEventAt = Math.max(0, ...shards.map((shard) => shard.progress.lastEventAt));
  return {
    store,
    state: reading.shards === null ? 'unreachable' : paused ? 'paused' : shards.length === 0 ? 'empty' : 'ready',
    applied: newer?.applied ?? 0,
    eventsPerSecond: rate(older?.applied, newer?.applied ?? 0, seconds),
    lag: newer === undefined || since === null ? null : lagStatus(older?.lag ?? {}, newer.lag),
    behind: reading.shards === null || log === null ? 0 : behind(shards, log),
    lastEventAt: lastEventAt === 0 ? null : new Date(lastEventAt).toISOString(),
    epochs: shards.map((shard) => shard.epoch),
    parkedKeys: sum([...reading.parkedByTable.values()]),
  };
}

/** Ordinals count our records without gaps, from one incarnation to the next, so their difference is exact. */
function behind(shards: readonly ShardState[], log: LogReading): number {
  let missing = 0;
  for (const [topic, ordinals] of log.ordinals) {
    for (const [partition, ordinal] of ordinals.entries()) {
      const name = partitionName(topic, partition);
      const reached = shards.flatMap((shard) => shard.positions.get(name)?.ordinal ?? []);
      // A position that was set to the log's end knows its ordinal with the next event.
      if (!reached.some((at) => at < 0)) missing += Math.max(0, ordinal - Math.max(0, ...reached));
    }
  }
  return missing;
}

/** A counter that went back began anew: what it shows is what happened since. */
function rate(older: number | undefined, newer: number, seconds: number): number {
  if (older === undefined || seconds <= 0) return 0;
  return (newer >= older ? newer - older : newer) / seconds;
}

function lagStatus(older: StoreSample['lag'], newer: StoreSample['lag']): LagStatus | null {
  const buckets = Math.max(0, ...Object.keys(newer).map((bucket) => Number(bucket) + 1));
  const wentBack = Object.entries(older).some(([bucket, count]) => (newer[bucket] ?? 0) < count);
  const between = Array.from({ length: buckets }, (_, i) => (newer[i] ?? 0) - (wentBack ? 0 : (older[i] ?? 0)));
  if (sum(between) === 0) return null;
  return { p50: lagQuantile(between, 0.5), p95: lagQuantile(between, 0.95), p99: lagQuantile(between, 0.99) };
}

function ownProblems(reading: Reading, { changeLogMaxBytes }: Circumstances): readonly OpenProblem[] {
  const problems: OpenProblem[] = [...driftProblems(reading.sweeps)];
  const parked = new Map<string, number>();
  for (const { table, parkedKeys } of reading.tables) if (parkedKeys > 0) parked.set(table, parkedKeys);
  for (const { parkedByTable } of reading.stores) {
    for (const [table, count] of parkedByTable) parked.set(table, (parked.get(table) ?? 0) + count);
  }
  for (const [table, count] of parked) {
    problems.push({ ...warning('LS-KEYS-PARKED', `${count} keys of ${table} are parked`), table });
  }
  if (reading.backlog.rows > 0 && reading.backlog.bytes > changeLogMaxBytes / 2) {
    const share = Math.round((reading.backlog.bytes / changeLogMaxBytes) * 100);
    problems.push(warning('LS-CHANGE-LOG-GROWS', `the change log has reached ${share} % of changeLog.maxBytes`));
  }
  return problems;
}

function witnessProblems({ witness }: Reading): readonly OpenProblem[] {
  if (!witness) return [];
  const standsDown =
    witness.state === 'standing-down'
      ? [warning('LS-WITNESS-STANDS-DOWN', `the witness stands down: ${witness.reason ?? 'it does not say why'}`)]
      : [];
  const open = witness.escapes.filter(({ healedAt }) => healedAt === null);
  return [
    ...standsDown,
    ...open.map((found) => ({ ...warning(codeFor(found), escapeText(found)), table: found.table })),
  ];
}

function codeFor({ cause }: Escape): 'LS-WITNESS-BINLOG-LOST' | 'LS-CHANGES-ESCAPED' {
  return cause === 'binlog-lost' ? 'LS-WITNESS-BINLOG-LOST' : 'LS-CHANGES-ESCAPED';
}

function escapeText({ keys, cause, since, healing }: Escape): string {
  const what = keys === null ? 'changes' : `${keys} keys`;
  const how = healing === 'copy' ? 'the table is being copied' : 'they are being logged again';
  return `${what} escaped the triggers since ${since}: ${causeTexts[cause]}; ${how}`;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => a + b, 0);
}
