/**
 * Fetched records → batches. Values are sliced, never parsed. Each partition's records count without a gap from where the
 * position stands; a jump means that the log lost events of that table, which is noted in the batch that passes over it.
 */
import { decodeHeader, recordKeyText, type EventHeader } from '../core/event.js';
import { partitionName, type PartitionName, type Position } from '../core/position.js';
import type { BatchLimits, Move, StoreEvent } from '../core/store.js';
import type { FetchResult, LogRecord } from '../stores/kafka/reader.js';
import type { Definitions, Landing } from './applyDefinitions.js';

/** Ordinal of a position that does not know: the next record is taken as it comes. */
export const unknownOrdinal = -1;

/** What a batch will be once its progress is known. */
export interface Load {
  readonly events: readonly StoreEvent[];
  readonly moves: readonly Move[];
  /** Tables whose events were lost before one of these. */
  readonly gaps: readonly string[];
  /** An incarnation that was not known before. */
  readonly incarnation: string | null;
}

export const beginning: Position = { offset: 0, ordinal: 0 };

export class Intake {
  readonly #definitions: Definitions;
  /** After the last record that went into a load. */
  readonly #positions: Map<PartitionName, Position>;
  readonly #incarnations = new Map<PartitionName, string>();
  readonly #known: Set<string>;
  readonly #first: string;
  #load = new Loading();

  constructor(definitions: Definitions, positions: ReadonlyMap<PartitionName, Position>, incarnation: string) {
    this.#definitions = definitions;
    this.#positions = new Map(positions);
    this.#first = incarnation;
    this.#known = new Set([incarnation]);
  }

  position(name: PartitionName): Position {
    return this.#positions.get(name) ?? beginning;
  }

  positions(): ReadonlyMap<PartitionName, Position> {
    return this.#positions;
  }

  /** Each load is within the limits, or a single event. Ends with what is left: nothing lingers. */
  async *loads(results: readonly FetchResult[], limits: () => BatchLimits): AsyncGenerator<Load> {
    for (const result of results) {
      const name = partitionName(result.topic, result.partition);
      for (const record of result.records) {
        const header = record.header === null ? undefined : decodeHeader(record.header);
        // Written by someone else: passed over, it counts for nobody.
        if (header === undefined) continue;
        if (!this.#load.fits(record, limits())) yield this.#finish();
        // No promise for each record: one costs as much as the rest of it.
        const landing = this.#definitions.get(header.definition) ?? (await this.#landing(header));
        this.#take(name, result.topic, record, header, landing);
      }
      const at = this.position(name);
      if (result.nextOffset > at.offset) this.#move(name, { offset: result.nextOffset, ordinal: at.ordinal });
    }
    if (!this.#load.isEmpty()) yield this.#finish();
  }

  /** A tombstone brings no row. */
  async #landing({ op, definition }: EventHeader): Promise<Landing | null> {
    return op === 't' ? null : await this.#definitions.require(definition);
  }

  #take(name: PartitionName, topic: string, record: LogRecord, header: EventHeader, landing: Landing | null): void {
    const at = this.position(name);
    const incarnation = this.#incarnations.get(name) ?? this.#first;
    if (incarnation !== header.incarnation) {
      this.#incarnations.set(name, header.incarnation);
      if (!this.#known.has(header.incarnation)) this.#load.incarnation = header.incarnation;
      this.#known.add(header.incarnation);
    }
    // Between incarnations nothing can be counted; capture itself asks for copies of every table then.
    const counts = incarnation === header.incarnation || incarnation === '';
    if (counts && at.ordinal !== unknownOrdinal && header.ordinal !== at.ordinal + 1) {
      this.#load.gaps.add(this.#definitions.tableOf(topic));
    }
    this.#move(name, { offset: record.offset + 1, ordinal: header.ordinal });
    if (header.op === 't' || landing === null) return;
    this.#load.add(eventOf(record, header, landing), sizeOf(record));
  }

  #move(name: PartitionName, to: Position): void {
    this.#load.move(name, this.position(name), to);
    this.#positions.set(name, to);
  }

  #finish(): Load {
    const load = this.#load;
    this.#load = new Loading();
    return load.done();
  }
}

export function eventOf(record: LogRecord, header: EventHeader, { definition, target }: Landing): StoreEvent {
  const { op, seq, at, afterStart, afterEnd } = header;
  return {
    target,
    definition,
    op: op === 't' ? 'd' : op,
    key: record.key === null ? Buffer.alloc(0) : recordKeyText(record.key, header),
    after: afterEnd === 0 || record.value === null ? null : record.value.subarray(afterStart, afterEnd),
    seq,
    at,
  };
}

function sizeOf(record: LogRecord): number {
  return (record.key?.length ?? 0) + (record.value?.length ?? 0);
}

class Loading {
  readonly gaps = new Set<string>();
  incarnation: string | null = null;
  readonly #events: StoreEvent[] = [];
  readonly #moves = new Map<PartitionName, Move>();
  #bytes = 0;

  fits(record: LogRecord, limits: BatchLimits): boolean {
    if (this.#events.length === 0) return true;
    return this.#events.length < limits.events && this.#bytes + sizeOf(record) <= limits.bytes;
  }

  add(event: StoreEvent, bytes: number): void {
    this.#events.push(event);
    this.#bytes += bytes;
  }

  move(partition: PartitionName, from: Position, to: Position): void {
    const earlier = this.#moves.get(partition);
    this.#moves.set(partition, { partition, from: earlier?.from ?? from, to });
  }

  isEmpty(): boolean {
    return this.#moves.size === 0;
  }

  done(): Load {
    return {
      events: this.#events,
      moves: [...this.#moves.values()],
      gaps: [...this.gaps],
      incarnation: this.incarnation,
    };
  }
}
