/**
 * A document's bytes as text that names each value's type, in the order in which they lie there: a JavaScript object would
 * reorder fields such as `10`. Part of the independent side of tests; shares nothing with the product.
 */
import { Decimal128 } from 'mongodb';

/** Fields with their values, such as `['n', 'int 5']`, `['d', 'date 2024-01-01T00:00:00.000Z']`, `['o', '{"a":long 1}']`. */
export function readRawDocument(bytes: Buffer): [name: string, value: string][] {
  return readMembers(bytes, 0)[0];
}

function readMembers(bytes: Buffer, start: number): [[string, string][], number] {
  const end = start + bytes.readInt32LE(start);
  const members: [string, string][] = [];
  let at = start + 4;
  while (at < end - 1) {
    const type = bytes[at];
    const nameEnd = bytes.indexOf(0, at + 1);
    const [value, next] = readValue(bytes, type ?? 0, nameEnd + 1);
    members.push([bytes.toString('utf8', at + 1, nameEnd), value]);
    at = next;
  }
  if (at !== end - 1 || bytes[at] !== 0) throw new Error('a document does not end where it says');
  return [members, end];
}

function readValue(bytes: Buffer, type: number, at: number): [string, number] {
  switch (type) {
    case 0x01: {
      const value = bytes.readDoubleLE(at);
      return [`double ${Object.is(value, -0) ? '-0' : String(value)}`, at + 8];
    }
    case 0x02: {
      const end = at + 4 + bytes.readInt32LE(at);
      return [JSON.stringify(bytes.toString('utf8', at + 4, end - 1)), end];
    }
    case 0x03: {
      const [members, end] = readMembers(bytes, at);
      return [`{${members.map(([name, value]) => `${JSON.stringify(name)}:${value}`).join(',')}}`, end];
    }
    case 0x04: {
      const [members, end] = readMembers(bytes, at);
      if (members.some(([name], i) => name !== String(i))) throw new Error('an array’s indexes are out of order');
      return [`[${members.map(([, value]) => value).join(',')}]`, end];
    }
    case 0x05: {
      const end = at + 5 + bytes.readInt32LE(at);
      return [`binary/${bytes[at + 4]} ${bytes.toString('base64', at + 5, end)}`, end];
    }
    case 0x08:
      return [bytes[at] === 1 ? 'true' : 'false', at + 1];
    case 0x09:
      return [`date ${new Date(Number(bytes.readBigInt64LE(at))).toISOString()}`, at + 8];
    case 0x0a:
      return ['null', at];
    case 0x10:
      return [`int ${bytes.readInt32LE(at)}`, at + 4];
    case 0x12:
      return [`long ${bytes.readBigInt64LE(at)}`, at + 8];
    case 0x13:
      return [`decimal ${new Decimal128(bytes.subarray(at, at + 16)).toString()}`, at + 16];
    default:
      throw new Error(`BSON type ${type} is none that lockstep writes`);
  }
}
