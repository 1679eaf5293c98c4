/**
 * Apply alone: 200,000 changes of about 300 bytes wait in the topics; one process writes them into MongoDB, into Redis,
 * and into both. `fill`: into empty stores. `again`: the same log a second time, over what is there, so that every
 * document is replaced.
 * `npm run build && node dist/bench/apply.js`, with LOCKSTEP_TEST_STACK for servers that run already.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { MongoClient } from 'mongodb';
import type { Config } from '../core/config.js';
import type { Store, StoreName } from '../core/store.js';
import { openMongoStore } from '../stores/mongo/store.js';
import { openRedisStore } from '../stores/redis/store.js';
import { down, up, type Stack } from '../temporal-compose/stack.js';
import { createCaptureRig } from '../test/support/captureRig.js';
import { until } from '../test/support/processes.js';
import { median } from './harness.js';
import { listenersOf, memoryOf, startCpuMeter } from './processes.js';
import { createBenchTable, insertRows } from './rows.js';

const changes = Number(process.env['BENCH_CHANGES'] ?? 200_000);
const runs = Number(process.env['BENCH_RUNS'] ?? 3);
const wanted = (process.env['BENCH_STORES'] ?? 'mongo;redis;mongo,redis').split(';');
const program = join(dirname(fileURLToPath(import.meta.url)), 'applyProcess.js');

type Figures = Readonly<Record<string, number>>;

async function main(): Promise<void> {
  const given = process.env['LOCKSTEP_TEST_STACK'];
  const root = join(tmpdir(), 'lockstep-bench-apply');
  const stack =
    given === undefined
      ? await up({ root, ports: 'free', onProgress: console.error })
      : (JSON.parse(readFileSync(given, 'utf8')) as Stack);
  const rig = await createCaptureRig(stack, 'benchapply', []);
  const { pipeline } = rig.config;
  const config: Config = {
    ...rig.config,
    mongo: { uri: stack.mongo.uri, database: pipeline, stateDatabase: `${pipeline}-state`, tls: null },
    redis: { uri: stack.redis.uri, keyPrefix: pipeline, tls: null },
  };
  try {
    await createBenchTable(rig.root);
    await rig.install();
    const capture = rig.capture();
    await insertRows(stack.mysql.uri, config.mysql.database, { from: 1, count: changes });
    await rig.drained(120_000);
    await capture.stop();
    for (const names of wanted) await measureAll(stack, config, names.split(',') as StoreName[]);
  } finally {
    await empty(stack, config);
    await rig.remove();
    if (given === undefined) await down({ root, wipe: true, onProgress: console.error });
  }
}

async function measureAll(stack: Stack, config: Config, names: readonly StoreName[]): Promise<void> {
  const measured = new Map<string, Figures[]>();
  for (let run = 0; run < runs; run++) {
    await empty(stack, config);
    for (const kind of ['fill', 'again']) {
      const figures = await measure(stack, config, names);
      console.log(`${names.join('+')} ${kind}: ${line(figures)}`);
      measured.set(kind, [...(measured.get(kind) ?? []), figures]);
      await forget(config);
    }
  }
  for (const [kind, all] of measured) {
    const figures = Object.keys(all[0] ?? {}).map((name) => [name, median(all.map((f) => f[name] ?? 0))]);
    console.log(`${names.join('+')} ${kind}, median: ${line(Object.fromEntries(figures) as Figures)}`);
  }
}

async function measure(stack: Stack, config: Config, names: readonly StoreName[]): Promise<Figures> {
  const file = join(mkdtempSync(join(tmpdir(), 'lockstep-bench-')), 'config.json');
  writeFileSync(file, JSON.stringify(config), { mode: 0o600 });
  const flags = (process.env['BENCH_NODE_FLAGS'] ?? '').split(' ').filter((flag) => flag !== '');
  const child = spawn(process.execPath, [...flags, program, file, ...names], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const stores = opened(config).filter((store) => names.includes(store.name));
  const pids = (await listenersOf(ports(stack))).set('node', child.pid ?? 0);
  try {
    const applied = async (): Promise<number[]> =>
      Promise.all(stores.map(async (store) => (await store.readState(0))?.progress.applied ?? 0));
    const begun = async (): Promise<boolean> => (await applied()).some((n) => n > 0);
    await until('the first batch is there', begun, { timeoutMs: 30_000, everyMs: 2 });
    const first = Math.max(...(await applied()));
    const meter = await startCpuMeter(pids);
    const began = performance.now();
    const done = async (): Promise<boolean> => (await applied()).every((n) => n >= changes);
    await until('all of it is there', done, { timeoutMs: 120_000, everyMs: 10 });
    const seconds = (performance.now() - began) / 1_000;
    const cpu = await meter.read();
    const counted = changes - first;
    const perChange = (name: string): number => (cpu.get(name) ?? 0) / counted;
    return {
      'changes/s': counted / seconds,
      'node µs': perChange('node'),
      'mongod µs': perChange('mongo'),
      'redis µs': perChange('redis'),
      'kafka µs': perChange('kafka'),
      'peak MB': (await memoryOf(child.pid ?? 0)).peakMb,
    };
  } finally {
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    await ended;
    await Promise.all(stores.map(async (store) => store.close()));
  }
}

function opened(config: Config): Store[] {
  const stores: Store[] = [];
  if (config.mongo !== null) stores.push(openMongoStore(config.mongo, config.pipeline));
  if (config.redis !== null) stores.push(openRedisStore(config.redis, config.pipeline));
  return stores;
}

async function forget(config: Config): Promise<void> {
  for (const store of opened(config)) {
    await store.forget();
    await store.close();
  }
}

async function empty(stack: Stack, config: Config): Promise<void> {
  const mongo = await MongoClient.connect(stack.mongo.uri);
  for (const name of [config.mongo?.database, config.mongo?.stateDatabase]) await mongo.db(name).dropDatabase();
  await mongo.close();
  const redis = new Redis(stack.redis.uri);
  for await (const keys of redis.scanStream({ match: `${config.pipeline}:*`, count: 10_000 })) {
    if ((keys as string[]).length > 0) await redis.unlink(...(keys as string[]));
  }
  redis.disconnect();
}

function ports(stack: Stack): Map<string, number> {
  return new Map([
    ['mongo', Number(new URL(stack.mongo.uri).port)],
    ['redis', Number(new URL(stack.redis.uri).port)],
    ['kafka', Number(stack.kafka.brokers[0]?.split(':')[1])],
  ]);
}

function line(figures: Figures): string {
  return Object.entries(figures)
    .map(([name, value]) => `${name} ${value < 100 ? value.toFixed(1) : Math.round(value)}`)
    .join('  ');
}

await main();
