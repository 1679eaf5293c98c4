/**
 * Statements that write existing rows of a table into the change log as `r`. A row is read under a shared lock and logged
 * in the same statement, and the result is buffered: no seq is drawn before every row is locked. So an `r` comes behind
 * every change that its image shows, and before whatever changes the row later. Without the lock an old image can overtake
 * a newer one; without the buffer MySQL draws seqs ahead, twice as many each time, and an image can come before its change.
 */
import { definitionHash, type Column, type Definition } from '../../core/definition.js';
import { asCount, asCountOrNull, asText, type Row } from './cell.js';
import type { Queries } from './connection.js';
import { errorNumber } from './failure.js';
import { atKey, boundaryColumns, inRange, keyOrder, type Boundary, type KeyRange } from './keyWalk.js';
import { quoteHex, quoteName, quoteTable } from './quote.js';
import { keyJson, rowJson } from './rowJson.js';
import { logColumns } from './triggers.js';

export interface CopyScope {
  readonly stateDatabase: string;
  readonly tableId: number;
  readonly definition: Definition;
}

export interface LoggedRows {
  readonly rows: number;
  /** seq of the first of them; 0 where there is none. */
  readonly firstSeq: number;
}

/** Non-locking: key of the row that ends the first `rows` rows of a range, its last row's if there are fewer; null where it has none. */
export async function chunkEnd(
  queries: Queries,
  definition: Definition,
  range: KeyRange,
  rows: number,
): Promise<Boundary | null> {
  const [full] = await queries.rows(
    `${keysOf(definition, range)} ORDER BY ${keyOrder(definition)} LIMIT 1 OFFSET ${rows - 1}`,
  );
  return full === undefined ? await lastKey(queries, definition, range) : boundaryOf(definition, full);
}

/** Non-locking: the table's last key that is committed; empty where it has no row. */
export async function tableEnd(queries: Queries, definition: Definition): Promise<Boundary> {
  return (await lastKey(queries, definition, { after: null, upTo: null })) ?? [];
}

async function lastKey(queries: Queries, definition: Definition, range: KeyRange): Promise<Boundary | null> {
  const [last] = await queries.rows(`${keysOf(definition, range)} ORDER BY ${keyOrder(definition, 'DESC')} LIMIT 1`);
  return last === undefined ? null : boundaryOf(definition, last);
}

function keysOf(definition: Definition, range: KeyRange): string {
  const columns = `${boundaryColumns(definition)}${besideTheKey(definition)}`;
  return `SELECT ${columns} FROM ${source(definition)} WHERE ${inRange(definition, range)}`;
}

function boundaryOf(definition: Definition, row: Row): Boundary {
  return row.slice(0, definition.key.length).map((cell) => asText(cell));
}

/** Locks and logs in one statement, and passes by every row whose lock it would have to wait for. */
export function logRange(queries: Queries, scope: CopyScope, range: KeyRange): Promise<LoggedRows> {
  return log(queries, scope, inRange(scope.definition, range), 'FOR SHARE SKIP LOCKED');
}

/** Waits for the row's lock; 0 rows when there is no such row. */
export function logKey(queries: Queries, scope: CopyScope, key: Boundary): Promise<LoggedRows> {
  return logWhere(queries, scope, atKey(scope.definition, key));
}

/** The same for rows that a condition on `t` names; `skipLocked`: those that can be locked at once. */
export function logWhere(
  queries: Queries,
  scope: CopyScope,
  condition: string,
  options: { readonly skipLocked?: boolean } = {},
): Promise<LoggedRows> {
  return log(queries, scope, condition, options.skipLocked === true ? 'FOR SHARE SKIP LOCKED' : 'FOR SHARE');
}

/** Key texts of the rows that this transaction has logged. */
export async function loggedKeys(
  queries: Queries,
  { stateDatabase, tableId }: CopyScope,
  { rows, firstSeq }: LoggedRows,
): Promise<ReadonlySet<string>> {
  if (rows === 0) return new Set();
  const found = await queries.rows(
    `SELECT CAST(\`key\` AS BINARY) FROM ${quoteTable(stateDatabase, 'change_log')} WHERE seq >= ? AND table_id = ? AND op = 'r'`,
    [firstSeq, tableId],
  );
  return new Set(found.map((row) => asText(row[0])));
}

/** A delete for a key that a store holds and MySQL does not. before: row JSON of what was there, where anything tells it. */
export async function logDelete(
  queries: Queries,
  scope: CopyScope,
  key: string,
  before: Buffer | null = null,
): Promise<void> {
  await queries.run(
    `INSERT INTO ${quoteTable(scope.stateDatabase, 'change_log')} (${logColumns}) VALUES (RANDOM_BYTES(8),?,'d',?,?,NULL,?)`,
    [scope.tableId, Buffer.from(key), before, Buffer.from(definitionHash(scope.definition), 'hex')],
  );
}

/** The same for many keys in one statement; they may be of a former definition of the table. */
export async function logDeletes(queries: Queries, scope: CopyScope, keys: readonly string[]): Promise<void> {
  if (keys.length === 0) return;
  const hash = quoteHex(definitionHash(scope.definition));
  const rows = keys.map(
    (key) => `(RANDOM_BYTES(8),${scope.tableId},'d',${quoteHex(Buffer.from(key).toString('hex'))},NULL,NULL,${hash})`,
  );
  await queries.run(
    `INSERT INTO ${quoteTable(scope.stateDatabase, 'change_log')} (${logColumns}) VALUES ${rows.join(',')}`,
  );
}

async function log(queries: Queries, scope: CopyScope, where: string, locking: string): Promise<LoggedRows> {
  const { stateDatabase, tableId, definition } = scope;
  const hash = quoteHex(definitionHash(definition));
  const done = await queries.run(
    `INSERT INTO ${quoteTable(stateDatabase, 'change_log')} (${logColumns})
     SELECT SQL_BUFFER_RESULT RANDOM_BYTES(8),${tableId},'r',${bytes(keyJson(definition, 't'))},NULL,
       ${bytes(rowJson(definition, 't'))},${hash}
       FROM ${source(definition)} WHERE ${where} ${locking}`,
  );
  return { rows: done.affectedRows, firstSeq: done.affectedRows === 0 ? 0 : done.insertId };
}

/** The buffer refuses text that Unicode does not have; the log takes it, and capture parks the key. */
function bytes(text: string): string {
  return `CAST(${text} AS BINARY)`;
}

/** Non-locking: whether more rows of the range are committed now than so many. Those we hold are among them. */
export async function holdsMore(
  queries: Queries,
  definition: Definition,
  range: KeyRange,
  rows: number,
): Promise<boolean> {
  const found = await queries.rows(
    `SELECT 1${besideTheKey(definition)} FROM ${source(definition)} WHERE ${inRange(definition, range)}
      ORDER BY ${keyOrder(definition)} LIMIT 1 OFFSET ${rows}`,
  );
  return found.length > 0;
}

/** Committed rows of the range that this transaction did not log: an application holds their locks, or they are new. */
export async function unlogged(
  queries: Queries,
  { stateDatabase, tableId, definition }: CopyScope,
  range: KeyRange,
  logged: LoggedRows,
): Promise<readonly Boundary[]> {
  const present = await queries.rows(
    `SELECT HEX(${keyJson(definition, 't')}),${boundaryColumns(definition)}${besideTheKey(definition)}
       FROM ${source(definition)} WHERE ${inRange(definition, range)}`,
  );
  const ours = await queries.rows(
    `SELECT HEX(\`key\`) FROM ${quoteTable(stateDatabase, 'change_log')} WHERE seq >= ? AND table_id = ? AND op = 'r'`,
    [logged.rows === 0 ? Number.MAX_SAFE_INTEGER : logged.firstSeq, tableId],
  );
  const keys = new Set(ours.map((row) => asText(row[0])));
  return present
    .filter((row) => !keys.has(asText(row[0])))
    .map((row) => row.slice(1, 1 + definition.key.length).map((cell) => asText(cell)));
}

/** For progress only: counted where that takes less than a second, else the server's own estimate. */
export async function estimateRows(queries: Queries, definition: Definition): Promise<number> {
  try {
    const [row] = await queries.rows(`SELECT /*+ MAX_EXECUTION_TIME(1000) */ COUNT(*) FROM ${source(definition)}`);
    return asCount(row?.[0]);
  } catch (error) {
    if (errorNumber(error) !== timeIsUp) throw error;
  }
  const [row] = await queries.rows(
    'SELECT TABLE_ROWS FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?',
    [definition.database, definition.table],
  );
  return asCountOrNull(row?.[0] ?? null) ?? 0;
}

const timeIsUp = 3024;

const storedApart = /blob$|text$|^json$|^vector$|^geom|point$|linestring$|polygon$|collection$/;

/**
 * A column that is not of the key, for the end of a select list. A query of the key alone may read its whole index instead
 * of the range, FORCE INDEX or not, and does so for every chunk when the statistics are from before a bulk load: 64 million
 * rows read to copy 200,000. With another column only the range is left. Empty where the table has none that is cheap.
 */
function besideTheKey(definition: Definition): string {
  const cheap = ({ name, type, generated }: Column): boolean =>
    !definition.key.includes(name) && !generated && !storedApart.test(type);
  const column = definition.columns.find(cheap);
  return column === undefined ? '' : `,t.${quoteName(column.name)}`;
}

function source(definition: Definition): string {
  return `${quoteTable(definition.database, definition.table)} t FORCE INDEX (PRIMARY)`;
}
