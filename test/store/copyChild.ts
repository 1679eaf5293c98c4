/** A process of its own that copies a table, to be killed at any instruction. Argument: JSON of config, table and run. */
import type { Config } from '../../core/config.js';
import { copyTable } from '../../stages/snapshot.js';
import { openMysql } from '../../stores/mysql/connection.js';

interface Job {
  readonly config: Config;
  readonly table: string;
  readonly run: string;
}

const { config, table, run } = JSON.parse(process.argv[2] ?? '') as Job;
const mysql = openMysql(config.mysql);
const beat = (): void => undefined;
const outcome = await copyTable({ config, mysql, stores: [] }, { table, run }, new AbortController().signal, { beat });
process.stdout.write(JSON.stringify(outcome));
await mysql.close();
