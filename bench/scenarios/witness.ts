/**
 * The witness alone, over a binary log that holds everything a change leaves there: its row event, its change log row and
 * that row's delete. A worker without a witness has been through it before.
 */
import { spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadConfig } from '../../core/loadConfig.js';
import { beginAt } from '../../stages/witnessBeginning.js';
import { openMysql } from '../../stores/mysql/connection.js';
import { readServer } from '../../stores/mysql/server.js';
import { until } from '../../test/support/processes.js';
import { plus, type Bench, type Measurement, type Scenario } from '../harness.js';
import { listenersOf, startCpuMeter } from '../processes.js';
import { insertRows } from '../rows.js';

const changes = 200_000;
const program = join(dirname(dirname(dirname(fileURLToPath(import.meta.url)))), 'test', 'support', 'witnessProcess.js');

export const witness: Scenario = {
  name: 'witness',
  title: 'The witness alone, 200,000 inserts and what capture made of them',
  goals: { 'CPU a change': { max: 20, unit: 'µs' } },
  settings: { witness: 'off' },
  async run(bench) {
    bench.worker();
    await bench.pipeline.run('start', '--wait');
    const config = { ...(await loadConfig(bench.pipeline.configFile)), witness: true };
    const mysql = openMysql(config.mysql, { connections: 2 });
    try {
      const { serverUuid } = await readServer(mysql);
      await beginAt(mysql, serverUuid, 'all');
    } finally {
      await mysql.close();
    }
    const before = await bench.applied();
    await insertRows(bench.stack.mysql.uri, bench.pipeline.database, { from: 1, count: changes });
    await bench.untilApplied(plus(before, changes));
    await Promise.all(bench.pipeline.workers.map(async (worker) => await worker.stop()));
    const file = join(bench.pipeline.folder, 'config.json');
    await writeFile(file, JSON.stringify(config), { mode: 0o600 });
    return await measure(bench, file);
  },
};

async function measure(bench: Bench, file: string): Promise<Measurement> {
  const child = spawn(process.execPath, [program, file], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (data: Buffer) => {
    output += data.toString();
  });
  const seen = (): number =>
    Number(
      output
        .trim()
        .split('\n')
        .findLast((line) => /^\d+$/.test(line)) ?? 0,
    );
  try {
    const began = performance.now();
    const all = await listenersOf(new Map([['mysqld', Number(new URL(bench.stack.mysql.uri).port)]]));
    const meter = await startCpuMeter(all.set('witness', child.pid ?? 0));
    await until('it has seen every change', () => Promise.resolve(seen() >= changes), {
      timeoutMs: 120_000,
      everyMs: 10,
    });
    const seconds = (performance.now() - began) / 1_000;
    const cpu = await meter.read();
    return {
      figures: {
        'CPU a change': [...cpu.values()].reduce((a, b) => a + b, 0) / changes,
        'changes/s, start included': changes / seconds,
        escaped: output.split('\n').filter((line) => line.startsWith('{')).length,
      },
      cpuPerChange: new Map([...cpu].map(([name, us]) => [name, us / changes])),
    };
  } finally {
    child.kill('SIGTERM');
  }
}
