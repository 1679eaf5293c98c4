/**
 * JSON text → BSON, straight from bytes to bytes. Strings keep every character, integers every digit. Each function
 * writes the value and returns its type.
 */
import { endOfString, endOfValue, hasEscape, malformed, quote, skipSpace, stringAt } from '../../core/jsonScan.js';
import { bsonType, elementName, type BsonWriter } from './bsonWriter.js';
import { writeJsonNumber } from './numbers.js';

const indexNames: Buffer[] = [];

export function indexName(index: number): Buffer {
  return (indexNames[index] ??= elementName(String(index)));
}

/** A string token, quotes included. */
export function writeString(w: BsonWriter, text: Uint8Array, start: number, end: number): number {
  if (text[start] !== quote) throw malformed('a string was expected');
  if (hasEscape(text, start, end)) w.text(stringAt(text, start, end));
  else w.utf8(text, start + 1, end - 1);
  return bsonType.string;
}

/** Any JSON value. */
export function writeJson(w: BsonWriter, text: Uint8Array, start: number, end: number): number {
  switch (text[start] ?? 0) {
    case quote:
      return writeString(w, text, start, end);
    case 0x7b: // {
      return writeObject(w, text, start, end);
    case 0x5b: // [
      return writeArray(w, text, start, end);
    case 0x74: // true
    case 0x66: // false
      w.byte(text[start] === 0x74 ? 1 : 0);
      return bsonType.boolean;
    case 0x6e: // null
      return bsonType.null;
    default:
      return writeJsonNumber(w, text, start, end);
  }
}

function writeObject(w: BsonWriter, text: Uint8Array, start: number, end: number): number {
  const opened = w.open();
  let at = skipSpace(text, start + 1);
  while (text[at] !== 0x7d) {
    const nameEnd = endOfString(text, at, end);
    const place = beginMember(w, text, at, nameEnd);
    at = skipSpace(text, nameEnd);
    if (text[at] !== 0x3a) throw malformed('a member has no value');
    at = skipSpace(text, at + 1);
    const stop = endOfValue(text, at, end);
    w.setType(place, writeJson(w, text, at, stop));
    at = next(text, stop, 0x7d);
  }
  w.close(opened);
  return bsonType.document;
}

/** An array whose elements are all written by one function: JSON, or the doubles of a vector. */
export function writeArray(
  w: BsonWriter,
  text: Uint8Array,
  start: number,
  end: number,
  writeElement: typeof writeJson = writeJson,
): number {
  if (text[start] !== 0x5b) throw malformed('an array was expected');
  const opened = w.open();
  let at = skipSpace(text, start + 1);
  for (let i = 0; text[at] !== 0x5d; i++) {
    const place = w.begin(indexName(i));
    const stop = endOfValue(text, at, end);
    w.setType(place, writeElement(w, text, at, stop));
    at = next(text, stop, 0x5d);
  }
  w.close(opened);
  return bsonType.array;
}

/** The first byte of the next element, or the closing bracket. */
function next(text: Uint8Array, at: number, closing: number): number {
  const i = skipSpace(text, at);
  if (text[i] === closing) return i;
  if (text[i] !== 0x2c) throw malformed('a comma was expected');
  return skipSpace(text, i + 1);
}

/** BSON ends names with a zero byte, so a name that holds one cannot be stored. */
function beginMember(w: BsonWriter, text: Uint8Array, start: number, end: number): number {
  const place = w.at;
  w.byte(0);
  if (hasEscape(text, start, end)) {
    const name = stringAt(text, start, end);
    if (name.includes('\0')) throw malformed('a member of a JSON value has a zero character in its name');
    const bytes = elementName(name);
    w.copy(bytes, 0, bytes.length);
  } else {
    w.copy(text, start + 1, end - 1);
    w.byte(0);
  }
  if (w.bytes[place + 1] === 0x24) w.dollarNames = true;
  return place;
}
