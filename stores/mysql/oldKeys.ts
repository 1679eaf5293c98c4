/** Statements on old_keys: the former keys of a table under which stores may still hold rows. */
import type { DefinitionHash } from '../../core/definition.js';
import { asBytes } from './cell.js';
import type { Queries } from './connection.js';
import { quoteTable } from './quote.js';

export async function addOldKey(
  queries: Queries,
  stateDatabase: string,
  tableId: number,
  hash: DefinitionHash,
): Promise<void> {
  await queries.run(
    `INSERT IGNORE INTO ${quoteTable(stateDatabase, 'old_keys')} (table_id, definition) VALUES (?, ?)`,
    [tableId, Buffer.from(hash, 'hex')],
  );
}

export async function readOldKeys(
  queries: Queries,
  stateDatabase: string,
  tableId: number,
): Promise<readonly DefinitionHash[]> {
  const rows = await queries.rows(
    `SELECT definition FROM ${quoteTable(stateDatabase, 'old_keys')} WHERE table_id = ? ORDER BY definition`,
    [tableId],
  );
  return rows.map((row) => asBytes(row[0]).toString('hex'));
}

/** Only those that were dealt with: another may have come meanwhile. */
export async function forgetOldKeys(
  queries: Queries,
  stateDatabase: string,
  tableId: number,
  hashes: readonly DefinitionHash[],
): Promise<void> {
  if (hashes.length === 0) return;
  await queries.run(`DELETE FROM ${quoteTable(stateDatabase, 'old_keys')} WHERE table_id = ? AND definition IN (?)`, [
    tableId,
    hashes.map((hash) => Buffer.from(hash, 'hex')),
  ]);
}
