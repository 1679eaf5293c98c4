/**
 * What has to be done so that exactly the selected tables are captured, from what the source looks like now and what is
 * recorded. Pure.
 */
import { definitionHash, type Definition, type DefinitionHash } from '../core/definition.js';
import type { TableFilter } from '../core/glob.js';
import type { CopyReason } from '../stores/mysql/copies.js';
import { changesRows } from '../stores/mysql/definitionChange.js';
import { leftOut, type LeftOut, type TableFacts } from '../stores/mysql/eligibility.js';
import type { CapturedTable } from '../stores/mysql/state.js';
import { compareTriggers, isSettled, type InstalledTrigger } from '../stores/mysql/triggerState.js';
import { isOurName, triggersOf, writesTo } from '../stores/mysql/triggers.js';

/** What is there now. */
export interface Source {
  readonly tables: readonly TableFacts[];
  readonly triggers: ReadonlyMap<string, readonly InstalledTrigger[]>;
  readonly captured: readonly CapturedTable[];
  /** Of the captured tables, where it is not the current one. */
  readonly definitions: ReadonlyMap<DefinitionHash, Definition>;
  /** Ids of tables whose copy waits for its triggers. */
  readonly waiting: ReadonlySet<number>;
  readonly definer: string;
}

export interface TableWork {
  readonly definition: Definition;
  /** Null for a table that was not captured before. */
  readonly id: number | null;
  /** Null where nothing was missed and rows look the same as before. */
  readonly copy: CopyReason | null;
}

export interface TablePlan {
  readonly definer: string;
  readonly leftOut: readonly LeftOut[];
  /** Selected tables whose triggers, definition or record are not as they should be. */
  readonly work: readonly TableWork[];
  /** Captured tables that are not selected any more, or gone. */
  readonly removed: readonly CapturedTable[];
  /** Our triggers on tables that are not selected, by name. */
  readonly strayTriggers: readonly string[];
}

export function planTables(source: Source, filter: TableFilter, stateDatabase: string): TablePlan {
  const selected = source.tables.filter((facts) => leftOut(facts, filter) === null).map((facts) => facts.definition);
  const names = new Set(selected.map((definition) => definition.table));
  const byName = new Map(source.captured.map((table) => [table.name, table]));
  return {
    definer: source.definer,
    leftOut: source.tables.flatMap((facts) => leftOut(facts, filter) ?? []),
    work: selected.flatMap((definition) => tableWork(source, definition, byName.get(definition.table), stateDatabase)),
    removed: source.captured.filter((table) => !names.has(table.name)),
    strayTriggers: [...source.triggers]
      .filter(([table]) => !names.has(table))
      .flatMap(([, triggers]) => triggers.filter((t) => isOurName(t.name) && writesTo(t.body, stateDatabase)))
      .map((trigger) => trigger.name),
  };
}

function tableWork(
  source: Source,
  definition: Definition,
  captured: CapturedTable | undefined,
  stateDatabase: string,
): readonly TableWork[] {
  if (captured === undefined) return [{ definition, id: null, copy: 'new-table' }];
  const scope = { stateDatabase, tableId: captured.id, definer: source.definer };
  const installed = source.triggers.get(definition.table) ?? [];
  const difference = compareTriggers(definition.table, triggersOf(definition, scope), installed, stateDatabase);
  const before = source.definitions.get(captured.definition);
  const sameDefinition = captured.definition === definitionHash(definition);
  if (isSettled(difference) && sameDefinition && !source.waiting.has(captured.id)) return [];
  const changed = !sameDefinition && (before === undefined || changesRows(before, definition));
  const copy = difference.gap ? 'trigger-gap' : changed ? 'columns-changed' : null;
  return [{ definition, id: captured.id, copy }];
}
