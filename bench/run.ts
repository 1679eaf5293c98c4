/**
 * `npm run bench [-- name…]`: runs the scenarios, three times each unless BENCH_RUNS says otherwise, and prints the
 * medians beside their goals. The same as JSON goes to .lockstep/bench/results.json.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { packageRoot } from '../temporal-compose/place.js';
import { down, up } from '../temporal-compose/stack.js';
import type { Stack } from '../temporal-compose/stack.js';
import { median, withBench } from './harness.js';
import type { Measurement, Scenario } from './harness.js';
import { catchUp, catchUpSeparated } from './scenarios/catchUp.js';
import { codec } from './scenarios/codec.js';
import { latency1500, latency200 } from './scenarios/latency.js';
import { ingestDirect, ingestLog } from './scenarios/ingest.js';
import { liveInserts, liveUpdates } from './scenarios/live.js';
import { catchUpUnverified, verify } from './scenarios/verify.js';
import { idle, restart, snapshot, stoppedStore } from './scenarios/rest.js';
import { witness } from './scenarios/witness.js';
import { besideSweep } from './scenarios/besideSweep.js';
import { sweep } from './scenarios/sweep.js';

const scenarios: readonly Scenario[] = [
  codec,
  catchUp,
  catchUpSeparated,
  liveInserts,
  liveUpdates,
  latency200,
  latency1500,
  snapshot,
  ingestDirect,
  ingestLog,
  restart,
  idle,
  stoppedStore,
  witness,
  catchUpUnverified,
  verify,
  sweep,
  besideSweep,
];
const root = join(packageRoot(), '.lockstep', 'bench');
const say = (line: string): void => void process.stderr.write(`${line}\n`);

interface Result {
  readonly name: string;
  readonly runs: number;
  readonly figures: Readonly<Record<string, number>>;
  readonly cpuPerChange: Readonly<Record<string, number>>;
}

async function main(names: readonly string[]): Promise<void> {
  const unknown = names.filter((name) => !scenarios.some((scenario) => scenario.name === name));
  if (unknown.length > 0) {
    say(`no such bench: ${unknown.join(', ')}. There are: ${scenarios.map((s) => s.name).join(', ')}`);
    process.exitCode = 2;
    return;
  }
  const given = process.env['LOCKSTEP_TEST_STACK'];
  const own = given === undefined || given === '';
  const stack = own
    ? await up({ root, ports: 'free', onProgress: say })
    : (JSON.parse(await readFile(given, 'utf8')) as Stack);
  try {
    const chosen = names.length === 0 ? scenarios : scenarios.filter((scenario) => names.includes(scenario.name));
    const results: Result[] = [];
    // Servers that have just begun run on cold code: Kafka alone took ten times its CPU a change.
    say('warming up');
    await withBench(stack, { label: 'bench' }, async (bench) => await liveInserts.run(bench));
    for (const scenario of chosen) {
      const result = await repeat(stack, scenario);
      results.push(result);
      print(scenario, result);
    }
    await mkdir(root, { recursive: true });
    const file = join(root, 'results.json');
    await writeFile(
      file,
      `${JSON.stringify({ at: new Date().toISOString(), cpus: cpus().length, results }, null, 2)}\n`,
    );
    say(`\nas JSON: ${file}`);
  } finally {
    if (own) await down({ root, wipe: true, onProgress: say });
  }
}

async function repeat(stack: Stack, scenario: Scenario): Promise<Result> {
  const runs = Number(process.env['BENCH_RUNS'] ?? 3);
  const alone = (process.env['BENCH_ALONE'] ?? '') === '' ? {} : { verify: 'off', witness: 'off' };
  const measured: Measurement[] = [];
  for (let run = 1; run <= runs; run++) {
    say(`${scenario.name}: run ${run} of ${runs}`);
    const options = { label: 'bench', settings: { ...scenario.settings, ...alone } };
    measured.push(await withBench(stack, options, async (bench) => await scenario.run(bench)));
  }
  const middle = (of: (m: Measurement) => Iterable<readonly [string, number]>): Record<string, number> => {
    const names = [...new Set(measured.flatMap((m) => [...of(m)].map(([name]) => name)))];
    return Object.fromEntries(names.map((name) => [name, median(measured.map((m) => new Map(of(m)).get(name) ?? 0))]));
  };
  return {
    name: scenario.name,
    runs,
    figures: middle((m) => Object.entries(m.figures)),
    cpuPerChange: middle((m) => m.cpuPerChange ?? new Map<string, number>()),
  };
}

function print(scenario: Scenario, result: Result): void {
  const lines = [`\n${scenario.title}  (median of ${result.runs})`];
  for (const [name, value] of Object.entries(result.figures)) {
    const goal = scenario.goals[name];
    const met = goal === undefined || ((goal.min ?? -Infinity) <= value && value <= (goal.max ?? Infinity));
    const asked = goal === undefined ? '' : `  ${met ? 'ok  ' : 'MISS'} goal ${goalText(goal)} ${goal.unit}`;
    lines.push(`  ${name.padEnd(28)} ${shown(value).padStart(10)}${asked}`);
  }
  const cpu = Object.entries(result.cpuPerChange).filter(([, us]) => us >= 0.05);
  if (cpu.length > 0) {
    const total = cpu.reduce((sum, [, us]) => sum + us, 0);
    const parts = cpu.map(([name, us]) => `${name} ${us.toFixed(1)}`);
    lines.push(`  CPU µs a change: ${parts.join(', ')}; together ${total.toFixed(1)}`);
  }
  process.stdout.write(`${lines.join('\n')}\n`);
}

function goalText(goal: { readonly min?: number; readonly max?: number }): string {
  return goal.min === undefined ? `≤ ${goal.max}` : `≥ ${goal.min.toLocaleString('en-US')}`;
}

function shown(value: number): string {
  return value >= 1000 ? Math.round(value).toLocaleString('en-US') : value.toFixed(value < 10 ? 2 : 1);
}

await main(process.argv.slice(2));
