/**
 * Keys whose store does not hold what their event says, until it is known why. A store that was read at a position is
 * ahead of the log that was read, so a later event of the key may lie between: only when the log was read up to that
 * position, and none came, does the difference stand. Pure.
 */
import type { PartitionName, Position, Positions } from '../core/position.js';
import type { Difference } from './verifyFinding.js';

export interface Suspect {
  readonly partition: PartitionName;
  /** Of the event. */
  readonly offset: number;
  readonly ordinal: number;
  /** Events of the partition that were read before it. */
  readonly index: number;
  /** The store's position when it was read. */
  readonly seenAt: number;
  /** What the second look showed; null after the first. */
  readonly difference: Difference | null;
  /** Not to be looked at again before; milliseconds as of `performance.now`. */
  readonly notBefore: number;
}

export class Suspects {
  readonly #byKey = new Map<string, Suspect>();

  get size(): number {
    return this.#byKey.size;
  }

  /**
   * A later event of the key. Applied at the look, it explains what was seen; it is verified in its own turn. Not applied
   * yet, it leaves a difference that was seen twice as it is, and takes the place of one that was seen once: nothing but the
   * key's last event can be held against the store.
   */
  meet(key: string, offset: number): void {
    const suspect = this.#byKey.get(key);
    if (suspect === undefined || suspect.offset >= offset) return;
    if (offset < suspect.seenAt || suspect.difference === null) this.#byKey.delete(key);
  }

  doubt(key: string, suspect: Suspect): void {
    this.#byKey.set(key, suspect);
  }

  get(key: string): Suspect | undefined {
    return this.#byKey.get(key);
  }

  clearUp(key: string): void {
    this.#byKey.delete(key);
  }

  clear(): void {
    this.#byKey.clear();
  }

  /** Those that no later event explains, as far as the log was read; at most so many. */
  standing(cursors: Positions, now: number, limit: number): [string, Suspect][] {
    const found: [string, Suspect][] = [];
    for (const entry of this.#byKey) {
      const [, { partition, seenAt, notBefore }] = entry;
      if ((cursors.get(partition)?.offset ?? 0) < seenAt || notBefore > now) continue;
      found.push(entry);
      if (found.length >= limit) break;
    }
    return found;
  }

  /** Up to where the log has to be read to settle them all. */
  horizon(): Map<PartitionName, Position> {
    const to = new Map<PartitionName, Position>();
    for (const { partition, seenAt } of this.#byKey.values()) {
      if ((to.get(partition)?.offset ?? 0) < seenAt) to.set(partition, { offset: seenAt, ordinal: 0 });
    }
    return to;
  }

  /** Events that were read, and lie at or behind one that is still in doubt: they will be read again. */
  unsettled(read: ReadonlyMap<PartitionName, number>): number {
    const first = new Map<PartitionName, number>();
    for (const { partition, index } of this.#byKey.values()) {
      first.set(partition, Math.min(index, first.get(partition) ?? index));
    }
    return [...first].reduce((sum, [partition, index]) => sum + Math.max(0, (read.get(partition) ?? 0) - index), 0);
  }

  /** Cursors, held back before every event that is still in doubt: what is verified whatever happens next. */
  verified(cursors: Positions): Map<PartitionName, Position> {
    const positions = new Map(cursors);
    for (const { partition, offset, ordinal } of this.#byKey.values()) {
      if ((positions.get(partition)?.offset ?? 0) <= offset) continue;
      positions.set(partition, { offset, ordinal: Math.max(0, ordinal - 1) });
    }
    return positions;
  }
}
