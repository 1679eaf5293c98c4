/**
 * Entries of a store that have no row. Looked up after the store was read, so that what was inserted meanwhile is none of
 * them; what remains may be on its way out, and is settled like rows that differ.
 */
import type { Definition } from '../core/definition.js';
import type { Drift, KeyText } from '../core/drift.js';
import { tableTopic } from '../core/names.js';
import type { Entry, StoreName } from '../core/store.js';
import { asMysqlPrints, lookUpKeys } from '../stores/mysql/keyLookup.js';
import { askHowItGoes, stopIfAborted, type SweepContext } from './sweepContext.js';

export interface Rowless {
  readonly keys: readonly KeyText[];
  /** Entries that are no key of the table. */
  readonly misfits: readonly string[];
}

/** Looking a key up costs about a quarter of comparing a row. */
const keysARow = 4;
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
  const { mysql, pace, signal, config } = context;
  const topic = tableTopic(config.kafka.topicPrefix, definition.database, definition.table);
  const asked: Promise<void>[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < keys.length) {
      context.beat();
      stopIfAborted(context);
      const allowed = keysARow * (await pace.turn(mysql, signal));
      if (pace.asks()) {
        const asking = askHowItGoes(context, topic);
        // A failure is met where it is awaited.
        asking.catch(() => undefined);
        asked.push(asking);
      }
      const some = keys.slice(next, next + allowed);
      next += allowed;
      pace.spent(allowed / keysARow, some.length / keysARow);
      const found = await lookUpKeys(mysql, definition, await asMysqlPrints(mysql, definition, some));
      rowless.push(...found.withoutRow);
      misfits.push(...found.misfits);
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  await Promise.all(asked);
  return { keys: rowless, misfits };
}

export function orphan(store: StoreName, table: string, key: KeyText, note: string): Drift {
  return { table, store, key, kind: 'extra', cause: 'orphan', evidence: { note } };
}

/** Another `_id` type, another number of parts: nothing that is logged could remove it. */
export function misfit(store: StoreName, table: string, entry: string): Drift {
  return orphan(store, table, entry, 'it is no key of the table: remove it by hand');
}
