/** Changes that wait in the change log while no worker runs, then flow into both stores. Counted from the first one applied. */
import { memoryOf, startCpuMeter } from '../processes.js';
import { plus } from '../harness.js';
import type { Bench, Measurement, Scenario } from '../harness.js';
import { insertRows } from '../rows.js';
import { until } from '../../test/support/processes.js';

const changes = 200_000;

export const catchUp: Scenario = {
  name: 'catch-up',
  title: 'Catch-up of 200,000 inserts, one process',
  goals: {
    'changes/s': { min: 17_000, unit: '/s' },
    'CPU a change': { max: 100, unit: 'µs' },
    'worker peak RSS': { max: 350, unit: 'MB' },
  },
  run: async (bench) => await measure(bench, [undefined]),
};

export const catchUpSeparated: Scenario = {
  name: 'catch-up-separated',
  title: 'Catch-up of 200,000 inserts, a process for each role',
  goals: { 'changes/s': { min: 19_000, unit: '/s' }, 'CPU a change': { max: 100, unit: 'µs' } },
  run: async (bench) => await measure(bench, ['control,ingest', 'capture', 'mongo', 'redis']),
};

async function measure(bench: Bench, roles: readonly (string | undefined)[]): Promise<Measurement> {
  const first = bench.worker();
  await bench.pipeline.run('start', '--wait');
  await bench.pipeline.run('wait', '--timeout', '30s');
  await first.stop();
  await insertRows(bench.stack.mysql.uri, bench.pipeline.database, { from: 1, count: changes });

  const before = await bench.applied();
  const target = plus(before, changes);
  const launched = performance.now();
  const workers = roles.map((role) => bench.worker(role));
  await until(
    'the first change is applied',
    async () => {
      const now = await bench.applied();
      return now.mongo > before.mongo || now.redis > before.redis;
    },
    { everyMs: 10, timeoutMs: 60_000 },
  );
  const begun = await bench.applied();
  const started = performance.now();
  const meter = await startCpuMeter(await bench.pids());
  const done = await bench.untilApplied(target);
  const ms = Math.max(done.mongo, done.redis) - started;
  const cpu = await meter.read();
  const left = target.mongo - begun.mongo;
  const peaks = await Promise.all(workers.map(async ({ pid }) => await memoryOf(pid)));
  return {
    figures: {
      'changes/s': (1000 * left) / ms,
      'MongoDB /s': (1000 * left) / (done.mongo - started),
      'Redis /s': (1000 * (target.redis - begun.redis)) / (done.redis - started),
      'CPU a change': [...cpu.values()].reduce((a, b) => a + b, 0) / left,
      'worker start ms': started - launched,
      'worker peak RSS': Math.max(...peaks.map((m) => m.peakMb)),
    },
    cpuPerChange: new Map([...cpu].map(([name, us]) => [name, us / left])),
  };
}
