/**
 * What a store still holds of a table that was dropped. Where the stores are to let its rows go, their deletes may be on
 * their way: nothing is told while they are being logged, and afterwards only of what is there once the store has applied
 * all of them.
 */
import type { Definition } from '../core/definition.js';
import type { KeyText } from '../core/drift.js';
import type { Store } from '../core/store.js';
import { targetOf } from '../core/target.js';
import { readCopy } from '../stores/mysql/copies.js';
import { readKnownTables, type KnownTable } from '../stores/mysql/state.js';
import { openTable, ownPart, stopIfAborted, type SweepContext } from './sweepContext.js';

/** Of one look. */
const atOnce = 1_000;

/** Those of the keys that stay. Null: the table is being cleared, or is back. */
export async function keysThatStay(
  context: SweepContext,
  store: Store,
  { table, definition }: { readonly table: KnownTable; readonly definition: Definition },
  keys: readonly KeyText[],
): Promise<readonly KeyText[] | null> {
  const { mysql, stateDatabase, config, passing } = context;
  // Due since the moment the table was let go, until every delete is logged.
  if ((await readCopy(mysql, stateDatabase, table.id)) !== null) return null;
  const { topic } = await openTable(context, table);
  await passing.passed(store.name, ownPart(await passing.resolved(), topic));
  const target = targetOf(table.name, config);
  const stay: KeyText[] = [];
  for (let from = 0; from < keys.length; from += atOnce) {
    stopIfAborted(context);
    context.beat();
    const some = keys.slice(from, from + atOnce);
    const bytes = some.map((key) => Buffer.from(key));
    const { contents } = await store.read(target, definition, bytes, config.apply.shards);
    stay.push(...some.filter((_, i) => contents[i] !== undefined && contents[i].kind !== 'absent'));
  }
  const now = (await readKnownTables(mysql, stateDatabase)).find(({ id }) => id === table.id);
  return now?.removed === true ? stay : null;
}
