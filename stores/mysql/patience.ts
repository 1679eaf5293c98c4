/** Bounds how long one statement may run or wait where MySQL's own limits have whole seconds only. */
import { setTimeout as sleep } from 'node:timers/promises';
import { asCount, asTextOrNull } from './cell.js';
import type { Mysql, Session } from './connection.js';

/**
 * Kills what the session runs when `ms` have passed: it fails with LS-MYSQL-LOCK-WAIT, and the session stays usable. A
 * kill that comes too late may hit the session's next statement in the same way, so callers try again.
 */
export function within<T>(mysql: Mysql, session: Session, ms: number, work: () => Promise<T>): Promise<T> {
  return supervised(work, async (done) => {
    await sleep(ms, undefined, { signal: done });
    await kill(mysql, session);
  });
}

/** Kills what the session runs only where it waits for a metadata lock; a statement that works is left to its end. */
export function givingWay<T>(mysql: Mysql, session: Session, ms: number, work: () => Promise<T>): Promise<T> {
  return supervised(work, async (done) => {
    for (;;) {
      await sleep(ms, undefined, { signal: done });
      if (await waitsForMetadata(mysql, session)) await kill(mysql, session);
    }
  });
}

/**
 * The same for a statement that may work for hours: it gives way while it waits for its first metadata lock. What it waits for
 * later, at the end of its work, is not worth that work.
 */
export function givingWayAtFirst<T>(mysql: Mysql, session: Session, ms: number, work: () => Promise<T>): Promise<T> {
  return supervised(work, async (done) => {
    do {
      await sleep(ms, undefined, { signal: done });
      if (!(await waitsForMetadata(mysql, session))) return;
      await kill(mysql, session);
    } while (!done.aborted);
  });
}

async function supervised<T>(work: () => Promise<T>, watch: (done: AbortSignal) => Promise<void>): Promise<T> {
  const done = new AbortController();
  // It ends by the abort, or because the server cannot be reached: then the statement itself fails as well.
  const watching = watch(done.signal).catch(() => undefined);
  try {
    return await work();
  } finally {
    done.abort();
    await watching;
  }
}

async function waitsForMetadata(mysql: Mysql, session: Session): Promise<boolean> {
  const processes = await mysql.rows('SHOW PROCESSLIST');
  const own = processes.find((row) => asCount(row[0]) === session.threadId);
  return /metadata lock/i.test(asTextOrNull(own?.[6] ?? null) ?? '');
}

async function kill(mysql: Mysql, session: Session): Promise<void> {
  await mysql.run(`KILL QUERY ${session.threadId}`);
}
