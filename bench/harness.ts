/**
 * A bench's surroundings: servers, one pipeline of its own a run, workers, and how far each store has come. What is
 * measured is in scenarios; how often, and what is printed, in run.ts.
 */
import { Redis } from 'ioredis';
import { MongoClient } from 'mongodb';
import { createPipeline } from '../test/support/pipeline.js';
import type { Pipeline, PipelineOptions } from '../test/support/pipeline.js';
import { until } from '../test/support/processes.js';
import type { WorkerProcess } from '../test/support/processes.js';
import type { Stack } from '../temporal-compose/stack.js';
import { createBenchTable } from './rows.js';
import { listenersOf } from './processes.js';

export type Figures = Readonly<Record<string, number>>;

export interface Measurement {
  readonly figures: Figures;
  /** Microseconds of CPU a change, by process. */
  readonly cpuPerChange?: ReadonlyMap<string, number>;
}

export interface Scenario {
  readonly name: string;
  readonly title: string;
  /** Figure → what the project asks of it; `min` or `max`. */
  readonly goals: Readonly<Record<string, { readonly min?: number; readonly max?: number; readonly unit: string }>>;
  /** Of the pipeline, beside the defaults. */
  readonly settings?: Readonly<Record<string, unknown>>;
  run(bench: Bench): Promise<Measurement>;
}

export interface Applied {
  readonly mongo: number;
  readonly redis: number;
}

export interface Bench {
  readonly stack: Stack;
  readonly pipeline: Pipeline;
  readonly redis: Redis;
  readonly mongo: MongoClient;
  /** Starts a worker process; without queues it serves all of them. */
  worker(queues?: string): WorkerProcess;
  /** Servers and running workers by name, as far as this machine shows them. */
  pids(): Promise<Map<string, number>>;
  /** Events that each store has applied since the pipeline began. */
  applied(): Promise<Applied>;
  /** Returns the moment (performance.now) at which each store had applied so many. */
  untilApplied(target: Applied, timeoutMs?: number): Promise<{ readonly mongo: number; readonly redis: number }>;
  /** The same for MongoDB alone. */
  untilMongo(target: number): Promise<number>;
}

export interface BenchOptions {
  readonly label: string;
  readonly settings?: PipelineOptions['settings'];
  readonly redisUri?: string;
}

/** Runs the body with a fresh pipeline over an empty bench table, and removes everything afterwards. */
export async function withBench<T>(
  stack: Stack,
  options: BenchOptions,
  body: (bench: Bench) => Promise<T>,
): Promise<T> {
  const pipeline = await createPipeline(stack, {
    label: options.label,
    commandTimeoutMs: 600_000,
    ...(options.settings === undefined ? {} : { settings: options.settings }),
    ...(options.redisUri === undefined ? {} : { redisUri: options.redisUri }),
  });
  const redis = new Redis(options.redisUri ?? stack.redis.uri);
  const mongo = await MongoClient.connect(stack.mongo.uri);
  const roles = new Map<WorkerProcess, string>();

  async function appliedInMongo(): Promise<number> {
    const positions = mongo.db(pipeline.stateDatabase).collection<{ _id: string; applied: number }>('positions');
    const documents = await positions.find({}, { projection: { applied: 1 } }).toArray();
    return documents.reduce((sum, d) => sum + d.applied, 0);
  }
  async function applied(): Promise<Applied> {
    const field = redis.hget(`${pipeline.name}::lockstep:apply:0`, 'applied');
    return { mongo: await appliedInMongo(), redis: Number((await field) ?? 0) };
  }

  try {
    await createBenchTable(pipeline.root);
    return await body({
      stack,
      pipeline,
      redis,
      mongo,
      worker(queues) {
        const worker = queues === undefined ? pipeline.worker() : pipeline.worker('--queues', queues);
        roles.set(worker, `worker ${queues ?? ''}`.trim());
        return worker;
      },
      async pids() {
        const found = await listenersOf(portsOf(stack));
        for (const [worker, role] of roles) {
          if (worker.running()) found.set(role, worker.pid);
        }
        return found;
      },
      applied,
      async untilApplied(target, timeoutMs = 180_000) {
        const at = { mongo: 0, redis: 0 };
        await until(
          `both stores applied ${JSON.stringify(target)}`,
          async () => {
            const now = await applied();
            if (at.mongo === 0 && now.mongo >= target.mongo) at.mongo = performance.now();
            if (at.redis === 0 && now.redis >= target.redis) at.redis = performance.now();
            return at.mongo > 0 && at.redis > 0;
          },
          { timeoutMs, everyMs: 20 },
        );
        return at;
      },
      async untilMongo(target) {
        const reached = async (): Promise<boolean> => (await appliedInMongo()) >= target;
        await until(`MongoDB applied ${target}`, reached, { timeoutMs: 120_000, everyMs: 20 });
        return performance.now();
      },
    });
  } finally {
    redis.disconnect();
    await mongo.close();
    await pipeline.remove();
  }
}

function portsOf(stack: Stack): Map<string, number> {
  const port = (address: string): number => Number(/:(\d+)(?:\/|$)/.exec(address.replace(/^\w+:\/\//, ''))?.[1]);
  return new Map([
    ['mysqld', port(stack.mysql.uri)],
    ['mongod', port(stack.mongo.uri)],
    ['redis', port(stack.redis.uri)],
    ['kafka', port(stack.kafka.brokers[0] ?? '')],
    ['temporal', port(stack.temporal.address)],
  ]);
}

/** Base of counts to come: now applied plus so many. */
export function plus(applied: Applied, changes: number): Applied {
  return { mongo: applied.mongo + changes, redis: applied.redis + changes };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const [low, high] = [sorted[middle - 1] ?? 0, sorted[middle] ?? 0];
  return sorted.length % 2 === 1 ? high : (low + high) / 2;
}

export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
}
