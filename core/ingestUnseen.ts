/**
 * How long a file that no worker sees is waited for. Before anything was read it is most often a wrong path, or a worker that
 * was not started: 15 s. A file that somebody has read from is somewhere; its machine may be starting again: an hour. Pure.
 */

const often = { times: 60, everyMs: 250 };
const seldom = { times: 720, everyMs: 5_000 };

/**
 * Milliseconds until the workers are asked once more; null: no more. asked: how often in a row one answered that it does not
 * see the file. read: a worker has read from it.
 */
export function pauseBeforeAsking(asked: number, read: boolean): number | null {
  if (asked < often.times) return often.everyMs;
  return read && asked < often.times + seldom.times ? seldom.everyMs : null;
}
