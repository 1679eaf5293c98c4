/**
 * The witness as a process of its own: `node witnessProcess.js <file with the configuration as JSON>`. Prints `watching`
 * when it reads, then how many row events it has seen; each thing that escaped is a line of JSON. SIGTERM ends it.
 */
import { readFileSync } from 'node:fs';
import type { Config } from '../../core/config.js';
import { runWitness } from '../../stages/witness.js';
import { openMysql } from '../../stores/mysql/connection.js';

const [file] = process.argv.slice(2);
if (file === undefined) throw new Error('the configuration file is missing');
const config = JSON.parse(readFileSync(file, 'utf8')) as Config;
const mysql = openMysql(config.mysql, { connections: 4 });
const abort = new AbortController();
process.once('SIGTERM', () => abort.abort());
let seen = 0;
let watching = false;
try {
  const outcome = await runWitness({ config, mysql }, abort.signal, {
    beat: () => {
      if (!watching) console.log('watching');
      watching = true;
    },
    lookNow: () => undefined,
    escaped: (escape) => console.log(JSON.stringify(escape)),
    witnessed: (changes) => {
      seen += changes;
      console.log(String(seen));
    },
  });
  console.log(`ended: ${outcome.kind}`);
} catch (error) {
  console.log(`failed: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
} finally {
  await mysql.close();
}
