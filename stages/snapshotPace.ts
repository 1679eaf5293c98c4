/** How many rows the next chunk of a copy takes: as many as hold their locks for about the target. Pure. */

export const firstChunkRows = 200;
export const mostChunkRows = 20_000;
/** What the best pace may hold a chunk up to: beyond, rows that have become wide would keep their locks for long. */
export const busyChunkRows = 500;

/**
 * Halves after a chunk that took too long, doubles after one that took less than half of the target. Never fewer rows than
 * fit into the target at the best pace seen: on a busy machine the round trips alone take longer, and fewer rows would
 * not make them shorter (a copy crept at five rows a second under a load of 16 on two cores).
 */
export function nextChunkRows(rows: number, heldMs: number, targetMs: number, bestMsPerRow = Infinity): number {
  if (heldMs > targetMs) {
    const fit = Math.min(rows, busyChunkRows, Math.floor(targetMs / bestMsPerRow));
    return Math.max(1, Math.floor(rows / 2), fit);
  }
  if (heldMs < targetMs / 2) return Math.min(mostChunkRows, rows * 2);
  return rows;
}

/** After a chunk that had to be broken off. */
export function smallerChunkRows(rows: number): number {
  return Math.max(1, Math.floor(rows / 8));
}
