/**
 * Entries of a store that have no row. Looked up after the store was read, so that what was inserted meanwhile is none of
 * them; what remains may be on its way out, and is settled like rows that differ.
 */
import type { Definition } from '../core/definition.js';
import type { Drift, KeyText } from '../core/drift.js';
import type { Entry, StoreName } from '../core/store.js';
import { asMysqlPrints, lookUpKeys } from '../stores/mysql/keyLookup.js';
import { stopIfAborted, type SweepContext } from './sweepContext.js';

export interface Rowless {
  readonly keys: readonly KeyText[];
  /** Entries that are no key of the table. */
  readonly misfits: readonly string[];
}

const lookUpAtOnce = 1_000;
/** One waits for MySQL while the other is taken apart. */
const lanes = 2;

export async function rowlessAmong(
  context: SweepContext,
  definition: Definition,
  entries: readonly Entry[],
): Promise<Rowless> {
  const misfits = entries.flatMap(({ isKey, key }) => (isKey ? [] : [key]));
  const keys = entries.flatMap(({ isKey, key }) => (isKey ? [key] : []));
  const rowless: KeyText[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < keys.length) {
      context.beat();
      stopIfAborted(context);
      const some = keys.slice(next, next + lookUpAtOnce);
      next += lookUpAtOnce;
      const found = await lookUpKeys(context.mysql, definition, await asMysqlPrints(context.mysql, definition, some));
      rowless.push(...found.withoutRow);
      misfits.push(...found.misfits);
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return { keys: rowless, misfits };
}

export function orphan(store: StoreName, table: string, key: KeyText, note: string): Drift {
  return { table, store, key, kind: 'extra', cause: 'orphan', evidence: { note } };
}

/** Another `_id` type, another number of parts: nothing that is logged could remove it. */
export function misfit(store: StoreName, table: string, entry: string): Drift {
  return orphan(store, table, entry, 'it is no key of the table: remove it by hand');
}
