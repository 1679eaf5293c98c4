/** A process of its own that runs a file of DDL and kills itself after a step. Argument: JSON of config, text, step, index. */
import type { Config } from '../../core/config.js';
import { applySchema } from '../../stages/schemaApply.js';
import { openMysql } from '../../stores/mysql/connection.js';

interface Job {
  readonly config: Config;
  readonly text: string;
  readonly dieAfter: string | null;
  readonly index: number;
}

const { config, text, dieAfter, index } = JSON.parse(process.argv[2] ?? '') as Job;
const mysql = openMysql(config.mysql);
const result = await applySchema(
  { config, mysql, owner: mysql, stores: [] },
  text,
  { again: false, patienceMs: 10_000 },
  { step: (step, at) => void (step === dieAfter && at === index && process.kill(process.pid, 'SIGKILL')) },
);
process.stdout.write(JSON.stringify(result));
await mysql.close();
