/**
 * The phase `skipped`: rows that a chunk passed by because an application held them, one a transaction. Waiting for the one
 * row's lock is harmless here, since nothing of the application's is held meanwhile. Ends when each is copied or gone.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { moveCopy, readSkipped, removeSkipped } from '../stores/mysql/copies.js';
import { logKey } from '../stores/mysql/copyRows.js';
import type { Boundary } from '../stores/mysql/keyWalk.js';
import { asCopyOwner, isPassing, type CopyContext } from './copyState.js';

/** Returns when none is left, or at an abort. */
export async function copySkipped(context: CopyContext): Promise<void> {
  while (!context.signal.aborted) {
    context.beat();
    const keys = await readSkipped(context.session, context.stateDatabase, context.tableId, 200);
    if (keys.length === 0) {
      await finish(context);
      return;
    }
    for (const key of keys) {
      if (context.signal.aborted) return;
      context.beat();
      await copyOne(context, key);
    }
  }
}

async function copyOne(context: CopyContext, key: Boundary): Promise<void> {
  const { stateDatabase, tableId } = context;
  try {
    await asCopyOwner(context, 'skipped', async (queries) => {
      const { rows } = await logKey(queries, context, key);
      await removeSkipped(queries, stateDatabase, tableId, key);
      await moveCopy(queries, stateDatabase, tableId, { moreRows: rows });
    });
  } catch (error) {
    // Still held: the next round comes back to it.
    if (!isPassing(error)) throw error;
    await sleep(20);
  }
}

async function finish(context: CopyContext): Promise<void> {
  const { stateDatabase, tableId } = context;
  await asCopyOwner(context, 'skipped', (queries, copy) =>
    moveCopy(queries, stateDatabase, tableId, { phase: copy.lookForOrphans ? 'orphans' : 'done' }),
  );
}
