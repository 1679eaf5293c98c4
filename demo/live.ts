/** Thirty seconds of a shop's life with one worker killed on the way, shown as it happens. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../core/config.js';
import type { StoreName } from '../core/store.js';
import type { Clients } from '../cli/clients.js';
import { demoSizes } from './generate.js';
import { demoSeed } from './load.js';
import { openLook, pidOfCapture } from './look.js';
import { coloursFor } from './screen.js';
import type { Screen } from './screen.js';
import { startTraffic } from './traffic.js';
import type { Traffic, TrafficCounts } from './traffic.js';
import { trafficLines, trafficPlain } from './view.js';
import type { Workers } from './workers.js';

export interface LiveOptions {
  readonly config: Config;
  readonly clients: Clients;
  readonly workers: Workers;
  readonly screen: Screen;
  readonly uri: string;
  readonly signal: AbortSignal;
}

export interface LiveResult {
  readonly counts: Readonly<TrafficCounts>;
  readonly ms: number;
  readonly takeOverMs: readonly number[];
}

const totalSeconds = 30;
const killAtSeconds = 12;
const transactionsPerSecond = 240;
const drawEveryMs = 500;

export async function live(options: LiveOptions): Promise<LiveResult> {
  const stop = new AbortController();
  const started = performance.now();
  const traffic = startTraffic({
    uri: options.uri,
    database: options.config.mysql.database,
    sizes: demoSizes,
    seed: demoSeed + 1,
    transactionsPerSecond,
    signal: AbortSignal.any([stop.signal, options.signal]),
  });
  // A failing statement ends the show at once instead of after thirty seconds.
  const failed = traffic.done.then(() => new Promise<never>(() => undefined));
  try {
    const killing = sleep(killAtSeconds * 1000, undefined, { signal: options.signal }).then(
      async () => await killOne(options),
    );
    killing.catch(() => undefined);
    await Promise.race([show(options, traffic, started), failed]);
    const takeOver = await killing;
    stop.abort();
    await traffic.done;
    return { counts: traffic.counts, ms: performance.now() - started, takeOverMs: [takeOver] };
  } finally {
    stop.abort();
    options.screen.clear();
  }
}

async function show(options: LiveOptions, traffic: Traffic, started: number): Promise<void> {
  const { screen, clients, workers } = options;
  // A window of its own: rates begin with the traffic.
  const look = openLook(clients);
  const colours = coloursFor(screen.fancy);
  const history: Record<StoreName, number[]> = { mongo: [], redis: [] };
  const readings: { at: number; committed: number; rows: number }[] = [];
  for (;;) {
    options.signal.throwIfAborted();
    const died = workers.died();
    if (died !== undefined) throw new Error(died);
    const at = performance.now();
    if (at - started >= totalSeconds * 1000) return;
    readings.push({ at, committed: traffic.counts.committed, rows: traffic.counts.rows });
    const first = readings.at(-7) ?? readings[0];
    const perSecond = (now: number, then: number): number =>
      first === undefined || at === first.at ? 0 : ((now - then) * 1000) / (at - first.at);
    const status = await look.status();
    for (const store of status.stores) history[store.store].push(store.eventsPerSecond);
    const view = {
      elapsedSeconds: (at - started) / 1000,
      totalSeconds,
      transactionsPerSecond: perSecond(traffic.counts.committed, first?.committed ?? 0),
      rowsPerSecond: perSecond(traffic.counts.rows, first?.rows ?? 0),
      history,
      workers: workers.view(),
    };
    screen.live(trafficLines(status, view, colours), trafficPlain(status, view));
    await sleep(Math.max(0, drawEveryMs - (performance.now() - at)));
  }
}

/** Kills the worker that captures and starts another. Returns the milliseconds until both stores held something newer than the kill. */
async function killOne({ config, clients, workers, screen, signal }: LiveOptions): Promise<number> {
  const victim = (await pidOfCapture(config)) ?? workers.pids()[0];
  if (victim === undefined) throw new Error('no worker runs');
  const killedAt = Date.now();
  workers.kill(victim);
  workers.start();
  if (!screen.fancy) screen.line(`   worker ${victim} killed with SIGKILL, another one started`);
  for (;;) {
    signal.throwIfAborted();
    const states = await Promise.all(clients.stores.map(async (store) => await store.readState(0)));
    // By MySQL's clock, which is this machine's.
    if (states.every((state) => (state?.progress.lastEventAt ?? 0) > killedAt)) return Date.now() - killedAt;
    await sleep(20);
  }
}
