/**
 * The activities as workflows see them: names, arguments, results. All of it enters histories: names, counts and codes,
 * never a row, a key value or a secret.
 */
import type { IngestEnd } from '../core/ingestReport.js';
import type {
  ApplyStageOutcome,
  CaptureOutcome,
  CopyOutcome,
  LoadOutcome,
  ProvingCopy,
  VerifyOutcome,
  WitnessOutcome,
} from '../core/outcome.js';
import type { StoreName } from '../core/store.js';
import type { AskedBy, LeftOutReason, RepairLimits } from '../core/sweep.js';
import type { Sample } from '../core/status.js';
import type { SweepBegun, SweepCounts, TakenAgain } from '../stages/sweep.js';
import type { EntriesOutcome } from '../stages/sweepEntries.js';
import type { RecheckOutcome, RepairOutcome } from '../stages/sweepRepair.js';
import type { ChunkOutcome } from '../stages/sweepRows.js';
import type { PipelineScope } from '../workflows/messages.js';
import type { Look } from '../workflows/pipelineState.js';

export interface InstallResult {
  readonly tables: readonly string[];
  /** Tables that changed and that their policy pauses until they are resumed. */
  readonly held?: readonly string[];
}

export interface LookRequest {
  readonly scope: PipelineScope;
  /** Rates and lag count from here. */
  readonly since: Sample | null;
  /** Tables whose snapshot workflow is believed to run. */
  readonly copying: readonly string[];
  readonly pausedTables: readonly string[];
  readonly paused: boolean;
  /** At most this many due copies are of use before the next look. */
  readonly limit: number;
}

export interface ApplyRequest {
  readonly scope: PipelineScope;
  readonly store: StoreName;
  readonly shard: number;
  readonly pausedTables: readonly string[];
}

export interface VerifyRequest {
  readonly scope: PipelineScope;
  readonly store: StoreName;
  readonly shard: number;
}

export interface CopyRequest {
  readonly scope: PipelineScope;
  readonly table: string;
  readonly run: string;
}

/** Queue `control`. */
export interface ControlActivities {
  install(scope: PipelineScope): Promise<InstallResult>;
  look(request: LookRequest): Promise<Look>;
  /** Makes copies due, durably, each with a new run. Null: every table. */
  requestCopies(scope: PipelineScope, tables: readonly string[] | null): Promise<void>;
  /** The stores may follow what changed of these tables, durably. */
  releaseTables(scope: PipelineScope, tables: readonly string[]): Promise<void>;
  /** Which of these workflows run. */
  running(ids: readonly string[]): Promise<readonly string[]>;
}

/** Queue `capture`. */
export interface CaptureActivities {
  runCapture(scope: PipelineScope): Promise<CaptureOutcome>;
  runWitness(scope: PipelineScope): Promise<WitnessOutcome>;
}

/** Queues `mongo` and `redis`. */
export interface ApplyActivities {
  runApply(request: ApplyRequest): Promise<ApplyStageOutcome>;
}

/** Queues `mongo` and `redis`. */
export interface VerifyActivities {
  runVerify(request: VerifyRequest): Promise<VerifyOutcome>;
}

/** Queue `ingest`. */
export interface SnapshotActivities {
  copyTable(request: CopyRequest): Promise<CopyOutcome>;
}

export interface BeginSweepRequest {
  readonly scope: PipelineScope;
  /** A fresh UUID; an unfinished sweep of the same tables and stores is taken up instead. */
  readonly sweep: string;
  readonly tables: readonly string[] | null;
  readonly stores: readonly StoreName[];
  readonly askedBy: AskedBy;
}

export interface SweepRequest {
  readonly scope: PipelineScope;
  readonly sweep: string;
  readonly tables: readonly string[] | null;
  readonly stores: readonly StoreName[];
}

/** Queue `sweep`. */
export interface SweepActivities {
  beginSweep(request: BeginSweepRequest): Promise<SweepBegun>;
  sweepRows(request: SweepRequest & { readonly table: string; readonly number: number }): Promise<ChunkOutcome>;
  sweepEntries(request: SweepRequest & { readonly store: StoreName; readonly number: number }): Promise<EntriesOutcome>;
  /** A table that could not be judged: from its beginning, or left for later. */
  takeAgain(request: SweepRequest & { readonly table: string }): Promise<TakenAgain>;
  leaveOut(request: SweepRequest & { readonly table: string; readonly reason: LeftOutReason }): Promise<void>;
  finishSweep(request: SweepRequest): Promise<SweepCounts>;
  repairSweep(request: SweepRequest & { readonly limits: RepairLimits | null }): Promise<RepairOutcome>;
  recheckSweep(request: SweepRequest): Promise<RecheckOutcome>;
  /** It is not through: a later one takes it up. */
  endSweep(request: SweepRequest): Promise<void>;
}

export interface IngestRequest {
  readonly scope: PipelineScope;
  readonly ingest: string;
}

export interface IngestSlice extends IngestRequest {
  /** Without it, only what is in MySQL is brought into the stores. */
  readonly readOn: boolean;
}

export interface IngestEnding extends IngestRequest {
  readonly end: IngestEnd;
  readonly problem: string | null;
}

export interface IngestProven {
  readonly kind: 'proven' | 'stopped';
  readonly accepted: number;
  readonly rejected: number;
  readonly agrees: boolean;
}

/** Queue `ingest`. */
export interface IngestActivities {
  loadIngest(request: IngestSlice): Promise<LoadOutcome>;
  /** Nobody writes for it any more; its table gets its triggers. Returns the copy that proves a direct load. */
  settleIngest(request: IngestRequest): Promise<ProvingCopy | null>;
  proveIngest(request: IngestEnding): Promise<IngestProven>;
}
