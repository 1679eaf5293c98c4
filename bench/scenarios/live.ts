/** The stores keep up with an application that writes as fast as MySQL takes it. */
import { createConnection } from 'mysql2/promise';
import { memoryOf, startCpuMeter } from '../processes.js';
import { plus } from '../harness.js';
import type { Bench, Measurement, Scenario } from '../harness.js';
import { insertRows } from '../rows.js';

export const liveInserts: Scenario = {
  name: 'live-inserts',
  title: 'Live multi-row inserts, 200,000 rows',
  goals: { 'changes/s': { min: 12_500, unit: '/s' }, 'worker peak RSS': { max: 350, unit: 'MB' } },
  async run(bench) {
    const count = 200_000;
    const worker = bench.worker();
    await bench.pipeline.run('start', '--wait');
    const target = plus(await bench.applied(), count);
    const meter = await startCpuMeter(await bench.pids());
    const started = performance.now();
    await insertRows(bench.stack.mysql.uri, bench.pipeline.database, { from: 1, count });
    const written = performance.now();
    const done = await bench.untilApplied(target);
    return {
      figures: {
        'changes/s': (1000 * count) / (Math.max(done.mongo, done.redis) - started),
        'source /s': (1000 * count) / (written - started),
        'MongoDB /s': (1000 * count) / (done.mongo - started),
        'Redis /s': (1000 * count) / (done.redis - started),
        'worker peak RSS': (await memoryOf(worker.pid)).peakMb,
      },
      cpuPerChange: await perChange(meter, count),
    };
  },
};

export const liveUpdates: Scenario = {
  name: 'live-updates',
  title: 'Live single-row updates, 8 connections, transactions of 10',
  goals: {
    'source /s': { min: 4_500, unit: '/s' },
    'stores behind at the end': { max: 2, unit: 's' },
  },
  async run(bench) {
    const rows = 100_000;
    const seconds = 15;
    await insertRows(bench.stack.mysql.uri, bench.pipeline.database, { from: 1, count: rows });
    bench.worker();
    await bench.pipeline.run('start', '--wait');
    await bench.pipeline.run('wait', '--timeout', '60s');
    const before = await bench.applied();
    const meter = await startCpuMeter(await bench.pids());
    const started = performance.now();
    const count = await updateRows(bench, rows, started + seconds * 1000);
    const written = performance.now();
    const done = await bench.untilApplied(plus(before, count));
    return {
      figures: {
        'source /s': (1000 * count) / (written - started),
        'MongoDB /s': (1000 * count) / (done.mongo - started),
        'Redis /s': (1000 * count) / (done.redis - started),
        'stores behind at the end': Math.max(0, Math.max(done.mongo, done.redis) - written) / 1000,
      },
      cpuPerChange: await perChange(meter, count),
    };
  },
};

/** Until the deadline; how many rows were really changed. */
async function updateRows(bench: Bench, rows: number, deadline: number): Promise<number> {
  let changed = 0;
  await Promise.all(
    Array.from({ length: 8 }, async (_, index) => {
      const connection = await createConnection({ uri: bench.stack.mysql.uri, database: bench.pipeline.database });
      let id = index * 977;
      try {
        while (performance.now() < deadline) {
          await connection.query('BEGIN');
          const ids = Array.from({ length: 10 }, () => {
            id = (id + 7919) % rows;
            return id + 1;
          }).toSorted((a, b) => a - b);
          for (const one of ids) await connection.execute('UPDATE bench SET flags = flags + 1 WHERE id = ?', [one]);
          await connection.query('COMMIT');
          changed += ids.length;
        }
      } finally {
        await connection.end();
      }
    }),
  );
  return changed;
}

async function perChange(
  meter: { read(): Promise<Map<string, number>> },
  count: number,
): Promise<Measurement['cpuPerChange'] & {}> {
  return new Map([...(await meter.read())].map(([name, us]) => [name, us / count]));
}
