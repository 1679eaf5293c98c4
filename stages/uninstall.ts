/** Takes lockstep out of MySQL: triggers first, without blocking writers, then its own database. Stores keep their data. */
import { problemsAsError } from '../core/problem.js';
import { hasMigrations } from '../stores/mysql/migrate.js';
import { quoteName } from '../stores/mysql/quote.js';
import { readMeta } from '../stores/mysql/state.js';
import { readTriggers, removeTrigger, triggerSession } from '../stores/mysql/triggerInstall.js';
import { isOurName, writesTo } from '../stores/mysql/triggers.js';
import { metaProblems } from './install.js';
import type { TablesDeps } from './tableSource.js';

export interface UninstallReport {
  readonly triggers: number;
  /** Whether the state database was there. */
  readonly stateDropped: boolean;
}

/** How long one trigger is tried for while long transactions hold its table. */
const patienceMs = 60_000;

/** Safe to repeat. Refuses to take away another pipeline's state; a clone's may go. */
export async function uninstall(deps: TablesDeps, beat: () => void = () => undefined): Promise<UninstallReport> {
  const { mysql, config } = deps;
  const { database, stateDatabase } = config.mysql;
  const meta = await readMeta(mysql, stateDatabase);
  const refusal = meta === null ? undefined : problemsAsError(metaProblems(meta, { ...deps, adoptSource: true }, ''));
  if (refusal !== undefined) throw refusal;
  const session = await triggerSession(mysql);
  try {
    const all = [...(await readTriggers(session, database)).values()].flat();
    const ours = all.filter((trigger) => isOurName(trigger.name) && writesTo(trigger.body, stateDatabase));
    for (const trigger of ours) {
      beat();
      await removeTrigger(mysql, session, trigger.name, Date.now() + patienceMs);
    }
    // An installation that was interrupted before its claim is lockstep's all the same; anyone else's database is not.
    const stateDropped = meta !== null || (await hasMigrations(mysql, stateDatabase));
    if (stateDropped) await mysql.run(`DROP DATABASE IF EXISTS ${quoteName(stateDatabase)}`);
    return { triggers: ours.length, stateDropped };
  } finally {
    session.destroy();
  }
}
