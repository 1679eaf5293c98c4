/** What the captured tables ask of the stores besides rows, and bringing the stores to it. */
import { configuredStores, type Config } from '../core/config.js';
import type { Definition } from '../core/definition.js';
import { LockstepError } from '../core/errors.js';
import { warning } from '../core/problem.js';
import type { OpenProblem } from '../core/status.js';
import type { Store, StoreName } from '../core/store.js';
import type { TableForm, Unprepared } from '../core/tableForm.js';
import { targetOf } from '../core/target.js';
import type { Mysql } from '../stores/mysql/connection.js';
import { readIndexes } from '../stores/mysql/indexes.js';
import { readCapturedTables, readDefinitionsOf } from '../stores/mysql/state.js';

export interface FormsDeps {
  readonly config: Config;
  readonly mysql: Mysql;
}

/** Of the captured tables that `takes` names. */
export async function readTableForms(
  { config, mysql }: FormsDeps,
  takes: (table: string) => boolean = () => true,
): Promise<readonly TableForm[]> {
  const { stateDatabase } = config.mysql;
  const captured = (await readCapturedTables(mysql, stateDatabase)).filter(({ name }) => takes(name));
  const known = await readDefinitionsOf(
    mysql,
    stateDatabase,
    captured.map(({ definition }) => definition),
  );
  const definitions = captured.flatMap(({ definition }) => known.get(definition) ?? []);
  const mirrored = definitions.filter(({ table }) => settingOf(config, table, 'indexes') === 'mirror');
  const indexes = await readIndexes(mysql, mirrored);
  return definitions.map((definition) => formOf(config, definition, indexes.get(definition.table) ?? null));
}

function formOf(config: Config, definition: Definition, indexes: TableForm['indexes']): TableForm {
  const { table } = definition;
  return {
    target: targetOf(table, config),
    definition,
    validators: settingOf(config, table, 'validators') ?? 'error',
    indexes,
  };
}

function settingOf<S extends 'validators' | 'indexes'>(
  { schema, overrides }: Pick<Config, 'schema' | 'overrides'>,
  table: string,
  setting: S,
): NonNullable<Config['schema']>[S] | undefined {
  const override = Object.hasOwn(overrides, table) ? overrides[table]?.schema?.[setting] : undefined;
  return override ?? schema?.[setting];
}

type PrepareDeps = FormsDeps & { readonly stores: readonly Pick<Store, 'name' | 'prepareTables'>[] };

/** What the stores could not be brought to, for `status`. */
export async function prepareStores(
  deps: PrepareDeps,
  isPaused: (table: string) => boolean,
): Promise<readonly OpenProblem[]> {
  const found = await bringStores(deps, isPaused);
  return found.map(({ table, reason, store }) => ({ ...warning('LS-SCHEMA-STORE', reason), table, store }));
}

/**
 * Every store as far as it can be brought. A store that does not answer is told by others, and caught up with at the next
 * look.
 */
export async function bringStores(
  deps: PrepareDeps,
  isPaused: (table: string) => boolean,
): Promise<readonly (Unprepared & { readonly store: StoreName })[]> {
  if (!configuredStores(deps.config).includes('mongo')) return [];
  const forms = await readTableForms(deps, (table) => !isPaused(table));
  const unprepared: (Unprepared & { readonly store: StoreName })[] = [];
  for (const store of deps.stores) {
    try {
      for (const found of await store.prepareTables(forms)) unprepared.push({ ...found, store: store.name });
    } catch (error) {
      if (!(error instanceof LockstepError) || !error.retryable) throw error;
    }
  }
  return unprepared;
}
