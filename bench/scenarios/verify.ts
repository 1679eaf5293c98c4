/** What verifying every change costs, how fast it is, and how soon a lost apply is told. */
import { until } from '../../test/support/processes.js';
import { plus, quantile } from '../harness.js';
import type { Bench, Scenario } from '../harness.js';
import { benchRow, insertOne, insertRows } from '../rows.js';
import { catchUp } from './catchUp.js';

export const catchUpUnverified: Scenario = {
  ...catchUp,
  name: 'catch-up-unverified',
  title: 'Catch-up of 200,000 inserts, one process, verify off',
  settings: { verify: 'off' },
};

const changes = 100_000;
const lost = 20;

export const verify: Scenario = {
  name: 'verify',
  title: 'Verify: 100,000 inserts that both stores have applied; 20 applies that are lost in each, at rest',
  goals: {
    'MongoDB verified /s': { min: 10_000, unit: '/s' },
    'Redis verified /s': { min: 10_000, unit: '/s' },
    'lost apply told, worst ms': { max: 5_000, unit: 'ms' },
  },
  async run(bench) {
    return { figures: await measure(bench) };
  },
};

async function measure(bench: Bench): Promise<Record<string, number>> {
  const { pipeline, stack } = bench;
  bench.worker();
  await pipeline.run('start', '--wait');
  await insertRows(stack.mysql.uri, pipeline.database, { from: 1, count: changes });
  const target = plus({ mongo: 0, redis: 0 }, changes);
  await bench.untilApplied(target);
  const applied = performance.now();
  const begun = await verified(bench);
  const done = { mongo: 0, redis: 0 };
  await until(
    'everything is verified',
    async () => {
      const now = await verified(bench);
      for (const store of ['mongo', 'redis'] as const) {
        if (done[store] === 0 && now[store] >= changes) done[store] = performance.now();
      }
      return done.mongo > 0 && done.redis > 0;
    },
    { timeoutMs: 180_000, everyMs: 50 },
  );
  const told = await lostApplies(bench);
  return {
    'verified meanwhile': begun.mongo + begun.redis,
    'MongoDB verified /s': rate(changes - begun.mongo, done.mongo - applied),
    'Redis verified /s': rate(changes - begun.redis, done.redis - applied),
    'lost apply told, median ms': quantile(told, 0.5),
    'lost apply told, worst ms': Math.max(...told),
  };
}

function rate(events: number, ms: number): number {
  return ms <= 0 ? 0 : (1000 * events) / ms;
}

/** As saved, so up to two seconds old. */
async function verified({ pipeline }: Bench): Promise<{ mongo: number; redis: number }> {
  const [rows] = await pipeline.root.query(`SELECT store, events FROM \`${pipeline.stateDatabase}\`.verified`);
  const of = (name: string): number =>
    Number((rows as { store: string; events: number }[]).find(({ store }) => store === name)?.events ?? 0);
  return { mongo: of('mongo'), redis: of('redis') };
}

/** A row is written, and as soon as a store shows it, it is taken away there: from then until the key stands in `drift`. */
async function lostApplies({ pipeline, mongo, redis }: Bench): Promise<number[]> {
  const collection = mongo.db(pipeline.database).collection<{ _id: number }>('bench');
  const took: number[] = [];
  for (let i = 1; i <= lost; i++) {
    for (const store of ['mongo', 'redis'] as const) {
      const id = 10_000_000 + 2 * i + (store === 'mongo' ? 0 : 1);
      const key = `${pipeline.name}:bench:${id}`;
      await pipeline.root.query(insertOne, benchRow(id));
      const take = async (): Promise<boolean> =>
        store === 'mongo' ? (await collection.deleteOne({ _id: id })).deletedCount === 1 : (await redis.del(key)) === 1;
      await until(`row ${id} is lost in ${store}`, take, { everyMs: 1 });
      const from = performance.now();
      const isTold = async (): Promise<boolean> => {
        const [rows] = await pipeline.root.query(
          `SELECT 1 FROM \`${pipeline.stateDatabase}\`.drift WHERE store = ? AND \`key\` = ?`,
          [store, JSON.stringify({ id })],
        );
        return (rows as unknown[]).length > 0;
      };
      await until(`key ${id} is told`, isTold, { everyMs: 10 });
      took.push(performance.now() - from);
    }
  }
  return took;
}
