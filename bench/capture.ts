/**
 * Capture alone: 200,000 changes of about 300 bytes wait in the change log, one process drains them into Kafka. From the
 * first batch gone to the marker behind the last change resolved; then the same process at rest.
 * `npm run build && node dist/bench/capture.js`, with LOCKSTEP_TEST_STACK for servers that run already.
 */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { insertMarker, readMarker } from '../stores/mysql/markers.js';
import { down, up, type Stack } from '../temporal-compose/stack.js';
import { createCaptureRig, type CaptureRig } from '../test/support/captureRig.js';
import { until } from '../test/support/processes.js';
import { median } from './harness.js';
import { listenersOf, memoryOf, startCpuMeter } from './processes.js';
import { createBenchTable, insertRows } from './rows.js';

const changes = Number(process.env['BENCH_CHANGES'] ?? 200_000);
const runs = Number(process.env['BENCH_RUNS'] ?? 3);
const restSeconds = Number(process.env['BENCH_REST'] ?? 10);
const program = join(dirname(dirname(fileURLToPath(import.meta.url))), 'test', 'support', 'captureProcess.js');

type Figures = Readonly<Record<string, number>>;

async function main(): Promise<void> {
  const given = process.env['LOCKSTEP_TEST_STACK'];
  const root = join(tmpdir(), 'lockstep-bench-capture');
  const stack =
    given === undefined
      ? await up({ root, ports: 'free', onProgress: console.error })
      : (JSON.parse(readFileSync(given, 'utf8')) as Stack);
  try {
    const measured: Figures[] = [];
    for (let run = 0; run < runs; run++) {
      const figures = await measure(stack);
      console.log(line(figures));
      measured.push(figures);
    }
    const names = Object.keys(measured[0] ?? {});
    console.log(`median  ${line(Object.fromEntries(names.map((n) => [n, median(measured.map((m) => m[n] ?? 0))])))}`);
  } finally {
    if (given === undefined) await down({ root, wipe: true, onProgress: console.error });
  }
}

async function measure(stack: Stack): Promise<Figures> {
  const batchRows = Number(process.env['BENCH_BATCH'] ?? 2_000);
  const rig = await createCaptureRig(stack, 'benchcapture', [], { batchRows });
  try {
    await createBenchTable(rig.root);
    await rig.install();
    await insertRows(stack.mysql.uri, rig.config.mysql.database, { from: 1, count: changes });
    const marker = randomUUID();
    await insertMarker(rig.mysql, rig.stateDatabase, marker);
    return await drain(stack, rig, marker);
  } finally {
    await rig.remove();
  }
}

async function drain(stack: Stack, rig: CaptureRig, marker: string): Promise<Figures> {
  const file = join(mkdtempSync(join(tmpdir(), 'lockstep-bench-')), 'config.json');
  writeFileSync(file, JSON.stringify(rig.config), { mode: 0o600 });
  const flags = (process.env['BENCH_NODE_FLAGS'] ?? '').split(' ').filter((flag) => flag !== '');
  const child = spawn(process.execPath, [...flags, program, file], { stdio: ['ignore', 'inherit', 'inherit'] });
  try {
    const first = await oldest(rig);
    await until('the first batch is gone', async () => (await oldest(rig)) > first, { everyMs: 5 });
    const skipped = (await oldest(rig)) - first;
    const pids = (await listenersOf(ports(stack))).set('node', child.pid ?? 0);
    const meter = await startCpuMeter(pids);
    const began = performance.now();
    const resolved = async (): Promise<boolean> => (await readMarker(rig.mysql, rig.stateDatabase, marker)) !== null;
    await until('all of it is in Kafka', resolved, { timeoutMs: 120_000, everyMs: 10 });
    const seconds = (performance.now() - began) / 1_000;
    const cpu = await meter.read();
    const memory = await memoryOf(child.pid ?? 0);
    const counted = changes - skipped;
    await rig.drained();
    const rest = await startCpuMeter(pids);
    await new Promise((resolve) => setTimeout(resolve, restSeconds * 1_000));
    const atRest = await rest.read();
    const perChange = (name: string): number => (cpu.get(name) ?? 0) / counted;
    const share = (name: string): number => (atRest.get(name) ?? 0) / (restSeconds * 10_000);
    return {
      'changes/s': counted / seconds,
      'node µs': perChange('node'),
      'mysqld µs': perChange('mysqld'),
      'kafka µs': perChange('kafka'),
      'peak MB': memory.peakMb,
      'rest node %': share('node'),
      'rest mysqld %': share('mysqld'),
    };
  } finally {
    child.kill('SIGTERM');
    await new Promise((resolve) => child.once('close', resolve));
  }
}

async function oldest(rig: CaptureRig): Promise<number> {
  const [row] = await rig.mysql.rows(`SELECT seq FROM \`${rig.stateDatabase}\`.change_log ORDER BY seq LIMIT 1`);
  return Number(row?.[0] ?? Number.MAX_SAFE_INTEGER);
}

function ports(stack: Stack): Map<string, number> {
  return new Map([
    ['mysqld', Number(new URL(stack.mysql.uri).port)],
    ['kafka', Number(stack.kafka.brokers[0]?.split(':')[1])],
  ]);
}

function line(figures: Figures): string {
  return Object.entries(figures)
    .map(([name, value]) => `${name} ${value >= 100 ? Math.round(value).toLocaleString('en-US') : value.toFixed(1)}`)
    .join('   ');
}

await main();
