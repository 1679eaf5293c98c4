/**
 * The pace of all sweeps in this process: rows are asked for here before they are read. How the stream is shows by a marker
 * now and then: how far the log has come since the last one, and how long the stores take to pass it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { batchRows, nextRate, type PaceSettings } from '../core/sweepPace.js';
import type { OffsetVector } from '../core/position.js';
import { asCount } from '../stores/mysql/cell.js';
import type { Queries } from '../stores/mysql/connection.js';

const lookEveryMs = 250;
/** Each marker is a transaction of the log: beside traffic half as many will do. */
const askEveryMs = { first: 250, besideTraffic: 500 };
/** What was seen so long ago says nothing of now. */
const forgottenMs = 5_000;

export class Pace {
  readonly #settings: PaceSettings;
  #rate: number;
  #freeAt = 0;
  #lookedAt = 0;
  #lag: number | null = null;
  /** When the marker was written that nobody has answered yet. */
  #askedAt: number | null = null;
  #answeredAt = -Infinity;
  #events: { total: number; at: number; perSecond: number | null } | null = null;

  constructor(settings: PaceSettings) {
    this.#settings = settings;
    this.#rate = firstRate(settings);
  }

  /** How many rows the next read may take; waits for its turn. */
  async turn(queries: Queries, signal: AbortSignal): Promise<number> {
    await this.#adapt(queries);
    const rows = batchRows(this.#rate);
    const now = performance.now();
    const startAt = Math.max(now, this.#freeAt);
    this.#freeAt = startAt + (1000 * rows) / this.#rate;
    if (startAt - now > 1) await sleep(startAt - now, undefined, { signal }).catch(() => undefined);
    return rows;
  }

  /** A read that took fewer rows gives the rest of its time back. */
  spent(asked: number, rows: number): void {
    this.#freeAt -= (1000 * Math.max(0, asked - rows)) / this.#rate;
  }

  /** Whether to write a marker now; whoever does so answers. One at a time. */
  asks(): boolean {
    const now = performance.now();
    const every = (this.#events?.perSecond ?? 0) > 0 ? askEveryMs.besideTraffic : askEveryMs.first;
    if (this.#askedAt !== null || now - this.#answeredAt < every) return false;
    if (now - this.#answeredAt > forgottenMs) {
      this.#rate = Math.min(this.#rate, firstRate(this.#settings));
      this.#events = null;
    }
    this.#askedAt = now;
    return true;
  }

  /** Every store has passed the marker; null: nobody knows. */
  answered(vector: OffsetVector | null): void {
    const now = performance.now();
    this.#lag = vector === null || this.#askedAt === null ? null : now - this.#askedAt;
    this.#askedAt = null;
    this.#answeredAt = now;
    if (vector === null) return;
    const total = [...vector.values()].reduce((a, b) => a + b, 0);
    if (this.#events === null || total < this.#events.total) this.#events = { total, at: now, perSecond: null };
    const { at, total: before } = this.#events;
    // Over half a second at least: a single busy batch is no traffic.
    if (now - at > 500) this.#events = { total, at: now, perSecond: (1000 * (total - before)) / (now - at) };
  }

  async #adapt(queries: Queries): Promise<void> {
    const now = performance.now();
    if (now - this.#lookedAt < lookEveryMs) return;
    this.#lookedAt = now;
    const [row] = await queries.rows("SHOW GLOBAL STATUS LIKE 'Threads_running'");
    const waited = this.#askedAt === null ? 0 : now - this.#askedAt;
    const lagMs = this.#lag === null ? waited : Math.max(this.#lag, waited);
    const signs = { lagMs, eventsPerSecond: this.#events?.perSecond ?? null, runningThreads: asCount(row?.[1]) };
    this.#rate = nextRate(this.#rate, signs, this.#settings);
  }
}

/** From below, until it shows what goes on in the stream. */
function firstRate({ rowsPerSecondBusy, rowsPerSecond }: PaceSettings): number {
  return Math.min(rowsPerSecondBusy, rowsPerSecond);
}
