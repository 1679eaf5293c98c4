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

/**
 * Undefined for a text that no capture of ours wrote. Every record is decoded by several readers: the text is walked once, and
 * the two values that hardly ever change are the same strings from one record to the next.
 */
export function decodeHeader(text: string): EventHeader | undefined {
  const ends = endsIn(text);
  const [version = 0, afterOp = 0, seq = 0, ordinal = 0, at = 0, definition = 0, start = 0, end = 0, incarnation = 0] =
    ends;
  const op = text[version + 1];
  if (incarnation === 0 || version !== 1 || text[0] !== '1' || afterOp !== version + 2) return undefined;
  if (op !== 'c' && op !== 'u' && op !== 'd' && op !== 'r' && op !== 't') return undefined;
  return {
    op,
    seq: wholeNumber(text, afterOp, seq),
    ordinal: wholeNumber(text, seq, ordinal),
    at: Number(text.slice(ordinal + 1, at)),
    definition: (newest.definition = part(text, at, definition, newest.definition)),
    afterStart: wholeNumber(text, definition, start),
    afterEnd: wholeNumber(text, start, end),
    incarnation: (newest.incarnation = part(text, end, incarnation, newest.incarnation)),
    keyStart: incarnation < text.length ? Number(text.slice(incarnation + 1)) : 0,
  };
}

const fieldsOfHeader = 9;
/** Used and left within one call. */
const fieldEnds: number[] = [];
const newest = { definition: '', incarnation: '' };

/** Where each of the first nine fields ends; fewer where there are not so many. */
function endsIn(text: string): readonly number[] {
  fieldEnds.length = 0;
  for (let at = 0; at <= text.length && fieldEnds.length < fieldsOfHeader;) {
    const separator = text.indexOf(';', at);
    const end = separator < 0 ? text.length : separator;
    fieldEnds.push(end);
    at = end + 1;
  }
  return fieldEnds;
}

/** What stands between two separators; NaN where that is no whole number. */
function wholeNumber(text: string, before: number, end: number): number {
  let value = before + 1 < end ? 0 : Number.NaN;
  for (let at = before + 1; at < end; at++) {
    const digit = text.charCodeAt(at) - 0x30;
    value = digit >= 0 && digit <= 9 ? value * 10 + digit : Number.NaN;
  }
  return value;
}

function part(text: string, before: number, end: number, known: string): string {
  const isKnown = known.length === end - before - 1 && text.startsWith(known, before + 1);
  return isKnown ? known : text.slice(before + 1, end);
}

/** The key text `{"pk1":…}` of a record's key, in whichever form it was written. */
export function recordKeyText(key: Buffer, { keyStart }: EventHeader): Buffer {
  return keyStart === 0 ? key : key.subarray(keyStart, key.length - 1);
}
