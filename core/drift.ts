/**
 * Drift: a difference between a row and what a store holds of it that survived its rechecks. What it is, why it came about,
 * and what proves that; never a value of the row.
 */
import type { PartitionName } from './position.js';
import type { StoreName } from './store.js';

/** Key text `{"pk1":…}`; of an entry that is no key of its table, what the store calls it. */
export type KeyText = string;

/** `missing`: the store lacks the row. `extra`: the store holds what has no row. */
export type DriftKind = 'missing' | 'extra' | 'different';

export type DriftCause =
  /** The row changed and the log does not say so: triggers were bypassed. */
  | 'missed-capture'
  /** The store is where the key's last event lies behind it, and still holds what was there before that event. */
  | 'lost-apply'
  /** The store held the right content and somebody else changed or removed it. */
  | 'out-of-band-edit'
  /** The same row, landed under another definition or layout than today's. */
  | 'mapping-difference'
  /** The store's own clock removed it: no drift, unless its table has no TTL. */
  | 'expired'
  /** It has no row, and the log never told of one. */
  | 'orphan';

export const driftKinds: readonly DriftKind[] = ['missing', 'extra', 'different'];

export const driftCauses: readonly DriftCause[] = [
  'missed-capture',
  'lost-apply',
  'out-of-band-edit',
  'mapping-difference',
  'expired',
  'orphan',
];

/** Names, numbers and places only. */
export interface DriftEvidence {
  /** Names of the fields that differ; empty or absent where the whole entry does. */
  readonly fields?: readonly string[];
  /** The key's last event at or before the position at which the store was read. Absent: the log holds none. */
  readonly event?: {
    readonly partition: PartitionName;
    readonly offset: number;
    readonly seq: number;
    readonly op: string;
    /** Milliseconds since 1970. */
    readonly at: number;
    readonly definition: string;
  };
  /** Where the store stood in the key's partition when it was read, atomically with the content. */
  readonly position?: number;
  /** Up to where the log was already known to have landed right, in the key's partition. */
  readonly verifiedTo?: number;
  /** In a few words, for people. */
  readonly note?: string;
}

export interface Drift {
  readonly table: string;
  readonly store: StoreName;
  readonly key: KeyText;
  readonly kind: DriftKind;
  readonly cause: DriftCause;
  readonly evidence: DriftEvidence;
}

export type FoundBy = 'sweep' | 'verify';

export interface DriftCounts {
  readonly missing: number;
  readonly extra: number;
  readonly different: number;
}

export const noDrift: DriftCounts = { missing: 0, extra: 0, different: 0 };

export function addCounts(a: DriftCounts, b: DriftCounts): DriftCounts {
  return { missing: a.missing + b.missing, extra: a.extra + b.extra, different: a.different + b.different };
}

export function driftIn({ missing, extra, different }: DriftCounts): number {
  return missing + extra + different;
}
