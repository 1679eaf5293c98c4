/** Sweeps: equal rows compared in full against both stores, a small table, and how long an injected drift stays unknown. */
import { memoryOf, startCpuMeter } from '../processes.js';
import type { Bench, Measurement, Scenario } from '../harness.js';
import { insertRows } from '../rows.js';
import type { PipelineStatus } from '../../core/status.js';
import type { SweepReport } from '../../stages/sweepReport.js';
import { until } from '../../test/support/processes.js';

const rows = Number(process.env['BENCH_SWEEP_ROWS'] ?? 1_000_000);

export const sweep: Scenario = {
  name: 'sweep',
  title: `Sweep of ${rows.toLocaleString('en')} equal rows of ~300 bytes, both stores`,
  goals: {
    'rows/s': { min: 30_000, unit: '/s' },
    'CPU a row': { max: 66, unit: 'µs' },
    'worker peak RSS': { max: 300, unit: 'MB' },
    'ten rows': { max: 2, unit: 's' },
  },
  run: measure,
};

async function measure(bench: Bench): Promise<Measurement> {
  const { pipeline } = bench;
  await pipeline.root.query('CREATE TABLE ten (id INT PRIMARY KEY, v VARCHAR(20))');
  await pipeline.root.query(`INSERT INTO ten VALUES ${Array.from({ length: 10 }, (_, i) => `(${i}, 'v${i}')`).join()}`);
  await insertRows(bench.stack.mysql.uri, pipeline.database, { from: 1, count: rows });
  const copying = bench.worker();
  await pipeline.run('start', '--wait');
  await pipeline.run('wait', '--timeout', '60s');
  await verified(bench);
  await copying.stop();
  // A worker that has done nothing else: its memory is the sweep's.
  const worker = bench.worker();
  await pipeline.run('wait', '--timeout', '60s');
  const tenStarted = performance.now();
  await validate(bench, 'ten');
  const tenMs = performance.now() - tenStarted;
  const meter = await startCpuMeter(await bench.pids());
  const report = await validate(bench, 'bench');
  const cpu = await meter.read();
  const { peakMb } = await memoryOf(worker.pid);
  if (report.drift > 0 || report.tables[0]?.rows !== rows)
    throw new Error(`not equal: ${JSON.stringify(report).slice(0, 500)}`);
  await bench.redis.set(`${pipeline.name}:ten:5`, '{}');
  const injected = performance.now();
  const found = await validate(bench, 'ten');
  if (found.drift !== 1) throw new Error('the drift was not found');
  const reportedMs = performance.now() - injected;
  // In order, so that a profile of it is written.
  await worker.stop();
  return {
    figures: {
      'rows/s': rows / (report.seconds ?? Infinity),
      'CPU a row': [...cpu.values()].reduce((a, b) => a + b, 0) / rows,
      'worker peak RSS': peakMb,
      'ten rows': tenMs / 1000,
      'drift to report, ten rows': reportedMs / 1000,
    },
    cpuPerChange: new Map([...cpu].map(([name, us]) => [name, us / rows])),
  };
}

async function validate({ pipeline }: Bench, table: string): Promise<SweepReport> {
  const { stdout, stderr } = await pipeline.cli('validate', '--table', table, '--json');
  if (stdout === '') throw new Error(stderr);
  return JSON.parse(stdout) as SweepReport;
}

/**
 * Verify follows the copy: what it has not come to would be measured with the sweep. How far it is through a store leaves out
 * tables that lag behind, so what is left of them is what counts.
 */
async function verified({ pipeline }: Bench): Promise<void> {
  const asked = Date.now();
  const through = async (): Promise<boolean> => {
    const status = JSON.parse((await pipeline.run('status', '--json')).stdout) as PipelineStatus;
    return status.stores.every(({ verify }) => Date.parse(verify?.through ?? '') >= asked && verify?.behind === 0);
  };
  await until('every change is verified', through, { timeoutMs: 600_000, everyMs: 1_000 });
}
