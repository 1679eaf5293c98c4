/** Which failures of MySQL are one row's own: that row is rejected, with the reason, and the others go in. Pure. */
import { LockstepError } from '../core/errors.js';
import type { Reject } from '../core/ingest.js';
import { errorNumber } from '../stores/mysql/failure.js';

export type RowFault = Pick<Reject, 'reason' | 'column' | 'detail'>;

/** Statements that no row could have saved: unknown table or column, syntax, a packet that is too large, read only. */
const structural = new Set([
  0, 1046, 1054, 1064, 1136, 1146, 1153, 1192, 1223, 1290, 1305, 1449, 1665, 1792, 3024, 3100,
]);

/**
 * The server's own trouble: files, memory, caches of the binary log, locks, numbers that have run out. A row that was rejected
 * for that would be a good one.
 */
const servers = new Set([
  1015, 1016, 1020, 1023, 1024, 1026, 1027, 1030, 1034, 1035, 1036, 1037, 1038, 1041, 1105, 1119, 1135, 1180, 1194,
  1195, 1197, 1206, 1436, 1467, 1534, 1598, 1637, 1705, 1712, 1812, 1814, 1815, 3101, 3168, 3169, 3186,
]);
/** Below, they are those of its library for files and memory. */
const firstOfStatements = 1000;

/** A statement that MySQL would not take, because of its length: not sent, since MySQL drops the connection for it. */
export class TooLong extends Error {
  override readonly name = 'TooLong';
}

/** Throws TooLong. */
export function fitting(sql: string, { packetBytes }: { readonly packetBytes: number }): string {
  // UTF-8 takes up to three bytes for a unit of UTF-16; counting them is only worth it near the limit.
  const most = packetBytes - 1024;
  if (sql.length * 3 <= most || Buffer.byteLength(sql) <= most) return sql;
  throw new TooLong(`max_allowed_packet is ${packetBytes} bytes`);
}

/** As row JSON it is longer than MySQL makes a text, so it can be neither compared nor brought into a store. */
export function unreadable({ packetBytes }: { readonly packetBytes: number }): RowFault {
  return { reason: 'too-large', column: null, detail: `as row JSON, max_allowed_packet is ${packetBytes} bytes` };
}

/** Null for a failure that says nothing of a row. */
export function rowFault(error: unknown): RowFault | null {
  if (error instanceof TooLong) return { reason: 'too-large', column: null, detail: error.message };
  if (!(error instanceof LockstepError) || error.code !== 'LS-MYSQL-STATEMENT') return null;
  const errno = errorNumber(error);
  if (errno < firstOfStatements || structural.has(errno) || servers.has(errno)) return null;
  const named = (what: 'index' | 'constraint' | 'column'): string | null => {
    const name = error.details[what];
    return typeof name === 'string' ? name : null;
  };
  const column = named('column');
  switch (errno) {
    case 1062:
    case 1586:
      return { reason: 'duplicate', column: null, detail: named('index') };
    case 1216:
    case 1452:
      return { reason: 'foreign-key', column: null, detail: named('constraint') };
    case 3819:
      return { reason: 'check', column: null, detail: named('constraint') };
    case 1048:
    case 1263:
      return { reason: 'null', column, detail: null };
    case 1364:
      return { reason: 'missing', column, detail: null };
    case 1264:
    case 1690:
      return { reason: 'range', column, detail: null };
    case 1406:
      return { reason: 'length', column, detail: null };
    case 1265:
    case 1292:
    case 1366:
    case 1411:
    case 1416:
    case 3140:
      return { reason: 'type', column, detail: null };
    default:
      // What a trigger signals; MySQL's text is for the reject file, and never leaves MySQL but for that.
      return { reason: 'refused', column, detail: error.message.replace(/^MySQL at [^ ]+: /, '').slice(0, 1000) };
  }
}

/** The row's key is taken; any other index is another row's business. */
export function isTakenKey(error: unknown): boolean {
  return error instanceof LockstepError && errorNumber(error) === 1062 && error.details['index'] === 'PRIMARY';
}
