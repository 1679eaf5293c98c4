/**
 * Re-logs one key as what it is in MySQL now: its row as `r`, or a delete where it has none. The delete is logged before
 * the row is looked for, and the look keeps the key's gap locked until the commit: a row that is inserted meanwhile gets a
 * later seq, so the delete can never take it away (the other way round it did: tried).
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { KeyText } from '../core/drift.js';
import type { Session } from '../stores/mysql/connection.js';
import { logDelete, logWhere, type CopyScope } from '../stores/mysql/copyRows.js';
import { errorNumber } from '../stores/mysql/failure.js';
import { keysAt } from '../stores/mysql/keyLookup.js';
import { isPassing } from './copyState.js';

export interface KeyScope extends CopyScope {
  readonly session: Session;
  readonly signal: AbortSignal;
  beat(): void;
}

const pauseMs = 20;

/** `logged`: the row is there, and was logged as `r`. Passing locks are waited for, until the abort. */
export async function logKeyDelete(
  scope: KeyScope,
  key: KeyText,
  condition: string,
  before: Buffer | null = null,
): Promise<'deleted' | 'logged'> {
  for (;;) {
    try {
      const outcome = await tryLogDelete(scope, key, condition, before);
      if (outcome !== null) return outcome;
    } catch (error) {
      if (!isPassing(error) || scope.signal.aborted) throw error;
      scope.beat();
      await sleep(pauseMs);
    }
  }
}

/**
 * Deletes of keys that seem to have no row, all in one transaction: a thousand a second instead of a hundred. False, and
 * nothing was logged, when one has a row after all or is locked: it never waits, since it holds the places of the others.
 */
export async function logKeyDeletes(
  scope: KeyScope,
  keys: readonly { readonly key: KeyText; readonly condition: string }[],
): Promise<boolean> {
  const { session, definition } = scope;
  const where = keys.map(({ condition }) => `(${condition})`).join(' OR ');
  try {
    await session.run('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ');
    await session.transaction(async (queries) => {
      for (const { key } of keys) await logDelete(queries, scope, key, null);
      const there = new Set(await keysAt(queries, definition, where, 'FOR SHARE NOWAIT'));
      if (keys.some(({ key }) => there.has(key))) throw new RowExists();
    });
    return true;
  } catch (error) {
    if (error instanceof RowExists || isPassing(error) || errorNumber(error) === noSuchTable) return false;
    throw error;
  }
}

/** Null: the row went while it was being logged. */
async function tryLogDelete(
  scope: KeyScope,
  key: KeyText,
  condition: string,
  before: Buffer | null,
): Promise<'deleted' | 'logged' | null> {
  const { session } = scope;
  try {
    await session.run('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ');
    await session.transaction(async (queries) => {
      await logDelete(queries, scope, key, before);
      if (await hasRow(queries, scope, key, condition)) throw new RowExists();
    });
    return 'deleted';
  } catch (error) {
    if (!(error instanceof RowExists)) throw error;
  }
  const { rows } = await session.transaction((queries) => logWhere(queries, scope, condition));
  return rows === 0 ? null : 'logged';
}

async function hasRow(
  queries: Parameters<typeof keysAt>[0],
  { definition }: KeyScope,
  key: KeyText,
  condition: string,
): Promise<boolean> {
  try {
    return (await keysAt(queries, definition, condition, 'FOR SHARE')).includes(key);
  } catch (error) {
    // A table that was dropped has no row. One that is created anew is copied after this.
    if (errorNumber(error) === noSuchTable) return false;
    throw error;
  }
}

const noSuchTable = 1146;

/** Rolls the logged delete back. */
class RowExists extends Error {
  override readonly name = 'RowExists';
}
