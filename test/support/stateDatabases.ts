/**
 * State databases that the tests of one file use one after the other. A test finds one as after the migrations: whole and
 * empty. Making its tables and dropping them again took longer than most tests do (30 statements, each with its fsyncs).
 */
import { asText } from '../../stores/mysql/cell.js';
import type { Mysql } from '../../stores/mysql/connection.js';
import { quoteTable } from '../../stores/mysql/quote.js';

export class StateDatabases {
  readonly #spare: string[] = [];
  #tables: string | null = null;

  /** Undefined: the test makes its own. */
  take(): string | undefined {
    return this.#spare.pop();
  }

  /** Behind the test, when nothing of it runs any more. One that is not as the migrations leave it is dropped. */
  async giveBack(mysql: Mysql, name: string): Promise<void> {
    const rows = await mysql.rows(
      'SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? ORDER BY TABLE_NAME',
      [name],
    );
    const tables = rows.map((row) => asText(row[0]));
    if (tables.includes('migrations')) this.#tables ??= tables.join();
    if (tables.join() !== this.#tables) {
      await mysql.run(`DROP DATABASE IF EXISTS \`${name}\``);
      return;
    }
    for (const table of tables.filter((one) => one !== 'migrations')) {
      // Of many rows a DELETE takes longer, and leaves what purge has still to remove.
      const empty = table === 'change_log' ? 'TRUNCATE TABLE' : 'DELETE FROM';
      await mysql.run(`${empty} ${quoteTable(name, table)}`);
    }
    this.#spare.push(name);
  }

  /** At the end of the file. */
  async drop(run: (statement: string) => Promise<unknown>): Promise<void> {
    for (const name of this.#spare.splice(0)) await run(`DROP DATABASE IF EXISTS \`${name}\``);
  }
}
