/** How far a store was verified, as it is kept in MySQL and shown by status. */
import type { PartitionName, Position } from './position.js';
import type { StoreName } from './store.js';

export interface Verified {
  /** Of the store when it was looked at last: one that shows less has fallen back or was rebuilt. */
  readonly epoch: number;
  readonly incarnation: string;
  readonly applied: number;
  /** Everything before was held against the store. */
  readonly positions: ReadonlyMap<PartitionName, Position>;
  /** Changes verified, since the pipeline was installed. */
  readonly events: number;
  /** Differences found. */
  readonly differences: number;
  /** Changes that the log did not hold any more when their turn came. */
  readonly unverified: number;
  /** Everything committed before is verified, but for the tables in `behind`; milliseconds since 1970, null: not known yet. */
  readonly through: number | null;
  /** Table → its own `through`. */
  readonly behind: Readonly<Record<string, number | null>>;
}

export interface VerifiedShard extends Verified {
  readonly store: StoreName;
  readonly shard: number;
  /** When this was written, milliseconds since 1970. */
  readonly savedAt: number;
}

export const nothingVerified: Verified = {
  epoch: 0,
  incarnation: '',
  applied: 0,
  positions: new Map(),
  events: 0,
  differences: 0,
  unverified: 0,
  through: null,
  behind: {},
};
