/**
 * What has to be done so that exactly the selected tables are captured, from what the source looks like now and what is
 * recorded. Pure.
 */
import { definitionHash, type Definition, type DefinitionHash } from '../core/definition.js';
import type { TableFilter } from '../core/glob.js';
import { keptDefinition, type SchemaPolicy } from '../core/schemaPolicy.js';
import type { CopyReason } from '../stores/mysql/copies.js';
import { changesKey, changesOrder, changesRows } from '../stores/mysql/definitionChange.js';
import { leftOut, type LeftOut, type TableFacts } from '../stores/mysql/eligibility.js';
import type { KnownSchema } from '../stores/mysql/schemaHistory.js';
import type { CapturedTable } from '../stores/mysql/state.js';
import { compareTriggers, isSettled, type InstalledTrigger } from '../stores/mysql/triggerState.js';
import { isOurName, triggersOf, writesTo } from '../stores/mysql/triggers.js';

/** What is there now. */
export interface Source {
  readonly tables: readonly TableFacts[];
  readonly triggers: ReadonlyMap<string, readonly InstalledTrigger[]>;
  readonly captured: readonly CapturedTable[];
  /** Of what is captured and of what the history ends with, where it is not the current one. */
  readonly definitions: ReadonlyMap<DefinitionHash, Definition>;
  /** What the history ends with, by table. */
  readonly schemas: ReadonlyMap<string, KnownSchema>;
  /** Old names by new ones, of tables that changed their names before triggers could go with them. */
  readonly renamedEarly: ReadonlyMap<string, string>;
  /** Ids of tables whose copy waits for its triggers. */
  readonly waiting: ReadonlySet<number>;
  /** Tables that are being loaded directly: their triggers come at the end of it. */
  readonly loading: ReadonlySet<string>;
  readonly definer: string;
}

/** What the configuration and the pipeline say of single tables. */
export interface TableChoices {
  readonly policyOf: (table: string) => SchemaPolicy;
  /** Null without MongoDB. */
  readonly collectionOf: ((table: string) => string) | null;
  /** Whether the stores leave the table alone at present. */
  readonly isPaused: (table: string) => boolean;
}

export interface TableWork {
  /** What triggers are to cite: under `ignore` without the columns that came later. */
  readonly definition: Definition;
  /** Null for a table that was not captured before. */
  readonly id: number | null;
  /** Null where nothing was missed and rows look the same as before. */
  readonly copy: CopyReason | null;
}

export interface TablePlan {
  readonly definer: string;
  /** As they are in the source. */
  readonly selected: readonly Definition[];
  readonly leftOut: readonly LeftOut[];
  /** Selected tables whose triggers, definition or record are not as they should be. */
  readonly work: readonly TableWork[];
  /** Tables whose change waits until the stores leave them alone. */
  readonly toHold: readonly string[];
  /** Captured tables that are not selected any more, or gone. */
  readonly removed: readonly CapturedTable[];
  /** Our triggers on tables that are not selected, by name. */
  readonly strayTriggers: readonly string[];
}

/** Every change is followed; nothing is paused. */
export const followEverything: TableChoices = {
  policyOf: () => 'evolve',
  collectionOf: null,
  isPaused: () => false,
};

export function planTables(
  source: Source,
  filter: TableFilter,
  stateDatabase: string,
  choices: TableChoices = followEverything,
): TablePlan {
  const eligible = source.tables.filter((facts) => leftOut(facts, filter) === null).map((facts) => facts.definition);
  const taken = collectionTaken(eligible, source.captured, choices.collectionOf);
  const selected = eligible.filter(({ table }) => !taken.some((entry) => entry.table === table));
  const names = new Set(selected.map((definition) => definition.table));
  const byName = new Map(source.captured.map((table) => [table.name, table]));
  const changed = selected.flatMap((definition) => {
    const captured = byName.get(definition.table);
    if (captured === undefined) return [{ definition, id: null, copy: 'new-table' } as const];
    return tableWork(source, definition, captured, stateDatabase, choices.policyOf(definition.table)) ?? [];
  });
  const isHeld = (work: TableWork): boolean =>
    !choices.isPaused(work.definition.table) && holds(source, work, byName, choices);
  return {
    definer: source.definer,
    selected,
    leftOut: [...source.tables.flatMap((facts) => leftOut(facts, filter) ?? []), ...taken],
    work: changed.filter((work) => !isHeld(work) && !source.loading.has(work.definition.table)),
    toHold: changed.filter(isHeld).map(({ definition }) => definition.table),
    removed: source.captured.filter((table) => !names.has(table.name)),
    strayTriggers: [...source.triggers]
      .filter(([table]) => !names.has(table))
      .flatMap(([, triggers]) => triggers.filter((t) => isOurName(t.name) && writesTo(t.body, stateDatabase)))
      .map((trigger) => trigger.name),
  };
}

/** What is captured of the table as it is now. A changed key cannot be ignored: rows lie under it. */
export function wantedDefinition(
  definition: Definition,
  before: Definition | undefined,
  policy: SchemaPolicy,
): Definition {
  if (policy !== 'ignore' || before === undefined || changesKey(before, definition)) return definition;
  return keptDefinition(definition, before);
}

/** Whether the table's policy has the stores leave it alone before anything of this change reaches them. */
export function mustHold(before: Definition, now: Definition, policy: SchemaPolicy): boolean {
  switch (policy) {
    case 'evolve':
      return false;
    case 'pause':
      return changesRows(before, now);
    case 'ignore':
      return changesKey(before, now);
  }
}

function holds(
  source: Source,
  work: TableWork,
  captured: ReadonlyMap<string, CapturedTable>,
  { policyOf }: TableChoices,
): boolean {
  const { definition } = work;
  const hash = captured.get(definition.table)?.definition;
  const before = hash === undefined ? undefined : source.definitions.get(hash);
  return before !== undefined && mustHold(before, definition, policyOf(definition.table));
}

function tableWork(
  source: Source,
  definition: Definition,
  captured: CapturedTable,
  stateDatabase: string,
  policy: SchemaPolicy,
): TableWork | null {
  const before = source.definitions.get(captured.definition);
  const wanted = wantedDefinition(definition, before, policy);
  const scope = { stateDatabase, tableId: captured.id, definer: source.definer };
  const installed = source.triggers.get(definition.table) ?? [];
  const difference = compareTriggers(definition.table, triggersOf(wanted, scope), installed, stateDatabase);
  const sameDefinition = captured.definition === definitionHash(wanted);
  if (isSettled(difference) && sameDefinition && !source.waiting.has(captured.id)) return null;
  const follows = policy !== 'ignore' || before === undefined || changesKey(before, wanted);
  const changed =
    !sameDefinition &&
    (before === undefined || (follows && changesRows(before, wanted)) || changesOrder(before, wanted));
  const copy = difference.gap ? 'trigger-gap' : changed ? 'columns-changed' : null;
  return { definition: wanted, id: captured.id, copy };
}

/** Two tables would overwrite each other's documents: whoever was there first stays. */
function collectionTaken(
  eligible: readonly Definition[],
  captured: readonly CapturedTable[],
  collectionOf: TableChoices['collectionOf'],
): readonly LeftOut[] {
  if (collectionOf === null) return [];
  const first = new Set(captured.map(({ name }) => name));
  const owners = new Map<string, string>();
  const taken: LeftOut[] = [];
  for (const { table } of eligible.toSorted((a, b) => Number(first.has(b.table)) - Number(first.has(a.table)))) {
    const collection = collectionOf(table);
    const owner = owners.get(collection);
    if (owner === undefined) owners.set(collection, table);
    else {
      const explanation = `its MongoDB collection ${collection} is that of table ${owner}; set overrides.<table>.mongo.collection of one of them`;
      taken.push({ table, reason: 'collection-taken', explanation });
    }
  }
  return taken;
}
