/** Keys that were set aside with a reason: a store keeps their last good content, so what differs there is no drift. */
import type { KeyText } from '../core/drift.js';
import { keyHash, parkedKey, readParkedKeys } from '../stores/mysql/parked.js';
import type { SweepContext, SweptTable } from './sweepContext.js';

/** More parked keys than this and a pipeline has other troubles. */
const mostParked = 100_000;

export async function parkedAmong(
  { mysql, stateDatabase, stores }: Pick<SweepContext, 'mysql' | 'stateDatabase' | 'stores'>,
  table: Pick<SweptTable, 'name' | 'tableId'>,
  differing: readonly { readonly key: KeyText }[],
): Promise<ReadonlySet<KeyText>> {
  if (differing.length === 0) return new Set();
  const [inCapture, ...inStores] = await Promise.all([
    readParkedKeys(mysql, stateDatabase),
    ...stores.map((store) => store.parkedKeys(mostParked)),
  ]);
  const aside = new Set(inStores.flat().flatMap(({ table: name, key }) => (name === table.name ? [key] : [])));
  const isParked = (key: KeyText): boolean =>
    aside.has(key) || inCapture.has(parkedKey(table.tableId, keyHash(Buffer.from(key))));
  return new Set(differing.map(({ key }) => key).filter(isParked));
}
