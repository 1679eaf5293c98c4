/**
 * Notices within seconds that tables, columns, keys, indexes or triggers of the source are not what they were, by a
 * fingerprint that MySQL computes. What it was enters the history at once, beside whatever look is under way; what follows is
 * left to a look that it asks for.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { schemaFingerprint } from '../stores/mysql/schemaFingerprint.js';
import type { TablesDeps } from './tableSource.js';
import { noticeChanges } from './watch.js';

/** What a process saw last; null before it saw anything. */
export interface Seen {
  fingerprint: string | null;
}

export function nothingSeen(): Seen {
  return { fingerprint: null };
}

export interface WatchHooks {
  /** False where it was not heard: it is told again. */
  changed(): Promise<boolean>;
  /** MySQL could not be asked, or what changed could not be recorded; tried again at the next turn. */
  failed(error: unknown): void;
}

/** A change is noticed at most this much later, plus the time of one fingerprint and of reading the tables. */
const everyMs = 2_000;
/** In a database of thousands of tables a fingerprint takes a while: it is not asked for more than a tenth of the time. */
const mostShare = 0.1;
const longestMs = 3_500;

/** Until the abort. The first fingerprint of a process is news as well: what changed before it is not known. */
export async function watchDefinitions(
  deps: TablesDeps,
  seen: Seen,
  signal: AbortSignal,
  hooks: WatchHooks,
): Promise<void> {
  while (!signal.aborted) {
    const began = performance.now();
    let took = 0;
    try {
      const fingerprint = await schemaFingerprint(deps.mysql);
      took = performance.now() - began;
      if (signal.aborted) return;
      if (fingerprint !== seen.fingerprint) {
        await noticeChanges(deps);
        if (await hooks.changed()) seen.fingerprint = fingerprint;
      }
    } catch (error) {
      // The stream beside it goes on, or fails by the same cause.
      if (!signal.aborted) hooks.failed(error);
    }
    await sleep(Math.max(everyMs, Math.min(longestMs, took / mostShare)), undefined, { signal }).catch(() => undefined);
  }
}
