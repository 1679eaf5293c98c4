/**
 * The phase `orphans` of a resync: what a store holds and MySQL does not is deleted through the log, once the store has
 * applied everything that was logged before: a key that is still on its way to it would be missed.
 */
import type { Store } from '../core/store.js';
import { targetOf } from '../core/target.js';
import { moveCopy } from '../stores/mysql/copies.js';
import { asMysqlPrints, atKeyText, keysWithoutRow } from '../stores/mysql/keyLookup.js';
import { readParked } from '../stores/mysql/parked.js';
import { untilCaughtUp } from './caughtUp.js';
import { asCopyOwner, type CopyContext } from './copyState.js';
import { logKeyDelete } from './repairKey.js';

/** What the pass needs of a store. */
export type KeySource = Pick<Store, 'scanKeys'>;
type OrphanStore = KeySource & Pick<Store, 'readState' | 'parkedKeys' | 'read'>;

/** Keys that are asked for again together, behind one wait. */
const mostSuspects = 5_000;
const atOnce = 300;

/** Returns when every store was looked through, or at an abort. Safe to begin again. */
export async function removeOrphans(context: CopyContext, stores: readonly OrphanStore[]): Promise<void> {
  await untilCaughtUp(context, stores);
  if (context.signal.aborted) return;
  const { config, definition, stateDatabase, tableId, signal } = context;
  const target = targetOf(definition.table, config);
  for (const store of stores) {
    let suspects: string[] = [];
    for await (const keys of store.scanKeys(target, definition)) {
      if (signal.aborted) return;
      suspects.push(...(await withoutRow(context, keys)));
      if (suspects.length < mostSuspects) continue;
      await removeLasting(context, store, suspects);
      suspects = [];
    }
    await removeLasting(context, store, suspects);
  }
  // Their delete frees them, wherever they are parked.
  const parked = await keysParked(context, stores);
  for (let i = 0; i < parked.length; i += atOnce) {
    if (signal.aborted) return;
    await removeThoseWithoutRow(context, parked.slice(i, i + atOnce));
  }
  if (signal.aborted) return;
  await asCopyOwner(context, 'orphans', (queries) => moveCopy(queries, stateDatabase, tableId, { phase: 'done' }));
}

/** Those of the keys, as the store spells them, that MySQL has no row for. */
async function withoutRow({ mysql, definition }: CopyContext, keys: readonly string[]): Promise<readonly string[]> {
  const printed = await asMysqlPrints(mysql, definition, keys);
  const missing = new Set(await keysWithoutRow(mysql, definition, printed));
  return keys.filter((_, i) => missing.has(printed[i] ?? ''));
}

/**
 * A row that was deleted a moment ago leaves its key by itself, and a delete of ours beside the application's would be told
 * to every consumer. So what is suspect is looked at again once the store has applied everything up to now.
 */
async function removeLasting(context: CopyContext, store: OrphanStore, suspects: readonly string[]): Promise<void> {
  if (suspects.length === 0) return;
  await untilCaughtUp(context, [store]);
  const { config, definition, signal } = context;
  const target = targetOf(definition.table, config);
  for (let i = 0; i < suspects.length; i += atOnce) {
    if (signal.aborted) return;
    const keys = suspects.slice(i, i + atOnce);
    const { contents } = await store.read(
      target,
      definition,
      keys.map((key) => Buffer.from(key)),
      config.apply.shards,
    );
    await removeThoseWithoutRow(
      context,
      keys.filter((_, k) => contents[k]?.kind !== 'absent'),
    );
  }
}

async function removeThoseWithoutRow(context: CopyContext, keys: readonly string[]): Promise<void> {
  const { definition, stateDatabase, tableId, mysql, signal } = context;
  context.beat();
  if (keys.length === 0) return;
  let deleted = 0;
  for (const key of await keysWithoutRow(mysql, definition, await asMysqlPrints(mysql, definition, keys))) {
    if (signal.aborted) return;
    context.beat();
    if (await repairDelete(context, key)) deleted += 1;
  }
  await asCopyOwner(context, 'orphans', (queries) =>
    moveCopy(queries, stateDatabase, tableId, { moreOrphans: deleted }),
  );
}

const parkedKeysSeen = 100_000;

/** A key that was parked when it was new lies in no store. */
async function keysParked(
  { definition, stateDatabase, tableId, mysql }: CopyContext,
  stores: readonly Pick<Store, 'parkedKeys'>[],
): Promise<readonly string[]> {
  const byCapture = await readParked(mysql, stateDatabase, parkedKeysSeen);
  const keys = new Set(byCapture.filter((parked) => parked.tableId === tableId).map(({ key }) => key));
  for (const store of stores) {
    for (const { table, key } of await store.parkedKeys(parkedKeysSeen)) if (table === definition.table) keys.add(key);
  }
  return [...keys];
}

/** Whether any store holds a key of the table: without one, a copy leaves no orphans. */
export async function storesHoldKeys(context: CopyContext, stores: readonly KeySource[]): Promise<boolean> {
  const target = targetOf(context.definition.table, context.config);
  for (const store of stores) {
    for await (const keys of store.scanKeys(target, context.definition)) {
      context.beat();
      if (keys.length > 0) return true;
    }
  }
  return false;
}

/** True when the delete was logged; false when the row is there after all, and was logged as `r`. */
async function repairDelete(context: CopyContext, key: string): Promise<boolean> {
  const condition = atKeyText(context.definition, key);
  return condition !== null && (await logKeyDelete(context, key, condition)) === 'deleted';
}
