/**
 * Holds the row events of one transaction against the change log rows of the same transaction. Pure. They are paired by
 * table and key, not by their order: statements of many rows write them in groups. An update that changed nothing has a log
 * row and no row event; a row `?` or one without an image is read again after the commit, so it covers all of its key.
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

interface Entry {
  /** Row events less log rows. */
  c: number;
  u: number;
  d: number;
  /** Log rows `d` that lockstep itself may have written: they pair where they can. */
  spare: number;
  covered: boolean;
}

/** One table in one transaction. */
export class TablePairs {
  readonly #entries = new Map<string, Entry>();
  #counts: Record<RowOp, number> | null = null;
  #unreadable = 0;

  /** A row event. Null: its key could not be read. */
  changed(op: RowOp, key: string | null): void {
    if (key === null) this.#unreadable += 1;
    this.#move(op, key, 1);
  }

  /** A log row with what its op needs. */
  logged(op: RowOp, key: string): void {
    this.#move(op, key, -1);
  }

  /** A log row that makes capture read the row again. */
  covers(key: string): void {
    if (this.#counts !== null) this.#counts.u -= 1;
    else this.#entry(key).covered = true;
  }

  /** A log row `d` that need not have a row event. */
  deletedPerhaps(key: string): void {
    if (this.#counts !== null) this.#counts.d -= 1;
    else this.#entry(key).spare += 1;
  }

  /** Null where everything has its pair. */
  unpaired(): Unpaired | null {
    if (this.#unreadable > 0 || this.#counts !== null) return this.#unpairedByCount();
    const escaped: string[] = [];
    const unfounded: string[] = [];
    for (const [key, { c, u, d, spare, covered }] of this.#entries) {
      if (covered) continue;
      if (c > 0 || u > 0 || d > spare) escaped.push(key);
      else if (c < 0 || u < 0) unfounded.push(key);
    }
    if (escaped.length === 0 && unfounded.length === 0) return null;
    if (escaped.length + unfounded.length > mostKeys) return { escaped: [], unfounded: [], wholeTable: true };
    return { escaped, unfounded, wholeTable: false };
  }

  /** Without keys: more row events of a kind than log rows. */
  #unpairedByCount(): Unpaired | null {
    const counts = { ...(this.#counts ?? { c: 0, u: 0, d: 0 }) };
    let covered = 0;
    for (const entry of this.#entries.values()) {
      counts.c += entry.c;
      counts.u += entry.u;
      counts.d += entry.d - entry.spare;
      if (entry.covered) covered += 1;
    }
    // An update of a key that could not be read was logged as a delete and an insert.
    counts.u -= Math.max(0, Math.min(-counts.c, -counts.d));
    const missing = Math.max(0, counts.c) + Math.max(0, counts.u) + Math.max(0, counts.d);
    return missing > covered ? { escaped: [], unfounded: [], wholeTable: true } : null;
  }

  #move(op: RowOp, key: string | null, by: 1 | -1): void {
    if (this.#counts !== null) {
      this.#counts[op] += by;
      return;
    }
    // Keys that cannot be read are counted under one that no row has.
    const name = key ?? '';
    const entry = this.#entry(name);
    entry[op] += by;
    if (entry.c === 0 && entry.u === 0 && entry.d === 0 && entry.spare === 0 && !entry.covered) {
      this.#entries.delete(name);
    } else if (this.#entries.size > mostWaiting) this.#countFromNow();
  }

  #entry(key: string): Entry {
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      entry = { c: 0, u: 0, d: 0, spare: 0, covered: false };
      this.#entries.set(key, entry);
    }
    return entry;
  }

  #countFromNow(): void {
    const counts = { c: 0, u: 0, d: 0 };
    for (const { c, u, d, spare } of this.#entries.values()) {
      counts.c += c;
      counts.u += u;
      counts.d += d - spare;
    }
    this.#entries.clear();
    this.#counts = counts;
  }
}
