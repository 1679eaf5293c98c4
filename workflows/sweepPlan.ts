/** Which chunk of rows is swept next: a table's chunks are numbered, and how many there are shows at the last one. Pure but for its own counters. */
import type { LeftOutReason } from '../core/sweep.js';
import type { SweepBegun } from '../stages/sweep.js';
import type { ChunkOutcome } from '../stages/sweepRows.js';

interface PlannedTable {
  readonly name: string;
  readonly chunks: number;
  next: number;
  running: number;
  /** No chunk is left to be begun. */
  through: boolean;
}

export interface RowsPlan {
  readonly tables: readonly PlannedTable[];
  readonly asides: Map<string, LeftOutReason>;
  rows: number;
  drift: number;
  /** Chunks that have ended, whatever came of them. */
  finished: number;
}

export interface Job {
  readonly table: string;
  readonly number: number;
}

export function planOf(tables: SweepBegun['tables']): RowsPlan {
  return {
    tables: tables.map(({ name, chunks, next, through }) => ({ name, chunks, next, running: 0, through })),
    asides: new Map(),
    rows: 0,
    drift: 0,
    finished: 0,
  };
}

/**
 * Beyond the chunks that a table seems to have, one at a time: most have no more. `wait`: what is under way decides. Null:
 * everything has been begun.
 */
export function nextChunk(plan: RowsPlan): Job | 'wait' | null {
  for (const table of plan.tables) {
    if (table.through || (table.next >= table.chunks && table.running > 0)) continue;
    table.running += 1;
    return { table: table.name, number: table.next++ };
  }
  return plan.tables.some(({ running }) => running > 0) && plan.tables.some(({ through }) => !through) ? 'wait' : null;
}

export function sweptBy(plan: RowsPlan, job: Job, outcome: ChunkOutcome): void {
  plan.finished += 1;
  const table = plan.tables.find(({ name }) => name === job.table);
  if (table === undefined) return;
  table.running -= 1;
  switch (outcome.kind) {
    case 'swept':
      plan.rows += outcome.counts.rows;
      plan.drift += outcome.drift;
      if (outcome.last) table.through = true;
      return;
    case 'none':
      table.through = true;
      return;
    case 'aside':
      plan.asides.set(job.table, outcome.reason);
      table.through = true;
      return;
    case 'stopped':
      // Its worker ends; the chunk is begun again.
      table.next = Math.min(table.next, job.number);
      return;
  }
}
