/**
 * Until when each table is verified. A marker is placed every few seconds while the store moves; when everything before
 * it is verified, everything that was committed in MySQL before its time is. Tables that lag are kept apart, so that one
 * does not hold back the others. Decisions are pure; placing and asking is the caller's.
 */
import { splitPartitionName, type OffsetVector, type Positions } from '../core/position.js';
import type { Verified } from '../core/verified.js';

export interface PlacedMarker {
  readonly id: string;
  /** MySQL's clock before it was placed, milliseconds since 1970. */
  readonly at: number;
  /** Null until capture has published it. */
  readonly vector: OffsetVector | null;
}

const mostMarkers = 16;

export class Through {
  #markers: PlacedMarker[] = [];
  #through: number | null;
  #tables: Map<string, number | null>;

  constructor({ through, behind }: Pick<Verified, 'through' | 'behind'>) {
    this.#through = through;
    this.#tables = new Map(Object.entries(behind));
  }

  get through(): number | null {
    return this.#through;
  }

  get behind(): Readonly<Record<string, number | null>> {
    return Object.fromEntries(this.#tables);
  }

  /** Ids whose vector is not known yet. */
  unresolved(): readonly string[] {
    return this.#markers.filter(({ vector }) => vector === null).map(({ id }) => id);
  }

  place(marker: Pick<PlacedMarker, 'id' | 'at'>): void {
    this.#markers.push({ ...marker, vector: null });
    // Verify is far behind: every second one will do.
    if (this.#markers.length > mostMarkers) this.#markers = this.#markers.filter((_, i) => i % 2 === 0);
  }

  resolve(id: string, vector: OffsetVector): void {
    this.#markers = this.#markers.map((marker) => (marker.id === id ? { ...marker, vector } : marker));
  }

  /** Capture has not answered for so long that the marker is lost. */
  drop(id: string): void {
    this.#markers = this.#markers.filter((marker) => marker.id !== id);
  }

  oldestUnresolved(): PlacedMarker | undefined {
    return this.#markers.find(({ vector }) => vector === null);
  }

  /** verified: everything before these positions. */
  advance(verified: Positions, tableOf: (topic: string) => string, isMine: (partition: string) => boolean): void {
    for (const { at, vector } of this.#markers) {
      if (vector === null) continue;
      const lagging = new Set<string>();
      const tables = new Set<string>();
      for (const [name, offset] of vector) {
        if (!isMine(name)) continue;
        const table = tableOf(splitPartitionName(name).topic);
        tables.add(table);
        if ((verified.get(name)?.offset ?? 0) < offset) lagging.add(table);
      }
      // While all of them lag, nothing is known of this moment.
      if (lagging.size > 0 && lagging.size === tables.size) continue;
      this.#pass(at, lagging);
    }
    this.#markers = this.#markers.filter((marker) => !this.#isDone(marker, verified, isMine));
  }

  /** A table leaves `behind` only at a marker as new as `through`: older ones prove nothing of what lies between. */
  #pass(at: number, lagging: ReadonlySet<string>): void {
    const before = this.#through;
    const through = Math.max(at, before ?? 0);
    for (const table of lagging) if (!this.#tables.has(table)) this.#tables.set(table, before);
    for (const [table, own] of this.#tables) {
      if (lagging.has(table)) continue;
      const passed = Math.max(at, own ?? 0);
      if (passed >= through) this.#tables.delete(table);
      else this.#tables.set(table, passed);
    }
    this.#through = through;
  }

  #isDone({ vector }: PlacedMarker, verified: Positions, isMine: (partition: string) => boolean): boolean {
    if (vector === null) return false;
    return [...vector].every(([name, offset]) => !isMine(name) || (verified.get(name)?.offset ?? 0) >= offset);
  }
}
