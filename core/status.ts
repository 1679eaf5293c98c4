/**
 * What `lockstep status` prints: the state of a pipeline as its data tell it. Made from two readings (`Sample`), so that
 * rates and lag of the time between them need no process of ours to remember anything.
 * Samples and summaries enter Temporal histories: names and numbers only, never a row, a key value or a secret.
 */
import type { Problem } from './problem.js';
import type { StoreName } from './store.js';
import type { WitnessStatus } from './witness.js';

/**
 * `stopped`: no workflow runs. `starting`: triggers are being installed. `copying`: at least one table is not yet
 * copied. `streaming`: every table is. `paused`: the stores are left alone, capture goes on. `stopping`: draining.
 * `unattended`: it should run, and no worker answers, so nothing moves.
 */
export type PipelineStage = 'stopped' | 'starting' | 'copying' | 'streaming' | 'paused' | 'stopping' | 'unattended';

/** `waiting`: its copy has not begun. `finishing`: rows are copied, keys without a row are looked for. */
export type TableStage = 'waiting' | 'copying' | 'finishing' | 'streaming' | 'paused';

export interface CopyStatus {
  readonly rows: number;
  readonly estimated: number;
  /** 0 … 100; 100 only when every row is copied. */
  readonly percent: number;
  readonly rowsPerSecond: number;
  /** Null while it cannot be told. */
  readonly secondsLeft: number | null;
}

export interface TableStatus {
  readonly table: string;
  readonly stage: TableStage;
  /** Null once the copy is done. */
  readonly copy: CopyStatus | null;
  /** Rows that its last finished or running copy wrote. */
  readonly rowsCopied: number;
  readonly parkedKeys: number;
  /** ISO time for each store: everything committed before is verified there. Null: not known yet, or being copied. */
  readonly verifiedThrough: Readonly<Partial<Record<StoreName, string | null>>>;
}

export interface CaptureStatus {
  /** Changes that are committed in MySQL and not yet in Kafka; an upper bound above 10,000. */
  readonly backlog: number;
  /** Age in milliseconds of the oldest of them; 0 without a backlog. */
  readonly oldestMs: number;
  readonly changesPerSecond: number;
  /** Size of the change log on the server's disk. */
  readonly bytes: number;
}

export interface LagStatus {
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
}

export interface VerifyStatus {
  /** ISO time: everything committed before is verified in this store. Null while a table's is not known. */
  readonly through: string | null;
  /** Events that the store has applied and that are not verified. */
  readonly behind: number;
  /** Events verified, differences found, events that the log had dropped before their turn: since the installation. */
  readonly events: number;
  readonly differences: number;
  readonly unverified: number;
}

export interface StoreStatus {
  readonly store: StoreName;
  /** `ready`: answers and holds a position. `paused`: left alone. `empty`: no position yet. `unreachable`: no answer. */
  readonly state: 'ready' | 'paused' | 'empty' | 'unreachable';
  /** Events applied since the store was initialised. */
  readonly applied: number;
  readonly eventsPerSecond: number;
  /** Milliseconds from commit in MySQL to applied, over the window; null when nothing was applied in it. */
  readonly lag: LagStatus | null;
  /** Events in the log that this store has not applied. */
  readonly behind: number;
  /** ISO time of the newest applied event's commit; null before the first. */
  readonly lastEventAt: string | null;
  /** Of each shard, in their order. */
  readonly epochs: readonly number[];
  readonly parkedKeys: number;
  /** Null where nothing was verified. */
  readonly verify: VerifyStatus | null;
}

/** A problem that stands, and where. */
export interface OpenProblem extends Problem {
  readonly table?: string;
  readonly store?: StoreName;
}

/** The newest sweep. */
export interface SweepStatus {
  readonly sweep: string;
  /** ISO times. */
  readonly startedAt: string;
  readonly finishedAt: string | null;
  readonly state: 'running' | 'done' | 'ended';
  /** Keys that it found to drift. */
  readonly drift: number;
}

/** What is known to drift now, whoever found it. */
export interface DriftStatus {
  /** Keys, each counted in every store where it drifts. */
  readonly open: number;
  /** Tables of which the last sweep found too much to repair it unasked. */
  readonly tooMuch: readonly string[];
}

export interface PipelineStatus {
  readonly pipeline: string;
  readonly stage: PipelineStage;
  /** ISO time of this reading. */
  readonly at: string;
  /** Seconds that rates and lag cover. */
  readonly windowSeconds: number;
  readonly tables: readonly TableStatus[];
  readonly capture: CaptureStatus;
  readonly stores: readonly StoreStatus[];
  /** Absent where nothing is known of it. */
  readonly witness?: WitnessStatus;
  /** Absent before the first sweep. */
  readonly sweep?: SweepStatus;
  /** Absent where MySQL does not tell. */
  readonly drift?: DriftStatus;
  readonly problems: readonly OpenProblem[];
}

/** What a rate or a lag needs of one reading. Lag is sparse: bucket → count. */
export interface Sample {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly published: number;
  readonly stores: readonly StoreSample[];
}

export interface StoreSample {
  readonly store: StoreName;
  readonly applied: number;
  readonly lag: Readonly<Record<string, number>>;
}
