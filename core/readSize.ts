/**
 * How many rows one read takes: as many as make some hundred kilobytes. Where a row may be large it begins with a few, so
 * that a table of documents of megabytes is swept in the memory that one of numbers takes.
 */
import type { Definition } from './definition.js';
import type { SourceRow } from './store.js';

const wantedBytes = 1024 * 1024;
const fewRows = 20;
/** Rows grow wide at once: what was met says little of what comes. */
const mostGrowth = 4;

export class ReadSize {
  #rows: number;

  constructor(definition: Definition) {
    this.#rows = definition.columns.some(({ type, length }) => isOpen(type) || (length ?? 0) > 4_000)
      ? fewRows
      : Infinity;
  }

  rows(allowed: number): number {
    return Math.max(1, Math.min(allowed, Math.floor(this.#rows)));
  }

  /** What the last read took. */
  met(rows: readonly SourceRow[]): void {
    if (rows.length === 0) return;
    const bytes = rows.reduce((sum, { row }) => sum + row.length, 0);
    const fitting = (rows.length * wantedBytes) / Math.max(1, bytes);
    this.#rows = Math.min(fitting, Math.max(rows.length, 1) * mostGrowth);
  }
}

/** Types whose values may be of any length. */
function isOpen(type: string): boolean {
  return /(?:text|blob|json|geom|point|line|polygon)/.test(type);
}
