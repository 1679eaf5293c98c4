/**
 * Holds the schemas of all three stores against each other. MySQL: what is captured against what the tables are now. The
 * stores: against what is captured. Reads only, and needs no worker.
 */
import { definitionHash } from '../core/definition.js';
import { LockstepError } from '../core/errors.js';
import { describeChanges, diffDefinitions } from '../core/schemaChange.js';
import type { Store } from '../core/store.js';
import type { Disagreement } from '../core/tableForm.js';
import { planOf, readSource, type TablesDeps } from './tableSource.js';
import { readTableForms } from './tableForms.js';

export interface CheckDeps extends TablesDeps {
  readonly stores: readonly Pick<Store, 'name' | 'inspectTables'>[];
}

export interface SchemaCheck {
  readonly tables: number;
  readonly disagreements: readonly Disagreement[];
}

/** Entries of each table that are looked at in each store. */
const samples = 100;

export async function checkSchemas(deps: CheckDeps, table?: string): Promise<SchemaCheck> {
  const takes = (name: string): boolean => table === undefined || name === table;
  const forms = await readTableForms(deps, takes);
  if (forms.length === 0) {
    throw table === undefined
      ? new LockstepError('LS-NOT-INSTALLED', `database ${deps.config.mysql.stateDatabase} holds no pipeline`)
      : new LockstepError('LS-TABLE-UNKNOWN', `table ${table} is not captured`, { details: { table } });
  }
  const inStores = await Promise.all(
    deps.stores.map(async (store) => {
      try {
        return await store.inspectTables(forms, samples);
      } catch (error) {
        if (!(error instanceof LockstepError)) throw error;
        return [unreachable(store.name, error)];
      }
    }),
  );
  const inMysql = (await sourceDifferences(deps)).filter((found) => takes(found.table));
  return { tables: forms.length, disagreements: [...inMysql, ...inStores.flat()] };
}

function unreachable(store: Store['name'], error: LockstepError): Disagreement {
  return {
    table: '*',
    store,
    kind: 'unreachable',
    subject: store,
    expected: 'an answer',
    found: `${error.code}: ${error.message}`,
  };
}

/** What the next look would set right, and what a policy keeps from it. */
async function sourceDifferences(deps: TablesDeps): Promise<readonly Disagreement[]> {
  const source = await readSource(deps);
  const plan = planOf(deps, source);
  const captured = new Map(source.captured.map((entry) => [entry.name, entry]));
  const found: Disagreement[] = [];
  const add = (table: string, kind: Disagreement['kind'], subject: string, expected: string, is: string): void => {
    found.push({ table, store: 'mysql', kind, subject, expected, found: is });
  };
  for (const definition of plan.selected) {
    const { table } = definition;
    const entry = captured.get(table);
    if (entry === undefined) {
      add(table, 'table', table, 'captured', 'not captured yet');
      continue;
    }
    const work = plan.work.find((one) => one.definition.table === table);
    // What the policy `ignore` leaves out is no disagreement: the stores hold what they are to hold.
    const awaited =
      plan.toHold.includes(table) || (work !== undefined && entry.definition !== definitionHash(work.definition));
    if (awaited) {
      const before = source.definitions.get(entry.definition);
      const changes =
        before === undefined ? 'another definition' : describeChanges(diffDefinitions(before, definition));
      add(table, 'definition', table, 'what is captured', changes);
    } else if (work !== undefined) {
      const is = work.copy === null ? 'others, or a copy that waits for them' : 'missing or altered ones';
      add(table, 'triggers', table, "the definition's triggers", is);
    }
  }
  for (const { name } of plan.removed)
    add(name, 'table', name, 'a table of the source', 'none, or one that is left out');
  return found;
}
