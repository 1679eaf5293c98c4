/** Chunks on their way into MySQL, in the order of the file; none is begun while as many are as there are sessions. */
import type { FileChunk } from '../core/ingest.js';
import type { Session } from '../stores/mysql/connection.js';
import type { Brought, Place } from './ingestChunk.js';
import { Turn } from './ingestTurn.js';

export const chunksInMysql = 2;

interface Begun {
  readonly turn: Turn;
  readonly session: Session;
  readonly brought: Promise<Brought>;
}

export class InTurn {
  readonly #free: Session[];
  readonly #bring: (chunk: FileChunk, place: Place) => Promise<Brought>;
  readonly #begun: Begun[] = [];

  constructor(sessions: readonly Session[], bring: (chunk: FileChunk, place: Place) => Promise<Brought>) {
    this.#free = [...sessions];
    this.#bring = bring;
  }

  /** On their way. */
  get size(): number {
    return this.#begun.length;
  }

  begin(chunk: FileChunk): void {
    const session = this.#free.pop();
    if (session === undefined) throw new TypeError('more chunks at a time than sessions');
    const turn = new Turn();
    const brought = this.#bring(chunk, { session, turn, before: this.#begun.at(-1)?.turn ?? null });
    // A failure is met where the chunk's turn comes.
    brought.catch(() => undefined);
    this.#begun.push({ turn, session, brought });
  }

  /** The first one once it is in; null when no more than `left` are on their way. */
  async first(left: number): Promise<Brought | null> {
    const [first] = this.#begun;
    return first === undefined || this.#begun.length <= left ? null : await first.brought;
  }

  /** The first one is done with, and others may follow it. */
  goOn(): void {
    const first = this.#begun.shift();
    if (first === undefined) return;
    first.turn.decide(true);
    this.#free.push(first.session);
  }

  /** Nothing follows any more; returns when nothing is on its way. */
  async end(): Promise<void> {
    for (const { turn } of this.#begun) turn.decide(false);
    await Promise.allSettled(this.#begun.map(({ brought }) => brought));
  }
}
