/**
 * What a statement would make of a table, found by letting MySQL do it to an empty table of the same form in lockstep's own
 * database. The source is only read.
 */
import { randomBytes } from 'node:crypto';
import type { Definition } from '../../core/definition.js';
import type { DdlStatement } from '../../core/sqlStatements.js';
import { LockstepError } from '../../core/errors.js';
import { asText } from './cell.js';
import type { Mysql, Session } from './connection.js';
import { readTables } from './definitions.js';
import { quoteName, quoteTable } from './quote.js';

/** How MySQL carries it out: by its dictionary alone, beside writers, or while writers wait. Null: it cannot be told. */
export type Algorithm = 'instant' | 'online' | 'copying';

export interface Prediction {
  /** The table afterwards; null where the statement takes it away. */
  readonly definition: Definition | null;
  readonly algorithm: Algorithm | null;
}

/**
 * Of a statement that changes or makes one table. Throws what MySQL says against it. Undefined where an empty copy cannot tell:
 * foreign keys, renames within, tables made from others.
 */
export async function predict(
  mysql: Mysql,
  database: string,
  statement: DdlStatement,
  exists: boolean,
): Promise<Prediction | undefined> {
  const [target] = statement.tables;
  if (target === undefined) return undefined;
  const scratch = `plan_${randomBytes(6).toString('hex')}`;
  const session = await mysql.session({ lockWaitTimeout: 2 });
  const like = exists ? quoteTable(database, target.table) : null;
  try {
    await session.run('SET SESSION foreign_key_checks = 0, sql_mode = @@GLOBAL.sql_mode');
    const definition = await outcome(mysql, session, scratch, statement, like);
    if (definition === undefined) return undefined;
    const algorithm = like === null ? null : await algorithmOf(mysql, session, scratch, statement, like);
    return { definition: { ...definition, database, table: target.table }, algorithm };
  } finally {
    session.destroy();
  }
}

async function outcome(
  mysql: Mysql,
  session: Session,
  scratch: string,
  statement: DdlStatement,
  like: string | null,
): Promise<Definition | undefined> {
  const { stateDatabase } = mysql.config;
  return onScratch(mysql, session, scratch, like, async (place) => {
    await session.run(aimedAt(statement, place));
    const [facts] = await readTables(session, stateDatabase, scratch);
    return facts?.definition;
  });
}

/** Each is tried on a fresh copy: one that is refused says so before it does anything. */
async function algorithmOf(
  mysql: Mysql,
  session: Session,
  scratch: string,
  statement: DdlStatement,
  like: string,
): Promise<Algorithm | null> {
  if (statement.kind !== 'alter-table' || statement.words.has('ALGORITHM') || statement.words.has('PARTITION'))
    return null;
  const accepts = (clause: string): Promise<boolean> =>
    onScratch(mysql, session, scratch, like, async (place) => {
      try {
        await session.run(`${aimedAt(statement, place)}, ${clause}`);
        return true;
      } catch (error) {
        if (error instanceof LockstepError && error.code === 'LS-MYSQL-STATEMENT') return false;
        throw error;
      }
    });
  if (await accepts('ALGORITHM=INSTANT')) return 'instant';
  return (await accepts('ALGORITHM=INPLACE, LOCK=NONE')) ? 'online' : 'copying';
}

async function onScratch<T>(
  mysql: Mysql,
  session: Session,
  scratch: string,
  like: string | null,
  work: (place: string) => Promise<T>,
): Promise<T> {
  const place = quoteTable(mysql.config.stateDatabase, scratch);
  if (like !== null) await session.run(`CREATE TABLE ${place} LIKE ${like}`);
  try {
    return await work(place);
  } finally {
    await session.run(`DROP TABLE IF EXISTS ${place}`);
  }
}

function aimedAt({ text, nameStart, nameEnd }: DdlStatement, place: string): string {
  return text.slice(0, nameStart) + place + text.slice(nameEnd);
}

/** Left behind by plans that were killed. */
export async function removeScratch(mysql: Mysql): Promise<void> {
  const { stateDatabase } = mysql.config;
  const rows = await mysql.rows(
    `SELECT TABLE_NAME FROM information_schema.TABLES
      WHERE TABLE_SCHEMA = ? AND TABLE_NAME REGEXP '^plan_[0-9a-f]{12}$' AND CREATE_TIME < NOW() - INTERVAL 1 HOUR`,
    [stateDatabase],
  );
  for (const row of rows) await mysql.run(`DROP TABLE IF EXISTS ${quoteTable(stateDatabase, asText(row[0]))}`);
}

/** The table as MySQL would write it, without what changes by itself; null when there is none. */
export async function tableText(mysql: Mysql, database: string, table: string): Promise<string | null> {
  const found = await mysql.rows(`SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?`, [
    database,
    table,
  ]);
  if (found.length === 0) return null;
  const [row] = await mysql.rows(`SHOW CREATE TABLE ${quoteName(database)}.${quoteName(table)}`);
  return asText(row?.[1]).replace(/ AUTO_INCREMENT=\d+/, '');
}
