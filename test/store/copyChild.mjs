// A process of its own that copies a table, to be killed at any instruction. Argument: JSON of config, table and run.
import { copyTable } from '../../dist/stages/snapshot.js';
import { openMysql } from '../../dist/stores/mysql/connection.js';

const { config, table, run } = JSON.parse(process.argv[2]);
const mysql = openMysql(config.mysql);
const outcome = await copyTable({ config, mysql, stores: [] }, { table, run }, new AbortController().signal, {
  beat() {},
});
process.stdout.write(JSON.stringify(outcome));
await mysql.close();
