/** Foreign keys whose CASCADE or SET NULL changes rows of another table. */
import { asText } from './cell.js';
import type { Queries } from './connection.js';

export interface CascadingKey {
  readonly child: string;
  readonly parentDatabase: string;
  readonly parent: string;
  readonly onDelete: boolean;
  readonly onUpdate: boolean;
}

/** Those of the database's tables. */
export async function readCascadingKeys(queries: Queries, database: string): Promise<readonly CascadingKey[]> {
  const rows = await queries.rows(
    `SELECT TABLE_NAME, UNIQUE_CONSTRAINT_SCHEMA, REFERENCED_TABLE_NAME, DELETE_RULE, UPDATE_RULE
       FROM information_schema.REFERENTIAL_CONSTRAINTS
      WHERE CONSTRAINT_SCHEMA = ?
        AND (DELETE_RULE IN ('CASCADE', 'SET NULL', 'SET DEFAULT') OR UPDATE_RULE IN ('CASCADE', 'SET NULL', 'SET DEFAULT'))`,
    [database],
  );
  const acts = (rule: string): boolean => rule === 'CASCADE' || rule.startsWith('SET');
  return rows.map((row) => ({
    child: asText(row[0]),
    parentDatabase: asText(row[1]),
    parent: asText(row[2]),
    onDelete: acts(asText(row[3])),
    onUpdate: acts(asText(row[4])),
  }));
}

/** Tables whose rows a change of the parent may change, and theirs in turn. */
export function descendantsOf(keys: readonly CascadingKey[], database: string, parent: string): readonly string[] {
  const found = new Set<string>();
  const visit = (of: string, within: string): void => {
    for (const { child, parent: name, parentDatabase } of keys) {
      if (name !== of || parentDatabase !== within || found.has(child)) continue;
      found.add(child);
      visit(child, database);
    }
  };
  visit(parent, database);
  return [...found];
}
