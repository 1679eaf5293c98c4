/** A sweep: one pass over tables and stores. Its words, for MySQL, the workflow and the report alike. */
import type { DriftCounts } from './drift.js';
import type { StoreName } from './store.js';

export interface SweepScope {
  /** Null: every captured table, and what the stores hold besides. */
  readonly tables: readonly string[] | null;
  readonly stores: readonly StoreName[];
}

/** Of repairs that nobody asked for. */
export interface RepairLimits {
  /** Keys. */
  readonly perMinute: number;
  /** Of a table's rows that drift, above which nothing of it is repaired: 0 … 1. */
  readonly maxShare: number;
}

export type AskedBy = 'command' | 'schedule';

/** Rows held against the stores, or what a store holds looked up in MySQL. */
export type SweepPass = 'rows' | StoreName;

export type LeftOutReason =
  | 'paused'
  /** A copy of it is under way or due: its stores come to be right with that. */
  | 'copying'
  /** Its columns changed while it was swept, more than once. */
  | 'changed'
  | 'dropped';

/** What one chunk counted, besides the drift that stands in `drift`. */
export interface ChunkCounts {
  readonly rows: number;
  /** Keys that a first look found to differ. */
  readonly rechecked: number;
  readonly parked: number;
  readonly expired: number;
  /** Of a pass over rows: stores of which everything between the rows was seen as well. */
  readonly between?: readonly StoreName[];
  /** Of a pass over a store: names that no table of the pipeline has, with the entries under them. */
  readonly strangers?: Readonly<Record<string, number>>;
}

export const noCounts: ChunkCounts = { rows: 0, rechecked: 0, parked: 0, expired: 0 };

export function addChunk(a: ChunkCounts, b: ChunkCounts): ChunkCounts {
  const strangers: Record<string, number> = { ...a.strangers };
  for (const [name, count] of Object.entries(b.strangers ?? {})) strangers[name] = (strangers[name] ?? 0) + count;
  return {
    rows: a.rows + b.rows,
    rechecked: a.rechecked + b.rechecked,
    parked: a.parked + b.parked,
    expired: a.expired + b.expired,
    ...(Object.keys(strangers).length === 0 ? {} : { strangers }),
  };
}

/** What a sweep's workflow tells; the keys themselves stand in MySQL. */
export interface SweepResult {
  readonly sweep: string;
  readonly state: 'done' | 'ended';
  /** Why it ended before it was through. */
  readonly reason?: string;
  /** Keys that drifted, before any repair. */
  readonly drift: number;
  readonly repaired: number;
  /** Keys that drift still. */
  readonly left: number;
  /** Tables of which more drifts than may be repaired unasked: nothing of them was. */
  readonly tooMuch?: readonly string[];
}

export interface TableReport {
  readonly table: string;
  readonly rows: number;
  readonly rechecked: number;
  readonly parked: number;
  /** Absent under a TTL: no drift. */
  readonly expired: number;
  readonly repaired: number;
  /** ISO time; null: it never was right as a whole. */
  readonly verifiedThrough: string | null;
  readonly leftOut?: LeftOutReason;
  /** More of it drifts than may be repaired unasked: nothing of it was. */
  readonly tooMuch?: true;
  readonly mongo?: DriftCounts;
  readonly redis?: DriftCounts;
}
