/**
 * Text, members, bytes, JSON, geometry and vectors as files write them → as MySQL will hold them. What MySQL would cut, pad
 * away or take for a member's number is a fault here.
 */
import type { Column } from './definition.js';
import type { Reading } from './ingest.js';
import { Fault } from './ingestFault.js';
import { jsonFault } from './ingestJson.js';

const notBase64 = new Fault('type', 'not base64 (--binary hex?)');
const notHex = new Fault('type', 'not hex digits in pairs');
const ambiguous = new Fault('ambiguous', 'could be hex or base64');

/** Characters that one column can hold at most; CHAR loses trailing blanks, so they do not count there. */
export function textOf(column: Column): (text: string) => string | Fault {
  const repertoire = repertoireOf(column);
  if (column.type === 'char' || column.type === 'varchar') {
    const most = column.length ?? 0;
    const tooLong = new Fault('length', `at most ${most} characters`);
    const isChar = column.type === 'char';
    return (text) => {
      if (text.length > most && characters(isChar ? text.replace(/ +$/, '') : text) > most) return tooLong;
      return repertoire(text) ?? text;
    };
  }
  const most = column.length ?? 0;
  const tooLong = new Fault('length', `at most ${most} bytes`);
  const isUtf8 = column.charset === 'utf8mb4' || column.charset === 'utf8mb3';
  return (text) => {
    if (isUtf8 && text.length * 3 > most && Buffer.byteLength(text) > most) return tooLong;
    return repertoire(text) ?? text;
  };
}

/** What the commonest narrow character sets cannot hold; of the others MySQL itself refuses it. */
function repertoireOf(column: Column): (text: string) => Fault | undefined {
  const outside = new Fault('encoding', `a character that ${column.charset ?? 'the column'} does not have`);
  switch (column.charset ?? '') {
    case 'utf8mb3':
    case 'ucs2':
      return (text) => (/[\ud800-\udfff]/.test(text) ? outside : undefined);
    case 'ascii':
      // oxlint-disable-next-line no-control-regex -- all of ASCII, control characters included
      return (text) => (/[^\0-\x7f]/.test(text) ? outside : undefined);
    default:
      return () => undefined;
  }
}

/** Code points: a character outside the BMP has two UTF-16 units. */
function characters(text: string): number {
  let count = text.length;
  for (let i = 0; i < text.length - 1; i++) if ((text.charCodeAt(i) & 0xfc00) === 0xd800) count--;
  return count;
}

/** ENUM: the member as the table spells it; letters of another case where the collation ignores case. Never its number. */
export function enumOf(column: Column): (text: string) => string | Fault {
  const find = memberOf(column);
  const noMember = new Fault('member', `none of ${column.members.length} members`);
  return (text) => find(text) ?? noMember;
}

/** SET: members with commas, each once, in the table's order. */
export function setOf(column: Column): (text: string) => string | Fault {
  const find = memberOf(column);
  const noMember = new Fault('member', `not all among the ${column.members.length} members`);
  const places = new Map(column.members.map((member, i) => [member, i]));
  return (text) => {
    if (text === '') return '';
    const found = new Set<string>();
    for (const part of text.split(',')) {
      const member = find(part);
      if (member === undefined) return noMember;
      found.add(member);
    }
    return [...found].sort((a, b) => (places.get(a) ?? 0) - (places.get(b) ?? 0)).join(',');
  };
}

function memberOf(column: Column): (text: string) => string | undefined {
  const exact = new Map(column.members.map((member) => [member, member]));
  if (/_(?:bin|cs)$|^binary$/.test(column.collation ?? 'binary')) return (text) => exact.get(text);
  const folded = new Map<string, string | undefined>();
  for (const member of column.members) {
    const key = member.toLowerCase();
    folded.set(key, folded.has(key) ? undefined : member);
  }
  return (text) => exact.get(text) ?? folded.get(text.toLowerCase());
}

const base64Form = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const hexForm = /^(?:[0-9A-Fa-f]{2})*$/;

/** BINARY, VARBINARY and BLOBs. A short BINARY is filled up with zero bytes by MySQL, as the type is defined. */
export function bytesOf(column: Column, form: Reading['binary']): (text: string) => Buffer | Fault {
  const most = column.length ?? 0;
  const tooLong = new Fault('length', `at most ${most} bytes`);
  return (text) => {
    const bytes = decodeBytes(text, form);
    return bytes instanceof Fault || bytes.length <= most ? bytes : tooLong;
  };
}

export function decodeBytes(text: string, form: Reading['binary']): Buffer | Fault {
  if (form === 'base64') return fromBase64(text);
  const prefixed = text.startsWith('\\x') || text.startsWith('0x') || text.startsWith('0X');
  if (form === 'hex') return fromHex(prefixed ? text.slice(2) : text);
  if (!prefixed) return fromBase64(text);
  const hex = fromHex(text.slice(2));
  if (text.startsWith('\\x')) return hex;
  // `0x12ab` is base64 as well, of other bytes.
  if (hex instanceof Fault) return fromBase64(text);
  return base64Form.test(text) ? ambiguous : hex;
}

function fromBase64(text: string): Buffer | Fault {
  if (!base64Form.test(text)) return notBase64;
  const bytes = Buffer.from(text, 'base64');
  // The last character may carry bits that no byte holds.
  return bytes.toString('base64') === text ? bytes : notBase64;
}

function fromHex(digits: string): Buffer | Fault {
  return hexForm.test(digits) ? Buffer.from(digits, 'hex') : notHex;
}

/** JSON text, as it stands. */
export function jsonOf(text: string): string | Fault {
  return jsonFault(text) ?? text;
}

const notGeometry = new Fault('type', 'not {"srid":…,"wkb":"base64"}');

/** `{"srid":0,"wkb":"…"}` as row JSON has it → MySQL's own form: SRID in four bytes, then the WKB. */
export function geometryOf(text: string): Buffer | Fault {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return notGeometry;
  }
  if (typeof value !== 'object' || value === null || !('srid' in value) || !('wkb' in value)) return notGeometry;
  const { srid, wkb } = value;
  if (typeof srid !== 'number' || typeof wkb !== 'string') return notGeometry;
  if (!Number.isInteger(srid) || srid < 0 || srid > 0xffff_ffff) return notGeometry;
  const body = fromBase64(wkb);
  if (body instanceof Fault) return body;
  if (body.length < 5) return notGeometry;
  const head = Buffer.alloc(4);
  head.writeUInt32LE(srid);
  return Buffer.concat([head, body]);
}

const notVector = new Fault('type', 'not a JSON array of numbers');

/** `[1,-2.5]` → float32, little-endian. VECTOR(n) holds up to n numbers. */
export function vectorOf(column: Column): (text: string) => Buffer | Fault {
  const most = column.length === null ? Infinity : Math.floor(column.length / 4);
  const tooLong = new Fault('length', `at most ${most} numbers`);
  const outOfRange = new Fault('range', 'not within a FLOAT');
  return (text) => {
    let numbers: unknown;
    try {
      numbers = JSON.parse(text);
    } catch {
      return notVector;
    }
    if (!Array.isArray(numbers) || numbers.length === 0) return notVector;
    if (numbers.length > most) return tooLong;
    const bytes = Buffer.alloc(4 * numbers.length);
    for (const [i, number] of numbers.entries()) {
      if (typeof number !== 'number') return notVector;
      if (!Number.isFinite(Math.fround(number))) return outOfRange;
      bytes.writeFloatLE(number, 4 * i);
    }
    return bytes;
  };
}
