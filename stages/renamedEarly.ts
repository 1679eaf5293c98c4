/**
 * Tables that were renamed between the notice that they are there and the making of their triggers, which else tell a rename.
 * A table that is known by no name, and yet is older than the notice of one that is gone and had its very columns, is that one.
 */
import { definitionHash } from '../core/definition.js';
import type { TableFilter } from '../core/glob.js';
import type { Mysql } from '../stores/mysql/connection.js';
import { createdAt } from '../stores/mysql/definitions.js';
import { lastNoticedAt } from '../stores/mysql/schemaHistory.js';
import { leftOut } from '../stores/mysql/eligibility.js';
import type { Source } from './tablePlan.js';

/** New name → old name. Two that it could be are told as dropped and created: it is read only by people. */
export async function readRenamedEarly(
  mysql: Mysql,
  source: Omit<Source, 'renamedEarly'>,
  filter: TableFilter,
): Promise<ReadonlyMap<string, string>> {
  const pairs = candidates(source, filter);
  if (pairs.length === 0) return new Map();
  const { database, stateDatabase } = mysql.config;
  const created = await createdAt(
    mysql,
    database,
    pairs.map(({ to }) => to),
  );
  const noticed = await lastNoticedAt(
    mysql,
    stateDatabase,
    pairs.map(({ from }) => from),
  );
  const found = pairs.filter(({ from, to }) => (created.get(to) ?? Infinity) <= (noticed.get(from) ?? -Infinity));
  const single = found.filter(
    (pair) => found.filter((other) => other.from === pair.from || other.to === pair.to).length === 1,
  );
  return new Map(single.map(({ from, to }) => [to, from]));
}

interface Pair {
  readonly from: string;
  readonly to: string;
}

/** Pure: a table that is gone whose triggers did not stand yet, and a stranger of the same definition, to be captured. */
function candidates(
  { tables, schemas, captured, waiting }: Omit<Source, 'renamedEarly'>,
  filter: TableFilter,
): readonly Pair[] {
  const there = new Set(tables.map(({ definition }) => definition.table));
  const strangers = tables.filter((facts) => !schemas.has(facts.definition.table) && leftOut(facts, filter) === null);
  if (strangers.length === 0) return [];
  const withTriggers = new Set(captured.filter(({ id }) => !waiting.has(id)).map(({ name }) => name));
  return [...schemas].flatMap(([from, { definition: hash }]) => {
    if (there.has(from) || withTriggers.has(from)) return [];
    return strangers
      .filter(({ definition }) => definitionHash({ ...definition, table: from }) === hash)
      .map(({ definition }) => ({ from, to: definition.table }));
  });
}
