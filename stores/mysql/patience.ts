/** Bounds how long one statement may run or wait where MySQL's own limits have whole seconds only. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Mysql, Session } from './connection.js';

/**
 * Kills what the session runs when `ms` have passed: it fails with LS-MYSQL-LOCK-WAIT, and the session stays usable. A
 * kill that comes too late may hit the session's next statement in the same way, so callers try again.
 */
export async function within<T>(mysql: Mysql, session: Session, ms: number, work: () => Promise<T>): Promise<T> {
  const patience = new AbortController();
  const kill = sleep(ms, undefined, { signal: patience.signal }).then(
    () => mysql.run(`KILL QUERY ${session.threadId}`),
    () => undefined,
  );
  try {
    return await work();
  } finally {
    patience.abort();
    // The session may be gone already; then there is nothing to kill.
    await kill.catch(() => undefined);
  }
}
