/** What `lockstep schema` shows: each captured table as it is captured, what the stores expect of it, and its history. */
import { configuredStores, type Config } from '../core/config.js';
import type { Column, Definition } from '../core/definition.js';
import { formLosses } from '../core/forms.js';
import { tableTopic } from '../core/names.js';
import { describeChange, type SchemaChange } from '../core/schemaChange.js';
import { policyOf, type Consequence, type SchemaPolicy } from '../core/schemaPolicy.js';
import type { TableForm, TableIndex } from '../core/tableForm.js';
import type { Mysql } from '../stores/mysql/connection.js';
import { readChanges, readSchemas, type RecordedChange } from '../stores/mysql/schemaHistory.js';
import { readCapturedTables, readDefinitionsOf } from '../stores/mysql/state.js';
import { typesOfColumn } from '../stores/mongo/bsonTypes.js';
import { readTableForms } from './tableForms.js';

export interface ColumnView {
  readonly name: string;
  /** As MySQL prints it, with NOT NULL where it is so. */
  readonly mysql: string;
  /** BSON types by name; null without MongoDB. */
  readonly mongo: string | null;
  readonly inKey: boolean;
}

export interface ChangeView {
  readonly id: number;
  readonly at: string;
  readonly table: string;
  readonly policy: SchemaPolicy;
  readonly consequence: Consequence;
  readonly changes: readonly (SchemaChange & { readonly text: string })[];
}

export interface TableView {
  readonly table: string;
  readonly definition: string;
  readonly policy: SchemaPolicy;
  /** The stores leave it alone because it changed, until `resume`. */
  readonly held: boolean;
  readonly key: readonly string[];
  readonly columns: readonly ColumnView[];
  /** Columns of the source that are not captured, under the policy `ignore`. */
  readonly ignored: readonly string[];
  readonly topic: string;
  readonly mongo: {
    readonly collection: string;
    readonly validator: string;
    readonly indexes: readonly { readonly name: string; readonly columns: string; readonly refusal: string | null }[];
  } | null;
  readonly redis: { readonly key: string; readonly layout: string; readonly ttlMs: number | null } | null;
  /** What the settings give up. */
  readonly losses: readonly string[];
}

export interface SchemaView {
  readonly tables: readonly TableView[];
  /** The newest first. */
  readonly changes: readonly ChangeView[];
}

export interface ViewDeps {
  readonly config: Config;
  readonly mysql: Mysql;
}

/** Of one table, or of all. */
export async function readSchemaView(
  deps: ViewDeps,
  options: { readonly table?: string; readonly limit: number },
): Promise<SchemaView> {
  const { config, mysql } = deps;
  const { stateDatabase } = config.mysql;
  const captured = await readCapturedTables(mysql, stateDatabase);
  if (captured.length === 0) return { tables: [], changes: [] };
  const takes = (table: string): boolean => options.table === undefined || table === options.table;
  const [forms, schemas, changes] = await Promise.all([
    readTableForms(deps, takes),
    readSchemas(mysql, stateDatabase),
    readChanges(mysql, stateDatabase, options),
  ]);
  const hashes = [...schemas.values()].flatMap(({ definition }) => definition ?? []);
  const sources = await readDefinitionsOf(mysql, stateDatabase, hashes);
  const hashOf = new Map(captured.map(({ name, definition }) => [name, definition]));
  const tables = forms.map((form) => {
    const { table } = form.definition;
    const known = schemas.get(table);
    const source = known?.definition === null || known === undefined ? undefined : sources.get(known.definition);
    return tableView(config, form, {
      hash: hashOf.get(table) ?? '',
      held: (known?.heldBy ?? null) !== null,
      source: source ?? form.definition,
    });
  });
  return { tables: tables.toSorted((a, b) => (a.table < b.table ? -1 : 1)), changes: changes.map(changeView) };
}

function tableView(
  config: Config,
  { target, definition, validators, indexes }: TableForm,
  known: { readonly hash: string; readonly held: boolean; readonly source: Definition },
): TableView {
  const { table, database, columns, key } = definition;
  const stores = configuredStores(config);
  const captured = new Set(columns.map(({ name }) => name));
  return {
    table,
    definition: known.hash,
    policy: policyOf(table, config),
    held: known.held,
    key,
    columns: columns.map((column) => columnView(column, definition, stores.includes('mongo'))),
    ignored: known.source.columns.map(({ name }) => name).filter((name) => !captured.has(name)),
    topic: tableTopic(config.kafka.topicPrefix, database, table),
    mongo: stores.includes('mongo')
      ? { collection: target.collection, validator: validators, indexes: (indexes ?? []).map(indexView) }
      : null,
    redis:
      config.redis === null
        ? null
        : {
            key: [config.redis.keyPrefix, table, ...key.map((name) => `<${name}>`)].join(':'),
            layout: target.redis.layout,
            ttlMs: target.redis.ttlMs,
          },
    losses: lossesOf(config, definition, target),
  };
}

function columnView(column: Column, definition: Definition, withMongo: boolean): ColumnView {
  const notes = [
    column.nullable ? '' : ' NOT NULL',
    column.generated ? ' generated' : '',
    column.invisible ? ' invisible' : '',
    column.form === undefined ? '' : ` (${column.form})`,
  ];
  return {
    name: column.name,
    mysql: `${column.columnType}${notes.join('')}`,
    mongo: withMongo ? `${typesOfColumn(column)}${column.nullable ? ' or null' : ''}` : null,
    inKey: definition.key.includes(column.name),
  };
}

function indexView({ name, columns, refusal }: TableIndex): NonNullable<TableView['mongo']>['indexes'][number] {
  const text = columns.map((column) => `${column.name}${column.descending ? ' desc' : ''}`).join(', ');
  return { name, columns: text, refusal };
}

function lossesOf(config: Config, definition: Definition, target: TableForm['target']): readonly string[] {
  const losses = [
    ...formLosses(definition).map(({ column, loss }) => `${column}: ${loss}`),
    ...definition.columns
      .filter(({ expression }) => expression?.includes('\\') === true)
      .map(
        ({ name }) => `${name}: MySQL computes another value in sessions with NO_BACKSLASH_ESCAPES (its expression)`,
      ),
  ];
  if (config.redis === null) return losses;
  const nullable = definition.columns.filter((column) => column.nullable).map(({ name }) => name);
  if (target.redis.layout === 'hash' && nullable.length > 0) {
    losses.push(`Redis: NULL in ${nullable.join(', ')} is an absent field (layout: hash)`);
  }
  if (target.redis.ttlMs !== null)
    losses.push(`Redis: keys expire ${target.redis.ttlMs / 1000} s after the change (ttl)`);
  return losses;
}

function changeView(change: RecordedChange): ChangeView {
  const { id, table, policy, consequence, noticedAt } = change;
  return {
    id,
    at: new Date(noticedAt).toISOString(),
    table,
    policy,
    consequence,
    changes: change.changes.map((one) => ({ ...one, text: describeChange(one) })),
  };
}
