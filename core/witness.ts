/** What the witness tells: whether it watches, and what escaped the triggers. Names and counts only: it enters histories. */

/** Why changes of a table are not in the change log. */
export type EscapeCause =
  /** A foreign key's CASCADE or SET NULL changed rows; MySQL fires no triggers for them. */
  | 'foreign-key'
  | 'truncate'
  /** A partition was dropped, truncated or exchanged. */
  | 'partition'
  /** Another table took the name, as gh-ost and pt-online-schema-change do. */
  | 'renamed-in'
  /** Dropped and made again. */
  | 'recreated'
  /** DISCARD or IMPORT TABLESPACE. */
  | 'tablespace'
  | 'trigger-missing'
  | 'trigger-altered'
  /** The account that the triggers run as is gone, or may not write the change log. */
  | 'definer'
  /** The triggers stand, and logged nothing. */
  | 'trigger-silent'
  /** The change log holds a change that the binary log does not. */
  | 'no-row-event'
  /** The binary log no longer holds what the witness had not read. */
  | 'binlog-lost';

/** `rows`: re-logged key by key. `copy`: the whole table is copied. */
export type Healing = 'rows' | 'copy';

export interface Escape {
  readonly table: string;
  readonly cause: EscapeCause;
  /** How many keys are known; null where only the table is. */
  readonly keys: number | null;
  readonly healing: Healing;
  /** ISO times. */
  readonly since: string;
  readonly lastAt: string;
  /** When everything was re-logged, or the copy done; null while it is not. */
  readonly healedAt: string | null;
}

/** `starting`: it has not said anything yet. */
export type WitnessState = 'starting' | 'watching' | 'standing-down' | 'off';

export interface WitnessStatus {
  readonly state: WitnessState;
  /** Why it stands down; null otherwise. */
  readonly reason: string | null;
  /** `binlog.000012:345`; everything before it has been held against the change log. */
  readonly position: string | null;
  /** ISO time of the newest transaction before the position. */
  readonly seenAt: string | null;
  /** The newest ones. */
  readonly escapes: readonly Escape[];
}

export const causeTexts: Readonly<Record<EscapeCause, string>> = {
  'foreign-key': 'a foreign key’s CASCADE or SET NULL, for which MySQL fires no triggers',
  truncate: 'TRUNCATE TABLE',
  partition: 'a partition was dropped, truncated or exchanged',
  'renamed-in': 'another table was renamed to its name',
  recreated: 'the table was dropped and made again',
  tablespace: 'its tablespace was discarded or imported',
  'trigger-missing': 'triggers were missing',
  'trigger-altered': 'triggers were altered',
  definer: 'the account that the triggers run as is gone or may not write the change log',
  'trigger-silent': 'its triggers logged nothing',
  'no-row-event': 'the change log held changes that the binary log does not show',
  'binlog-lost': 'the binary log no longer held what the witness had not read',
};
