/**
 * What was found wrong and is not right yet: logged again, a bounded number of keys at a time, and closed when a later look
 * finds it right. What is open stands in MySQL, so a process that dies between the finding and its repair forgets nothing.
 */
import type { Drift, KeyText } from '../core/drift.js';
import { codeOf } from '../core/errors.js';
import type { VerifyDeps } from './verifyDeps.js';

interface Open {
  readonly table: string;
  readonly key: KeyText;
  /** How often it was logged again. */
  written: number;
}

/** Keys that are logged again in one go, about a second of it. */
const repairedAtOnce = 500;
/** Somebody else keeps changing it, or it cannot be right: logging it again is no help. */
const mostRepairs = 3;
/** More than these are for a sweep, which has a breaker. */
const mostOpen = 10_000;

export class Repairs {
  readonly #deps: Pick<VerifyDeps, 'config' | 'ledger' | 'repair'>;
  readonly #open = new Map<string, Open>();
  readonly #due = new Set<string>();
  readonly #right = new Set<string>();
  #underWay: Promise<void> | null = null;
  #failure: { readonly cause: unknown } | null = null;

  constructor(deps: Pick<VerifyDeps, 'config' | 'ledger' | 'repair'>) {
    this.#deps = deps;
  }

  async begin(): Promise<void> {
    await this.#underWay;
    const known = new Map(this.#open);
    this.#open.clear();
    this.#due.clear();
    this.#right.clear();
    for (const { table, key, repaired, due } of await this.#deps.ledger.open(mostOpen)) {
      const name = nameOf(table, key);
      const open = known.get(name) ?? { table, key, written: repaired ? 1 : 0 };
      this.#open.set(name, open);
      if (due && open.written < mostRepairs) this.#due.add(name);
    }
  }

  found(drift: readonly Drift[]): void {
    for (const { table, key } of drift) {
      const name = nameOf(table, key);
      if (!this.#open.has(name) && this.#open.size >= mostOpen) continue;
      const open = this.#open.get(name) ?? { table, key, written: 0 };
      this.#open.set(name, open);
      this.#right.delete(name);
      if (open.written < mostRepairs) this.#due.add(name);
    }
  }

  isOpen(name: string): boolean {
    return this.#open.has(name);
  }

  written(name: string): number {
    return this.#open.get(name)?.written ?? 0;
  }

  isRight(name: string): void {
    if (this.#open.size > 0 && this.#open.has(name)) this.#right.add(name);
  }

  /** Closes what is right, and has the next keys logged again: that may wait for rows which an application holds. */
  async carryOut(of: { readonly shard: number; readonly run: string }, signal: AbortSignal): Promise<void> {
    if (this.#failure !== null) {
      const { cause } = this.#failure;
      this.#failure = null;
      throw cause;
    }
    for (const [table, keys] of this.#byTable(this.#right)) {
      await this.#deps.ledger.heal(of.shard, of.run, table, keys);
      for (const key of keys) this.#forget(nameOf(table, key));
    }
    if (!this.#deps.config.verify.repair) this.#due.clear();
    if (this.#due.size === 0 || this.#underWay !== null) return;
    this.#underWay = this.#repairSome(signal)
      .catch((cause: unknown) => void (this.#failure = { cause }))
      .finally(() => void (this.#underWay = null));
  }

  /** After an abort: waits for what is under way. */
  async end(): Promise<void> {
    await this.#underWay;
  }

  async #repairSome(signal: AbortSignal): Promise<void> {
    const some = [...this.#due].slice(0, repairedAtOnce);
    for (const [table, keys] of this.#byTable(some)) {
      if (signal.aborted) return;
      // Before: what is found again meanwhile is due again.
      for (const key of keys) this.#due.delete(nameOf(table, key));
      await this.#repair(table, keys, signal);
      for (const key of keys) {
        const open = this.#open.get(nameOf(table, key));
        if (open !== undefined) open.written += 1;
      }
    }
  }

  async #repair(table: string, keys: readonly KeyText[], signal: AbortSignal): Promise<void> {
    try {
      await this.#deps.repair(table, keys, signal);
    } catch (error) {
      // The table is not captured any more: there is nothing to log.
      if (codeOf(error) !== 'LS-TABLE-UNKNOWN') throw error;
    }
  }

  #forget(name: string): void {
    this.#open.delete(name);
    this.#due.delete(name);
    this.#right.delete(name);
  }

  #byTable(names: Iterable<string>): Map<string, KeyText[]> {
    const tables = new Map<string, KeyText[]>();
    for (const name of names) {
      const open = this.#open.get(name);
      if (open === undefined) continue;
      const keys = tables.get(open.table);
      if (keys === undefined) tables.set(open.table, [open.key]);
      else keys.push(open.key);
    }
    return tables;
  }
}

/** As `keyName` of the event. */
function nameOf(table: string, key: KeyText): string {
  return `${table}\0${Buffer.from(key).toString('latin1')}`;
}
