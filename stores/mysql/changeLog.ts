/**
 * The change log as capture uses it: a queue. The oldest rows are read, published, and exactly those are deleted again.
 * Sequence numbers become visible out of order, so nothing here ever asks for rows beyond a number it has seen, and no
 * delete waits for a row that another transaction has not committed.
 */
import type { LoggedChange, LoggedOp } from '../../core/event.js';
import type { RowName } from '../../core/stateRecord.js';
import { codeOf, LockstepError } from '../../core/errors.js';
import { asBytes, asBytesOrNull, asCount, asText, type Row } from './cell.js';
import type { Queries, Session } from './connection.js';
import { quoteName, quoteTable } from './quote.js';

/** Images above this many bytes are not read with the batch but fetched on their own. */
export const inlineBytes = 16 * 1024;

export interface LogRow extends LoggedChange {
  /** Sizes in the log; an image that is null here with a size above 0 was left out for its size. */
  readonly beforeBytes: number;
  readonly afterBytes: number;
}

/** Inclusive ranges of seq. */
export type SeqRun = readonly [from: number, to: number];

export interface ReadOptions {
  /** Rows below it are known to be published and gone: it spares walking over what purge has not removed yet. */
  readonly floor: number;
  readonly limit: number;
  /** Published rows whose delete is still under way. */
  readonly except: readonly SeqRun[];
}

/** The oldest rows, by seq. */
export async function readOldest(queries: Queries, stateDatabase: string, options: ReadOptions): Promise<LogRow[]> {
  const rows = await queries.rows(
    `SELECT seq, identity, table_id, op, \`key\`, IF(LENGTH(\`before\`) > ${inlineBytes}, NULL, \`before\`),
            IF(LENGTH(\`after\`) > ${inlineBytes}, NULL, \`after\`), LENGTH(\`before\`), LENGTH(\`after\`), definition,
            CAST(UNIX_TIMESTAMP(at) * 1000000 AS UNSIGNED)
       FROM ${quoteTable(stateDatabase, 'change_log')}
      WHERE seq >= ${options.floor}${outside(options.except)} ORDER BY seq LIMIT ${options.limit}`,
  );
  return rows.map(logRow);
}

/** Whether there is any: at rest half as dear as a read that finds nothing, whose eleven columns are described each time. */
export async function hasRows(queries: Queries, stateDatabase: string, floor: number): Promise<boolean> {
  const table = quoteTable(stateDatabase, 'change_log');
  return (await queries.rows(`SELECT 1 FROM ${table} WHERE seq >= ${floor} LIMIT 1`)).length > 0;
}

function logRow(row: Row): LogRow {
  return {
    seq: asCount(row[0]),
    identity: asBytes(row[1]).toString('hex'),
    tableId: asCount(row[2]),
    op: asOp(row[3]),
    key: asBytesOrNull(row[4] ?? null) ?? nothing,
    before: asBytesOrNull(row[5] ?? null),
    after: asBytesOrNull(row[6] ?? null),
    beforeBytes: asCount(row[7] ?? 0),
    afterBytes: asCount(row[8] ?? 0),
    definition: asBytes(row[9]).toString('hex'),
    at: asCount(row[10]) / 1_000,
  };
}

const nothing = Buffer.alloc(0);

function asOp(cell: Row[number] | undefined): LoggedOp {
  const op = asText(cell);
  switch (op) {
    case 'c':
    case 'u':
    case 'd':
    case 'r':
    case '?':
    case 'm':
      return op;
    default:
      throw new LockstepError('LS-INTERNAL', 'the change log holds a row of an unknown kind');
  }
}

/** One image of one row, whatever its size; undefined when the row is gone. */
export async function readImage(
  queries: Queries,
  stateDatabase: string,
  image: 'before' | 'after',
  { seq, identity }: RowName,
): Promise<Buffer | null | undefined> {
  const [row] = await queries.rows(
    `SELECT ${quoteName(image)} FROM ${quoteTable(stateDatabase, 'change_log')} WHERE seq = ? AND identity = ?`,
    [seq, Buffer.from(identity, 'hex')],
  );
  return row === undefined ? undefined : asBytesOrNull(row[0] ?? null);
}

/** Those of the named rows that are still there: number and identity, since a number can come again after a restore. */
export async function stillThere(
  queries: Queries,
  stateDatabase: string,
  rows: readonly RowName[],
): Promise<RowName[]> {
  const found: RowName[] = [];
  const named = new Map(rows.map((row) => [row.seq, row.identity]));
  for (const part of chunks(seqRuns(rows), 200)) {
    const there = await queries.rows(
      `SELECT seq, identity FROM ${quoteTable(stateDatabase, 'change_log')} WHERE ${inside(part)}`,
    );
    for (const row of there) {
      const name = { seq: asCount(row[0]), identity: asBytes(row[1]).toString('hex') };
      if (named.get(name.seq) === name.identity) found.push(name);
    }
  }
  return found;
}

/**
 * Deletes exactly the named rows, and answers false when a row lock could not be had within the session's second: then
 * nothing was deleted. Read committed and autocommit: no gap stays locked, no writer waits.
 */
export async function removeRows(queries: Queries, stateDatabase: string, rows: readonly RowName[]): Promise<boolean> {
  if (rows.length === 0) return true;
  try {
    await queries.run(deleteStatement(stateDatabase, rows));
    return true;
  } catch (error) {
    const code = codeOf(error);
    if (code === 'LS-MYSQL-LOCK-WAIT' || code === 'LS-MYSQL-DEADLOCK') return false;
    throw error;
  }
}

/** Deletes those of the named rows that nobody has locked, without waiting, and answers with the others. */
export async function removeUnlocked(
  session: Session,
  stateDatabase: string,
  rows: readonly RowName[],
): Promise<RowName[]> {
  const left = await stillThere(session, stateDatabase, rows);
  if (left.length === 0) return [];
  return session.transaction(async (queries) => {
    const free = new Set<number>();
    for (const part of chunks(seqRuns(left), 200)) {
      const found = await queries.rows(
        `SELECT seq FROM ${quoteTable(stateDatabase, 'change_log')} WHERE ${inside(part)} FOR UPDATE SKIP LOCKED`,
      );
      for (const row of found) free.add(asCount(row[0]));
    }
    const removable = left.filter(({ seq }) => free.has(seq));
    for (const part of chunks(removable, 500)) await queries.run(deleteStatement(stateDatabase, part));
    return left.filter(({ seq }) => !free.has(seq));
  });
}

/** The identities make sure that rows which were given the same numbers after a TRUNCATE or a restore stay. */
export function deleteStatement(stateDatabase: string, rows: readonly RowName[]): string {
  const identities = rows.map(({ identity }) => `0x${identity}`).join(',');
  return (
    `DELETE FROM ${quoteTable(stateDatabase, 'change_log')} ` +
    `WHERE (${inside(seqRuns(rows))}) AND identity IN (${identities})`
  );
}

/**
 * Never a range that ends with its last row: `BETWEEN a AND b` also locks the row after b, and so waits for a stranger's
 * open transaction, each time. `IN (…)` does the same once the list is long.
 */
export function inside(runs: readonly SeqRun[]): string {
  return runs
    .map(([from, to]) => (from === to ? `seq=${to}` : `seq BETWEEN ${from} AND ${to - 1} OR seq=${to}`))
    .join(' OR ');
}

/** `AND (…)` for the gaps around the runs, from the first seq on: never only what lies beyond the last. */
export function outside(runs: readonly SeqRun[]): string {
  if (runs.length === 0) return '';
  const gaps: string[] = [];
  let after: number | null = null;
  for (const [from, to] of runs) {
    gaps.push(after === null ? `seq<${from}` : `seq>${after} AND seq<${from}`);
    after = to;
  }
  gaps.push(`seq>${after}`);
  return ` AND (${gaps.join(' OR ')})`;
}

/** Consecutive numbers as ranges. Rows by ascending seq. */
export function seqRuns(rows: readonly { readonly seq: number }[]): SeqRun[] {
  const runs: [number, number][] = [];
  let last: [number, number] | undefined;
  for (const { seq } of rows) {
    if (last !== undefined && seq === last[1] + 1) last[1] = seq;
    else {
      last = [seq, seq];
      runs.push(last);
    }
  }
  return runs;
}

/** The seq that a row written now gets: at or below an earlier one, the change log went back in time. */
export async function probeSeq(queries: Queries, stateDatabase: string): Promise<number> {
  const table = quoteTable(stateDatabase, 'change_log');
  const { insertId } = await queries.run(
    `INSERT INTO ${table} (identity, table_id, op, \`key\`, definition) VALUES (RANDOM_BYTES(8), 0, 'm', '', ?)`,
    [Buffer.alloc(16)],
  );
  await queries.run(`DELETE FROM ${table} WHERE seq = ?`, [insertId]);
  return insertId;
}

function chunks<T>(list: readonly T[], size: number): T[][] {
  const parts: T[][] = [];
  for (let i = 0; i < list.length; i += size) parts.push(list.slice(i, i + size));
  return parts;
}
