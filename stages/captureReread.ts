/**
 * Reads rows again whose image the trigger could not write. Someone may hold their table locked for as long as they like:
 * then nothing is decided and nobody waits. The change stays in the change log, the rest goes on, and it is tried again
 * once the table answers.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Definition } from '../core/definition.js';
import { LockstepError, type ErrorCode } from '../core/errors.js';
import type { Mysql, Session } from '../stores/mysql/connection.js';
import { atKeyText, keysAt } from '../stores/mysql/keyLookup.js';
import { givingWay } from '../stores/mysql/patience.js';
import { quoteTable } from '../stores/mysql/quote.js';
import { readRowByKey, type Found } from '../stores/mysql/rowByKey.js';

export type Reread =
  | Found
  /** Another session has the table locked, or ended our read. */
  | { readonly kind: 'locked' }
  /** The table no longer fits the definition, or may not be read: a copy brings the key back. */
  | { readonly kind: 'unreadable'; readonly why: string };

export interface RowReader {
  /** most: bytes of a row's large columns beyond which it is not even read. */
  read(definition: Definition, key: Buffer, most: number): Promise<Reread>;
  /** Whether a table that was locked has answered since the last question. */
  isAnyFree(): boolean;
  close(): void;
}

/** How long a read may wait for its table while everything else waits for it. */
const patienceMs = 250;
const askAgainMs = 500;

export function openRowReader(mysql: Mysql): RowReader {
  return new Rereading(mysql);
}

class Rereading implements RowReader {
  readonly #mysql: Mysql;
  readonly #closed = new AbortController();
  /** Asked until they answer, each in its own time. */
  readonly #locked = new Set<string>();
  #session: Session | null = null;
  #anyFree = false;

  constructor(mysql: Mysql) {
    this.#mysql = mysql;
  }

  async read(definition: Definition, key: Buffer, most: number): Promise<Reread> {
    const table = quoteTable(definition.database, definition.table);
    if (this.#locked.has(table)) return { kind: 'locked' };
    const session = (this.#session ??= await this.#mysql.session({ lockWaitTimeout: 1 }));
    try {
      return await givingWay(this.#mysql, session, patienceMs, () => readRowByKey(session, definition, key, most));
    } catch (error) {
      const verdict = await this.#judge(error, session, definition, key);
      if (verdict.kind === 'locked') void this.#untilFree(table);
      return verdict;
    }
  }

  /**
   * A table that was altered or dropped under its triggers is its own trouble: the next copy of it brings the key back. A
   * copy brings no deletes, so whether the row is there at all is still asked, of the key alone.
   */
  async #judge(error: unknown, session: Session, definition: Definition, key: Buffer): Promise<Reread> {
    const verdict = verdictOf(error);
    const condition = verdict.kind === 'unreadable' ? atKeyText(definition, key.toString('utf8')) : null;
    if (condition === null) return verdict;
    try {
      const there = await givingWay(this.#mysql, session, patienceMs, () => keysAt(session, definition, condition, ''));
      return there.includes(key.toString('utf8')) ? verdict : { kind: 'gone' };
    } catch (again) {
      return verdictOf(again);
    }
  }

  isAnyFree(): boolean {
    const free = this.#anyFree;
    this.#anyFree = false;
    return free;
  }

  close(): void {
    this.#closed.abort();
    this.#session?.destroy();
  }

  async #untilFree(table: string): Promise<void> {
    this.#locked.add(table);
    const { signal } = this.#closed;
    while (!signal.aborted) {
      await sleep(askAgainMs, undefined, { signal }).catch(() => undefined);
      if (signal.aborted || !(await this.#isLocked(table))) break;
    }
    this.#locked.delete(table);
    this.#anyFree = true;
  }

  /** Whatever else is wrong with the table shows when the row itself is read. */
  async #isLocked(table: string): Promise<boolean> {
    try {
      await this.#mysql.rows(`SELECT 1 FROM ${table} LIMIT 0`);
      return false;
    } catch (error) {
      return error instanceof LockstepError && isLock(error);
    }
  }
}

function isLock({ code }: LockstepError): boolean {
  return code === 'LS-MYSQL-LOCK-WAIT' || code === 'LS-MYSQL-DEADLOCK';
}

/** What passes, or concerns every table, ends the run instead. */
function verdictOf(error: unknown): Extract<Reread, { kind: 'locked' | 'unreadable' }> {
  if (!(error instanceof LockstepError)) throw error;
  if (isLock(error)) return { kind: 'locked' };
  const why = reasons.get(error.code);
  if (why === undefined) throw error;
  return { kind: 'unreadable', why };
}

const reasons: ReadonlyMap<ErrorCode, string> = new Map([
  ['LS-MYSQL-STATEMENT', 'its table no longer fits the definition under which the change was logged'],
  ['LS-MYSQL-PRIVILEGE', 'lockstep has no right to read its table'],
  ['LS-ROW-JSON', 'its key cannot be read under the definition that the change cites'],
]);
