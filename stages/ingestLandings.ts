/** Landings under way: how many there may be, what becomes of one that fails, and the word in MySQL of those that are done. */
import type { Mysql } from '../stores/mysql/connection.js';
import { markLanded, type Landed } from '../stores/mysql/ingestChunks.js';
import type { IngestMeter } from './ingestMeter.js';

/** The word of landed chunks is written for several at a time: a crash in between has them landed once more. */
const flushMs = 250;

export class Landings {
  readonly #mysql: Mysql;
  readonly #stateDatabase: string;
  readonly #ingest: number;
  readonly #meter: IngestMeter;
  readonly #underWay = new Set<Promise<void>>();
  #done: Landed[] = [];
  #flushedAt = performance.now();
  #failure: { readonly error: unknown } | null = null;

  constructor(mysql: Mysql, stateDatabase: string, ingest: number, meter: IngestMeter) {
    this.#mysql = mysql;
    this.#stateDatabase = stateDatabase;
    this.#ingest = ingest;
    this.#meter = meter;
  }

  add(landing: Promise<Landed>): void {
    const began = this.#meter.landingBegins();
    const settled = landing
      .then(
        (landed) => {
          this.#done.push(landed);
          this.#meter.landed(landed);
        },
        (error: unknown) => {
          this.#failure ??= { error };
        },
      )
      .finally(() => {
        this.#meter.landingEnds(began);
        this.#underWay.delete(settled);
      });
    this.#underWay.add(settled);
  }

  /** Returns once fewer than so many are under way. Throws what the first failed one threw. */
  async below(limit: number): Promise<void> {
    while (this.#underWay.size >= limit && this.#failure === null) await Promise.race(this.#underWay);
    if (this.#failure !== null) throw this.#failure.error;
    if (performance.now() - this.#flushedAt > flushMs) await this.#flush();
  }

  async drain(): Promise<void> {
    await this.below(1);
    await this.#flush();
  }

  /** Nothing is under way any more; what landed is written down as far as that can be done. */
  async settle(): Promise<void> {
    await Promise.allSettled(this.#underWay);
    // Whatever failed has been reported by its own call; these chunks are landed once more.
    await this.#flush().catch(() => undefined);
  }

  async #flush(): Promise<void> {
    this.#flushedAt = performance.now();
    const done = this.#done;
    this.#done = [];
    await markLanded(this.#mysql, this.#stateDatabase, this.#ingest, done);
  }
}
