/** How many rows the next chunk of a copy takes: as many as hold their locks for about the target. Pure. */

export const firstChunkRows = 200;
export const mostChunkRows = 20_000;

/** Halves after a chunk that took too long, doubles after one that took less than half of the target. */
export function nextChunkRows(rows: number, heldMs: number, targetMs: number): number {
  if (heldMs > targetMs) return Math.max(1, Math.floor(rows / 2));
  if (heldMs < targetMs / 2) return Math.min(mostChunkRows, rows * 2);
  return rows;
}

/** After a chunk that had to be broken off. */
export function smallerChunkRows(rows: number): number {
  return Math.max(1, Math.floor(rows / 8));
}
