/**
 * Loads → batches in the store, in order, several under way. What the store confirmed is the only position there is; after
 * a setback everything that was under way has failed too, and the store is asked where it stands.
 */
import { bucketOf, emptyLag } from '../core/lag.js';
import type { PartitionName, Position, Positions } from '../core/position.js';
import type { ApplyOutcome, ParkedKey, Progress, Store } from '../core/store.js';
import type { Load } from './applyIntake.js';
import type { Held } from './applyBegin.js';

export type Setback =
  { readonly kind: Exclude<ApplyOutcome['kind'], 'applied'> } | { readonly kind: 'failed'; readonly error: unknown };

interface Answer {
  readonly outcome: ApplyOutcome | { readonly kind: 'failed'; readonly error: unknown };
  /** When the store had answered: nobody may have been waiting then. */
  readonly at: number;
}

interface UnderWay {
  readonly load: Load;
  readonly answer: Promise<Answer>;
}

export interface SenderOptions {
  readonly shard: number;
  readonly now: () => number;
  readonly onParked: (keys: readonly ParkedKey[]) => void;
}

export class Sender {
  readonly #store: Store;
  readonly #options: SenderOptions;
  readonly #epoch: number;
  readonly #confirmed: Map<PartitionName, Position>;
  readonly #lag: number[];
  readonly #underWay: UnderWay[] = [];
  #gaps: readonly string[];
  #incarnation: string;
  /** Counted when sent, so that the batch that carries the events carries their number. */
  #applied: number;
  #lastEventAt: number;
  /** Lags that no batch has carried yet. */
  #unsaid = 0;

  constructor(store: Store, { epoch, state }: Held, options: SenderOptions) {
    this.#store = store;
    this.#options = options;
    this.#epoch = epoch;
    this.#confirmed = new Map(state.positions);
    this.#gaps = state.gaps;
    this.#incarnation = state.incarnation;
    this.#applied = state.progress.applied;
    this.#lastEventAt = state.progress.lastEventAt;
    this.#lag = [...(state.progress.lag.length > 0 ? state.progress.lag : emptyLag())];
  }

  /** Returns when there is room for another, or a setback: then nothing more may be sent. */
  async send(load: Load): Promise<Setback | null> {
    if (load.incarnation !== null) {
      const setback = (await this.drain()) ?? (await this.#enter(load.incarnation));
      if (setback !== null) return setback;
    }
    while (this.#underWay.length >= this.#store.limits.inFlight) {
      const setback = await this.#settleOldest();
      if (setback !== null) return setback;
    }
    this.#dispatch(load);
    return null;
  }

  /** Waits for everything under way. */
  async drain(): Promise<Setback | null> {
    while (this.#underWay.length > 0) {
      const setback = await this.#settleOldest();
      if (setback !== null) return setback;
    }
    return null;
  }

  /** Carries figures that no batch has carried, when there is no batch to do it. */
  async sayProgress(): Promise<Setback | null> {
    if (this.#unsaid === 0 || this.#underWay.length > 0) return null;
    this.#dispatch({ events: [], moves: [], gaps: [], incarnation: null });
    return this.drain();
  }

  /** Moves positions without events, after `drain`. False: the shard is not ours any more. */
  async reposition(positions: ReadonlyMap<PartitionName, Position>, gaps: readonly string[]): Promise<boolean> {
    const all = new Map([...this.#confirmed, ...positions]);
    const to = { incarnation: this.#incarnation, positions: all, gaps: [...new Set([...this.#gaps, ...gaps])] };
    if (!(await this.#store.reposition(this.#options.shard, this.#epoch, to))) return false;
    for (const [name, position] of positions) this.#confirmed.set(name, position);
    this.#gaps = to.gaps;
    return true;
  }

  /** Whether the store stands before what it confirmed: it lost its newest writes. What is under way may be ahead. */
  isBehind(found: Positions): boolean {
    return [...this.#confirmed].some(([name, { offset }]) => (found.get(name)?.offset ?? 0) < offset);
  }

  /** What was lost and is not yet due for a copy. */
  gaps(): readonly string[] {
    return this.#gaps;
  }

  #dispatch(load: Load): void {
    for (const event of load.events) this.#lastEventAt = Math.max(this.#lastEventAt, event.at);
    this.#applied += load.events.length;
    const gaps = load.gaps.length === 0 ? null : [...new Set([...this.#gaps, ...load.gaps])];
    if (gaps !== null) this.#gaps = gaps;
    this.#unsaid = 0;
    const { events, moves } = load;
    const { shard, now } = this.#options;
    const answer = this.#store.apply(shard, this.#epoch, { events, moves, progress: this.#progress(), gaps }).then(
      (outcome): Answer => ({ outcome, at: now() }),
      (error: unknown): Answer => ({ outcome: { kind: 'failed', error }, at: now() }),
    );
    this.#underWay.push({ load, answer });
  }

  #progress(): Progress {
    return { applied: this.#applied, lastEventAt: this.#lastEventAt, lag: [...this.#lag] };
  }

  async #settleOldest(): Promise<Setback | null> {
    const [oldest] = this.#underWay;
    if (oldest === undefined) return null;
    const { outcome, at } = await oldest.answer;
    this.#underWay.shift();
    if (outcome.kind === 'applied') {
      this.#confirm(oldest.load, at);
      if (outcome.parked.length > 0) this.#options.onParked(outcome.parked);
      return null;
    }
    // Those behind it began where it would have ended: they wrote nothing, but must be over before anyone asks again.
    await Promise.all(this.#underWay.splice(0).map((behind) => behind.answer));
    return outcome;
  }

  #confirm({ events, moves }: Load, appliedAt: number): void {
    for (const { at } of events) {
      const bucket = bucketOf(appliedAt - at);
      this.#lag[bucket] = (this.#lag[bucket] ?? 0) + 1;
    }
    this.#unsaid += events.length;
    for (const { partition, to } of moves) this.#confirmed.set(partition, to);
  }

  async #enter(incarnation: string): Promise<Setback | null> {
    this.#incarnation = incarnation;
    try {
      return (await this.reposition(new Map(), [])) ? null : { kind: 'stale' };
    } catch (error) {
      return { kind: 'failed', error };
    }
  }
}
