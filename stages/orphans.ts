/**
 * The phase `orphans` of a resync: what a store holds and MySQL does not is deleted through the log, once the store has
 * applied everything that was logged before: a key that is still on its way to it would be missed. The delete is logged
 * before the row is looked for, and the look keeps the key's gap locked until the commit: a row that is inserted meanwhile
 * gets a later seq and is seen later, so the delete can never take it away (without either it did: tried).
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Store } from '../core/store.js';
import { targetOf } from '../core/target.js';
import { moveCopy } from '../stores/mysql/copies.js';
import { logDelete, logWhere } from '../stores/mysql/copyRows.js';
import { asMysqlPrints, atKeyText, keysAt, keysWithoutRow } from '../stores/mysql/keyLookup.js';
import { untilCaughtUp } from './caughtUp.js';
import { asCopyOwner, isPassing, type CopyContext } from './copyState.js';

/** What the pass needs of a store. */
export type KeySource = Pick<Store, 'scanKeys'>;

/** Returns when every store was looked through, or at an abort. Safe to begin again. */
export async function removeOrphans(
  context: CopyContext,
  stores: readonly (KeySource & Pick<Store, 'readState'>)[],
): Promise<void> {
  await untilCaughtUp(context, stores);
  if (context.signal.aborted) return;
  const { config, definition, stateDatabase, tableId, mysql, signal } = context;
  const target = targetOf(definition.table, config);
  for (const store of stores) {
    for await (const keys of store.scanKeys(target, definition)) {
      if (signal.aborted) return;
      context.beat();
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
  }
  await asCopyOwner(context, 'orphans', (queries) => moveCopy(queries, stateDatabase, tableId, { phase: 'done' }));
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
  if (condition === null) return false;
  for (;;) {
    try {
      return await tryRepairDelete(context, key, condition);
    } catch (error) {
      if (!isPassing(error) || context.signal.aborted) throw error;
      context.beat();
      await sleep(20);
    }
  }
}

async function tryRepairDelete(context: CopyContext, key: string, condition: string): Promise<boolean> {
  const { session, definition } = context;
  try {
    await session.run('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ');
    await session.transaction(async (queries) => {
      await logDelete(queries, context, key);
      if ((await keysAt(queries, definition, condition, 'FOR SHARE')).includes(key)) throw new RowExists();
    });
    return true;
  } catch (error) {
    if (!(error instanceof RowExists)) throw error;
  }
  await session.transaction((queries) => logWhere(queries, context, condition));
  return false;
}

/** Rolls the logged delete back. */
class RowExists extends Error {
  override readonly name = 'RowExists';
}
