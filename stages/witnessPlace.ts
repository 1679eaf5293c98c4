/**
 * Where in the binary log the witness reads: the file, the place behind the event at hand, and behind the last transaction
 * that was read to its end, from which a successor reads on. Pure but for what it remembers.
 */
import { LockstepError } from '../core/errors.js';
import { eventType, type EventHeader } from '../stores/mysql/binlogEvents.js';
import type { BinlogPlace } from '../stores/mysql/binlogStream.js';

export interface ReachedPlace extends BinlogPlace {
  /** When the file was begun, in seconds since 1970. Null: not known yet. */
  readonly fileMadeAt: number | null;
}

/** Offsets in headers and in the request of a dump have 32 bits. */
const wraps = 0x100000000;

export class ReadingPlace {
  #file: string;
  #offset: number;
  #fileMadeAt: number | null;
  #reached: BinlogPlace;

  constructor(start: ReachedPlace) {
    this.#file = start.file;
    this.#offset = start.offset;
    this.#fileMadeAt = start.fileMadeAt;
    this.#reached = { file: start.file, offset: start.offset };
  }

  /** Behind the last transaction that was read to its end. */
  reached(): ReachedPlace {
    return { ...this.#reached, fileMadeAt: this.#fileMadeAt };
  }

  /** End of an event. A file that one large transaction made longer than 32 bits count on. */
  endOf(header: EventHeader): BinlogPlace {
    let offset = Math.floor(this.#offset / wraps) * wraps + header.next;
    if (offset < this.#offset) offset += wraps;
    return { file: this.#file, offset };
  }

  /** A file's first event. After a reset another file may bear the name that was remembered. */
  begin(madeAt: number): void {
    if (this.#fileMadeAt !== null && this.#fileMadeAt !== madeAt) {
      throw new LockstepError('LS-WITNESS-BINLOG-LOST', `${this.#file} is another file than before: logs were reset`);
    }
    this.#fileMadeAt = madeAt;
  }

  rotate({ file, offset }: BinlogPlace): void {
    if (file !== this.#file) this.#fileMadeAt = null;
    this.#file = file;
    this.#offset = offset;
  }

  /** An event was dealt with. */
  pass(header: EventHeader, inTransaction: boolean): void {
    if (isInFile(header)) this.#offset = this.endOf(header).offset;
    // A file beyond that ends behind the transaction that made it so long.
    if (!inTransaction && this.#offset < wraps) this.#reached = { file: this.#file, offset: this.#offset };
  }
}

function isInFile({ type, next, artificial }: EventHeader): boolean {
  if (next === 0 || artificial) return false;
  return type !== eventType.heartbeat && type !== eventType.heartbeat2 && type !== eventType.rotate;
}
