/**
 * What `schema apply` would do: each statement, what it changes, how MySQL carries it out, and what follows in triggers and
 * stores. Nothing of the source is touched; statements are tried on empty tables in lockstep's own database.
 */
import { configuredStores, type Config } from '../core/config.js';
import { canonicalDefinition, type Definition } from '../core/definition.js';
import { LockstepError } from '../core/errors.js';
import { withForms } from '../core/forms.js';
import { describeChanges, diffDefinitions } from '../core/schemaChange.js';
import { policyOf, type SchemaPolicy } from '../core/schemaPolicy.js';
import { parseDdl, splitSql, type DdlStatement } from '../core/sqlStatements.js';
import { targetOf } from '../core/target.js';
import type { Mysql } from '../stores/mysql/connection.js';
import { estimateRows } from '../stores/mysql/copyRows.js';
import { changesKey, changesOrder, changesRows } from '../stores/mysql/definitionChange.js';
import { readTables } from '../stores/mysql/definitions.js';
import { leftOut } from '../stores/mysql/eligibility.js';
import { predict, removeScratch, type Algorithm, type Prediction } from '../stores/mysql/scratch.js';
import { readCapturedTables } from '../stores/mysql/state.js';
import { mustHold } from './tablePlan.js';

export interface PlanDeps {
  readonly config: Config;
  /** As lockstep. */
  readonly mysql: Mysql;
}

export interface StatementPlan {
  readonly statement: DdlStatement;
  readonly tables: readonly string[];
  /** Of the first table; empty where nothing that is captured changes. */
  readonly changes: string;
  readonly algorithm: Algorithm | null;
  /** What triggers are to leave out before it runs, because the statement takes it away; null: nothing. */
  readonly without: Definition | null;
  readonly policy: SchemaPolicy;
  readonly steps: readonly string[];
}

/** Throws LS-USAGE for a file that cannot be run, with every reason. */
export function readFile(text: string, database: string): readonly DdlStatement[] {
  let texts: readonly string[];
  try {
    texts = splitSql(text);
  } catch (error) {
    throw new LockstepError(
      'LS-USAGE',
      `the file cannot be read: ${error instanceof Error ? error.message : 'not SQL'}`,
    );
  }
  const parsed = texts.map(parseDdl);
  const refusals = parsed.flatMap((one, i) => {
    const refusal = 'refusal' in one ? one.refusal : elsewhere(one.statement, database);
    return refusal === null ? [] : [`statement ${i + 1} (${short(texts[i] ?? '')}): ${refusal}`];
  });
  if (refusals.length > 0) throw new LockstepError('LS-USAGE', refusals.join('\n'));
  if (parsed.length === 0) throw new LockstepError('LS-USAGE', 'the file holds no statement');
  return parsed.flatMap((one) => ('statement' in one ? [one.statement] : []));
}

function elsewhere({ tables }: DdlStatement, database: string): string | null {
  const other = tables.find((name) => name.database !== null && name.database !== database);
  return other === undefined ? null : `it is for database ${other.database}; this pipeline's is ${database}`;
}

export function short(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ');
  return line.length > 80 ? `${line.slice(0, 79)}…` : line;
}

/** `known`: what earlier statements of the file will have made of tables. */
export async function planStatement(
  { config, mysql }: PlanDeps,
  statement: DdlStatement,
  known: Map<string, Definition | null>,
): Promise<StatementPlan> {
  const { stateDatabase } = config.mysql;
  const tables = [...new Set(statement.tables.map(({ table }) => table))];
  const [table = ''] = tables;
  const isCaptured = (await readCapturedTables(mysql, stateDatabase)).some(({ name }) => name === table);
  const now = known.has(table) ? known.get(table) : await definitionOf(config, mysql, table);
  const common = { statement, tables, policy: policyOf(table, config) };
  const unplanned = { ...common, algorithm: null, without: null };
  switch (statement.kind) {
    case 'drop-table':
      for (const name of tables) known.set(name, null);
      return {
        ...unplanned,
        changes: 'dropped',
        steps: ['the statement', ...tables.map((name) => dropStep(name, policyOf(name, config)))],
      };
    case 'rename-table':
      for (const name of tables) known.set(name, null);
      return {
        ...unplanned,
        changes: `renamed: ${tables.join(', ')}`,
        steps: ['the statement', 'triggers under the new names', 'copies of the renamed tables'],
      };
    case 'create-index':
    case 'drop-index':
      return {
        ...unplanned,
        changes: '',
        steps: ['the statement', 'MongoDB: its indexes follow, where they are mirrored'],
      };
    case 'alter-table':
    case 'create-table':
      break;
  }
  // An earlier statement of this file has to run first, so an empty copy of the table as it is now tells nothing.
  const tellable =
    !known.has(table) && !statement.words.has('SELECT') && (now !== null) === (statement.kind === 'alter-table');
  const found = tellable ? await predicted({ config, mysql }, statement, now !== null) : undefined;
  const after = found?.definition ?? null;
  known.set(table, after);
  const before = now ?? null;
  const changes =
    before === null || after === null
      ? statement.kind === 'create-table'
        ? 'created'
        : ''
      : describeChanges(diffDefinitions(before, after));
  const without = before === null || after === null || !isCaptured ? null : shared(before, after);
  const rows = before === null ? 0 : await estimateRows(mysql, before);
  return {
    ...common,
    changes,
    algorithm: found?.algorithm ?? null,
    without,
    steps: stepsOf(config, { table, before, after, without, rows, isCaptured }),
  };
}

function dropStep(table: string, policy: SchemaPolicy): string {
  return policy === 'evolve'
    ? `the rows of ${table} leave the stores, through the log`
    : `${table} is forgotten; the stores keep its rows (policy ${policy})`;
}

/** Of a statement that has run: only what follows it is left. */
export function hasRunPlan({ config }: Pick<PlanDeps, 'config'>, statement: DdlStatement): StatementPlan {
  const tables = [...new Set(statement.tables.map(({ table }) => table))];
  const policy = policyOf(tables[0] ?? '', config);
  return { statement, tables, changes: '', algorithm: null, without: null, policy, steps: [] };
}

async function definitionOf(config: Config, mysql: Mysql, table: string): Promise<Definition | null> {
  const [facts] = await readTables(mysql, config.mysql.database, table);
  return facts === undefined ? null : withForms(facts.definition, config);
}

async function predicted(
  { config, mysql }: PlanDeps,
  statement: DdlStatement,
  exists: boolean,
): Promise<Prediction | undefined> {
  await removeScratch(mysql);
  try {
    const found = await predict(mysql, config.mysql.database, statement, exists);
    if (found === undefined || found.definition === null) return undefined;
    return { ...found, definition: withForms(found.definition, config) };
  } catch (error) {
    if (!(error instanceof LockstepError)) throw error;
    // What an empty copy may not have: foreign keys need rights on the other table, a name alone a default database.
    if (error.code === 'LS-MYSQL-PRIVILEGE' || error.details['errno'] === 1046) return undefined;
    throw new LockstepError('LS-SCHEMA-APPLY', `${short(statement.text)}: ${error.message}`, { cause: error });
  }
}

/** The columns that are there before and after, as they were: what triggers can name all the while. Null: all of them. */
function shared(before: Definition, after: Definition): Definition | null {
  const names = new Set(after.columns.map(({ name }) => name));
  if (before.columns.every(({ name }) => names.has(name))) return null;
  const columns = before.columns.filter(({ name }) => names.has(name) || before.key.includes(name));
  const shorter = { ...before, columns };
  return canonicalDefinition(shorter) === canonicalDefinition(before) ? null : shorter;
}

function stepsOf(
  config: Config,
  plan: {
    readonly table: string;
    readonly before: Definition | null;
    readonly after: Definition | null;
    readonly without: Definition | null;
    readonly rows: number;
    readonly isCaptured: boolean;
  },
): readonly string[] {
  const { table, before, after, without, rows, isCaptured } = plan;
  const facts = after === null ? null : leftOut({ definition: after, engine: 'InnoDB' }, config.tables);
  if (facts !== null) return ['the statement', `nothing else: ${table} is not captured, ${facts.explanation}`];
  const mongo = configuredStores(config).includes('mongo');
  const { collection } = targetOf(table, config);
  const gone =
    without === null || before === null
      ? []
      : before.columns.filter(({ name }) => !without.columns.some((c) => c.name === name));
  const policy = policyOf(table, config);
  return [
    ...(gone.length === 0 ? [] : [`triggers without ${gone.map(({ name }) => name).join(', ')}`]),
    'the statement',
    before === null || !isCaptured ? 'triggers' : 'triggers of the new definition',
    ...(mongo ? [`MongoDB: collection ${collection} with its validator`] : []),
    consequence(),
  ];

  function consequence(): string {
    const copy = `a copy of about ${rows} rows through the log`;
    if (before === null) return copy;
    if (after === null ? policy === 'pause' : mustHold(before, after, policy)) {
      return 'the table is held: the stores follow after lockstep resume';
    }
    const reordered = after !== null && changesOrder(before, after);
    if (!reordered && after !== null && !changesRows(before, after)) return 'no copy: rows look the same';
    if (!reordered && policy === 'ignore') return 'no copy: the policy is ignore';
    const moved = after !== null && changesKey(before, after);
    return moved ? `what lies under the old key is deleted, then ${copy}` : copy;
  }
}
