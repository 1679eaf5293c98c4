/** What the witness hands on: what escaped in a transaction or by a statement, in the binary log's order. */
import type { EscapeCause } from '../core/witness.js';
import type { BinlogPlace } from '../stores/mysql/binlogStream.js';

/** Something that escaped, as far as the binary log tells. */
export interface Finding {
  readonly tableId: number;
  /** Null: not told by the binary log itself. */
  readonly cause: EscapeCause | null;
  /** Null: the whole table. */
  readonly keys: readonly string[] | null;
  /** Whether the transaction changed a table from which a foreign key acts on this one. */
  readonly cascaded: boolean;
  /** Whether rights of the triggers' account had been taken away before it. */
  readonly withoutRights: boolean;
}

export type FeedItem =
  | { readonly kind: 'found'; readonly findings: readonly Finding[]; readonly place: BinlogPlace }
  | { readonly kind: 'prepared'; readonly xid: string; readonly findings: readonly Finding[] }
  | { readonly kind: 'xa-committed' | 'xa-rolled-back'; readonly xid: string; readonly place: BinlogPlace };
