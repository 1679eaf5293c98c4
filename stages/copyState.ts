/** What the phases of a copy share: its table, its session, and the transaction that owns the copy's row. */
import type { Config } from '../core/config.js';
import type { Definition } from '../core/definition.js';
import { LockstepError } from '../core/errors.js';
import type { Store } from '../core/store.js';
import type { Mysql, Queries, Session } from '../stores/mysql/connection.js';
import { lockCopy, readCopy, type Copy, type CopyEnd, type CopyPhase } from '../stores/mysql/copies.js';
import { tableEnd, type CopyScope } from '../stores/mysql/copyRows.js';

export interface SnapshotDeps {
  readonly config: Config;
  readonly mysql: Mysql;
  /** The configured stores; their keys are looked through for orphans. */
  readonly stores: readonly CopyStore[];
}

/** What a copy asks of a store. */
export type CopyStore = Pick<Store, 'scanKeys' | 'readState' | 'compareRows' | 'parkedKeys' | 'read'>;

export interface Hooks {
  /** Called at least every 300 ms while all is well. */
  beat(): void;
}

export interface CopyContext extends CopyScope {
  readonly config: Config;
  readonly mysql: Mysql;
  readonly session: Session;
  readonly run: string;
  readonly definition: Definition;
  readonly signal: AbortSignal;
  beat(): void;
}

/** A newer run has taken over, or the table is not captured any more. */
export class Superseded extends Error {
  override readonly name = 'Superseded';
}

/**
 * One short transaction of a copy. The copy's row is locked first, so that nothing in it waits for lockstep while it
 * holds rows of the application, and so that a run which was superseded writes nothing.
 */
export function asCopyOwner<T>(
  context: CopyContext,
  phase: CopyPhase,
  work: (queries: Queries, copy: Copy) => Promise<T>,
): Promise<T> {
  return context.session.transaction(async (queries) => {
    const copy = await lockCopy(queries, context.stateDatabase, context.tableId);
    if (copy === null || copy.run !== context.run || copy.phase !== phase) throw new Superseded();
    return work(queries, copy);
  });
}

/** Someone else's lock, or MySQL's choice: the same again, a little later. */
export function isPassing(error: unknown): boolean {
  return error instanceof LockstepError && (error.code === 'LS-MYSQL-LOCK-WAIT' || error.code === 'LS-MYSQL-DEADLOCK');
}

/**
 * Where the copy that waits for a table's triggers ends, now that they stand. Only a table's first one ends here: any other
 * counts what is there when it begins, since the witness leaves to it what escapes until then. null: the copy looks for
 * itself, and tells what is the matter where the table cannot be read.
 */
export async function endOf(
  queries: Queries,
  { stateDatabase, tableId, definition }: CopyScope & { readonly definition: Definition },
): Promise<CopyEnd | null> {
  const copy = await readCopy(queries, stateDatabase, tableId);
  if (copy?.phase !== 'waiting' || copy.reason !== 'new-table') return null;
  try {
    return { run: copy.run, last: await tableEnd(queries, definition) };
  } catch {
    return null;
  }
}

const beatEveryMs = 200;

/** A store may look through millions of keys of others before it finds one of the table: that is work, and no silence. */
export async function beatingMeanwhile<T>(context: Pick<CopyContext, 'beat'>, work: () => Promise<T>): Promise<T> {
  const beating = setInterval(() => context.beat(), beatEveryMs);
  try {
    return await work();
  } finally {
    clearInterval(beating);
  }
}
