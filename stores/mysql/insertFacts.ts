/** What of a table decides which columns a file must give, and in which order tables are loaded. */
import type { InsertFacts } from '../../core/ingestColumns.js';
import { asText, asTextOrNull } from './cell.js';
import type { Queries } from './connection.js';

export async function readInsertFacts(queries: Queries, database: string, table: string): Promise<InsertFacts> {
  const rows = await queries.rows(
    `SELECT COLUMN_NAME, IS_NULLABLE, COLUMN_DEFAULT, EXTRA FROM information_schema.COLUMNS
      WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION`,
    [database, table],
  );
  const columns = rows.map((row) => ({
    name: asText(row[0]),
    nullable: asText(row[1]) === 'YES',
    hasDefault: asTextOrNull(row[2] ?? null) !== null,
    extra: (asTextOrNull(row[3] ?? null) ?? '').toLowerCase(),
  }));
  const auto = columns.find(({ extra }) => extra.includes('auto_increment'));
  const required = columns.filter(
    ({ nullable, hasDefault, extra }) => !nullable && !hasDefault && !/auto_increment|generated/.test(extra),
  );
  return { autoIncrement: auto?.name ?? null, required: required.map(({ name }) => name) };
}

/** For each table those of `tables` that its foreign keys name, itself left out. */
export async function readParents(
  queries: Queries,
  database: string,
  tables: readonly string[],
): Promise<ReadonlyMap<string, readonly string[]>> {
  const rows = await queries.rows(
    `SELECT DISTINCT TABLE_NAME, REFERENCED_TABLE_NAME FROM information_schema.REFERENTIAL_CONSTRAINTS
      WHERE CONSTRAINT_SCHEMA = ? AND UNIQUE_CONSTRAINT_SCHEMA = ?`,
    [database, database],
  );
  const parents = new Map<string, string[]>(tables.map((table) => [table, []]));
  for (const row of rows) {
    const [child, parent] = [asText(row[0]), asText(row[1])];
    if (child !== parent && tables.includes(parent)) parents.get(child)?.push(parent);
  }
  return parents;
}
