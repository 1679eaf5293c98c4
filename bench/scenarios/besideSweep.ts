/** What a sweep at its default pace costs the stream: the same latencies without and with one, in turns, in one run. */
import { quantile } from '../harness.js';
import type { Bench, Measurement, Scenario } from '../harness.js';
import { insertRows } from '../rows.js';
import { latencies, write } from './latency.js';

const rate = 200;
const secondsATurn = 20;
const turns = 2;
/** More than a sweep reads in a turn beside traffic. */
const rows = 150_000;

export const besideSweep: Scenario = {
  name: 'beside-sweep',
  title: `Latency at ${rate} transactions/s without and with a sweep at its default pace, ms`,
  goals: {
    'Redis p99, ratio': { max: 1.25, unit: 'times' },
    'MongoDB p99, ratio': { max: 1.25, unit: 'times' },
  },
  run: measure,
};

async function measure(bench: Bench): Promise<Measurement> {
  const { pipeline } = bench;
  await insertRows(bench.stack.mysql.uri, pipeline.database, { from: 1, count: rows });
  bench.worker();
  await pipeline.run('start', '--wait');
  await pipeline.run('wait', '--timeout', '60s');
  let firstId = 10_000_000;
  const next = (): number => (firstId += 1_000_000);
  await write(bench, rate, 5, next(), () => undefined);
  const alone = { mongo: [] as number[], redis: [] as number[] };
  const beside = { mongo: [] as number[], redis: [] as number[] };
  let swept = 0;
  for (let turn = 0; turn < turns; turn++) {
    add(alone, (await latencies(bench, rate, secondsATurn, next())).lags);
    const ended = new AbortController();
    const sweeping = pipeline.cli('validate', '--json').finally(() => ended.abort());
    // It begins beside traffic: a sweep that starts at rest finds its pace within a second.
    await write(bench, rate, 2, next(), () => undefined);
    const before = await rowsRead(bench);
    add(beside, (await latencies(bench, rate, secondsATurn, next())).lags);
    swept += (await rowsRead(bench)) - before;
    if (ended.signal.aborted) throw new Error('the sweep ended before its turn did');
    const { code, stdout, stderr } = await sweeping;
    if (code !== 0) throw new Error(`the sweep: ${stdout.slice(0, 500)} ${stderr}`);
  }
  const ratio = (store: 'mongo' | 'redis', share: number): number =>
    quantile(beside[store], share) / quantile(alone[store], share);
  return {
    figures: {
      'Redis p99 alone': quantile(alone.redis, 0.99),
      'Redis p99 beside a sweep': quantile(beside.redis, 0.99),
      'Redis p99, ratio': ratio('redis', 0.99),
      'Redis p50, ratio': ratio('redis', 0.5),
      'MongoDB p99 alone': quantile(alone.mongo, 0.99),
      'MongoDB p99 beside a sweep': quantile(beside.mongo, 0.99),
      'MongoDB p99, ratio': ratio('mongo', 0.99),
      'MongoDB p50, ratio': ratio('mongo', 0.5),
      'rows read a second': swept / (turns * secondsATurn),
    },
  };
}

function add(
  to: { readonly mongo: number[]; readonly redis: number[] },
  lags: { readonly mongo: readonly number[]; readonly redis: readonly number[] },
): void {
  to.mongo.push(...lags.mongo);
  to.redis.push(...lags.redis);
}

/** By anybody, so far: nobody but the sweep reads rows of the table. */
async function rowsRead({ pipeline }: Bench): Promise<number> {
  const [found] = await pipeline.root.query(
    `SELECT COUNT_READ AS n FROM performance_schema.table_io_waits_summary_by_table
      WHERE OBJECT_SCHEMA = '${pipeline.database}' AND OBJECT_NAME = 'bench'`,
  );
  return Number((found as { n: unknown }[])[0]?.n ?? 0);
}
