/** Elements of a BSON document as spans of bytes: to compare documents field by field without giving up any type. */
import { BSON, type Document } from 'mongodb';
import { malformed } from '../../core/jsonScan.js';
import { bsonType } from './bsonWriter.js';

export interface Element {
  readonly name: string;
  /** Type, name and value. */
  readonly bytes: Buffer;
}

export function elementsOf(document: Buffer): Element[] {
  const elements: Element[] = [];
  const end = document.readInt32LE(0) - 1;
  for (let at = 4; at < end;) {
    const nameEnd = document.indexOf(0, at + 1);
    const stop = nameEnd + 1 + valueLength(document, document[at] ?? 0, nameEnd + 1);
    elements.push({ name: document.toString('utf8', at + 1, nameEnd), bytes: document.subarray(at, stop) });
    at = stop;
  }
  return elements;
}

/** The first element alone: in every stored document it is `_id`. */
export function firstElement(document: Buffer): Buffer {
  const nameEnd = document.indexOf(0, 5);
  return document.subarray(4, nameEnd + 1 + valueLength(document, document[4] ?? 0, nameEnd + 1));
}

function valueLength(document: Buffer, type: number, at: number): number {
  switch (type) {
    case bsonType.double:
    case bsonType.int64:
    case bsonType.date:
    case 0x11: // timestamp
      return 8;
    case bsonType.string:
    case 0x0d: // code
    case 0x0e: // symbol
      return 4 + document.readInt32LE(at);
    case bsonType.document:
    case bsonType.array:
    case 0x0f: // code with scope
      return document.readInt32LE(at);
    case bsonType.binary:
      return 5 + document.readInt32LE(at);
    case 0x07: // object id
      return 12;
    case bsonType.boolean:
      return 1;
    case bsonType.int32:
      return 4;
    case bsonType.decimal128:
      return 16;
    case 0x0b: {
      // regular expression: two texts
      const pattern = document.indexOf(0, at);
      return document.indexOf(0, pattern + 1) + 1 - at;
    }
    case 0x0c: // database pointer
      return 4 + document.readInt32LE(at) + 12;
    case bsonType.null:
    case 0x06: // undefined
    case 0xff:
    case 0x7f:
      return 0;
    default:
      throw malformed(`BSON type ${type}`);
  }
}

/** Values with their types, as the driver's own classes. */
export function readTyped(document: Buffer): Document {
  return BSON.deserialize(document, { promoteValues: false, promoteLongs: false, promoteBuffers: false });
}
