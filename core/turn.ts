/** A turn of the event loop: long work gives the others theirs now and then, or everything waits for it. */
import { setImmediate } from 'node:timers/promises';

const longMs = 3;

export class Turn {
  #began = performance.now();

  /** Costs a look at the clock: once in a few dozen small steps is often enough. */
  isLong(): boolean {
    return performance.now() - this.#began > longMs;
  }

  /** Goes on in the next turn. */
  async end(): Promise<void> {
    await setImmediate();
    this.#began = performance.now();
  }
}
