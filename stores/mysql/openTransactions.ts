/** Which transactions are open on the server: what any of them may still write into the change log is not passed over. */
import { codeOf } from '../../core/errors.js';
import { asCount, asText, type Row } from './cell.js';
import type { Session } from './connection.js';
import { errorNumber } from './failure.js';
import { quoteTable } from './quote.js';

/** Open transactions at one moment. */
export interface OpenTransactions {
  /** When the look's own transaction began, to the second: a later look shows another, or it is an old picture. */
  readonly began: string;
  /**
   * Each under two names: thread and start, since the id changes at the first write; and the id, since XA PREPARE takes a
   * transaction away from its thread. With whether each has written or locked anything.
   */
  readonly open: ReadonlyMap<string, boolean>;
}

/**
 * MySQL may answer with an old picture: it makes a new one only once nobody has asked for 100 ms. So the look begins a
 * transaction of its own and must find it. Null when nothing can be told: without PROCESS, in an old picture, or while a
 * statement runs whose text MySQL cannot show (3854: bytes that are no utf8mb3).
 */
export async function openTransactions(
  session: Session,
  stateDatabase: string,
  ownThreads: readonly number[],
): Promise<OpenTransactions | null> {
  try {
    const rows = await session.transaction(async (queries) => {
      // A transaction is open, and shown, from its first look at a table.
      await queries.rows(`SELECT 1 FROM ${quoteTable(stateDatabase, 'meta')} LIMIT 1`);
      return queries.rows(
        `SELECT trx_mysql_thread_id, trx_started, trx_id,
                trx_id < ${readOnlyIds} OR trx_rows_modified > 0 FROM information_schema.INNODB_TRX`,
      );
    });
    const ours = rows.find((row) => asCount(row[0]) === session.threadId);
    if (ours === undefined) return null;
    const own = new Set([...ownThreads, session.threadId]);
    const others = rows.filter((row) => !own.has(asCount(row[0])));
    const open = others.flatMap((row) => namesOf(row).map((name) => [name, asCount(row[3]) === 1] as const));
    return { began: asText(ours[1]), open: new Map(open) };
  } catch (error) {
    if (codeOf(error) === 'LS-MYSQL-PRIVILEGE' || errorNumber(error) === cannotConvert) return null;
    throw error;
  }
}

function namesOf([thread, started, id]: Row): string[] {
  return [`${asText(thread)} ${asText(started)}`, `#${asText(id)}`];
}

/** A transaction without a real id, which is given at the first write, shows one from here on: 2^48. */
const readOnlyIds = 2 ** 48;
const cannotConvert = 3854;
