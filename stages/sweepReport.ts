/** What a sweep found, as it stands in MySQL: for the command that waited for it, and for whoever asks later. */
import { driftIn, noDrift, type DriftCounts } from '../core/drift.js';
import type { StoreName } from '../core/store.js';
import { addChunk, noCounts, type ChunkCounts, type TableReport } from '../core/sweep.js';
import type { Queries } from '../stores/mysql/connection.js';
import type { RecordedDrift } from '../stores/mysql/drift.js';
import { readFinishedChunks } from '../stores/mysql/sweepChunks.js';
import { countSweepDrift, readFound } from '../stores/mysql/sweepDrift.js';
import { readSweepTables } from '../stores/mysql/sweepTables.js';
import { readSweep, type Sweep } from '../stores/mysql/sweeps.js';
import { readSwept } from '../stores/mysql/swept.js';

export interface SweepReport {
  readonly sweep: string;
  readonly state: Sweep['state'];
  readonly startedAt: string;
  readonly seconds: number | null;
  readonly tables: readonly TableReport[];
  /** Names under which a store holds what no table of the pipeline made; left alone. */
  readonly strangers: readonly { readonly store: StoreName; readonly name: string; readonly entries: number }[];
  /** Keys that drifted, before any repair. */
  readonly drift: number;
  readonly repaired: number;
  readonly left: number;
  /** The first of them. */
  readonly keys: readonly KeyReport[];
}

export interface KeyReport {
  readonly table: string;
  readonly store: StoreName;
  readonly key: string;
  readonly kind: RecordedDrift['kind'];
  readonly cause: RecordedDrift['cause'];
  readonly fields?: readonly string[];
  readonly event?: { readonly partition: string; readonly offset: number; readonly seq: number; readonly op: string };
  readonly repaired: boolean;
  readonly note?: string;
}

const mostListed = 1_000;

/** Null for a sweep that nobody knows of. */
export async function sweepReport(queries: Queries, stateDatabase: string, id: string): Promise<SweepReport | null> {
  const sweep = await readSweep(queries, stateDatabase, id);
  if (sweep === null) return null;
  const [tables, chunks, counts, swept, listed] = await Promise.all([
    readSweepTables(queries, stateDatabase, id),
    readFinishedChunks(queries, stateDatabase, id),
    countSweepDrift(queries, stateDatabase, id),
    readSwept(queries, stateDatabase),
    readFound(queries, stateDatabase, id, mostListed),
  ]);
  const passes = new Map<string, ChunkCounts>();
  const strangers = new Map<string, { store: StoreName; name: string; entries: number }>();
  for (const { name, pass, counts: found } of chunks) {
    if (pass === 'rows') passes.set(name, addChunk(passes.get(name) ?? noCounts, found));
    else {
      for (const [stranger, entries] of Object.entries(found.strangers ?? {})) {
        const known = strangers.get(`${pass} ${stranger}`)?.entries ?? 0;
        strangers.set(`${pass} ${stranger}`, { store: pass, name: stranger, entries: known + entries });
      }
    }
  }
  const names = [...new Set([...tables.map(({ name }) => name), ...counts.map(({ table }) => table)])].toSorted();
  const reports = names.map((name): TableReport => {
    const table = tables.find((one) => one.name === name);
    const pass = passes.get(name) ?? noCounts;
    const own = counts.filter((one) => one.table === name);
    const through = sweep.scope.stores.map(
      (store) => swept.find((one) => one.name === name && one.store === store)?.through,
    );
    const oldest = through.includes(undefined) || through.includes(null) ? null : Math.min(...(through as number[]));
    const of = (store: StoreName): { [S in StoreName]?: DriftCounts } =>
      sweep.scope.stores.includes(store) ? { [store]: own.find((one) => one.store === store)?.counts ?? noDrift } : {};
    return {
      table: name,
      rows: pass.rows,
      ...of('mongo'),
      ...of('redis'),
      rechecked: pass.rechecked,
      repaired: own.reduce((sum, one) => sum + one.healed, 0),
      verifiedThrough: oldest === null || !Number.isFinite(oldest) ? null : new Date(oldest).toISOString(),
      parked: pass.parked,
      expired: pass.expired,
      ...(table === undefined || table.reason === null ? {} : { leftOut: table.reason }),
      ...(table?.tooMuch === true ? { tooMuch: true } : {}),
    };
  });
  const drift = counts.reduce((sum, one) => sum + driftIn(one.counts), 0);
  const repaired = counts.reduce((sum, one) => sum + one.healed, 0);
  return {
    sweep: id,
    state: sweep.state,
    startedAt: new Date(sweep.startedAt).toISOString(),
    seconds: sweep.finishedAt === null ? null : (sweep.finishedAt - sweep.startedAt) / 1000,
    tables: reports,
    strangers: [...strangers.values()],
    drift,
    repaired,
    left: drift - repaired,
    keys: listed.map(keyReport),
  };
}

function keyReport({ table, store, key, kind, cause, evidence, healedAt }: RecordedDrift): KeyReport {
  const { fields, event, note } = evidence;
  return {
    table,
    store,
    key,
    kind,
    cause,
    ...(fields === undefined ? {} : { fields }),
    ...(event === undefined
      ? {}
      : { event: { partition: event.partition, offset: event.offset, seq: event.seq, op: event.op } }),
    repaired: healedAt !== null,
    ...(note === undefined ? {} : { note }),
  };
}
