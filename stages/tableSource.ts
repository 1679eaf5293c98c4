/** What the source's tables are now, beside what is recorded of them, and what is to be done about it. Reads only. */
import type { Config } from '../core/config.js';
import { definitionHash } from '../core/definition.js';
import { withForms } from '../core/forms.js';
import { policyOf } from '../core/schemaPolicy.js';
import { targetOf } from '../core/target.js';
import type { Mysql } from '../stores/mysql/connection.js';
import { readCopies } from '../stores/mysql/copies.js';
import { readTables } from '../stores/mysql/definitions.js';
import { readHeldTables } from '../stores/mysql/ingests.js';
import { readSchemas, type KnownSchema } from '../stores/mysql/schemaHistory.js';
import { readServer } from '../stores/mysql/server.js';
import { readCapturedTables, readDefinitionsOf } from '../stores/mysql/state.js';
import { readTriggerPlaces, readTriggers, withExactBodies } from '../stores/mysql/triggerInstall.js';
import type { InstalledTrigger } from '../stores/mysql/triggerState.js';
import { triggersOf } from '../stores/mysql/triggers.js';
import { readRenamedEarly } from './renamedEarly.js';
import { planTables, wantedDefinition, type Source, type TablePlan } from './tablePlan.js';

export interface TablesDeps {
  readonly config: Config;
  readonly mysql: Mysql;
  /** How long one table's triggers are tried for; then the table is reported, and the next look tries again. */
  readonly patienceMs?: number;
  /** Whether the stores leave the table alone at present; none by default. */
  readonly isPaused?: (table: string) => boolean;
}

export async function readSource(deps: TablesDeps): Promise<Source> {
  const { config, mysql } = deps;
  const { database, stateDatabase } = mysql.config;
  const { listed, tables } = await readMoment(deps);
  const captured = await readCapturedTables(mysql, stateDatabase);
  const { account: definer } = await readServer(mysql);
  const installed = captured.length > 0;
  const schemas = installed ? await readSchemas(mysql, stateDatabase) : new Map<string, KnownSchema>();
  const current = new Set(tables.map(({ definition }) => definitionHash(definition)));
  const cited = [...captured, ...schemas.values()].flatMap(({ definition }) => definition ?? []);
  const outdated = [...new Set(cited)].filter((hash) => !current.has(hash));
  const definitions = await readDefinitionsOf(mysql, stateDatabase, outdated);
  const byName = new Map(captured.map((table) => [table.name, table]));
  const triggers = new Map<string, readonly InstalledTrigger[]>(listed);
  for (const { definition } of tables) {
    const table = byName.get(definition.table);
    const found = listed.get(definition.table);
    if (table === undefined || found === undefined) continue;
    const policy = policyOf(definition.table, config);
    const wanted = wantedDefinition(definition, definitions.get(table.definition), policy);
    const expected = triggersOf(wanted, { stateDatabase, tableId: table.id, definer });
    triggers.set(definition.table, await withExactBodies(mysql, database, found, expected));
  }
  const copies = installed ? await readCopies(mysql, stateDatabase) : [];
  const waiting = new Set(copies.filter((copy) => copy.phase === 'waiting').map((copy) => copy.tableId));
  const loading = await readHeldTables(mysql, stateDatabase);
  const known = { tables, triggers, captured, definitions, schemas, waiting, loading, definer };
  return { ...known, renamedEarly: await readRenamedEarly(mysql, known, config.tables) };
}

/**
 * Triggers before definitions: a table altered in between looks changed at the next look, never settled too early. One that was
 * renamed in between, or got its triggers and was renamed, would be told as another table: then both are read again.
 */
async function readMoment({ config, mysql }: TablesDeps): Promise<{
  readonly listed: ReadonlyMap<string, readonly InstalledTrigger[]>;
  readonly tables: Source['tables'];
}> {
  const { database } = mysql.config;
  for (let round = 1; ; round++) {
    const listed = await readTriggers(mysql, database);
    const facts = await readTables(mysql, database);
    const places = [...listed].flatMap(([table, triggers]) => triggers.map(({ name }) => `${name} ${table}`));
    const now = new Set(await readTriggerPlaces(mysql, database));
    const same = places.length === now.size && places.every((place) => now.has(place));
    if (!same && round < mostRounds) continue;
    return { listed, tables: facts.map((one) => ({ ...one, definition: withForms(one.definition, config) })) };
  }
}

/** Each of them met triggers that came or went; a look that is none the wiser is followed by another. */
const mostRounds = 5;

export async function readPlan(deps: TablesDeps): Promise<TablePlan> {
  return planOf(deps, await readSource(deps));
}

export function planOf(deps: TablesDeps, source: Source): TablePlan {
  const { config, isPaused = () => false } = deps;
  return planTables(source, config.tables, config.mysql.stateDatabase, {
    policyOf: (table) => policyOf(table, config),
    collectionOf: config.mongo === null ? null : (table) => targetOf(table, config).collection,
    isPaused,
  });
}
