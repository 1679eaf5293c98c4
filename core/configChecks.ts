/** What can only be checked with the tables at hand: names in overrides and patterns, and two tables on one collection. */
import type { Config } from './config.js';
import type { Mistake } from './configText.js';
import { matchesGlob, takesTable } from './glob.js';
import { collectionName } from './names.js';
import { nearest } from './suggest.js';

/** `tables`: every base table of the source, whether captured or not. */
export function checkOverrides(
  config: Pick<Config, 'overrides' | 'tables' | 'mongo'>,
  tables: readonly string[],
): Mistake[] {
  const captured = tables.filter((table) => takesTable(config.tables, table));
  return [
    ...unknownOverrides(config, tables),
    ...idlePatterns(config, tables),
    ...(config.mongo === null
      ? []
      : [...sharedCollections(config, captured), ...longNamespaces(config, config.mongo.database, captured)]),
  ];
}

function unknownOverrides(config: Pick<Config, 'overrides'>, tables: readonly string[]): Mistake[] {
  return Object.keys(config.overrides)
    .filter((name) => !tables.includes(name))
    .map((name) => {
      const meant = nearest(name, tables);
      const suggestion = meant === undefined ? '' : ` (did you mean ${meant}?)`;
      return { path: `overrides.${name}`, problem: `names no table${suggestion}; allowed: ${some(tables)}` };
    });
}

/** A plain name that no table has; a pattern may match nothing yet. */
function idlePatterns(config: Pick<Config, 'tables'>, tables: readonly string[]): Mistake[] {
  return config.tables.include.flatMap((pattern, i) => {
    if (pattern.includes('*') || tables.some((table) => matchesGlob(pattern, table))) return [];
    const meant = nearest(pattern, tables);
    const suggestion = meant === undefined ? '' : ` (did you mean ${meant}?)`;
    return [{ path: `tables.include[${i}]`, problem: `names no table${suggestion}; allowed: ${some(tables)}` }];
  });
}

function sharedCollections(config: Pick<Config, 'overrides'>, captured: readonly string[]): Mistake[] {
  const owners = new Map<string, string>();
  const mistakes: Mistake[] = [];
  for (const table of captured) {
    const chosen = config.overrides[table]?.mongo?.collection;
    const collection = chosen ?? collectionName(table);
    const owner = owners.get(collection);
    if (owner === undefined) owners.set(collection, table);
    else {
      const named = chosen === undefined ? owner : table;
      const other = named === table ? owner : table;
      const problem = `is the collection of ${other} too; allowed: one collection a table`;
      mistakes.push({ path: `overrides.${named}.mongo.collection`, problem });
    }
  }
  return mistakes;
}

/** MongoDB's limit of a database's and a collection's name together. */
const longestNamespace = 255;

function longNamespaces(config: Pick<Config, 'overrides'>, database: string, captured: readonly string[]): Mistake[] {
  return captured.flatMap((table) => {
    const collection = config.overrides[table]?.mongo?.collection ?? collectionName(table);
    const bytes = Buffer.byteLength(`${database}.${collection}`);
    if (bytes <= longestNamespace) return [];
    const problem = `has ${bytes} bytes with its database; allowed: ${longestNamespace} together, so give a shorter one`;
    return [{ path: `overrides.${table}.mongo.collection`, problem }];
  });
}

function some(tables: readonly string[]): string {
  if (tables.length === 0) return 'nothing: the database has no table';
  return tables.length > 12 ? `${tables.slice(0, 12).join(', ')}, … (${tables.length} tables)` : tables.join(', ');
}
