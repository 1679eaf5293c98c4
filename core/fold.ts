/**
 * The last event of each key is all that a store has to write: a batch is one atomic write, so nobody sees the states
 * between. Keys of one table that are the same bytes are the same key.
 */
import type { StoreEvent } from './store.js';

export interface Folded {
  /** Key text, one character a byte: to sort and look up by. */
  readonly key: string;
  /** The key's last event. */
  readonly last: StoreEvent;
  /** Whether the batch's first event of the key makes it anew, so that the store should not hold it yet. */
  readonly fresh: boolean;
  /** When its last change was made, milliseconds since 1970; null when the batch only copies it. */
  readonly changedAt: number | null;
}

type Mutable = { -readonly [K in keyof Folded]: Folded[K] };

/** By table, each in the order of its keys' first appearance. */
export function foldByTable(events: readonly StoreEvent[]): Map<string, Folded[]> {
  const tables = new Map<string, Map<string, Mutable>>();
  for (const event of events) {
    let keys = tables.get(event.target.table);
    if (keys === undefined) tables.set(event.target.table, (keys = new Map<string, Mutable>()));
    const key = event.key.toString('latin1');
    const known = keys.get(key);
    const changedAt = event.op === 'r' ? null : event.at;
    if (known === undefined)
      keys.set(key, { key, last: event, fresh: event.op === 'c' || event.op === 'r', changedAt });
    else {
      known.last = event;
      known.changedAt = changedAt ?? known.changedAt;
    }
  }
  return new Map([...tables].map(([table, keys]) => [table, [...keys.values()]]));
}
