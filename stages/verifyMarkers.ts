/** Places the markers that verify follows, one at a time, and asks what became of them. */
import { randomUUID } from 'node:crypto';
import type { VerifyLedger } from '../stores/mysql/verifyLedger.js';
import type { Definitions } from './applyDefinitions.js';
import type { Through } from './verifyThrough.js';

const everyMs = 5_000;
const lostMs = 60_000;

export class Markers {
  readonly #ledger: VerifyLedger;
  readonly #definitions: Definitions;
  /** The store has moved since the newest one was placed: another is worth its while. */
  #moved = true;
  #placedAt = -Infinity;

  constructor(ledger: VerifyLedger, definitions: Definitions) {
    this.#ledger = ledger;
    this.#definitions = definitions;
  }

  moved(): void {
    this.#moved = true;
  }

  /** False while capture has not answered the open one. */
  async turn(through: Through): Promise<boolean> {
    const now = performance.now();
    if (this.#moved && now - this.#placedAt >= everyMs && through.oldestUnresolved() === undefined) {
      const id = randomUUID();
      through.place({ id, at: await this.#ledger.placeMarker(id) });
      this.#moved = false;
      this.#placedAt = now;
    }
    const open = through.oldestUnresolved();
    if (open === undefined) return true;
    const vector = await this.#ledger.readMarker(open.id);
    if (vector === null) {
      if (now - this.#placedAt > lostMs) through.drop(open.id);
      return false;
    }
    through.resolve(open.id, vector);
    const topics = this.#definitions.topics();
    const unknown = [...vector.keys()].some((name) => !topics.includes(name.slice(0, name.lastIndexOf('/'))));
    if (unknown) await this.#definitions.refresh();
    return true;
  }
}
