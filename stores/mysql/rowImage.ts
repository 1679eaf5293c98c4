/**
 * Row images smaller than FULL, or no binary log, and whom they concern beside the witness. MySQL then does not compute a virtual
 * column in a statement that does not name it, but a trigger of ours reads it: where its value does not fit its type, the statement
 * of an application fails, in strict mode, that would else have passed (tried: 1264, 1265, 1292, 1366; a DELETE only for dates).
 */
import { codeOf } from '../../core/errors.js';
import { warning, type Problem } from '../../core/problem.js';
import { asCount, asText } from './cell.js';
import type { Queries } from './connection.js';

export interface RowImages {
  /** What a new session begins with; null where no binary log is written, which is the same as a small image. */
  readonly global: string | null;
  /** Sessions that have a smaller one of their own. Empty, too, where lockstep may not see them. */
  readonly sessions: readonly { readonly user: string; readonly image: string; readonly count: number }[];
  readonly virtualColumns: readonly { readonly table: string; readonly column: string }[];
}

/** `sessions`: performance_schema goes through the variables of every connection; for `doctor`, not for every look. */
export async function readRowImages(
  queries: Queries,
  database: string,
  { sessions }: { readonly sessions: boolean },
): Promise<RowImages> {
  const [server] = await queries.rows('SELECT @@global.log_bin, @@global.binlog_row_image');
  const global = asCount(server?.[0]) === 1 ? asText(server?.[1]).toUpperCase() : null;
  const columns = await queries.rows(
    `SELECT TABLE_NAME, COLUMN_NAME FROM information_schema.COLUMNS
      WHERE TABLE_SCHEMA = ? AND EXTRA LIKE '%VIRTUAL GENERATED%' ORDER BY TABLE_NAME, ORDINAL_POSITION`,
    [database],
  );
  return {
    global,
    sessions: sessions && global !== null && columns.length > 0 ? await sessionsWithLess(queries) : [],
    virtualColumns: columns.map((row) => ({ table: asText(row[0]), column: asText(row[1]) })),
  };
}

async function sessionsWithLess(queries: Queries): Promise<RowImages['sessions']> {
  try {
    const rows = await queries.rows(
      `SELECT IFNULL(t.PROCESSLIST_USER, ''), v.VARIABLE_VALUE, COUNT(*)
         FROM performance_schema.variables_by_thread v JOIN performance_schema.threads t ON t.THREAD_ID = v.THREAD_ID
        WHERE v.VARIABLE_NAME = 'binlog_row_image' AND v.VARIABLE_VALUE <> 'FULL' GROUP BY 1, 2 ORDER BY 1, 2`,
    );
    return rows.map((row) => ({ user: asText(row[0]), image: asText(row[1]), count: asCount(row[2]) }));
  } catch (error) {
    // No right that lockstep asks for: then only the server's own setting is known.
    if (codeOf(error) === 'LS-MYSQL-PRIVILEGE') return [];
    throw error;
  }
}

const named = 5;

/** Pure. captures: whether a table is captured. */
export function rowImageProblems(images: RowImages, captures: (table: string) => boolean): readonly Problem[] {
  const columns = images.virtualColumns.filter(({ table }) => captures(table));
  if (columns.length === 0) return [];
  const list = columns.slice(0, named).map(({ table, column }) => `${table}.${column}`);
  const more = columns.length > named ? ` and ${columns.length - named} more` : '';
  const what =
    `an UPDATE or DELETE that does not name them, of a row in which their value does not fit their type, ` +
    `fails in strict mode because of lockstep’s triggers (virtual columns ${list.join(', ')}${more})`;
  const found: Problem[] = [];
  if (images.global === null) {
    found.push(
      warning(
        'LS-MYSQL-ROW-IMAGE',
        `no binary log is written: ${what}`,
        'Start MySQL with its binary log (log_bin), which the witness needs, too. Or make the columns STORED.',
      ),
    );
  } else if (images.global !== 'FULL') {
    found.push(
      warning(
        'LS-MYSQL-ROW-IMAGE',
        `binlog_row_image is ${images.global} for new sessions: ${what}`,
        'SET PERSIST binlog_row_image = FULL; sessions that are open keep theirs until they connect again. Or make the columns STORED.',
      ),
    );
  }
  for (const { user, image, count } of images.sessions) {
    found.push(
      warning(
        'LS-MYSQL-ROW-IMAGE',
        `${count} sessions of ${user} have binlog_row_image=${image}: ${what}`,
        'Let them leave binlog_row_image as it is (FULL), or make the columns STORED.',
      ),
    );
  }
  return found;
}
