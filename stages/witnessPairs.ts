/**
 * Holds the row events of one transaction against the change log rows of the same transaction. Pure. They are paired by
 * table and key, not by their order: statements of many rows write them in groups. An update that prints nothing new has a
 * log row, and a row event only where the stored bytes differ; a row `?` or one without an image is read again after the
 * commit, so it covers all of its key.
 */

export type RowOp = 'c' | 'u' | 'd';

/** What a transaction left unpaired of one table. */
export interface Unpaired {
  /** Key texts that changed without a log row. */
  readonly escaped: readonly string[];
  /** Key texts that were logged as changed and did not. */
  readonly unfounded: readonly string[];
  /** More than are worth listing, or keys that could not be read: only the table is known. */
  readonly wholeTable: boolean;
}

/** Unpaired keys of one table and transaction that are listed by name. */
export const mostKeys = 20_000;
/** Beyond so many keys that wait for their other half, a transaction is counted instead. */
const mostWaiting = 200_000;

/** Of one key; or of all, where a transaction is counted. */
interface Tally {
  /** Row events less log rows. */
  c: number;
  u: number;
  d: number;
  /** Updates that print nothing new: log rows less row events. A log row that is left over had no row event. */
  alike: number;
  /** Row events `u` of which cannot be told whether they print something new: they pair with either kind. */
  unsure: number;
  /** Log rows `d` that lockstep itself may have written: they pair where they can. */
  spare: number;
  /** Log rows that make capture read the row again. */
  covers: number;
}

/** One table in one transaction. */
export class TablePairs {
  readonly #tallies = new Map<string, Tally>();
  #counted: Tally | null = null;
  #unreadable = 0;
  hasRowEvents = false;

  /** A row event. Null: its key could not be read. */
  changed(op: RowOp, key: string | null): void {
    this.hasRowEvents = true;
    this.#note(key, (tally) => (tally[op] += 1));
  }

  /** A row event `u` that prints nothing new, or of which that cannot be told. */
  changedAlike(key: string | null, images: 'same' | 'unknown'): void {
    this.hasRowEvents = true;
    if (images === 'same') this.#note(key, (tally) => (tally.alike -= 1));
    else this.#note(key, (tally) => (tally.unsure += 1));
  }

  /** A log row with what its op needs. */
  logged(op: RowOp, key: string): void {
    this.#note(key, (tally) => (tally[op] -= 1));
  }

  /** A log row `u` that prints nothing new: there may be no row event. */
  loggedAlike(key: string): void {
    this.#note(key, (tally) => (tally.alike += 1));
  }

  /** A log row that makes capture read the row again. */
  covers(key: string): void {
    this.#note(key, (tally) => (tally.covers += 1));
  }

  /** A log row `d` that need not have a row event. */
  deletedPerhaps(key: string): void {
    this.#note(key, (tally) => (tally.spare += 1));
  }

  /** Null where everything has its pair. */
  unpaired(): Unpaired | null {
    if (this.#unreadable > 0 || this.#counted !== null) return this.#unpairedByCount();
    const escaped: string[] = [];
    const unfounded: string[] = [];
    for (const [key, tally] of this.#tallies) {
      if (tally.covers > 0) continue;
      if (missingIn(tally) > 0) escaped.push(key);
      else if (tally.c < 0 || tally.u + tally.unsure < 0) unfounded.push(key);
    }
    if (escaped.length === 0 && unfounded.length === 0) return null;
    if (escaped.length + unfounded.length > mostKeys) return { escaped: [], unfounded: [], wholeTable: true };
    return { escaped, unfounded, wholeTable: false };
  }

  /** Without keys: more row events of a kind than log rows. */
  #unpairedByCount(): Unpaired | null {
    const sum = this.#counted === null ? noTally() : { ...this.#counted };
    for (const tally of this.#tallies.values()) addTo(sum, tally);
    // An update of a key that could not be read was logged as a delete and an insert.
    const changedKeys = Math.max(0, Math.min(-sum.c, sum.spare - sum.d));
    const surely = Math.min(changedKeys, Math.max(0, sum.u));
    sum.u -= surely;
    sum.unsure -= Math.min(sum.unsure, changedKeys - surely);
    return missingIn(sum) > sum.covers ? { escaped: [], unfounded: [], wholeTable: true } : null;
  }

  #note(key: string | null, change: (tally: Tally) => void): void {
    if (key === null) this.#unreadable += 1;
    if (this.#counted !== null) {
      change(this.#counted);
      return;
    }
    // Keys that cannot be read are counted under one that no row has.
    const name = key ?? '';
    const known = this.#tallies.get(name);
    const tally = known ?? noTally();
    change(tally);
    settle(tally);
    if (isNothing(tally)) this.#tallies.delete(name);
    else if (known === undefined) {
      this.#tallies.set(name, tally);
      if (this.#tallies.size > mostWaiting) this.#countFromNow();
    }
  }

  #countFromNow(): void {
    const sum = noTally();
    for (const tally of this.#tallies.values()) addTo(sum, tally);
    this.#tallies.clear();
    this.#counted = sum;
  }
}

function noTally(): Tally {
  return { c: 0, u: 0, d: 0, alike: 0, unsure: 0, spare: 0, covers: 0 };
}

/**
 * Both roads tell of a key in its order. While no log row waits that prints nothing new, the first unsure event and the first
 * log row that waits are a pair.
 */
function settle(tally: Tally): void {
  if (tally.alike > 0 || tally.u >= 0 || tally.unsure === 0) return;
  const pairs = Math.min(-tally.u, tally.unsure);
  tally.u += pairs;
  tally.unsure -= pairs;
}

/** Row events that no log row can be the pair of. */
function missingIn({ c, u, d, alike, unsure, spare }: Tally): number {
  const unsureToo = Math.max(0, unsure + Math.min(0, u) - Math.max(0, alike));
  return Math.max(0, c) + Math.max(0, u) + Math.max(0, -alike) + unsureToo + Math.max(0, d - spare);
}

function isNothing({ c, u, d, alike, unsure, spare, covers }: Tally): boolean {
  return c === 0 && u === 0 && d === 0 && alike === 0 && unsure === 0 && spare === 0 && covers === 0;
}

function addTo(sum: Tally, tally: Tally): void {
  sum.c += tally.c;
  sum.u += tally.u;
  sum.d += tally.d;
  sum.alike += tally.alike;
  sum.unsure += tally.unsure;
  sum.spare += tally.spare;
  sum.covers += tally.covers;
}
