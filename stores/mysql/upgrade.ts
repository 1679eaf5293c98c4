/**
 * MySQL for a process that may be the first of its version. A pipeline that runs is not installed again when its workers are
 * exchanged one after the other: so before the first statement of all, lockstep's own database, where there is one, is brought
 * to the shape that this version reads. Workers of the version before go on with it.
 */
import type { Mysql } from './connection.js';
import { hasMigrations, isMigrated, migrate } from './migrate.js';

/** The same connections. While MySQL is away, every use fails as it would without this, and the next one tries again. */
export function upgraded(mysql: Mysql): Mysql {
  let found = false;
  let looking: Promise<boolean> | undefined;

  async function ready(): Promise<void> {
    if (found) return;
    looking ??= upgrade(mysql).finally(() => (looking = undefined));
    found = await looking;
  }

  async function after<T>(work: () => Promise<T>): Promise<T> {
    await ready();
    return await work();
  }

  return {
    config: mysql.config,
    rows: (sql, values) => after(() => mysql.rows(sql, values)),
    run: (sql, values) => after(() => mysql.run(sql, values)),
    transaction: (work) => after(() => mysql.transaction(work)),
    session: (settings) => after(() => mysql.session(settings)),
    close: () => mysql.close(),
  };
}

/** False where nothing is installed yet. */
async function upgrade(mysql: Mysql): Promise<boolean> {
  const { stateDatabase } = mysql.config;
  if (!(await hasMigrations(mysql, stateDatabase))) return false;
  if (!(await isMigrated(mysql, stateDatabase))) await migrate(mysql);
  return true;
}
