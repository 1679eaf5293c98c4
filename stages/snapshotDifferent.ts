/**
 * The phase `rows` of the copy that ends a direct load: logs only what a store does not hold as MySQL has it. The triggers
 * stand, so whatever changes after a row was read here is logged anyway; and no direct write can come any more. So what is
 * equal here stays in step, and what differs is logged, like any row of a copy.
 */
import { KeySetDigest } from '../core/keySet.js';
import type { SourceRow, Target } from '../core/store.js';
import { targetOf } from '../core/target.js';
import { addSkipped, moveCopy } from '../stores/mysql/copies.js';
import type { Boundary } from '../stores/mysql/keyWalk.js';
import { readRows, type RowsRead } from '../stores/mysql/readRows.js';
import { untilCaughtUp } from './caughtUp.js';
import { asCopyOwner, isPassing, type CopyContext, type CopyStore } from './copyState.js';
import { logChunk, untilCaptureKeepsUp } from './snapshotRows.js';
import { setTimeout as sleep } from 'node:timers/promises';

const chunkRows = 1_000;
/** More than these of a chunk are logged with their neighbours, which costs less than one transaction each. */
const fewRows = 40;

/** Returns when the last chunk is compared, or at an abort. */
export async function copyDifferent(context: CopyContext, stores: readonly CopyStore[]): Promise<void> {
  // Of a table that was captured before, changes may still be on their way.
  await untilCaughtUp(context, stores);
  const { definition, config, stateDatabase, tableId } = context;
  const target = targetOf(definition.table, config);
  const keys = new KeySetDigest();
  let after = await asCopyOwner(context, 'rows', (_, copy) => Promise.resolve(copy.after));
  /** All keys pass by here, and not only those behind a crash. */
  const whole = after === null;
  let oldest = 0;
  for await (const read of ahead(context, after)) {
    if (context.signal.aborted) return;
    context.beat();
    oldest = await untilCaptureKeepsUp(context, oldest);
    for (const { key } of read.rows) keys.add(key);
    const different = await differing(context, stores, target, read.rows);
    context.beat();
    // One row goes through the log in any case, so that every store meets the table and notices should it be lost.
    if (read.last === null && read.rows.length > 0) different.add(read.rows.length - 1);
    await logDifferent(context, read, after, different);
    after = read.last;
  }
  if (context.signal.aborted) return;
  const known = whole && (await holdNothingElse(context, stores, target, keys));
  await asCopyOwner(context, 'rows', (queries) =>
    moveCopy(queries, stateDatabase, tableId, { phase: 'skipped', lookForOrphans: !known }),
  );
}

/** The table's chunks behind a key; MySQL reads the next one while the stores are asked for this one. */
async function* ahead({ mysql, definition }: CopyContext, from: Boundary | null): AsyncIterable<RowsRead> {
  const reader = await mysql.session({ sqlMode: 'ALLOW_INVALID_DATES' });
  try {
    let next = readRows(reader, definition, from, chunkRows);
    for (;;) {
      const read = await next;
      if (read.last !== null) next = readRows(reader, definition, read.last, chunkRows);
      // A failure shows when its chunk's turn comes; until then it must not count as unhandled.
      next.catch(() => undefined);
      yield read;
      if (read.last === null) return;
    }
  } finally {
    reader.destroy();
  }
}

/** Places of the rows that some store holds otherwise or not at all. */
async function differing(
  { definition }: CopyContext,
  stores: readonly CopyStore[],
  target: Target,
  rows: readonly SourceRow[],
): Promise<Set<number>> {
  const places = new Set<number>();
  for (const verdicts of await Promise.all(stores.map((store) => store.compareRows(target, definition, rows)))) {
    for (const [i, { kind }] of verdicts.entries()) if (kind !== 'equal' && kind !== 'expired') places.add(i);
  }
  return places;
}

async function logDifferent(
  context: CopyContext,
  read: RowsRead,
  after: Boundary | null,
  different: ReadonlySet<number>,
): Promise<void> {
  const { stateDatabase, tableId } = context;
  const boundaries = read.boundaries();
  const upTo = boundaries.at(-1);
  if (upTo === undefined) return;
  for (;;) {
    try {
      await asCopyOwner(context, 'rows', async (queries) => {
        if (different.size > fewRows) return logChunk(context, queries, { after, upTo });
        const few = boundaries.filter((_, i) => different.has(i));
        if (few.length > 0) await addSkipped(queries, stateDatabase, tableId, few);
        await moveCopy(queries, stateDatabase, tableId, { after: upTo });
      });
      return;
    } catch (error) {
      if (!isPassing(error) || context.signal.aborted) throw error;
      context.beat();
      await sleep(20);
    }
  }
}

/** A key of a store that was no key of a row when its chunk was read is an orphan, or a row that is newer than that. */
async function holdNothingElse(
  context: CopyContext,
  stores: readonly CopyStore[],
  target: Target,
  ofRows: KeySetDigest,
): Promise<boolean> {
  for (const store of stores) {
    const held = new KeySetDigest();
    for await (const keys of store.scanKeys(target, context.definition)) {
      if (context.signal.aborted) return false;
      context.beat();
      for (const key of keys) held.add(key);
    }
    if (held.text !== ofRows.text) return false;
  }
  return true;
}
