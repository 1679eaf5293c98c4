/** Copying a table, coming back after kill -9, doing nothing, and a store that stands still. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { down, up } from '../../temporal-compose/stack.js';
import { until } from '../../test/support/processes.js';
import { cpuMicroseconds, listenersOf, memoryOf, startCpuMeter } from '../processes.js';
import { withBench } from '../harness.js';
import type { Bench, Scenario } from '../harness.js';
import { benchRow, insertOne, insertRows } from '../rows.js';

export const snapshot: Scenario = {
  name: 'snapshot',
  title: 'Snapshot of 200,000 rows into both stores',
  goals: { 'rows/s': { min: 15_000, unit: '/s' } },
  async run(bench) {
    const rows = 200_000;
    await insertRows(bench.stack.mysql.uri, bench.pipeline.database, { from: 1, count: rows });
    bench.worker();
    await bench.pipeline.run('start');
    await until('the copy begins', async () => await copyBegan(bench), { everyMs: 10, timeoutMs: 60_000 });
    const started = performance.now();
    const meter = await startCpuMeter(await bench.pids());
    const done = await bench.untilApplied({ mongo: rows, redis: rows });
    const cpu = await meter.read();
    const ms = Math.max(done.mongo, done.redis) - started;
    return {
      figures: { 'rows/s': (1000 * rows) / ms, seconds: ms / 1000 },
      cpuPerChange: new Map([...cpu].map(([name, us]) => [name, us / rows])),
    };
  },
};

async function copyBegan({ pipeline }: Bench): Promise<boolean> {
  const [rows] = await pipeline.root
    .query(`SELECT 1 FROM ${pipeline.stateDatabase}.copies WHERE phase <> 'waiting'`)
    .catch(() => [[]]);
  return (rows as unknown[]).length > 0;
}

export const restart: Scenario = {
  name: 'restart',
  title: 'kill -9 of the worker at rest → a new row readable in both stores',
  goals: { seconds: { max: 3, unit: 's' } },
  async run(bench) {
    const worker = bench.worker();
    await bench.pipeline.run('start', '--wait');
    await bench.pipeline.run('wait', '--timeout', '30s');
    const killed = performance.now();
    await worker.kill();
    bench.worker();
    await bench.pipeline.root.query(insertOne, benchRow(1));
    const { mongo, redis, pipeline } = bench;
    const t = mongo.db(pipeline.database).collection<{ _id: number }>('bench');
    let inMongo = 0;
    let inRedis = 0;
    await until(
      'the row is in both',
      async () => {
        if (inMongo === 0 && (await t.findOne({ _id: 1 })) !== null) inMongo = performance.now();
        if (inRedis === 0 && (await redis.exists(`${pipeline.name}:bench:1`)) === 1) inRedis = performance.now();
        return inMongo > 0 && inRedis > 0;
      },
      { everyMs: 5 },
    );
    return {
      figures: {
        seconds: (Math.max(inMongo, inRedis) - killed) / 1000,
        'MongoDB s': (inMongo - killed) / 1000,
        'Redis s': (inRedis - killed) / 1000,
      },
    };
  },
};

export const idle: Scenario = {
  name: 'idle',
  title: 'At rest: CPU in % of a core, memory of the worker',
  goals: { 'mysqld %': { max: 4, unit: '%' }, 'worker %': { max: 4, unit: '%' } },
  async run(bench) {
    const worker = bench.worker();
    await bench.pipeline.run('start', '--wait');
    await bench.pipeline.run('wait', '--timeout', '30s');
    // V8 goes on collecting for half a minute after the work has ended.
    await new Promise((resolve) => setTimeout(resolve, 45_000));
    const meter = await startCpuMeter(await bench.pids());
    const started = performance.now();
    await new Promise((resolve) => setTimeout(resolve, 20_000));
    const cpu = await meter.read();
    const us = (performance.now() - started) * 1000;
    const shares = [...cpu].map(([name, used]) => [`${name} %`, (100 * used) / us] as const);
    return { figures: { ...Object.fromEntries(shares), 'worker RSS MB': (await memoryOf(worker.pid)).nowMb } };
  },
};

export const stoppedStore: Scenario = {
  name: 'stopped-store',
  title: 'Redis stands still for 20 s under 3,000 changes/s: memory of the worker, the other store goes on',
  goals: { 'worker growth MB': { max: 60, unit: 'MB' }, 'MongoDB behind s': { max: 2, unit: 's' } },
  async run({ stack }) {
    const folder = await mkdtemp(join(tmpdir(), 'lockstep-bench-'));
    const own = await up({ root: folder, ports: 'free', only: ['redis'] });
    const port = Number(new URL(own.redis.uri).port);
    const pid = (await listenersOf(new Map([['redis', port]]))).get('redis');
    if (pid === undefined) throw new Error('the private Redis is not a process of this machine');
    try {
      return await withBench(stack, { label: 'bench', redisUri: own.redis.uri }, async (bench) => {
        const worker = bench.worker();
        await bench.pipeline.run('start', '--wait');
        const { uri } = stack.mysql;
        await insertRows(uri, bench.pipeline.database, { from: 1, count: 60_000 });
        await bench.untilApplied({ mongo: 60_000, redis: 60_000 });
        const before = await memoryOf(worker.pid);
        process.kill(pid, 'SIGSTOP');
        const peaks: number[] = [];
        const cpu = await cpuMicroseconds(worker.pid);
        try {
          for (let second = 0; second < 20; second++) {
            const begun = performance.now();
            await insertRows(uri, bench.pipeline.database, {
              from: 100_000 + second * 3000,
              count: 3000,
              connections: 1,
            });
            peaks.push((await memoryOf(worker.pid)).nowMb);
            await new Promise((resolve) => setTimeout(resolve, Math.max(0, 1000 - (performance.now() - begun))));
          }
          const written = performance.now();
          const mongo = (await bench.untilMongo(120_000)) - written;
          const used = (await cpuMicroseconds(worker.pid)) - cpu;
          return {
            figures: {
              'worker growth MB': Math.max(...peaks) - before.nowMb,
              'worker MB': Math.max(...peaks),
              'MongoDB behind s': mongo / 1000,
              'worker CPU µs a change': used / 60_000,
            },
          };
        } finally {
          process.kill(pid, 'SIGCONT');
        }
      });
    } finally {
      await down({ root: folder, wipe: true });
      await rm(folder, { recursive: true, force: true });
    }
  },
};
