/** CREATE TABLE for a file that has no table yet, as text. */
import { LockstepError } from '../../core/errors.js';
import type { GuessedColumn, GuessedKey } from '../../core/ingestGuess.js';
import { quoteName, quoteTable } from './quote.js';

export function createTableText(
  database: string,
  table: string,
  columns: readonly GuessedColumn[],
  key: GuessedKey,
): string {
  const unknown = key.columns.filter((name) => name !== key.added && !columns.some((column) => column.name === name));
  if (unknown.length > 0) {
    throw new LockstepError('LS-INGEST-COLUMNS', `the file has no field ${unknown.join(', ')} for the key`);
  }
  const lines = columns.map(
    ({ name, type }) => `  ${quoteName(name)} ${type}${key.columns.includes(name) ? ' NOT NULL' : ''}`,
  );
  if (key.added !== null) lines.unshift(`  ${quoteName(key.added)} BIGINT UNSIGNED NOT NULL AUTO_INCREMENT`);
  lines.push(`  PRIMARY KEY (${key.columns.map(quoteName).join(', ')})`);
  return `CREATE TABLE ${quoteTable(database, table)} (\n${lines.join(',\n')}\n)`;
}
