/**
 * Notices within seconds that tables, columns, keys, indexes or triggers of the source are not what they were, by a
 * fingerprint that MySQL computes. It decides nothing: a look at the tables follows, and finds what it is.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Mysql } from '../stores/mysql/connection.js';
import { schemaFingerprint } from '../stores/mysql/schemaFingerprint.js';

/** What a process saw last; null before it saw anything. */
export interface Seen {
  fingerprint: string | null;
}

export function nothingSeen(): Seen {
  return { fingerprint: null };
}

/** A change is noticed at most this much later, plus the time of one fingerprint. */
const everyMs = 2_000;
/** In a database of thousands of tables a fingerprint takes a while: it is not asked for more than a tenth of the time. */
const mostShare = 0.1;
const longestMs = 4_000;

/** Until the abort. The first fingerprint of a process is news as well: what changed before it is not known. */
export async function watchDefinitions(
  { mysql }: { readonly mysql: Mysql },
  seen: Seen,
  signal: AbortSignal,
  onChange: () => Promise<void>,
): Promise<void> {
  while (!signal.aborted) {
    const began = performance.now();
    const fingerprint = await schemaFingerprint(mysql).catch(notAnswered);
    if (signal.aborted) return;
    if (fingerprint !== null && fingerprint !== seen.fingerprint) {
      await onChange();
      seen.fingerprint = fingerprint;
    }
    const pause = Math.max(everyMs, Math.min(longestMs, (performance.now() - began) / mostShare));
    await sleep(pause, undefined, { signal }).catch(() => undefined);
  }
}

/** The stream beside it and every look fail by the same cause, and say so. */
function notAnswered(): null {
  return null;
}
