/**
 * The proof under fire: eight connections write at random while workers are killed and frozen. At the end all three
 * stores are equal row by row, and the topics hold every committed change exactly once, in each key's order.
 */
import type { RowDataPacket } from 'mysql2/promise';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { PipelineStatus } from '../../core/status.js';
import { compareStores, differencesOf } from '../support/compare.js';
import { watchDeadlocks } from '../support/deadlocks.js';
import { createLedger } from '../support/ledger.js';
import type { Ledger } from '../support/ledger.js';
import { createPipeline } from '../support/pipeline.js';
import type { Pipeline } from '../support/pipeline.js';
import { until } from '../support/processes.js';
import { seededRandom, testSeed } from '../support/random.js';
import { connectSource, readRows, readTables } from '../support/source.js';
import { chainViolations, ledgerViolations, replayViolations, shapeViolations } from '../support/topicChecks.js';
import { readTopics } from '../support/topics.js';
import { createWorkloadTables, fillWorkloadTables, ownErrors, runWorkload } from '../support/workload.js';
import type { WorkloadReport } from '../support/workload.js';

const stack = inject('stack');
const seed = testSeed();
const trafficMs = 20_000;
let pipeline: Pipeline;
let ledger: Ledger;

beforeAll(async () => {
  console.log(`seed ${seed} (LOCKSTEP_TEST_SEED=${seed} makes this run again)`);
  pipeline = await createPipeline(stack, {
    label: 'random',
    overrides: { codes: { redis: { layout: 'hash' } }, tokens: { redis: { layout: 'hash' } } },
  });
  await createWorkloadTables(pipeline.root);
  await fillWorkloadTables(pipeline.root, seed, 300);
  pipeline.worker();
  pipeline.worker();
  await pipeline.run('start', '--wait');
  const source = await connectSource(stack.mysql.uri, pipeline.database);
  const tables = await readTables(source, pipeline.database);
  await source.end();
  ledger = await createLedger(pipeline.root, pipeline.database, pipeline.stateDatabase, tables);
});

afterAll(async () => {
  await ledger.drop();
  await pipeline.remove();
});

test('random writes with workers killed and frozen: equal at the end, every change exactly once', async () => {
  const stop = new AbortController();
  const watch = await watchDeadlocks(stack.mysql.uri, [pipeline.database]);
  const writing = runWorkload({
    uri: stack.mysql.uri,
    database: pipeline.database,
    seed,
    pauseMs: 5,
    signal: stop.signal,
  });
  const killed = await killWorkers();
  stop.abort();
  const report = await writing;
  const deadlocks = await watch.stop();
  await pipeline.run('wait', '--timeout', '90s');
  console.log(`${JSON.stringify(report)}, ${killed} workers killed or frozen`);
  expectOnlyOwnErrors(report);
  expectDeadlocksOfTheApplicationAlone(report, deadlocks);

  expect(differencesOf(await compareStores(pipeline.targets()))).toEqual([]);
  await expectNoAlarm();
  await pipeline.run('stop');
  await checkTopics();
});

/** Kills, replaces and freezes workers until the traffic's time is over; how many were hit. */
async function killWorkers(): Promise<number> {
  const random = seededRandom(seed);
  const deadline = performance.now() + trafficMs;
  let hit = 0;
  while (performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 800 + random.below(1700)));
    const running = pipeline.workers.filter((worker) => worker.running());
    const victim = running[random.below(running.length)];
    if (victim === undefined) throw new Error('no worker runs');
    hit += 1;
    if (random.chance(0.25)) {
      victim.freeze();
      pipeline.worker();
      await new Promise((resolve) => setTimeout(resolve, 3500));
      victim.thaw();
      await new Promise((resolve) => setTimeout(resolve, 500));
      await victim.kill();
    } else {
      await victim.kill();
      pipeline.worker();
    }
  }
  return hit;
}

function expectOnlyOwnErrors(report: WorkloadReport): void {
  const strange = Object.keys(report.errors).filter((errno) => !ownErrors.includes(Number(errno)));
  expect(strange).toEqual([]);
  expect(report.committed).toBeGreaterThan(300);
  expect(report.rolledBack).toBeGreaterThan(20);
  // The longest own transaction stays open for 200 ms, and several may queue behind it.
  expect(report.slowestMs).toBeLessThan(5000);
}

/** The user of lockstep has the source database's name; its own tables lie in the state database. */
function expectDeadlocksOfTheApplicationAlone(report: WorkloadReport, deadlocks: readonly string[]): void {
  console.log(`${deadlocks.length} deadlocks looked at`);
  // The watch must be able to see: some of many.
  expect((report.errors[1213] ?? 0) > 10 && deadlocks.length === 0).toBe(false);
  const ofLockstep = new RegExp(`^MySQL thread id .*\\b${pipeline.database}\\b|${pipeline.stateDatabase}`, 'm');
  expect(deadlocks.filter((text) => ofLockstep.test(text))).toEqual([]);
}

/** Every change was logged: the witness, killed and frozen with the rest, read all of them and found none that escaped. */
async function expectNoAlarm(): Promise<void> {
  const [[end]] = await pipeline.root.query<RowDataPacket[]>('SHOW BINARY LOG STATUS');
  // Behind that place, so that it has something to pass it for.
  await pipeline.root.query('UPDATE stock SET quantity = quantity + 1 ORDER BY warehouse, sku LIMIT 1');
  await until('the witness has read what was written', async () => {
    const { witness } = JSON.parse((await pipeline.run('status', '--json')).stdout) as PipelineStatus;
    const [file = '', offset] = (witness?.position ?? '').split(':');
    return file > String(end?.['File']) || (file === end?.['File'] && Number(offset) > Number(end?.['Position']));
  });
  const [escapes] = await pipeline.root.query(`SELECT * FROM ${pipeline.stateDatabase}.escapes`);
  expect(escapes).toEqual([]);
  await pipeline.run('wait', '--timeout', '30s');
}

async function checkTopics(): Promise<void> {
  const entries = await ledger.entries();
  const changes = await ledger.rowChanges();
  for (const op of ['c', 'u', 'd']) {
    const committed = [...changes].filter(([name]) => name.endsWith(` ${op}`)).reduce((sum, [, n]) => sum + n, 0);
    expect([op, entries.filter((entry) => entry.op === op).length]).toEqual([op, committed]);
  }
  const events = await readTopics(stack.kafka.brokers, pipeline.name);
  console.log(`${entries.length} entries committed, ${events.length} records in the topics`);
  expect(ledgerViolations(events, entries).slice(0, 10)).toEqual([]);
  expect(shapeViolations(events).slice(0, 10)).toEqual([]);
  expect(chainViolations(events).slice(0, 10)).toEqual([]);
  const source = await connectSource(stack.mysql.uri, pipeline.database);
  try {
    const tables = await readTables(source, pipeline.database);
    const rows = new Map<string, Awaited<ReturnType<typeof readRows>>>();
    for (const table of tables) rows.set(table.name, await readRows(source, table));
    expect(replayViolations(events, tables, rows).slice(0, 10)).toEqual([]);
  } finally {
    await source.end();
  }
}
