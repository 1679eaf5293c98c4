/**
 * Copies one table into the change log, from where it takes the road of every change. Resumable at any instruction: what
 * was done stands in `copies` and moved in the transaction that did it. A newer run of the same table supersedes this one.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { LockstepError } from '../core/errors.js';
import type { CopyOutcome } from '../core/outcome.js';
import { moveCopy, readCopy, type Copy } from '../stores/mysql/copies.js';
import { estimateRows } from '../stores/mysql/copyRows.js';
import { errorNumber } from '../stores/mysql/failure.js';
import { readOldKeys } from '../stores/mysql/oldKeys.js';
import { readCapturedTables, readDefinition, readRemovedTable } from '../stores/mysql/state.js';
import {
  asCopyOwner,
  beatingMeanwhile,
  isPassing,
  Superseded,
  type CopyContext,
  type Hooks,
  type SnapshotDeps,
} from './copyState.js';
import { clearTable, removeOldKeys } from './oldKeys.js';
import { removeOrphans, storesHoldKeys } from './orphans.js';
import { copyDifferent } from './snapshotDifferent.js';
import { copyRows } from './snapshotRows.js';
import { copySkipped } from './snapshotSkipped.js';

/** Seconds in an idle transaction until the server rolls it back: a frozen process does not keep an application's rows. */
const idleInTransaction = 2;

export async function copyTable(
  deps: SnapshotDeps,
  { table, run }: { readonly table: string; readonly run: string },
  signal: AbortSignal,
  hooks: Hooks,
): Promise<CopyOutcome> {
  while (!signal.aborted) {
    const session = await deps.mysql.session({ sqlMode: 'ALLOW_INVALID_DATES', idleInTransaction });
    try {
      const context = await contextOf(deps, table, run, session, signal, hooks);
      if (context === null) return { kind: 'table-gone' };
      return await carryOn(deps, context);
    } catch (error) {
      if (error instanceof Superseded) return { kind: 'stopped' };
      if (!tableChanged(error) && !isPassing(error)) throw error;
    } finally {
      session.destroy();
    }
    hooks.beat();
    await sleep(200);
  }
  return { kind: 'stopped' };
}

async function contextOf(
  { config, mysql }: SnapshotDeps,
  table: string,
  run: string,
  session: CopyContext['session'],
  signal: AbortSignal,
  hooks: Hooks,
): Promise<CopyContext | null> {
  const { stateDatabase } = config.mysql;
  const captured =
    (await readCapturedTables(session, stateDatabase)).find((entry) => entry.name === table) ??
    (await readRemovedTable(session, stateDatabase, table));
  if (captured === null) return null;
  const definition = await readDefinition(session, stateDatabase, captured.definition);
  if (definition === null) {
    throw new LockstepError('LS-INTERNAL', `the definition that ${table}'s triggers cite is not recorded`);
  }
  const beat = (): void => hooks.beat();
  return { config, mysql, session, run, stateDatabase, tableId: captured.id, definition, signal, beat };
}

/** From whatever phase the copy is in to its end. */
async function carryOn(deps: SnapshotDeps, context: CopyContext): Promise<CopyOutcome> {
  while (!context.signal.aborted) {
    const copy = await readCopy(context.session, context.stateDatabase, context.tableId);
    // It was dropped, and what the stores held of it is gone; or nothing was to be done for it any more.
    if (copy === null) return { kind: 'table-gone' };
    if (copy.run !== context.run) return { kind: 'stopped' };
    switch (copy.phase) {
      // Its triggers are not in place: nobody should have asked yet.
      case 'waiting':
        return { kind: 'stopped' };
      case 'needed':
        await begin(deps, context, copy);
        break;
      case 'old-keys':
        await beatingMeanwhile(context, () => removeOldKeys(context, deps.stores));
        break;
      case 'rows':
        if (copy.reason === 'loaded') await copyDifferent(context, deps.stores);
        else await copyRows(context);
        break;
      case 'skipped':
        await copySkipped(context);
        break;
      case 'orphans':
        await beatingMeanwhile(context, () => removeOrphans(context, deps.stores));
        break;
      case 'done':
        return copied(copy);
      case 'clear':
        await beatingMeanwhile(context, () => clearTable(context, deps.stores));
        break;
    }
  }
  return { kind: 'stopped' };
}

function copied(copy: Copy): CopyOutcome {
  return { kind: 'copied', rows: copy.rowsCopied, orphans: copy.orphans };
}

async function begin(deps: SnapshotDeps, context: CopyContext, { reason }: Copy): Promise<void> {
  const { session, stateDatabase, tableId, definition } = context;
  // Of a table that was captured before, keys may be on their way to a store that holds none yet.
  const lookForOrphans =
    reason !== 'new-table' || (await beatingMeanwhile(context, () => storesHoldKeys(context, deps.stores)));
  const rowsEstimated = await estimateRows(session, definition);
  await asCopyOwner(context, 'needed', async (queries) => {
    const phase = (await readOldKeys(queries, stateDatabase, tableId)).length > 0 ? 'old-keys' : 'rows';
    await moveCopy(queries, stateDatabase, tableId, { phase, rowsEstimated, lookForOrphans });
  });
}

/** Unknown column, unknown table: the continuous check will notice it too, and supersede this run or forget the table. */
function tableChanged(error: unknown): boolean {
  return errorNumber(error) === 1054 || errorNumber(error) === 1146;
}
