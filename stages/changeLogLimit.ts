/**
 * The change log never fills MySQL's disk: at `changeLog.maxBytes` the triggers are dropped, so that applications go on,
 * and they stay away until capture has brought the log below half. Then the next look finds them missing, puts them back
 * and has the tables copied, as after any gap. Whether capture is suspended is seen from what is installed.
 */
import { problem, type Problem } from '../core/problem.js';
import { changeLogBytes } from '../stores/mysql/backlog.js';
import { readTriggers, removeTrigger, triggerSession } from '../stores/mysql/triggerInstall.js';
import { isOurName, writesTo } from '../stores/mysql/triggers.js';
import type { TablesDeps } from './tableSource.js';

export type Fill = 'free' | 'over-half' | 'full';

export function fillOf(bytes: number, maxBytes: number): Fill {
  if (bytes >= maxBytes) return 'full';
  return bytes > maxBytes / 2 ? 'over-half' : 'free';
}

/** How long one trigger is tried for while a transaction holds its table; the next look tries again. */
const patienceMs = 2_000;

/** Null: capture may go on. Else triggers are gone or going, and nothing may put them back yet. */
export async function suspendAtLimit(deps: TablesDeps, beat: () => void = () => undefined): Promise<Problem | null> {
  const { mysql, config } = deps;
  const { database, stateDatabase } = config.mysql;
  const { maxBytes } = config.changeLog;
  const bytes = await changeLogBytes(mysql, stateDatabase);
  const fill = fillOf(bytes, maxBytes);
  if (fill === 'free') return null;
  const all = [...(await readTriggers(mysql, database)).values()].flat();
  const ours = all.filter((trigger) => isOurName(trigger.name) && writesTo(trigger.body, stateDatabase));
  if (fill === 'over-half' && ours.length > 0) return null;
  const session = await triggerSession(mysql);
  try {
    for (const trigger of ours) {
      beat();
      await removeTrigger(mysql, session, trigger.name, Date.now() + patienceMs);
    }
  } finally {
    session.destroy();
  }
  const found = `the change log holds ${mebibytes(bytes)} of ${mebibytes(maxBytes)} MiB`;
  return problem('LS-CHANGE-LOG-FULL', `${found}: triggers are dropped until it is below half; then tables are copied`);
}

function mebibytes(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(1);
}
