/** Capture as a process of its own: `node captureProcess.js <file with the configuration as JSON>`. SIGTERM drains. */
import { readFileSync } from 'node:fs';
import type { Config } from '../../core/config.js';
import { runCapture } from '../../stages/capture.js';
import { openMysql } from '../../stores/mysql/connection.js';

const [file] = process.argv.slice(2);
if (file === undefined) throw new Error('the configuration file is missing');
const config = JSON.parse(readFileSync(file, 'utf8')) as Config;
const mysql = openMysql(config.mysql, { connections: 2 });
const abort = new AbortController();
process.once('SIGTERM', () => abort.abort());
try {
  const outcome = await runCapture({ config, mysql, version: '0.0.0-test' }, abort.signal, { beat: () => undefined });
  console.log(`ended: ${outcome.kind}`);
} catch (error) {
  console.log(`failed: ${error instanceof Error ? `${error.message}` : String(error)}`);
  process.exitCode = 1;
} finally {
  await mysql.close();
}
