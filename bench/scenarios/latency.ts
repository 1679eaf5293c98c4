/**
 * Commit returned → readable in the store, for single-row transactions at a steady rate. Seen from outside: a reader asks
 * each store every 1.5 ms for the rows it waits for, so figures carry up to that and a query too much. It looks for some 50
 * rows a second and begins 6 ms after their commit, because asking takes CPU from what is measured.
 */
import { createConnection } from 'mysql2/promise';
import { startCpuMeter } from '../processes.js';
import { quantile } from '../harness.js';
import type { Bench, Measurement, Scenario } from '../harness.js';
import { benchRow, insertOne } from '../rows.js';

const seconds = 30;
const warmUpSeconds = 3;
const observedPerSecond = 50;
const lookAfterMs = 6;

export const latency200: Scenario = {
  name: 'latency-200',
  title: 'Latency at 200 transactions/s, ms',
  goals: {
    'Redis p50': { max: 18, unit: 'ms' },
    'Redis p99': { max: 40, unit: 'ms' },
    'MongoDB p50': { max: 22, unit: 'ms' },
    'MongoDB p99': { max: 50, unit: 'ms' },
  },
  run: async (bench) => await measure(bench, 200),
};

export const latency1500: Scenario = {
  name: 'latency-1500',
  title: 'Latency at 1,500 transactions/s, ms',
  goals: { 'Redis p99': { max: 130, unit: 'ms' }, 'MongoDB p99': { max: 130, unit: 'ms' } },
  run: async (bench) => await measure(bench, 1500),
};

type Pending = Map<number, number>;

async function measure(bench: Bench, rate: number): Promise<Measurement> {
  bench.worker();
  await bench.pipeline.run('start', '--wait');
  await bench.pipeline.run('wait', '--timeout', '30s');
  await write(bench, rate, warmUpSeconds, 1, () => undefined);
  const meter = await startCpuMeter(await bench.pids());
  const { lags, written, perSecond } = await latencies(bench, rate, seconds, 1_000_000);
  const cpu = await meter.read();
  return {
    figures: {
      'reached tx/s': perSecond,
      'Redis p50': quantile(lags.redis, 0.5),
      'Redis p95': quantile(lags.redis, 0.95),
      'Redis p99': quantile(lags.redis, 0.99),
      'MongoDB p50': quantile(lags.mongo, 0.5),
      'MongoDB p95': quantile(lags.mongo, 0.95),
      'MongoDB p99': quantile(lags.mongo, 0.99),
    },
    cpuPerChange: new Map([...cpu].map(([name, us]) => [name, us / written])),
  };
}

export interface Latencies {
  /** Milliseconds. */
  readonly lags: { readonly mongo: readonly number[]; readonly redis: readonly number[] };
  readonly written: number;
  readonly perSecond: number;
}

/** Writes at a steady rate and looks for some of it in both stores, until all that was looked for is there. */
export async function latencies(bench: Bench, rate: number, forSeconds: number, firstId: number): Promise<Latencies> {
  const [mongo, redis]: [Pending, Pending] = [new Map(), new Map()];
  const writing = new AbortController();
  const lags = { mongo: [] as number[], redis: [] as number[] };
  const readers = [
    watch(mongo, writing.signal, lags.mongo, async (ids) => await presentInMongo(bench, ids)),
    watch(redis, writing.signal, lags.redis, async (ids) => await presentInRedis(bench, ids)),
  ];
  const every = Math.max(1, Math.round(rate / observedPerSecond));
  const started = performance.now();
  const written = await write(bench, rate, forSeconds, firstId, (id) => {
    if (id % every !== 0) return;
    const now = performance.now();
    mongo.set(id, now);
    redis.set(id, now);
  });
  const perSecond = (1000 * written) / (performance.now() - started);
  writing.abort();
  await Promise.all(readers);
  return { lags, written, perSecond };
}

/** Each connection writes at its own beat; an insert is a transaction. Returns how many there were. */
export async function write(
  bench: Bench,
  rate: number,
  forSeconds: number,
  firstId: number,
  committed: (id: number) => void,
): Promise<number> {
  const connections = rate > 500 ? 16 : 4;
  const deadline = performance.now() + forSeconds * 1000;
  const everyMs = (1000 * connections) / rate;
  let id = firstId;
  await Promise.all(
    Array.from({ length: connections }, async (_, index) => {
      const connection = await createConnection({ uri: bench.stack.mysql.uri, database: bench.pipeline.database });
      let next = performance.now() + (everyMs * index) / connections;
      try {
        while (performance.now() < deadline) {
          const wait = next - performance.now();
          if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
          next += everyMs;
          const mine = id++;
          await connection.execute(insertOne, benchRow(mine));
          committed(mine);
        }
      } finally {
        await connection.end();
      }
    }),
  );
  return id - firstId;
}

/** Ends when writing ended and nothing is waited for any more. */
async function watch(
  pending: Pending,
  writing: AbortSignal,
  lags: number[],
  present: (ids: number[]) => Promise<number[]>,
): Promise<void> {
  while (!writing.aborted || pending.size > 0) {
    const due = performance.now() - lookAfterMs;
    const ids = [...pending].filter(([, committed]) => committed < due).map(([id]) => id);
    if (ids.length > 0) {
      const found = await present(ids);
      const now = performance.now();
      for (const id of found) {
        lags.push(now - (pending.get(id) ?? now));
        pending.delete(id);
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 1.5));
  }
}

async function presentInMongo({ mongo, pipeline }: Bench, ids: number[]): Promise<number[]> {
  const bench = mongo.db(pipeline.database).collection<{ _id: number }>('bench');
  const found = await bench.find({ _id: { $in: ids } }, { projection: { _id: 1 } }).toArray();
  return found.map((document) => Number(document._id));
}

async function presentInRedis({ redis, pipeline }: Bench, ids: number[]): Promise<number[]> {
  const commands = redis.pipeline();
  for (const id of ids) commands.exists(`${pipeline.name}:bench:${id}`);
  const replies = (await commands.exec()) ?? [];
  return ids.filter((_, i) => replies[i]?.[1] === 1);
}
