/** What differs between the triggers that a table should have and those it has. Pure. */
import { isOurName, triggerSqlMode, writesTo, type Trigger } from './triggers.js';

/** As information_schema shows it. */
export interface InstalledTrigger extends Trigger {
  readonly timing: string;
  readonly sqlMode: string;
  readonly characterSet: string;
  readonly collation: string;
}

export interface TriggerDifference {
  readonly table: string;
  /** Not there: changes since it went were not logged, unless an older version of ours still stands. */
  readonly missing: readonly Trigger[];
  /** There under its name, but with another text or other settings: what it logged cannot be trusted. */
  readonly altered: readonly Trigger[];
  /** Names of ours that are not expected on this table: earlier versions, or those of a renamed table. */
  readonly stray: readonly string[];
  /** Whether changes may have escaped: an event without any trustworthy trigger of this table. */
  readonly gap: boolean;
}

export function isSettled(difference: TriggerDifference): boolean {
  return difference.missing.length === 0 && difference.altered.length === 0 && difference.stray.length === 0;
}

/** installed: every trigger of the table, in any order; the application's own are ignored. */
export function compareTriggers(
  table: string,
  expected: readonly Trigger[],
  installed: readonly InstalledTrigger[],
  stateDatabase: string,
): TriggerDifference {
  const ours = installed.filter((t) => isOurName(t.name) && writesTo(t.body, stateDatabase));
  const byName = new Map(installed.map((t) => [t.name, t]));
  const missing = expected.filter((t) => !byName.has(t.name));
  const altered = expected.filter((t) => {
    const found = byName.get(t.name);
    return found !== undefined && !matches(t, found);
  });
  const wanted = new Set(expected.map((t) => t.name));
  const stray = ours.filter((t) => !wanted.has(t.name)).map((t) => t.name);
  const covered = new Set(
    ours
      .filter((t) => t.sqlMode === triggerSqlMode && t.timing === 'AFTER' && sameTable(t.name, expected))
      .map((t) => t.event),
  );
  const gap = altered.length > 0 || missing.some((t) => !covered.has(t.event));
  return { table, missing, altered, stray, gap };
}

/** Triggers that another state database put on the table: two pipelines must not capture one table twice unknowingly. */
export function foreignTriggers(
  installed: readonly InstalledTrigger[],
  stateDatabase: string,
): readonly InstalledTrigger[] {
  return installed.filter((t) => isOurName(t.name) && !writesTo(t.body, stateDatabase));
}

function matches(expected: Trigger, found: InstalledTrigger): boolean {
  return (
    found.table === expected.table &&
    found.event === expected.event &&
    found.timing === 'AFTER' &&
    found.body === expected.body &&
    found.definer === expected.definer &&
    found.sqlMode === triggerSqlMode &&
    found.characterSet === 'utf8mb4'
  );
}

/** An earlier version logs under the same table id; a renamed table's trigger logs under another. */
function sameTable(name: string, expected: readonly Trigger[]): boolean {
  const id = (text: string): string | undefined => text.split('_')[1];
  return expected.some((t) => id(t.name) === id(name));
}
