/**
 * meta.incarnation is the incarnation of the log that has been dealt with: it moves only in the transaction that makes
 * the copies due which a new incarnation asks for. So a crash at any instruction asks again instead of forgetting.
 */
import { requestCopy, type CopyReason } from './copies.js';
import type { Mysql } from './connection.js';
import { quoteTable } from './quote.js';
import { readCapturedTables } from './state.js';

/** newRun: gives a fresh UUID. */
export async function acceptIncarnation(
  mysql: Mysql,
  incarnation: string,
  copies: { readonly reason: CopyReason; readonly newRun: () => string } | null,
): Promise<void> {
  const { stateDatabase } = mysql.config;
  await mysql.transaction(async (queries) => {
    if (copies !== null) {
      for (const { id } of await readCapturedTables(queries, stateDatabase)) {
        await requestCopy(queries, stateDatabase, { tableId: id, run: copies.newRun(), reason: copies.reason });
      }
    }
    await queries.run(`UPDATE ${quoteTable(stateDatabase, 'meta')} SET incarnation = ?`, [incarnation]);
  });
}

/** Makes copies of the named tables due, or of every one for null; those that are not captured any more need none. */
export async function requestCopiesOf(
  mysql: Mysql,
  tables: ReadonlySet<string> | null,
  copies: { readonly reason: CopyReason; readonly newRun: () => string },
): Promise<void> {
  if (tables?.size === 0) return;
  const { stateDatabase } = mysql.config;
  await mysql.transaction(async (queries) => {
    for (const { id, name } of await readCapturedTables(queries, stateDatabase)) {
      if (tables?.has(name) === false) continue;
      await requestCopy(queries, stateDatabase, { tableId: id, run: copies.newRun(), reason: copies.reason });
    }
  });
}
