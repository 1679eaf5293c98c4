/** Tables that changed under the policy `pause`: the stores leave them alone until an operator resumes them. */
import { warning, type Problem } from '../core/problem.js';
import { describeChanges } from '../core/schemaChange.js';
import type { Mysql } from '../stores/mysql/connection.js';
import { readChanges, readSchemas } from '../stores/mysql/schemaHistory.js';

export interface HeldTable {
  readonly table: string;
  readonly problem: Problem;
}

export async function heldTables(mysql: Mysql): Promise<readonly HeldTable[]> {
  const { stateDatabase } = mysql.config;
  const held = [...(await readSchemas(mysql, stateDatabase))].filter(([, { heldBy }]) => heldBy !== null);
  return Promise.all(
    held.map(async ([table, { heldBy }]) => {
      const changes = await readChanges(mysql, stateDatabase, { table, limit: 100 });
      const since = changes.filter(({ id }) => id >= (heldBy ?? 0)).toReversed();
      const what = describeChanges(since.flatMap((change) => change.changes));
      return {
        table,
        problem: warning('LS-SCHEMA-HELD', `table ${table} changed (${what}); the stores leave it alone`),
      };
    }),
  );
}
