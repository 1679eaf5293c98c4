/** What an ingest needs beyond the rights of a pipeline: asked before the files are read, so that nothing fails half-way. */
import { LockstepError } from '../core/errors.js';
import type { IngestMode } from '../core/ingest.js';
import { asText } from '../stores/mysql/cell.js';
import { quotedAccount } from '../stores/mysql/check.js';
import type { Mysql } from '../stores/mysql/connection.js';
import { hasOnColumns, hasPrivilege, readGrants } from '../stores/mysql/grants.js';
import { quoteTable } from '../stores/mysql/quote.js';

export interface WantedRights {
  readonly table: string;
  readonly mode: IngestMode;
  readonly makesTable: boolean;
}

/** Throws LS-MYSQL-PRIVILEGE with the GRANT that is missing. */
export async function refuseMissingRights(mysql: Mysql, { table, mode, makesTable }: WantedRights): Promise<void> {
  const { database } = mysql.config;
  const grants = await readGrants(mysql);
  const needed = ['INSERT', ...(mode === 'insert' ? [] : ['UPDATE']), ...(makesTable ? ['CREATE'] : [])];
  // Those on columns may be enough: MySQL tells at the first row.
  const missing = needed.filter(
    (privilege) =>
      !hasPrivilege(grants, privilege, database, table) && !hasOnColumns(grants, privilege, database, table),
  );
  if (missing.length === 0) return;
  const [row] = await mysql.rows('SELECT CURRENT_USER()');
  const account = quotedAccount(asText(row?.[0]));
  // On the table: of the rights on a database MySQL takes those under one pattern of its name, so a GRANT under another one
  // would hide what the account has. One on a table that is not there yet must name CREATE.
  const names = makesTable && !missing.includes('CREATE') ? [...missing, 'CREATE'] : missing;
  const grant = `GRANT ${names.join(', ')} ON ${quoteTable(database, table)} TO ${account};`;
  const message = `${account} lacks ${missing.join(', ')} on ${database}.${table}: ${grant}`;
  throw new LockstepError('LS-MYSQL-PRIVILEGE', message, { details: { table } });
}
