/** The pace of all sweeps in this process: rows are asked for here before they are read. Its signs come from their markers. */
import { setTimeout as sleep } from 'node:timers/promises';
import { batchRows, nextRate, type PaceSettings } from '../core/sweepPace.js';
import type { OffsetVector } from '../core/position.js';
import { asCount } from '../stores/mysql/cell.js';
import type { Queries } from '../stores/mysql/connection.js';

const lookEveryMs = 250;

export class Pace {
  readonly #settings: PaceSettings;
  #rate: number;
  #freeAt = 0;
  #lookedAt = 0;
  #lag: number | null = null;
  #events = { total: 0, at: 0, perSecond: 0 };

  constructor(settings: PaceSettings) {
    this.#settings = settings;
    // From below: what goes on in the stream shows with the first markers.
    this.#rate = Math.min(settings.rowsPerSecondBusy, settings.rowsPerSecond);
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

  /** What a marker showed: how long it took to be passed, and how far the log was. */
  marked(vector: OffsetVector, lagMs: number): void {
    this.#lag = lagMs;
    const now = performance.now();
    const total = [...vector.values()].reduce((a, b) => a + b, 0);
    const { at, total: before } = this.#events;
    if (at === 0 || total < before) this.#events = { total, at: now, perSecond: 0 };
    // Over half a second at least: a single busy batch is no traffic.
    else if (now - at > 500) this.#events = { total, at: now, perSecond: (1000 * (total - before)) / (now - at) };
  }

  async #adapt(queries: Queries): Promise<void> {
    const now = performance.now();
    if (now - this.#lookedAt < lookEveryMs) return;
    this.#lookedAt = now;
    const [row] = await queries.rows("SHOW GLOBAL STATUS LIKE 'Threads_running'");
    const signs = { lagMs: this.#lag, eventsPerSecond: this.#events.perSecond, runningThreads: asCount(row?.[1]) };
    this.#rate = nextRate(this.#rate, signs, this.#settings);
  }
}
