/**
 * The phase `rows`: walks the table along its key, chunk by chunk, each one short transaction that logs the rows, notes
 * those it had to pass by, and moves the copy's row, up to the key that was the last when the copy began: whatever was added
 * since, the triggers have logged. No lock is waited for while another is held.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { addSkipped, moveCopy, type Copy } from '../stores/mysql/copies.js';
import { backlogSpan } from '../stores/mysql/backlog.js';
import type { Queries } from '../stores/mysql/connection.js';
import type { Boundary } from '../stores/mysql/keyWalk.js';
import { chunkEnd, holdsMore, logRange, tableEnd, unlogged } from '../stores/mysql/copyRows.js';
import { within } from '../stores/mysql/patience.js';
import { asCopyOwner, isPassing, type CopyContext } from './copyState.js';
import { firstChunkRows, nextChunkRows, smallerChunkRows } from './snapshotPace.js';

/** A chunk that runs longer is broken off and tried with fewer rows: wide rows can begin anywhere in a table. */
const longestMs = 600;

/** Returns when the last chunk is logged, or at an abort. */
export async function copyRows(context: CopyContext): Promise<void> {
  const target = context.config.snapshot.chunkMs;
  await noteEnd(context);
  let rows = firstChunkRows;
  let oldest = 0;
  let bestMsPerRow = Infinity;
  while (!context.signal.aborted) {
    context.beat();
    oldest = await untilCaptureKeepsUp(context, oldest);
    try {
      const chunk = await copyChunk(context, rows);
      if (chunk === 'end') return;
      bestMsPerRow = Math.min(bestMsPerRow, chunk.heldMs / rows);
      rows = nextChunkRows(rows, chunk.heldMs, target, bestMsPerRow);
    } catch (error) {
      if (!isPassing(error)) throw error;
      rows = smallerChunkRows(rows);
      // Wider rows may have begun: what was seen before says nothing of them.
      bestMsPerRow = Infinity;
      await sleep(20);
    }
  }
}

/**
 * The triggers stand, and CREATE TRIGGER has waited for every transaction that had written without them. In this phase, so
 * that the witness leaves nothing to this copy any more that escapes from now on.
 */
function noteEnd(context: CopyContext): Promise<void> {
  const { definition, stateDatabase, tableId } = context;
  return asCopyOwner(context, 'rows', async (queries, copy) => {
    if (copy.last !== null) return;
    await moveCopy(queries, stateDatabase, tableId, { last: await tableEnd(queries, definition) });
  });
}

async function copyChunk(context: CopyContext, rows: number): Promise<'end' | { readonly heldMs: number }> {
  let lockedAt = 0;
  const end = await asCopyOwner(context, 'rows', async (queries, copy) => {
    const upTo = await nextEnd(queries, context, copy, rows);
    if (upTo === null) {
      await moveCopy(queries, context.stateDatabase, context.tableId, { phase: 'skipped' });
      return true;
    }
    lockedAt = performance.now();
    await logChunk(context, queries, { after: copy.after, upTo });
    return false;
  });
  return end ? 'end' : { heldMs: performance.now() - lockedAt };
}

async function nextEnd(
  queries: Queries,
  { definition }: CopyContext,
  { after, last }: Copy,
  rows: number,
): Promise<Boundary | null> {
  if (last?.length === 0) return null;
  return await chunkEnd(queries, definition, { after, upTo: last }, rows);
}

/** Logs the rows of a range that nobody holds, and notes the others. */
export async function logChunk(
  context: CopyContext,
  queries: Queries,
  range: { readonly after: Copy['after']; readonly upTo: readonly string[] },
): Promise<void> {
  const { mysql, session, stateDatabase, tableId, definition } = context;
  const logged = await within(mysql, session, longestMs, () => logRange(queries, context, range));
  // Rows we hold stay there, so more than those were either passed by or have come since; both are copied afterwards.
  if (await holdsMore(queries, definition, range, logged.rows)) {
    const skipped = await unlogged(queries, context, range, logged);
    if (skipped.length > 0) await addSkipped(queries, stateDatabase, tableId, skipped);
  }
  await moveCopy(queries, stateDatabase, tableId, { after: range.upTo, moreRows: logged.rows });
}

/** Back-pressure: a copy writes faster than capture reads, and live changes queue behind it. */
export async function untilCaptureKeepsUp(context: CopyContext, from: number): Promise<number> {
  const { session, stateDatabase, config, signal } = context;
  for (let oldest = from; ;) {
    const backlog = await backlogSpan(session, stateDatabase, oldest);
    oldest = backlog.oldest;
    if (signal.aborted || backlog.rows <= config.snapshot.maxBacklogRows) return oldest;
    context.beat();
    await sleep(25);
  }
}
