/**
 * Until when each table is verified in each store, from what verify keeps and what MySQL and the log say now. Where verify
 * has reached the log's end, everything that MySQL had published is verified, however long nothing happened. Pure.
 */
import { partitionName, type PartitionName, type Position } from './position.js';
import type { StoreName } from './store.js';
import type { VerifyStatus } from './status.js';
import type { VerifiedShard } from './verified.js';

export interface VerifiedFacts {
  readonly shards: readonly VerifiedShard[];
  /** Ordinal of the last record of each partition, by topic. Null: the log did not answer, or was read before the backlog. */
  readonly ordinals: ReadonlyMap<string, readonly number[]> | null;
  /** Everything that was committed before is in the log; milliseconds since 1970. */
  readonly publishedThrough: number;
}

/** Milliseconds since 1970; null while it is not known. */
export function verifiedThrough(facts: VerifiedFacts, store: StoreName, table: string, topic: string): number | null {
  const shards = facts.shards.filter((shard) => shard.store === store);
  if (shards.length === 0) return null;
  const kept = shards.map(({ through, behind }) => (Object.hasOwn(behind, table) ? (behind[table] ?? null) : through));
  const least = kept.includes(null) ? null : Math.min(...kept.map((at) => at ?? 0));
  if (!isAtEnd(facts, shards, topic)) return least;
  return Math.max(facts.publishedThrough, least ?? 0);
}

function isAtEnd({ ordinals }: VerifiedFacts, shards: readonly VerifiedShard[], topic: string): boolean {
  if (ordinals === null) return false;
  const positions = positionsOf(shards);
  return (ordinals.get(topic) ?? []).every(
    (ordinal, i) => (positions.get(partitionName(topic, i))?.ordinal ?? 0) >= ordinal,
  );
}

function positionsOf(shards: readonly VerifiedShard[]): ReadonlyMap<PartitionName, Position> {
  return new Map(shards.flatMap(({ positions }) => [...positions]));
}

/** applied: positions of the store. tables: `verifiedThrough` of each that streams. Null: nothing of the store was verified. */
export function verifyStatus(
  all: readonly VerifiedShard[],
  store: StoreName,
  applied: readonly (readonly [PartitionName, Position])[],
  tables: readonly (number | null)[],
): VerifyStatus | null {
  const shards = all.filter((shard) => shard.store === store);
  if (shards.length === 0) return null;
  const positions = positionsOf(shards);
  const sum = (of: (shard: VerifiedShard) => number): number => shards.reduce((total, shard) => total + of(shard), 0);
  const least = tables.includes(null) || tables.length === 0 ? null : Math.min(...tables.map((at) => at ?? 0));
  return {
    through: least === null ? null : new Date(least).toISOString(),
    behind: applied.reduce((total, [name, { ordinal }]) => {
      const reached = positions.get(name)?.ordinal ?? 0;
      // A position that was set to the log's end knows its ordinal with the next event.
      return reached < 0 ? total : total + Math.max(0, ordinal - reached);
    }, 0),
    events: sum(({ events }) => events),
    differences: sum(({ differences }) => differences),
    unverified: sum(({ unverified }) => unverified),
  };
}
