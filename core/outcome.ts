/**
 * How a stage ended. Abort, fencing and loss are outcomes, not errors: the workflow decides what follows.
 * Everything here enters Temporal histories: no row, key value or secret.
 */
import type { StoreName } from './store.js';

export type CaptureOutcome =
  | { readonly kind: 'stopped' }
  | { readonly kind: 'fenced' }
  /** The topics or the state record no longer match what was published: a new incarnation began; copy every table again. */
  | { readonly kind: 'log-lost'; readonly reason: string }
  /** Another server answers, or the change log went back in time: copy every table again. */
  | { readonly kind: 'source-rewound'; readonly reason: string };

export type ApplyStageOutcome =
  | { readonly kind: 'stopped' }
  | { readonly kind: 'fenced' }
  /** The store had been initialised and holds no position now. Its position was set to the log's end; copy every table. */
  | { readonly kind: 'store-lost'; readonly store: StoreName }
  /** The log no longer holds the position (retention), or ordinals jump: positions moved on, copy these tables. */
  | { readonly kind: 'log-gap'; readonly store: StoreName; readonly tables: readonly string[] }
  /** The store lost these tables alone (a dropped collection); positions stay, copy these tables. */
  | { readonly kind: 'tables-lost'; readonly store: StoreName; readonly tables: readonly string[] };

export type WitnessOutcome =
  | { readonly kind: 'stopped' }
  /** The configuration switches it off. */
  | { readonly kind: 'off' }
  /** A right or a setting of the server is missing; the state database says which. */
  | { readonly kind: 'stands-down'; readonly reason: string };

export type CopyOutcome =
  | { readonly kind: 'copied'; readonly rows: number; readonly orphans: number }
  | { readonly kind: 'stopped' }
  | { readonly kind: 'table-gone' };

export type VerifyOutcome =
  | { readonly kind: 'stopped' }
  | { readonly kind: 'fenced' }
  /** `verify.sample` is 0. */
  | { readonly kind: 'off' };

export type LoadOutcome =
  | { readonly kind: 'loaded' }
  /** Its time is over; there is more to load. */
  | { readonly kind: 'more' }
  | { readonly kind: 'too-many-rejects' }
  | { readonly kind: 'stopped' };

/** The copy that proves a table after a direct load: due, and to be run now. */
export interface ProvingCopy {
  readonly table: string;
  readonly run: string;
}
