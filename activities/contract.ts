/**
 * The activities as workflows see them: names, arguments, results. All of it enters histories: names, counts and codes,
 * never a row, a key value or a secret.
 */
import type { ApplyStageOutcome, CaptureOutcome, CopyOutcome } from '../core/outcome.js';
import type { StoreName } from '../core/store.js';
import type { Sample } from '../core/status.js';
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
}

/** Queues `mongo` and `redis`. */
export interface ApplyActivities {
  runApply(request: ApplyRequest): Promise<ApplyStageOutcome>;
}

/** Queue `ingest`. */
export interface SnapshotActivities {
  copyTable(request: CopyRequest): Promise<CopyOutcome>;
}
