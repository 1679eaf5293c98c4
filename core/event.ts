/**
 * Change events on their way: the change log's rows, and the one header that our own stages read so that none of them
 * has to parse the envelope. Consumers of other makes read key and value only.
 */
import type { DefinitionHash } from './definition.js';

/** c insert, u update, d delete, r a copied row (snapshot, resync, repair). */
export type Op = 'c' | 'u' | 'd' | 'r';
/** In the change log also: `?` a key whose image the trigger could not write, `m` a marker. */
export type LoggedOp = Op | '?' | 'm';

/** One row of the change log. Images are row JSON text as UTF-8 bytes and are never parsed on the way to Kafka. */
export interface LoggedChange {
  /** AUTO_INCREMENT of the change log; an exact integer below 2^53. */
  readonly seq: number;
  /** 8 random bytes as 16 hex digits: tells this row from another that was given the same seq after a restore. */
  readonly identity: string;
  readonly tableId: number;
  readonly op: LoggedOp;
  /** Kafka key text `{"pk1":…}`; a marker's id for `m`. */
  readonly key: Buffer;
  readonly before: Buffer | null;
  readonly after: Buffer | null;
  /** Milliseconds since 1970, with a fraction. */
  readonly at: number;
  readonly definition: DefinitionHash;
}

/** Name of the header. Its value is text, fields separated by `;`, in the order of `EventHeader`. */
export const headerName = 'lockstep';

export interface EventHeader {
  /** `t` marks a tombstone, which has no value. */
  readonly op: Op | 't';
  readonly seq: number;
  /** Counts our records in their partition from 1 without gaps: a jump means that the topic lost something. */
  readonly ordinal: number;
  /** When the change was made in MySQL, milliseconds since 1970. */
  readonly at: number;
  readonly definition: DefinitionHash;
  /** Byte range of the after-image in the value; both 0 where there is none. */
  readonly afterStart: number;
  readonly afterEnd: number;
  /** Identity of the log: minted when capture first writes to empty topics. */
  readonly incarnation: string;
  /** Where the key text begins in a key with a schema, which ends with one brace more; 0 where the key is the key text. */
  readonly keyStart: number;
}

export function encodeHeader(h: EventHeader): string {
  return `1;${h.op};${h.seq};${h.ordinal};${h.at};${h.definition};${h.afterStart};${h.afterEnd};${h.incarnation}${h.keyStart === 0 ? '' : `;${h.keyStart}`}`;
}

/** Undefined for a text that no capture of ours wrote. */
export function decodeHeader(text: string): EventHeader | undefined {
  const [version, op, seq, ordinal, at, definition, afterStart, afterEnd, incarnation, keyStart] = text.split(';');
  if (version !== '1' || incarnation === undefined || definition === undefined) return undefined;
  if (op !== 'c' && op !== 'u' && op !== 'd' && op !== 'r' && op !== 't') return undefined;
  return {
    op,
    seq: Number(seq),
    ordinal: Number(ordinal),
    at: Number(at),
    definition,
    afterStart: Number(afterStart),
    afterEnd: Number(afterEnd),
    incarnation,
    keyStart: Number(keyStart ?? 0),
  };
}

/** The key text `{"pk1":…}` of a record's key, in whichever form it was written. */
export function recordKeyText(key: Buffer, { keyStart }: EventHeader): Buffer {
  return keyStart === 0 ? key : key.subarray(keyStart, key.length - 1);
}
