/**
 * Brings lockstep's own database to the current shape from sql/NNN_*.sql. Safe to repeat, to interrupt and to start twice
 * at once: starters queue on a named lock, and a statement that an interrupted run had finished counts as done.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LockstepError } from '../../core/errors.js';
import { asCount } from './cell.js';
import type { Mysql, Queries } from './connection.js';
import { errorNumber } from './failure.js';
import { quoteName } from './quote.js';

export interface Migration {
  readonly number: number;
  readonly name: string;
  readonly statements: readonly string[];
}

/** Table, column, key exists already; column or key is gone already. */
const doneBefore = new Set([1050, 1060, 1061, 1091]);

export async function migrate(mysql: Mysql): Promise<void> {
  const migrations = await readMigrations();
  const database = mysql.config.stateDatabase;
  const session = await mysql.session();
  try {
    await takeTurn(session, database);
    await createDatabase(session, database);
    const before = await appliedMigrations(session, database);
    for (const migration of migrations.filter((m) => !before.has(m.number))) await apply(session, database, migration);
  } finally {
    session.destroy();
  }
}

/** Of a database that is there: false where an earlier version made it, and none has brought it further. */
export async function isMigrated(queries: Queries, database: string): Promise<boolean> {
  const rows = await queries.rows(`SELECT number FROM ${quoteName(database)}.migrations`);
  const done = new Set(rows.map((row) => asCount(row[0])));
  return (await readMigrations()).every(({ number }) => done.has(number));
}

/** False where a migration would meet someone else's tables. */
export async function stateDatabaseIsOurs(queries: Queries, database: string): Promise<boolean> {
  const [row] = await queries.rows('SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = ?', [database]);
  return asCount(row?.[0]) === 0 || (await hasMigrations(queries, database));
}

export async function hasMigrations(queries: Queries, database: string): Promise<boolean> {
  const rows = await queries.rows(
    `SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_NAME = 'migrations'`,
    [database],
  );
  return rows.length > 0;
}

async function takeTurn(queries: Queries, database: string): Promise<void> {
  const name = `lockstep.${createHash('sha256').update(database).digest('hex').slice(0, 32)}`;
  const [row] = await queries.rows('SELECT GET_LOCK(?, 60)', [name]);
  if (row?.[0] === 1) return;
  throw new LockstepError('LS-MYSQL-LOCK-WAIT', `another process has been migrating ${database} for over a minute`);
}

async function createDatabase(queries: Queries, database: string): Promise<void> {
  const found = await queries.rows('SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = ?', [database]);
  if (found.length === 0) await queries.run(`CREATE DATABASE IF NOT EXISTS ${quoteName(database)}`);
}

async function appliedMigrations(queries: Queries, database: string): Promise<ReadonlySet<number>> {
  await queries.run(`CREATE TABLE IF NOT EXISTS ${quoteName(database)}.migrations (
    number INT UNSIGNED NOT NULL PRIMARY KEY,
    name VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    applied_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)
  ) ENGINE=InnoDB`);
  const rows = await queries.rows(`SELECT number FROM ${quoteName(database)}.migrations`);
  return new Set(rows.map((row) => asCount(row[0])));
}

async function apply(queries: Queries, database: string, migration: Migration): Promise<void> {
  for (const statement of migration.statements) {
    try {
      await queries.run(statement.replaceAll('{db}', quoteName(database)));
    } catch (error) {
      if (!doneBefore.has(errorNumber(error))) throw error;
    }
  }
  await queries.run(`INSERT INTO ${quoteName(database)}.migrations (number, name) VALUES (?, ?)`, [
    migration.number,
    migration.name,
  ]);
}

export async function readMigrations(): Promise<readonly Migration[]> {
  const folder = sqlFolder();
  const names = (await readdir(folder)).filter((name) => /^\d{3}_.*\.sql$/.test(name)).toSorted();
  return Promise.all(
    names.map(async (name) => ({
      number: Number(name.slice(0, 3)),
      name,
      statements: splitStatements(await readFile(join(folder, name), 'utf8')),
    })),
  );
}

/** Statements end with `;` at the end of a line; comments have lines of their own. */
export function splitStatements(text: string): string[] {
  const lines = text.split('\n').filter((line) => !line.trimStart().startsWith('--'));
  return lines
    .join('\n')
    .split(/;[ \t]*(?:\n|$)/)
    .map((statement) => statement.trim())
    .filter((statement) => statement !== '');
}

/** Beside this file's folders in the source, and beside dist/ after a build. */
function sqlFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  for (;;) {
    const candidate = join(folder, 'sql');
    if (existsSync(join(candidate, '001_state.sql'))) return candidate;
    const parent = dirname(folder);
    if (parent === folder) throw new LockstepError('LS-INTERNAL', 'the folder sql/ is not part of this installation');
    folder = parent;
  }
}
