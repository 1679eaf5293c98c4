/**
 * How an ingest goes and how it ended: what commands, the workflow's details and scripts see. Every input record is in one of
 * accepted, rejected or not read; an accepted row is counted in each store. No row and no key value.
 */
import type { IngestMode } from './ingest.js';
import type { StoreName } from './store.js';

/** direct: no triggers yet; chunks go from MySQL straight into the stores. log: through triggers and the log, as any change. */
export type IngestRoad = 'direct' | 'log';

/** How the loading ended. Whichever it is, what is in is in all three stores. */
export type IngestEnd = 'loaded' | 'cancelled' | 'too-many-rejects' | 'failed';

/** `finishing`: no row is loaded any more; the table becomes streaming and is proven. */
export type IngestPhase = 'loading' | 'finishing' | IngestEnd;

export interface IngestCounts {
  readonly accepted: number;
  readonly rejected: number;
  /** Chunks that are in MySQL, and those of them that are in every store and compared. */
  readonly chunks: number;
  readonly landed: number;
  /** Bytes of content that the chunks cover. */
  readonly bytes: number;
  /** Rows that MySQL holds otherwise than the file gives them: a BEFORE trigger changed them. */
  readonly altered: number;
  /** Rows that an application changed before they were compared. */
  readonly changed: number;
  /** Rows that a store cannot hold; `status` names the keys. */
  readonly parked: number;
}

export const noCounts: IngestCounts = {
  accepted: 0,
  rejected: 0,
  chunks: 0,
  landed: 0,
  bytes: 0,
  altered: 0,
  changed: 0,
  parked: 0,
};

export interface IngestProgress extends IngestCounts {
  readonly phase: IngestPhase;
  readonly road: IngestRoad;
  readonly records: number;
  readonly contentBytes: number;
  /** Chunks between MySQL and the last comparison. */
  readonly inFlight: number;
  /** Accepted and rejected, over the last seconds. */
  readonly rowsPerSecond: number;
  readonly percent: number;
  readonly secondsLeft: number | null;
  /** What slows it down on purpose, for instance `application`; null at full speed. */
  readonly slowedBy: string | null;
  /** What stands in the way for now; it is tried again. */
  readonly trouble: string | null;
}

export interface StoreProof {
  /** Accepted rows that were read back from this store and were, byte for byte, what MySQL holds. */
  readonly equal: number;
  /** Accepted rows that an application changed or deleted since; they are in step like any other change. */
  readonly changed: number;
  /** Accepted rows that the store cannot hold; it keeps the last good content. */
  readonly parked: number;
}

export interface IngestReport {
  /** Names the ingest in commands. */
  readonly ingest: string;
  readonly table: string;
  readonly mode: IngestMode;
  readonly road: IngestRoad;
  readonly end: IngestEnd;
  /** Why, where it failed. */
  readonly problem: string | null;
  readonly files: readonly { readonly path: string; readonly entry: string | null; readonly records: number }[];
  readonly records: number;
  readonly accepted: number;
  readonly rejected: number;
  readonly notRead: number;
  /** How many were rejected for each reason. */
  readonly reasons: Readonly<Record<string, number>>;
  /**
   * Of the given columns of all accepted rows in file order, after the codec: as the file gives them, and whether MySQL held
   * exactly that when each chunk was committed.
   */
  readonly digest: string;
  readonly mysql: { readonly equal: number; readonly altered: number };
  readonly stores: Readonly<Partial<Record<StoreName, StoreProof>>>;
  /** Direct road: rows that the closing comparison of the whole table logged: an application changed them meanwhile, or a store lost them. */
  readonly relogged: number;
  readonly seconds: number;
  readonly rowsPerSecond: number;
  /** Nothing was left unread, every row is accepted or rejected, and the accepted ones are equal everywhere. */
  readonly agrees: boolean;
}

/** Pure: whether all agree. */
export function agrees(report: Omit<IngestReport, 'agrees'>): boolean {
  const { accepted, rejected, notRead, records, mysql, stores, end } = report;
  const accounted = accepted + rejected + notRead === records && notRead === 0;
  const inStores = Object.values(stores).every(
    (proof) => proof.equal + proof.changed === accepted && proof.parked === 0,
  );
  return end === 'loaded' && accounted && mysql.equal === accepted && mysql.altered === 0 && inStores;
}
