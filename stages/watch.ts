/**
 * Holds what is installed against what should be, at every look: triggers that were dropped or altered are put back, new
 * and changed tables are taken in, vanished ones are let go, and what changed is recorded in the history. Where changes may
 * have escaped meanwhile, a copy is due before the trigger is back, so that no crash can forget it.
 */
import { LockstepError } from '../core/errors.js';
import { problemsAsError, type Problem } from '../core/problem.js';
import type { LeftOut } from '../stores/mysql/eligibility.js';
import { readServer } from '../stores/mysql/server.js';
import { readMeta } from '../stores/mysql/state.js';
import { suspendAtLimit } from './changeLogLimit.js';
import { heldTables, type HeldTable } from './heldTables.js';
import { metaProblems } from './install.js';
import { noticesOf, recordNotices } from './schemaNotices.js';
import { planOf, readSource, type TablesDeps } from './tableSource.js';
import { settleTables, type Settled } from './tables.js';

export interface WatchReport extends Settled {
  /** The change log is at its limit: nothing was put back. */
  readonly suspended: Problem | null;
  readonly leftOut: readonly LeftOut[];
  /** Tables that the stores leave alone until they are resumed, because they changed. */
  readonly held: readonly HeldTable[];
}

/** A look comes back in seconds: what is held longer is tried at the next one. */
const patienceMs = 1_000;

/** One look. Throws LS-NOT-INSTALLED when the state database is gone, LS-SOURCE-CHANGED on another server. */
export async function watchTriggers(deps: TablesDeps, beat?: () => void): Promise<WatchReport> {
  const { mysql, config } = deps;
  await refuseAnotherSource(deps);
  const source = await readSource(deps);
  const plan = planOf(deps, source);
  const { leftOut } = plan;
  const suspended = await suspendAtLimit(deps, beat);
  await recordNotices(mysql, noticesOf(source, plan, config, false));
  // A table that has to be left alone first is settled at the next look.
  const settled =
    suspended === null
      ? await settleTables({ patienceMs, ...deps }, plan, beat)
      : { copies: [], changed: [], removed: [], problems: [] };
  return { ...settled, suspended, leftOut, held: await heldTables(mysql) };
}

/**
 * The first step of a look, alone: what changed enters the history, however long a look may take that is under way. Throws as
 * `watchTriggers` does.
 */
export async function noticeChanges(deps: TablesDeps): Promise<void> {
  await refuseAnotherSource(deps);
  // Whether the stores leave a table alone decides what follows, which is the look's affair.
  const noticing = { ...deps, isPaused: () => true };
  const source = await readSource(noticing);
  const notices = noticesOf(source, planOf(noticing, source), deps.config, false);
  // What has no definition of its own to be told by would be recorded by both.
  await recordNotices(
    deps.mysql,
    notices.filter(({ again }) => !again),
  );
}

async function refuseAnotherSource(deps: TablesDeps): Promise<void> {
  const { mysql, config } = deps;
  const meta = await readMeta(mysql, config.mysql.stateDatabase);
  if (meta === null) {
    throw new LockstepError('LS-NOT-INSTALLED', `nothing is installed in database ${config.mysql.stateDatabase}`);
  }
  const refusal = problemsAsError(metaProblems(meta, deps, (await readServer(mysql)).serverUuid));
  if (refusal !== undefined) throw refusal;
}
