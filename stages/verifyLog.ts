/**
 * The log as verify reads it: never past what the store has applied, folded to the last event of each key, from positions
 * that are verify's own. What the log does not hold any more is told as a hole, never passed over in silence.
 */
import type { DefinitionHash } from '../core/definition.js';
import { decodeHeader, type EventHeader } from '../core/event.js';
import { imagesOf } from '../core/envelope.js';
import {
  partitionName,
  splitPartitionName,
  type PartitionName,
  type Position,
  type Positions,
} from '../core/position.js';
import type { StoreEvent } from '../core/store.js';
import { Turn } from '../core/turn.js';
import type { FetchResult, LogRecord, Reader } from '../stores/kafka/reader.js';
import type { Definitions, Landing } from './applyDefinitions.js';
import { beginning, eventOf, unknownOrdinal } from './applyIntake.js';

export interface LoggedEvent extends StoreEvent {
  /** Names the key among all tables. */
  readonly name: string;
  readonly partition: PartitionName;
  readonly offset: number;
  readonly ordinal: number;
  readonly definitionHash: DefinitionHash;
  /** How many events of its partition this log had read before it. */
  readonly index: number;
}

/** Changes of a table that cannot be verified, because the log has dropped them. */
export interface Hole {
  readonly table: string;
  readonly changes: number;
}

export interface Window {
  /** The last event of each key, by its name. Its bytes are views of what the broker sent. */
  readonly last: ReadonlyMap<string, LoggedEvent>;
  readonly events: number;
  readonly holes: readonly Hole[];
}

export interface WindowLimits {
  readonly events: number;
  readonly bytes: number;
}

/** An event with the images that the log holds of its key shortly before it; null stands for no row. */
export interface Past {
  readonly event: LoggedEvent;
  readonly older: readonly (Buffer | null)[];
}

/** What was found of some events. `searched`: what lies before it and was not found, the log does not hold any more. */
export interface Pasts {
  readonly found: ReadonlyMap<number, Past>;
  readonly searched: number;
}

interface Fetched {
  readonly records: readonly LogRecord[];
  next: number;
  readonly nextOffset: number;
}

export class VerifyLog {
  readonly #reader: Reader;
  readonly #definitions: Definitions;
  readonly #cursors: Map<PartitionName, Position>;
  readonly #fetched = new Map<PartitionName, Fetched>();
  readonly #incarnations = new Map<PartitionName, string>();
  readonly #read = new Map<PartitionName, number>();
  /** Partitions that were begun anew because their records did not follow what was read before; once each. */
  readonly #begunAnew = new Set<PartitionName>();
  #holes: Hole[] = [];

  constructor(reader: Reader, definitions: Definitions, from: Positions) {
    this.#reader = reader;
    this.#definitions = definitions;
    this.#cursors = new Map(from);
  }

  cursor(name: PartitionName): Position {
    return this.#cursors.get(name) ?? beginning;
  }

  cursors(): Positions {
    return this.#cursors;
  }

  /** Events that were read so far, by partition. */
  eventsRead(): ReadonlyMap<PartitionName, number> {
    return this.#read;
  }

  isBehind(positions: Positions): boolean {
    return [...positions].some(([name, { offset }]) => this.cursor(name).offset < offset);
  }

  /** Goes on from other positions; what was read ahead is dropped. */
  restart(from: Positions): void {
    this.#fetched.clear();
    this.#cursors.clear();
    for (const [name, position] of from) this.#cursors.set(name, position);
  }

  /** Another log over the same reader, from where this one stands: to look ahead without moving it. */
  fork(): VerifyLog {
    return new VerifyLog(this.#reader, this.#definitions, this.#cursors);
  }

  /** What lies before `upTo`, as much as the limits allow; less, or nothing, while no broker answers. */
  async read(
    upTo: Positions,
    limits: WindowLimits,
    meet: (name: string, event: LoggedEvent) => void,
    signal: AbortSignal,
  ): Promise<Window> {
    const last = new Map<string, LoggedEvent>();
    let room = limits.events;
    let bytes = limits.bytes;
    const add = (event: LoggedEvent, size: number): boolean => {
      last.set(event.name, event);
      meet(event.name, event);
      room -= 1;
      bytes -= size;
      return room > 0 && bytes > 0;
    };
    while (room > 0 && bytes > 0 && !signal.aborted) {
      for (const [name, { offset }] of upTo) {
        if (room > 0 && bytes > 0) await this.#take(name, offset, add);
      }
      const wanted = [...upTo].filter(([name, to]) => this.cursor(name).offset < to.offset && !this.#fetched.has(name));
      if (wanted.length === 0) break;
      const results = await this.#reader.fetch(
        new Map(wanted.map(([name]) => [name, this.cursor(name).offset])),
        signal,
      );
      if (results.length === 0) break;
      for (const result of results) await this.#keep(result, upTo);
    }
    const holes = this.#holes;
    this.#holes = [];
    return { last, events: limits.events - room, holes };
  }

  /**
   * Events of the given offsets in one partition, each with what the log holds of its key in the records before. An answer
   * that does not come, at an abort or while no broker can be reached, ends the search and proves nothing of what follows.
   */
  async past(name: PartitionName, keys: ReadonlyMap<number, string>, signal: AbortSignal): Promise<Pasts> {
    const offsets = [...keys.keys()];
    const end = Math.max(...offsets) + 1;
    const found = new Map<number, Past>();
    const take = this.#pastTaker(name, keys, found);
    let at = Math.max(await this.#beginningOf(name), Math.min(...offsets) - recordsOfPast);
    while (at < end && !signal.aborted) {
      const results = await this.#reader.fetch(new Map([[name, at]]), signal);
      const result = results.find((r) => partitionName(r.topic, r.partition) === name);
      if (result === undefined) break;
      if (result.missing) return { found, searched: end };
      if (result.outOfRange) {
        const first = await this.#beginningOf(name);
        // Beyond the end: it is another topic of the same name.
        at = first > at ? first : end;
        continue;
      }
      for (const record of result.records) if (record.offset < end) await take(record);
      at = result.nextOffset;
    }
    return { found, searched: at };
  }

  /** Goes through records in their order, and keeps those that are asked for with what came before them. */
  #pastTaker(
    name: PartitionName,
    keys: ReadonlyMap<number, string>,
    found: Map<number, Past>,
  ): (record: LogRecord) => Promise<void> {
    const wanted = new Set(keys.values());
    const images = new Map<string, (Buffer | null)[]>();
    return async (record) => {
      const header = record.header === null ? undefined : decodeHeader(record.header);
      if (header === undefined || header.op === 't') return;
      const event = this.#eventOf(name, record, header, await this.#landing(header));
      const key = event.name;
      if (!wanted.has(key)) return;
      const known = images.get(key) ?? [];
      const { before } = imagesOf(record.value, header);
      // Only a copied row does not tell what was there before.
      const older = header.op === 'r' ? known : [...known, before === null ? null : Buffer.from(before)];
      if (keys.get(record.offset) === key) found.set(record.offset, { event: copied(event), older });
      images.set(key, [...older, event.after === null ? null : Buffer.from(event.after)].slice(-imagesKept));
    };
  }

  async #beginningOf(name: PartitionName): Promise<number> {
    return (await this.#reader.beginningOffsets([splitPartitionName(name).topic])).get(name) ?? 0;
  }

  async #take(name: PartitionName, to: number, add: (event: LoggedEvent, size: number) => boolean): Promise<void> {
    const fetched = this.#fetched.get(name);
    if (fetched === undefined) return;
    const turn = new Turn();
    for (;;) {
      if (turn.isLong()) await turn.end();
      const record = fetched.records[fetched.next];
      if (record === undefined || record.offset >= to) break;
      const header = record.header === null ? undefined : decodeHeader(record.header);
      if (header !== undefined && !this.#follows(name, header)) {
        await this.#beginAnew(name);
        return;
      }
      fetched.next += 1;
      this.#cursors.set(name, { offset: record.offset + 1, ordinal: header?.ordinal ?? this.cursor(name).ordinal });
      if (header === undefined || header.op === 't') continue;
      const size = (record.value?.length ?? 0) + (record.key?.length ?? 0);
      // No promise for each record: one costs as much as the rest of it.
      const landing = this.#definitions.get(header.definition) ?? (await this.#landing(header));
      const event = this.#eventOf(name, record, header, landing);
      this.#read.set(name, event.index + 1);
      if (!add(event, size)) return;
    }
    const rest = fetched.records[fetched.next];
    const { offset, ordinal } = this.cursor(name);
    // Control records, and records of aborted transactions, lie between.
    const reached = rest === undefined ? Math.min(fetched.nextOffset, to) : to;
    this.#cursors.set(name, { offset: Math.max(offset, reached), ordinal });
    if (rest === undefined && fetched.nextOffset <= to) this.#fetched.delete(name);
  }

  /** Ordinals count a partition's records without a gap, but for the border between two incarnations. */
  #follows(name: PartitionName, header: EventHeader): boolean {
    const { ordinal } = this.cursor(name);
    const before = this.#incarnations.get(name);
    this.#incarnations.set(name, header.incarnation);
    if (ordinal === unknownOrdinal || header.ordinal === ordinal + 1) return true;
    if (before !== undefined && before !== header.incarnation) return true;
    if (!this.#begunAnew.has(name)) return false;
    this.#hole(name, header.ordinal - ordinal - 1);
    return true;
  }

  /** Another topic of the same name, or one that lost records in its midst: all that it holds is verified again. */
  async #beginAnew(name: PartitionName): Promise<void> {
    const offset = await this.#beginningOf(name);
    this.#begunAnew.add(name);
    this.#fetched.delete(name);
    this.#cursors.set(name, { offset, ordinal: unknownOrdinal });
  }

  async #keep(result: FetchResult, upTo: Positions): Promise<void> {
    const name = partitionName(result.topic, result.partition);
    const to = upTo.get(name)?.offset ?? 0;
    const { offset } = this.cursor(name);
    if (result.missing) {
      this.#hole(name, to - offset);
      this.#cursors.set(name, { offset: to, ordinal: unknownOrdinal });
      return;
    }
    if (result.outOfRange) {
      const first = await this.#beginningOf(name);
      // Beyond the end: it is another topic of the same name.
      if (first > offset) this.#hole(name, Math.min(first, to) - offset);
      this.#cursors.set(name, { offset: Math.min(first, to), ordinal: unknownOrdinal });
      return;
    }
    this.#fetched.set(name, { records: result.records, next: 0, nextOffset: result.nextOffset });
  }

  #hole(name: PartitionName, changes: number): void {
    if (changes <= 0) return;
    this.#holes.push({ table: this.#definitions.tableOf(splitPartitionName(name).topic), changes });
  }

  async #landing({ definition }: EventHeader): Promise<Landing> {
    return this.#definitions.get(definition) ?? (await this.#definitions.require(definition));
  }

  #eventOf(name: PartitionName, record: LogRecord, header: EventHeader, landing: Landing): LoggedEvent {
    const { target, definition, op, key, after, seq, at } = eventOf(record, header, landing);
    // Written out: a spread costs more than all the rest.
    return {
      target,
      definition,
      op,
      key,
      after,
      seq,
      at,
      name: `${target.table}\0${key.toString('latin1')}`,
      partition: name,
      offset: record.offset,
      ordinal: header.ordinal,
      definitionHash: header.definition,
      index: this.#read.get(name) ?? 0,
    };
  }
}

/** How far back the log is searched for what a key held before. */
const recordsOfPast = 500;
const imagesKept = 20;

/** A view would keep the whole answer of the broker alive. */
function copied(event: LoggedEvent): LoggedEvent {
  return { ...event, key: Buffer.from(event.key), after: event.after === null ? null : Buffer.from(event.after) };
}
