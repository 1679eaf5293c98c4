/**
 * Looks that verify takes at a store, and what follows from them for each key: right, in doubt, or different for good. One
 * look shows content and position of one moment; a difference stands when the log was read up to that position, no later
 * event of the key came, and a second look shows the same.
 */
import type { PartitionName, Positions } from '../core/position.js';
import type { EventVerdict, ShardState, Sight } from '../core/store.js';
import { Turn } from '../core/turn.js';
import type { VerifyDeps } from './verifyDeps.js';
import { differenceOf, isWrong } from './verifyFinding.js';
import type { LoggedEvent, Past, Pasts, VerifyLog } from './verifyLog.js';
import type { Repairs } from './verifyRepairs.js';
import { Suspects, type Suspect } from './verifySuspects.js';

/** What a store showed of itself at the newest look: one that shows less has fallen back. */
export interface Seen {
  readonly epoch: number;
  readonly incarnation: string;
  readonly applied: number;
}

export interface DoubtsDeps {
  readonly store: VerifyDeps['store'];
  readonly shard: number;
  readonly repairs: Repairs;
  /** The log as it is read now. */
  readonly log: () => VerifyLog;
  readonly seen: () => Seen;
  /** Something was done: the run is alive. */
  readonly alive: () => void;
  /** So many events cannot be verified: the log does not hold them any more. */
  readonly unverified: (events: number) => void;
}

interface Known {
  readonly name: string;
  readonly suspect: Suspect;
  readonly past: Past;
}

interface SoughtPasts {
  readonly known: Known[];
  /** The log does not hold their events any more. */
  readonly gone: [string, Suspect][];
  /** The log did not answer: they stay in doubt, and what is saved stays before them. */
  readonly untold: [string, Suspect][];
}

const settledAtOnce = 200;
const againMs = 50;
export const heldMs = 1_000;

export class Doubts {
  readonly suspects = new Suspects();
  readonly #deps: DoubtsDeps;

  constructor(deps: DoubtsDeps) {
    this.#deps = deps;
  }

  /** The first look: most keys hold what their event says. */
  async examine(events: readonly LoggedEvent[]): Promise<void> {
    const sight = await this.#look(events);
    const turn = new Turn();
    for (const [i, event] of events.entries()) {
      if (turn.isLong()) await turn.end();
      const seenAt = positionIn(sight, event.partition);
      const found = sight?.found[i];
      if (sight === null || found === undefined || seenAt <= event.offset) {
        this.#doubt(event, event.offset + 1, againMs);
        continue;
      }
      const verdict = this.#deps.store.judgeEvent(event, found, sight.at);
      if (isWrong(verdict)) this.#doubt(event, seenAt, 0);
      else this.#isNotWrong(event, verdict);
    }
  }

  /** Null: the store is not what it was a moment ago; the next round finds out. */
  async #look(events: readonly LoggedEvent[]): Promise<Sight | null> {
    const sight = await this.#deps.store.examine(this.#deps.shard, events);
    const { epoch, applied } = this.#deps.seen();
    if (sight.state === null || sight.state.epoch < epoch) return null;
    return sight.state.progress.applied < applied ? null : sight;
  }

  #doubt({ name, partition, offset, ordinal, index }: LoggedEvent, seenAt: number, waitMs: number): void {
    const notBefore = waitMs === 0 ? 0 : performance.now() + waitMs;
    this.suspects.doubt(name, { partition, offset, ordinal, index, seenAt, difference: null, notBefore });
  }

  /** A parked key keeps older content: it is left out, and named by status. */
  #isNotWrong({ name }: LoggedEvent, verdict: EventVerdict): void {
    this.suspects.clearUp(name);
    if (verdict.kind !== 'parked') this.#deps.repairs.isRight(name);
  }

  /** What no later event explains is looked at a second time, and what stands then is reported. False: a report was refused. */
  async settle(
    cursors: Positions,
    signal: AbortSignal,
    report: (proven: readonly [string, Suspect][]) => Promise<boolean>,
  ): Promise<boolean> {
    while (!signal.aborted) {
      const standing = this.suspects.standing(cursors, performance.now(), settledAtOnce);
      if (standing.length === 0) return true;
      const proven = standing.filter(([, { difference }]) => difference !== null);
      if (proven.length > 0 && !(await report(proven))) return false;
      const seenOnce = standing.filter(([, { difference }]) => difference === null);
      if (seenOnce.length > 0 && !(await this.#lookAgain(seenOnce, signal))) return true;
      this.#deps.alive();
    }
    return true;
  }

  /** False: the log did not tell all of them. The next round looks first whether the store is still what it was. */
  async #lookAgain(seenOnce: readonly [string, Suspect][], signal: AbortSignal): Promise<boolean> {
    const { known, gone, untold } = await this.#pasts(seenOnce, signal);
    for (const [name] of gone) this.suspects.clearUp(name);
    this.#deps.unverified(gone.length);
    for (const [name, suspect] of untold) this.#holdDoubt(name, suspect, heldMs);
    for (let at = 0; at < known.length; at += this.#deps.store.examineAtMost) {
      const some = known.slice(at, at + this.#deps.store.examineAtMost);
      const sight = await this.#look(some.map(({ past }) => past.event));
      for (const [i, one] of some.entries()) this.#weigh(one, sight, i);
    }
    return untold.length === 0;
  }

  #weigh({ name, suspect, past }: Known, sight: Sight | null, i: number): void {
    const seenAt = positionIn(sight, suspect.partition);
    const found = sight?.found[i];
    if (sight === null || found === undefined || seenAt <= suspect.offset) {
      this.#holdDoubt(name, suspect, againMs);
      return;
    }
    const verdict = this.#deps.store.judgeEvent(past.event, found, sight.at);
    if (!isWrong(verdict)) return this.#isNotWrong(past.event, verdict);
    if (sight.deletesAhead && verdict.kind === 'missing') {
      this.#holdDoubt(name, suspect, heldMs);
      return;
    }
    const difference = differenceOf(this.#deps.store, past, verdict, sight, found);
    this.suspects.doubt(name, { ...suspect, seenAt, difference });
  }

  #holdDoubt(name: string, suspect: Suspect, waitMs: number): void {
    this.suspects.doubt(name, { ...suspect, notBefore: performance.now() + waitMs });
  }

  async #pasts(suspects: readonly [string, Suspect][], signal: AbortSignal): Promise<SoughtPasts> {
    const byPartition = new Map<PartitionName, Map<number, string>>();
    for (const [name, { partition, offset }] of suspects) {
      const keys = byPartition.get(partition) ?? new Map<number, string>();
      byPartition.set(partition, keys.set(offset, name));
    }
    const pasts = new Map<PartitionName, Pasts>();
    for (const [partition, keys] of byPartition) {
      pasts.set(partition, await this.#deps.log().past(partition, keys, signal));
    }
    const sought: SoughtPasts = { known: [], gone: [], untold: [] };
    for (const [name, suspect] of suspects) {
      const { found, searched } = pasts.get(suspect.partition) ?? { found: new Map<number, Past>(), searched: 0 };
      const past = found.get(suspect.offset);
      if (past !== undefined) sought.known.push({ name, suspect, past });
      else (suspect.offset < searched ? sought.gone : sought.untold).push([name, suspect]);
    }
    return sought;
  }
}

export function seenOf(state: ShardState & { readonly epoch: number }): Seen {
  return { epoch: state.epoch, incarnation: state.incarnation, applied: state.progress.applied };
}

function positionIn(sight: Sight | null, partition: PartitionName): number {
  return sight?.state?.positions.get(partition)?.offset ?? 0;
}
