/** MySQL alone, for the length of one command. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../core/config.js';
import { openMysql, type Mysql } from '../stores/mysql/connection.js';

/** A server that is silent must not hold up a command that has its answer. */
const closeWithinMs = 500;

export async function withMysql<T>(config: Config, work: (mysql: Mysql) => Promise<T>): Promise<T> {
  const mysql = openMysql(config.mysql, { connections: 1 });
  try {
    return await work(mysql);
  } finally {
    await Promise.race([mysql.close(), sleep(closeWithinMs, undefined, { ref: false })]);
  }
}
