/** Why rows of a table changed without a log row, where the binary log does not say: a look at what is installed now. */
import type { EscapeCause } from '../core/witness.js';
import type { Definition } from '../core/definition.js';
import type { Mysql } from '../stores/mysql/connection.js';
import { hasPrivilege, readGrants } from '../stores/mysql/grants.js';
import { readServer } from '../stores/mysql/server.js';
import { readDefinition, readCapturedTables } from '../stores/mysql/state.js';
import { readTriggers, withExactBodies } from '../stores/mysql/triggerInstall.js';
import { compareTriggers, type InstalledTrigger } from '../stores/mysql/triggerState.js';
import { triggersOf } from '../stores/mysql/triggers.js';
import type { Finding } from './witnessFindings.js';

export interface TableLook {
  /** Null: they are as they should be. */
  readonly triggers: 'trigger-missing' | 'trigger-altered' | null;
  /** Whether the triggers' account may write the change log, as far as can be told. */
  readonly mayLog: boolean;
}

/** Null when the table is not captured any more. */
export async function lookAtTable(mysql: Mysql, table: string): Promise<TableLook | null> {
  const { database, stateDatabase } = mysql.config;
  const captured = (await readCapturedTables(mysql, stateDatabase)).find(({ name }) => name === table);
  if (captured === undefined) return null;
  const definition = await readDefinition(mysql, stateDatabase, captured.definition);
  if (definition === null) return null;
  const { account } = await readServer(mysql);
  const installed = await installedOn(mysql, database, table, definition, captured.id, account);
  const scope = { stateDatabase, tableId: captured.id, definer: account };
  const difference = compareTriggers(table, triggersOf(definition, scope), installed, stateDatabase);
  const grants = await readGrants(mysql);
  return {
    triggers: !difference.gap ? null : difference.altered.length > 0 ? 'trigger-altered' : 'trigger-missing',
    mayLog: hasPrivilege(grants, 'INSERT', stateDatabase, 'change_log'),
  };
}

async function installedOn(
  mysql: Mysql,
  database: string,
  table: string,
  definition: Definition,
  tableId: number,
  definer: string,
): Promise<readonly InstalledTrigger[]> {
  const listed = (await readTriggers(mysql, database, table)).get(table) ?? [];
  const expected = triggersOf(definition, { stateDatabase: mysql.config.stateDatabase, tableId, definer });
  return withExactBodies(mysql, database, listed, expected);
}

export function causeOf(
  look: TableLook,
  { cascaded, withoutRights }: Pick<Finding, 'cascaded' | 'withoutRights'>,
): EscapeCause {
  if (look.triggers !== null) return look.triggers;
  if (!look.mayLog || withoutRights) return 'definer';
  return cascaded ? 'foreign-key' : 'trigger-silent';
}
