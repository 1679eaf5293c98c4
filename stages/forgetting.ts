/** Forgets old results now and then, beside other work: a little at a time, so that nobody waits for it. */
import { errorNumber } from '../stores/mysql/failure.js';
import type { Mysql } from '../stores/mysql/connection.js';
import { forgetOldResults } from '../stores/mysql/oldResults.js';

const everyMs = 3_600_000;
/** Deletes of one turn. */
const most = 20;
/** The state database is of before what is to be forgotten. */
const noSuchTable = 1146;

export class Forgetting {
  readonly #mysql: Mysql;
  #nextAt = 0;

  constructor(mysql: Mysql) {
    this.#mysql = mysql;
  }

  async turn(now: number): Promise<void> {
    if (now < this.#nextAt) return;
    try {
      const done = await forgetOldResults(this.#mysql, this.#mysql.config.stateDatabase, most);
      if (done) this.#nextAt = now + everyMs;
    } catch (error) {
      if (errorNumber(error) !== noSuchTable) throw error;
      this.#nextAt = now + everyMs;
    }
  }
}
