/**
 * Counts what an ingest does, sets its pace, and tells those who watch. The progress it writes is itself a transaction of
 * one row with its commit: how long that takes shows what an application feels. What it takes without the ingest changes
 * with the day's traffic, so the ingest stands still for a moment now and then, and measures it again.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { describeError, type LockstepError } from '../core/errors.js';
import { fewestChunks, firstPace, nextPace, type Pace } from '../core/ingestPace.js';
import type { IngestCounts, IngestProgress } from '../core/ingestReport.js';
import { writeProgress, type Landed } from '../stores/mysql/ingestChunks.js';
import type { Mysql } from '../stores/mysql/connection.js';
import { hasGlobal, readGrants } from '../stores/mysql/grants.js';
import type { Ingest } from '../stores/mysql/ingests.js';
import { readOthersRunning, readThreadsRunning } from '../stores/mysql/pressure.js';
import type { IngestHooks } from './ingest.js';
import type { Brought } from './ingestChunk.js';

const tickMs = 150;
const probesAtRest = 15;
/** Beside an application, what a transaction takes without us is measured anew so often. */
const restEveryMs = 15_000;
/** Where stores take long to land what is under way, less often: a tenth of the time is the most that it may cost. */
const workPerRest = 10;
/** Rates count over this long. */
const windowMs = 5_000;

export interface Landing {
  readonly since: number;
  /** How many were under way when it began, itself among them. */
  readonly among: number;
}

export class IngestMeter {
  readonly #mysql: Mysql;
  readonly #ingest: Ingest;
  readonly #hooks: IngestHooks;
  readonly #landing = new Set<Landing>();
  readonly #samples: { readonly at: number; readonly rows: number }[] = [];
  readonly #ended = new AbortController();
  #working = 0;
  #atRestMs = 0;
  #measuredAt = 0;
  #stoodMs = 0;
  #seesSessions = false;
  #trouble: string | null = null;
  #inTheWay: LockstepError | null = null;
  #ticking: Promise<void> = Promise.resolve();
  counts: IngestCounts;
  pace: Pace = firstPace(0);

  constructor({ mysql }: { readonly mysql: Mysql }, ingest: Ingest, counts: IngestCounts, hooks: IngestHooks) {
    this.#mysql = mysql;
    this.#ingest = ingest;
    this.#hooks = hooks;
    this.counts = counts;
  }

  async begin(): Promise<void> {
    this.#seesSessions = hasGlobal(await readGrants(this.#mysql), 'PROCESS');
    this.pace = firstPace(await this.measureAtRest());
    this.#ticking = this.#tick();
  }

  /** What a transaction takes without us was measured too long ago to be held against an application's. */
  get shouldStandStill(): boolean {
    const every = Math.max(restEveryMs, workPerRest * this.#stoodMs);
    return this.pace.shared && performance.now() - this.#measuredAt > every;
  }

  /**
   * While nothing is brought in and nothing lands. Returns in how many of its looks others were at work, 0 to 1.
   * since: the moment when the last chunk before it was in.
   */
  async measureAtRest(since = performance.now()): Promise<number> {
    const times: number[] = [];
    let met = 0;
    for (let i = 0; i < probesAtRest; i++) {
      times.push(await this.#probe());
      if ((await this.#readOthers()) > 0) met++;
    }
    this.#atRestMs = times.toSorted((a, b) => a - b)[Math.floor(probesAtRest * 0.7)] ?? 0;
    this.#measuredAt = performance.now();
    this.#stoodMs = this.#measuredAt - since;
    return met / probesAtRest;
  }

  async end(): Promise<void> {
    this.#ended.abort();
    await this.#ticking;
  }

  /** What landing chunks wait for; null once nothing is in their way. */
  standsInTheWay(error: LockstepError | null): void {
    this.#inTheWay = error;
    this.#hooks.trouble(error);
  }

  /** Chunks on their way into MySQL. */
  working(now: number): void {
    this.#working = now;
  }

  brought({ accepted, rejected, altered, bytes }: Brought): void {
    const { counts } = this;
    this.counts = {
      ...counts,
      chunks: counts.chunks + 1,
      accepted: counts.accepted + accepted,
      rejected: counts.rejected + rejected,
      altered: counts.altered + altered,
      bytes: counts.bytes + bytes,
      landed: counts.landed + (accepted === 0 ? 1 : 0),
    };
  }

  landed({ changed, parked }: Landed): void {
    const { counts } = this;
    this.counts = {
      ...counts,
      landed: counts.landed + 1,
      changed: counts.changed + changed,
      parked: counts.parked + parked,
    };
  }

  landingBegins(): Landing {
    const landing = { since: performance.now(), among: this.#landing.size + 1 };
    this.#landing.add(landing);
    return landing;
  }

  landingEnds(landing: Landing): void {
    this.#landing.delete(landing);
  }

  async #tick(): Promise<void> {
    while (!this.#ended.signal.aborted) {
      this.#hooks.beat();
      try {
        await this.#look();
        this.#trouble = null;
      } catch (error) {
        // Whoever loads meets the same failure, and decides.
        this.#trouble = describeError(error);
      }
      await sleep(tickMs, undefined, { signal: this.#ended.signal }).catch(() => undefined);
    }
    await this.#probe().catch(() => undefined);
  }

  async #look(): Promise<void> {
    const commitMs = await this.#probe();
    const others = await this.#readOthers();
    const [oldest] = this.#landing;
    const landingMs = oldest === undefined ? 0 : performance.now() - oldest.since;
    const landingAlone = oldest !== undefined && oldest.among <= fewestChunks;
    this.pace = nextPace(this.pace, { commitMs, others, landingMs, landingAlone }, this.#atRestMs);
  }

  async #readOthers(): Promise<number> {
    if (this.#ingest.options.fullSpeed === true) return 0;
    const others = this.#seesSessions ? await readOthersRunning(this.#mysql) : null;
    if (others !== null) return others;
    // The one that asks, those that load, and what capture does for the log road.
    const own = 1 + this.#working + (this.#ingest.road === 'log' ? 1 : 0);
    return Math.max(0, (await readThreadsRunning(this.#mysql)) - own);
  }

  async #probe(): Promise<number> {
    const progress = this.progress();
    const began = performance.now();
    await writeProgress(this.#mysql, this.#mysql.config.stateDatabase, this.#ingest.id, progress);
    const took = performance.now() - began;
    this.#hooks.progress(progress);
    return took;
  }

  progress(): IngestProgress {
    const { plan, road } = this.#ingest;
    const now = performance.now();
    const rows = this.counts.accepted + this.counts.rejected;
    this.#samples.push({ at: now, rows });
    while (this.#samples.length > 2 && (this.#samples[0]?.at ?? now) < now - windowMs) this.#samples.shift();
    const first = this.#samples[0];
    const rate = first === undefined || now - first.at < 200 ? 0 : ((rows - first.rows) / (now - first.at)) * 1000;
    const left = Math.max(0, plan.records - rows);
    return {
      ...this.counts,
      phase: 'loading',
      road,
      records: plan.records,
      contentBytes: plan.files.reduce((sum, file) => sum + file.contentBytes, 0),
      inFlight: this.#landing.size,
      rowsPerSecond: Math.round(rate),
      percent: plan.records === 0 ? 100 : Math.min(100, (100 * rows) / plan.records),
      secondsLeft: rate < 1 ? null : Math.ceil(left / rate),
      slowedBy: this.pace.slowedBy,
      trouble: this.#trouble ?? (this.#inTheWay === null ? null : describeError(this.#inTheWay)),
    };
  }
}
