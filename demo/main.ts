/**
 * `npm run demo [-- --keep]`: a shop's database copied into MongoDB and Redis, lived in, a worker killed on the way, and
 * the proof that all three are equal. Exit code 0 only if they are. Leaves nothing running unless told to.
 */
import { rm } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { withClients } from '../cli/clients.js';
import type { Clients } from '../cli/clients.js';
import { checkEverything } from '../cli/doctor.js';
import { withPipeline } from '../cli/pipeline.js';
import { waitForAll } from '../cli/waitForAll.js';
import type { Config } from '../core/config.js';
import { describeError } from '../core/errors.js';
import { lagBuckets } from '../core/lag.js';
import { loadConfig } from '../core/loadConfig.js';
import { problemsAsError } from '../core/problem.js';
import type { Sample } from '../core/status.js';
import type { StoreName } from '../core/store.js';
import { pipelineId } from '../core/workflowNames.js';
import { packageRoot } from '../temporal-compose/place.js';
import { down, up } from '../temporal-compose/stack.js';
import type { Stack } from '../temporal-compose/stack.js';
import { watchCopy } from './copy.js';
import { live } from './live.js';
import { loadWarehouse } from './load.js';
import { openLook } from './look.js';
import { compareAll, countAll } from './proof.js';
import { isEqual, reportLines } from './report.js';
import type { DemoReport } from './report.js';
import { coloursFor, openScreen } from './screen.js';
import type { Screen } from './screen.js';
import { configFileIn, database, prepare } from './setup.js';
import { validateAll } from './validate.js';
import { count } from './view.js';
import { endLeftovers, openWorkers } from './workers.js';
import type { Workers } from './workers.js';

const root = join(packageRoot(), '.lockstep', 'demo');
const usage = `Usage: npm run demo [-- --keep]

  --keep   leave the servers and two workers running when it ends`;

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { keep: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } });
  if (values.help === true) {
    process.stdout.write(`${usage}\n`);
    return 0;
  }
  const keep = values.keep === true;
  const screen = openScreen(process.stdout, process.env, () => performance.now());
  const interrupted = new AbortController();
  const interrupt = (): void => interrupted.abort(new Error('interrupted'));
  process.once('SIGINT', interrupt);
  process.once('SIGTERM', interrupt);

  let workers: Workers | undefined;
  let finished = false;
  let failed = false;
  try {
    const stack = await startServers(screen, interrupted.signal);
    const setup = await step(screen, 'database', async () => await prepareWarehouse(stack, screen));
    workers = openWorkers(setup.configFile, join(root, 'log'));
    const config = await loadConfig(setup.configFile, process.env);
    const report = await run({ config, screen, workers, stack, uri: setup.applicationUri, signal: interrupted.signal });
    for (const line of reportLines(report, coloursFor(screen.fancy))) screen.line(line);
    finished = true;
    if (keep) for (const line of keptLines(stack, setup.configFile, workers.pids())) screen.line(line);
    return isEqual(report) ? 0 : 1;
  } catch (error) {
    if (interrupted.signal.aborted) {
      screen.line('\n   interrupted');
      return 130;
    }
    failed = true;
    screen.line(`\n ${coloursFor(screen.fancy).red(describeError(error))}`);
    return 1;
  } finally {
    if (keep && finished) workers?.release();
    else await cleanUp(screen, workers, failed);
  }
}

async function startServers(screen: Screen, signal: AbortSignal): Promise<Stack> {
  const c = coloursFor(screen.fancy);
  screen.line(`\n ${c.bold('lockstep')}  MySQL → Kafka → MongoDB and Redis, under Temporal\n`);
  const started = performance.now();
  endLeftovers(configFileIn(root));
  const onProgress = (line: string): void => screen.live([c.dim(`   ${line}`)], line);
  const stack = await up({ root, fresh: true, onProgress, signal });
  screen.step(
    'servers',
    `MySQL, MongoDB, Redis, Kafka, Temporal  ${c.dim(stack.temporal.ui)}`,
    performance.now() - started,
  );
  return stack;
}

interface Prepared {
  readonly configFile: string;
  readonly applicationUri: string;
  readonly text: string;
}

async function prepareWarehouse(stack: Stack, screen: Screen): Promise<Prepared> {
  const setup = await prepare(stack, root);
  const counts = await loadWarehouse({
    uri: stack.mysql.uri,
    database,
    onRows: (rows) => screen.live([`   ${count(rows)} rows`], `${count(rows)} rows`),
  });
  const rows = [...counts.values()].reduce((a, b) => a + b, 0);
  return { ...setup, text: `${database}: ${count(rows)} rows in ${counts.size} tables, the same ones every time` };
}

async function step<T extends { readonly text: string }>(
  screen: Screen,
  label: string,
  work: () => Promise<T>,
): Promise<T> {
  const started = performance.now();
  const result = await work();
  screen.step(label, result.text, performance.now() - started);
  return result;
}

interface Run {
  readonly config: Config;
  readonly screen: Screen;
  readonly workers: Workers;
  readonly stack: Stack;
  readonly uri: string;
  readonly signal: AbortSignal;
}

async function run({ config, screen, workers, stack, uri, signal }: Run): Promise<DemoReport> {
  return await withClients(config, async (clients) => {
    const look = openLook(clients);
    await step(screen, 'pipeline', async () => await startPipeline(config, workers));
    const copy = await step(screen, 'copy', async () => await watchCopy(config, look, screen, workers, signal));
    const before = await look.sample();
    const lived = await live({ config, clients, workers, screen, uri, signal });
    screen.step('traffic', `${count(lived.counts.committed)} transactions, one worker killed on the way`, lived.ms);
    const waited = await step(screen, 'wait', async () => ({
      ...(await waitForAll(config, 60_000)),
      text: 'everything that was committed is in both stores',
    }));
    const after = await look.sample();
    const proof = await step(screen, 'compare', async () => await prove(clients, screen));
    const validated = await step(screen, 'validate', async () => await validateAll(config, clients.mysql, signal));
    return {
      tables: 7,
      rows: proof.rows,
      counted: proof.counted,
      copy,
      live: {
        transactions: lived.counts.committed,
        rolledBack: lived.counts.rolledBack,
        changes: after.published - before.published,
        ms: lived.ms + waited.ms,
      },
      lag: lagOf(before, after),
      takeOverMs: lived.takeOverMs,
      differences: proof.differences,
      examples: proof.examples,
      compareMs: proof.ms,
      validated,
      workflowUrl: workflowUrl(stack, config),
    };
  });
}

async function startPipeline(config: Config, workers: Workers): Promise<{ text: string }> {
  const error = problemsAsError(await checkEverything(config));
  if (error !== undefined) throw error;
  const pids = [workers.start(), workers.start()];
  await withPipeline(config, async (pipeline) => await pipeline.start());
  return { text: `started; workers ${pids.join(' and ')}` };
}

async function prove(
  clients: Clients,
  screen: Screen,
): Promise<Awaited<ReturnType<typeof compareAll>> & { counted: DemoReport['counted']; text: string }> {
  const c = coloursFor(screen.fancy);
  const proof = await compareAll(clients, (table) => screen.live([c.dim(`   ${table}`)], `comparing ${table}`));
  const counted = await countAll(clients.config);
  return { ...proof, counted, text: `${count(proof.rows)} rows against both stores, in both directions` };
}

function lagOf(before: Sample, after: Sample): Record<StoreName, number[]> {
  const between = (store: StoreName): number[] => {
    const [older, newer] = [before, after].map((sample) => sample.stores.find((s) => s.store === store)?.lag ?? {});
    return Array.from({ length: lagBuckets }, (_, bucket) => (newer?.[bucket] ?? 0) - (older?.[bucket] ?? 0));
  };
  return { mongo: between('mongo'), redis: between('redis') };
}

function workflowUrl({ temporal }: Stack, config: Config): string {
  const id = encodeURIComponent(pipelineId(config.pipeline));
  return `${temporal.ui}/namespaces/${temporal.namespace}/workflows/${id}`;
}

function keptLines(stack: Stack, configFile: string, pids: readonly number[]): string[] {
  const place = relative(process.cwd(), root) || '.';
  const file = relative(process.cwd(), configFile);
  return [
    '   Everything keeps running. Addresses with their passwords:',
    `     bin/lockstep up --json --dir ${place}`,
    '   Watch it, or write to MySQL and see it arrive:',
    `     bin/lockstep status --watch -c ${file}`,
    `     ${stack.temporal.ui}`,
    '   Stop it:',
    `     kill ${pids.join(' ')}; bin/lockstep down --wipe --dir ${place}`,
    '',
  ];
}

/** After a failure the logs stay: they are all there is to find out why. */
async function cleanUp(screen: Screen, workers: Workers | undefined, failed: boolean): Promise<void> {
  const c = coloursFor(screen.fancy);
  screen.live([c.dim('   stopping workers and servers')], 'stopping workers and servers');
  await workers?.stop();
  if (!failed) await rm(configFileIn(root), { force: true });
  await down({ root, wipe: !failed });
  const logs = relative(process.cwd(), join(root, 'log'));
  const after = failed ? `The logs are in ${logs}.` : '`npm run demo -- --keep` leaves it up to look around.';
  screen.line(c.dim(`   Nothing is left running. ${after}\n`));
}

process.exitCode = await main();
