/** The product's own proof beside the demo's: the sweep that `lockstep validate` and the schedules run. */
import { configuredStores, type Config } from '../core/config.js';
import type { Mysql } from '../stores/mysql/connection.js';
import { sweepReport } from '../stages/sweepReport.js';
import { startSweep } from '../workers/sweepClient.js';
import type { DemoReport } from './report.js';
import { count } from './view.js';

export async function validateAll(
  config: Config,
  mysql: Mysql,
  signal: AbortSignal,
): Promise<DemoReport['validated'] & { readonly text: string }> {
  const started = performance.now();
  const running = await startSweep(config, { table: null, stores: configuredStores(config), repair: false });
  try {
    const { sweep, state, reason } = await running.result(signal);
    if (state !== 'done') throw new Error(`the sweep ended before it was through: ${reason ?? ''}`);
    const report = await sweepReport(mysql, config.mysql.stateDatabase, sweep);
    if (report === null) throw new Error('the sweep left no trace in MySQL');
    const rows = report.tables.reduce((sum, table) => sum + table.rows, 0);
    return {
      rows,
      drift: report.drift,
      leftOut: report.tables.flatMap(({ table, leftOut }) => (leftOut === undefined ? [] : [table])),
      ms: performance.now() - started,
      text: `${count(rows)} rows by lockstep validate: ${count(report.drift)} keys drift`,
    };
  } finally {
    await running.close();
  }
}
