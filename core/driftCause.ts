/**
 * Why a key drifts, from what was read of it and what the log says of it at or before the position the store was read at.
 * Pure, and total over what can be known.
 */
import type { DriftCause, DriftKind } from './drift.js';

export interface Findings {
  readonly kind: DriftKind;
  /** Null: the log holds no event of the key (any more). */
  readonly event: {
    /** The row is what the key's last event left: the log tells the truth. */
    readonly rowAgrees: boolean;
    /** The store holds what that event left. */
    readonly storeAgrees: boolean;
    /** The store holds what an earlier event had left. */
    readonly storeIsEarlier: boolean;
    /** The store was known to be right behind that event. */
    readonly verified: boolean;
  } | null;
  /** The log has been kept from its beginning, and every row went through it: what it does not tell never was captured. */
  readonly logIsWhole: boolean;
  /** The other store drifts in the same way: both hold what the log made of the key. Null: there is none. */
  readonly otherStoreDrifts: boolean | null;
  /** The store holds the row as another definition or layout would have landed it. */
  readonly mappedOtherwise: boolean;
}

export function causeOf(findings: Findings): DriftCause {
  const { kind, event, logIsWhole, otherStoreDrifts, mappedOtherwise } = findings;
  if (mappedOtherwise) return 'mapping-difference';
  if (event === null) {
    if (kind === 'extra') return 'orphan';
    return logIsWhole || otherStoreDrifts === true ? 'missed-capture' : 'out-of-band-edit';
  }
  // A row that is not what the log says changed unseen, whatever else happened to the store.
  if (!event.rowAgrees) return 'missed-capture';
  if (event.storeIsEarlier && !event.verified) return 'lost-apply';
  return 'out-of-band-edit';
}
