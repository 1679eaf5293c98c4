/** Workers that are killed, drained and replaced, as real processes: streams go on at once, the workflow hears of nothing. */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, inject, it } from 'vitest';
import { packageRoot } from '../../temporal-compose/place.js';
import { pauseUpdate, stateQuery, stopUpdate } from '../../workflows/messages.js';
import { until } from '../support/processes.js';
import { openRig, type Rig } from './rig.js';
import type { JournalLine } from './victim.js';

/** Of a busy machine; how fast it is stands in bench/. */
const generousMs = 15_000;
const program = join(packageRoot(), 'dist', 'test', 'workflow', 'victim.js');

let rig: Rig;
let folder: string;
let victims: Victim[];

interface Victim {
  readonly pid: number;
  readonly process: ChildProcess;
  readonly exited: Promise<number | null>;
}

beforeEach(async () => {
  if (!existsSync(program)) throw new Error(`${program} is missing: npm run build`);
  folder = await mkdtemp(join(tmpdir(), 'lockstep-victims-'));
  victims = [];
  rig = await openRig(inject('stack'));
  await rig.stopWorkers();
});

afterEach(async () => {
  for (const victim of victims) victim.process.kill('SIGKILL');
  await rig.close();
  await rm(folder, { recursive: true, force: true });
});

async function startVictim(): Promise<Victim> {
  const { address, namespace } = inject('stack').temporal;
  const child = spawn(process.execPath, [program, address, namespace, rig.name, join(folder, 'journal')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const victim = { pid: child.pid ?? -1, process: child, exited };
  victims.push(victim);
  await until('a worker process is ready', () => said.includes('ready'));
  return victim;
}

function journal(): readonly JournalLine[] {
  const file = join(folder, 'journal');
  if (!existsSync(file)) return [];
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as JournalLine);
}

function linesOf(pid: number): readonly JournalLine[] {
  return journal().filter((line) => line.pid === pid);
}

/** Pid of the process that captures; the other one stands by. */
async function capturing(): Promise<number> {
  await until('capture runs', () => journal().length > 0);
  return journal().at(-1)?.pid ?? -1;
}

async function lastFailureOfCapture() {
  const { raw } = await rig.client.workflow.getHandle(`lockstep/${rig.name}/capture`).describe();
  return raw.pendingActivities?.[0]?.lastFailure;
}

async function historyOfCapture(): Promise<number> {
  const { events } = await rig.client.workflow.getHandle(`lockstep/${rig.name}/capture`).fetchHistory();
  return events?.length ?? 0;
}

it('goes on in another process after kill -9', async () => {
  const pipeline = await rig.start();
  await startVictim();
  await startVictim();
  const pid = await capturing();
  const events = await historyOfCapture();
  process.kill(pid, 'SIGKILL');
  const killedAt = Date.now();
  const successor = victims.find((victim) => victim.pid !== pid)?.pid ?? -1;
  await until('the other one captures', () => linesOf(successor).length > 0, { timeoutMs: 20_000, everyMs: 20 });
  const [first] = linesOf(successor);
  expect((first?.at ?? Infinity) - killedAt).toBeLessThan(generousMs);
  expect(first?.attempt).toBe(2);
  expect(await historyOfCapture()).toBe(events);
  await pipeline.executeUpdate(stopUpdate);
});

it('continues in new processes after every worker was killed', async () => {
  const pipeline = await rig.start();
  await startVictim();
  await until('streaming', async () => (await pipeline.query(stateQuery)).stage === 'streaming');
  for (const victim of victims) victim.process.kill('SIGKILL');
  const next = await startVictim();
  const readyAt = Date.now();
  await pipeline.executeUpdate(pauseUpdate, { args: [{}] });
  expect(Date.now() - readyAt).toBeLessThan(generousMs);
  await until('it captures', () => linesOf(next.pid).length > 0, { everyMs: 20 });
  expect((linesOf(next.pid)[0]?.at ?? Infinity) - readyAt).toBeLessThan(generousMs);
  await pipeline.executeUpdate(stopUpdate);
});

it('drains at SIGTERM: the stream ends its batch, and another process goes on at once', async () => {
  const pipeline = await rig.start();
  await startVictim();
  await startVictim();
  const pid = await capturing();
  const events = await historyOfCapture();
  const drained = victims.find((victim) => victim.pid === pid);
  const successor = victims.find((victim) => victim.pid !== pid)?.pid ?? -1;
  const toldAt = Date.now();
  process.kill(pid, 'SIGTERM');
  expect(await drained?.exited).toBe(0);
  expect(Date.now() - toldAt).toBeLessThan(generousMs);
  await until('the other one captures', () => linesOf(successor).length > 0, { timeoutMs: 20_000, everyMs: 20 });
  expect(linesOf(pid).at(-1)?.what).toBe('ended');
  // Told by the worker that drains, not by a missed heartbeat, which alone would take 2 s.
  const failure = await lastFailureOfCapture();
  expect(failure?.message).toMatch(/shutting down|drains/);
  expect(failure?.timeoutFailureInfo ?? null).toBeNull();
  expect(await historyOfCapture()).toBe(events);
  await pipeline.executeUpdate(stopUpdate);
});
