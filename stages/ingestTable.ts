/** The table of an ingest as triggers and copies see it: with the forms that the configuration chose for its columns. */
import type { Config } from '../core/config.js';
import type { Definition } from '../core/definition.js';
import { LockstepError } from '../core/errors.js';
import { withForms } from '../core/forms.js';
import type { Mysql } from '../stores/mysql/connection.js';
import { readTables } from '../stores/mysql/definitions.js';

export function definitionOf(config: Config, mysql: Mysql): (table: string) => Promise<Definition> {
  return async (table) => {
    const [facts] = await readTables(mysql, config.mysql.database, table);
    if (facts === undefined) throw new LockstepError('LS-TABLE-UNKNOWN', `there is no table ${table}`);
    return withForms(facts.definition, config);
  };
}
