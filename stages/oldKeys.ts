/**
 * The phase `old-keys` of a copy: the table's key has changed, and the stores hold its rows under the former one. Every key
 * they hold under it is deleted through the log, cited under the former definition, so that readers of the topics see it go
 * as well. The rows come only after the stores have applied that: where both forms meet in one key of a store, the row is last.
 */
import { definitionHash, type DefinitionHash } from '../core/definition.js';
import { LockstepError } from '../core/errors.js';
import { isKeyText } from '../core/keyText.js';
import { targetOf } from '../core/target.js';
import { forgetCopy, moveCopy } from '../stores/mysql/copies.js';
import { logDeletes, tableEnd } from '../stores/mysql/copyRows.js';
import { forgetOldKeys, readOldKeys } from '../stores/mysql/oldKeys.js';
import { readDefinition } from '../stores/mysql/state.js';
import { untilCaughtUp } from './caughtUp.js';
import { asCopyOwner, type CopyContext, type SnapshotDeps } from './copyState.js';
import { untilCaptureKeepsUp } from './snapshotRows.js';

/** Returns when the rows may come, or at an abort. Safe to begin again. */
export async function removeOldKeys(context: CopyContext, stores: SnapshotDeps['stores']): Promise<void> {
  const { session, stateDatabase, tableId, definition } = context;
  const hashes = await readOldKeys(session, stateDatabase, tableId);
  if (!(await deleteUnder(context, stores, hashes, 'old-keys'))) return;
  // What came meanwhile may have been deleted with them, where both forms meet in one key of a store.
  const last = await tableEnd(session, definition);
  await asCopyOwner(context, 'old-keys', async (queries) => {
    await forgetOldKeys(queries, stateDatabase, tableId, hashes);
    await moveCopy(queries, stateDatabase, tableId, { phase: 'rows', last });
  });
}

/** The phase `clear`: the table was dropped, and so are its rows in the stores, whatever key they lie under. */
export async function clearTable(context: CopyContext, stores: SnapshotDeps['stores']): Promise<void> {
  const { session, stateDatabase, tableId, definition } = context;
  const former = await readOldKeys(session, stateDatabase, tableId);
  if (!(await deleteUnder(context, stores, [...former, definitionHash(definition)], 'clear'))) return;
  await asCopyOwner(context, 'clear', async (queries) => {
    await forgetOldKeys(queries, stateDatabase, tableId, former);
    await forgetCopy(queries, stateDatabase, tableId);
  });
}

/** Whatever the stores hold under keys of these definitions; true once they have applied its going. */
async function deleteUnder(
  context: CopyContext,
  stores: SnapshotDeps['stores'],
  hashes: readonly DefinitionHash[],
  phase: 'old-keys' | 'clear',
): Promise<boolean> {
  const { session, stateDatabase, signal, config } = context;
  // What is on its way under such a key would be missed.
  await untilCaughtUp(context, stores);
  for (const hash of hashes) {
    const definition = await readDefinition(session, stateDatabase, hash);
    if (definition === null) throw new LockstepError('LS-INTERNAL', `definition ${hash} is not recorded`);
    for (const store of stores) {
      let oldest = 0;
      for await (const found of store.scanKeys(targetOf(definition.table, config), definition)) {
        if (signal.aborted) return false;
        context.beat();
        oldest = await untilCaptureKeepsUp(context, oldest);
        const keys = found.filter((key) => isKeyText(definition, key));
        await asCopyOwner(context, phase, (queries) => logDeletes(queries, { ...context, definition }, keys));
      }
    }
  }
  await untilCaughtUp(context, stores);
  return !signal.aborted;
}
