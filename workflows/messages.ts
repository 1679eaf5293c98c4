/**
 * Everything that goes in and out of the workflows: inputs, updates, signals, queries. Clients and workflows share it.
 * No row, key value or secret is part of any of them.
 */
import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { IngestEnd, IngestProgress } from '../core/ingestReport.js';
import type { CopyOutcome } from '../core/outcome.js';
import type { PipelineIdentity } from '../core/pipelineIdentity.js';
import type { OpenProblem, PipelineStage, PipelineStatus, Sample } from '../core/status.js';
import type { StoreName } from '../core/store.js';
import type { AskedBy, RepairLimits } from '../core/sweep.js';
import type { Stream } from '../core/workflowNames.js';
import type { PipelineState } from './pipelineState.js';
import { lookSignalName } from './signalNames.js';

/** What every workflow of a pipeline knows of it. */
export interface PipelineScope {
  readonly pipeline: string;
  readonly identity: PipelineIdentity;
  readonly stores: readonly StoreName[];
  readonly shards: number;
  /** Whether each applied change is verified. Absent in pipelines that were started before there was verify. */
  readonly verify?: boolean;
  /** Whether the binary log is read beside capture. Absent in pipelines that were started before there was a witness. */
  readonly witness?: boolean;
}

export function scopeOf({ pipeline, identity, stores, shards, verify, witness }: PipelineScope): PipelineScope {
  return {
    pipeline,
    identity,
    stores,
    shards,
    ...(verify === undefined ? {} : { verify }),
    ...(witness === undefined ? {} : { witness }),
  };
}

export interface PipelineInput extends PipelineScope {
  /** Copies at a time. */
  readonly parallelCopies: number;
  /** Continue as new at this history length; where absent, when the server suggests it. */
  readonly maxHistoryEvents?: number;
  /** Carried from the run before by continue-as-new. */
  readonly carried?: PipelineState;
}

export interface PipelineResult {
  readonly kind: 'stopped';
  /** Workflows that had not ended when the pipeline stopped waiting for them: no worker polls their queue. */
  readonly stillDraining: readonly string[];
}

export interface StreamInput extends PipelineScope {
  readonly stream: Stream;
  readonly steering: Steering;
  readonly maxHistoryEvents?: number;
}

export interface SnapshotInput extends PipelineScope {
  readonly table: string;
  readonly run: string;
}

export interface ValidateInput extends PipelineScope {
  /** Null: every captured table, and whatever the stores hold besides. */
  readonly tables: readonly string[] | null;
  /** Of the pipeline's stores. */
  readonly sweepStores: readonly StoreName[];
  readonly repair: boolean;
  /** Null: somebody asked for the repair, and it is made in full. */
  readonly limits: RepairLimits | null;
  readonly askedBy: AskedBy;
  /** Chunks at a time. */
  readonly parallel: number;
  readonly maxHistoryEvents?: number;
  /** Carried from the run before by continue-as-new. */
  readonly sweep?: string;
  /** The same, of a sweep that is through and repairs. */
  readonly repairing?: { readonly sweep: string; readonly drift: number; readonly round: number };
}

export interface IngestInput extends PipelineScope {
  readonly table: string;
  /** Its name; everything else stands in MySQL. */
  readonly ingest: string;
  readonly paused?: boolean;
  /** A worker has read from the files. */
  readonly seen?: boolean;
  /** How often in a row a worker was asked that does not see them. */
  readonly unseen?: number;
  readonly maxHistoryEvents?: number;
}

export interface IngestResult {
  readonly end: IngestEnd | 'stopped';
  readonly accepted: number;
  readonly rejected: number;
  readonly agrees: boolean;
}

/** How an ingest stands, beside its progress in MySQL. */
export interface IngestView {
  readonly paused: boolean;
  /** While it is paused: everything that was read is in every store, and it rests. */
  readonly landed: boolean;
  readonly cancelled: boolean;
  readonly problem: OpenProblem | null;
}

/** What the stores are to leave alone. Capture never pauses: the log keeps what a paused store will need. */
export interface Steering {
  readonly paused: boolean;
  readonly pausedTables: readonly string[];
}

/** A stream tells how it goes; `problem` null: it runs well (again). `copyNow`: tables became due. */
export interface StreamReport {
  readonly stream: Stream;
  readonly problem: OpenProblem | null;
  readonly copyNow: boolean;
}

export interface CopyReport {
  readonly table: string;
  readonly run: string;
  readonly outcome: CopyOutcome | { readonly kind: 'failed'; readonly problem: OpenProblem };
}

/** A sweep begins or ends: whoever stops the pipeline ends what runs of them. */
export interface SweepReport {
  readonly workflowId: string;
  readonly running: boolean;
}

/** What `status` and `start --wait` ask of a running pipeline; the rest they read from the data. */
export interface PipelineView {
  readonly stage: PipelineStage;
  readonly paused: boolean;
  readonly pausedTables: readonly string[];
  /** Tables that are being copied now. */
  readonly copying: readonly string[];
  readonly problems: readonly OpenProblem[];
  /** The oldest reading of the last minute: rates and lag count from it. */
  readonly since: Sample | null;
  /** The newest status; tables that simply stream are left out of it. */
  readonly status: PipelineStatus | null;
}

export interface TableArgument {
  readonly table: string;
}

export interface RefreshResult {
  readonly tables: readonly string[];
}

/** Without a table: the whole pipeline. */
export const pauseUpdate = defineUpdate<void, [{ readonly table?: string }]>('pause');
export const resumeUpdate = defineUpdate<void, [{ readonly table?: string }]>('resume');
/** Returns once the wish is durable; the copy follows. */
export const resyncUpdate = defineUpdate<void, [TableArgument]>('resync');
/** Looks for tables again: new ones are installed and copied, dropped ones forgotten. */
export const refreshUpdate = defineUpdate<RefreshResult>('refresh');
/** Drains and ends the pipeline; triggers stay and the change log keeps what happens meanwhile. */
export const stopUpdate = defineUpdate<PipelineResult>('stop');
export const stateQuery = defineQuery<PipelineView>('state');

/** Something changed that a look would find: it is not put off until the next one. */
export const lookSignal = defineSignal(lookSignalName);

/** From streams, snapshots and sweeps to their pipeline. */
export const streamReportSignal = defineSignal<[StreamReport]>('streamReport');
export const copyReportSignal = defineSignal<[CopyReport]>('copyReport');
export const sweepReportSignal = defineSignal<[SweepReport]>('sweepReport');

/** From the pipeline to its streams, snapshots and sweeps. */
export const steerSignal = defineSignal<[Steering]>('steer');
export const drainSignal = defineSignal('drain');

/** To an ingest: what is in MySQL lands, however long a store is away; then it rests, goes on or ends. */
export const pauseIngestUpdate = defineUpdate<void>('pauseIngest');
export const resumeIngestUpdate = defineUpdate<void>('resumeIngest');
/** What is in stays, and becomes equal in every store; the rest is not loaded. */
export const cancelIngestUpdate = defineUpdate<void>('cancelIngest');
export const ingestQuery = defineQuery<IngestView>('ingest');
/** From its activity, now and then. */
export const ingestProgressSignal = defineSignal<[IngestProgress]>('ingestProgress');
