/**
 * A row's key text from its image in the binary log, byte for byte as the triggers' SQL prints it (rowJson.ts), so that
 * a row event and its change log row can be told to be of one key. Pure. Held against a real server type by type.
 */
import { keyColumns, type Column, type Definition } from '../../core/definition.js';
import { keyParts, keyTextOf } from '../../core/keyText.js';
import { afterBytes, beforeBytes } from '../../core/undecodable.js';
import { decodeDecimal } from './binlogDecimal.js';
import { isAbsent, isNull, lengthAt, type Spots } from './binlogRows.js';
import { columnTypes, type TableMap } from './binlogTableMap.js';
import { datePart, datetimePart, timePart, timestampPart } from './binlogTimes.js';
import { characterDecoder } from './charsets.js';

/** Null when the image does not hold the whole key, or the key's columns cannot be read at all. */
export type KeyReader = (buffer: Buffer, spots: Spots) => string | null;

type PartReader = (buffer: Buffer, at: number) => string;

interface Part {
  readonly index: number;
  readonly head: string;
  readonly read: PartReader;
}

/** Null when the rows are not of this definition, or its key is of a kind that cannot be read here. */
export function keyReader(definition: Definition, map: TableMap): KeyReader | null {
  if (!fits(definition, map)) return null;
  const parts: Part[] = [];
  for (const [i, column] of keyColumns(definition).entries()) {
    const index = definition.columns.indexOf(column);
    const read = partReader(column, map, index);
    if (read === null) return null;
    parts.push({ index, head: `${i === 0 ? '{' : ','}${JSON.stringify(column.name)}:`, read });
  }
  const [only] = parts;
  if (parts.length === 1 && only !== undefined) {
    const { index, head, read } = only;
    return (buffer, spots) => {
      const at = spots[index] ?? isAbsent;
      return at < 0 ? null : `${head}${read(buffer, at)}}`;
    };
  }
  return (buffer, spots) => {
    let text = '';
    for (const { index, head, read } of parts) {
      const at = spots[index] ?? isAbsent;
      if (at === isNull || at === isAbsent) return null;
      text += head + read(buffer, at);
    }
    return `${text}}`;
  };
}

/** Types of columns by their order; with their names where the log has them. */
export function fits(definition: Definition, map: TableMap): boolean {
  const { columns } = definition;
  if (columns.length !== map.types.length) return false;
  if (map.names !== null) return columns.every((column, i) => column.name === map.names?.[i]);
  return columns.every((column, i) => numbersOf(column).includes(map.types[i] ?? -1));
}

const t = columnTypes;

function numbersOf({ type }: Column): readonly number[] {
  switch (type) {
    case 'tinyint':
      return [t.tiny];
    case 'smallint':
      return [t.short];
    case 'mediumint':
      return [t.int24];
    case 'int':
      return [t.long];
    case 'bigint':
      return [t.longlong];
    case 'year':
      return [t.year];
    case 'decimal':
      return [t.newdecimal];
    case 'float':
      return [t.float];
    case 'double':
      return [t.double];
    case 'bit':
      return [t.bit];
    case 'date':
      return [t.date, t.newdate];
    case 'time':
      return [t.time2];
    case 'datetime':
      return [t.datetime2];
    case 'timestamp':
      return [t.timestamp2];
    case 'char':
    case 'binary':
      return [t.string];
    case 'varchar':
    case 'varbinary':
      return [t.varchar, t.varString];
    case 'enum':
      return [t.enum];
    case 'set':
      return [t.set];
    case 'json':
      return [t.json];
    case 'vector':
      return [t.vector];
    default:
      return /blob$|text$/.test(type) ? [t.blob, t.tinyBlob, t.mediumBlob, t.longBlob] : [t.geometry];
  }
}

function partReader(column: Column, map: TableMap, index: number): PartReader | null {
  const read = ownPartReader(column, map, index);
  if (read === null) return null;
  switch (column.form ?? 'own') {
    case 'int64-string':
      return (buffer, at) => `"${read(buffer, at)}"`;
    case 'tinyint1-boolean':
      return (buffer, at) => {
        const value = read(buffer, at);
        return value === '0' ? 'false' : value === '1' ? 'true' : value;
      };
    case 'json-string':
    case 'datetime-date':
    case 'own':
      return read;
  }
}

function ownPartReader(column: Column, map: TableMap, index: number): PartReader | null {
  const meta = map.metas[index] ?? 0;
  switch (column.type) {
    case 'tinyint':
    case 'smallint':
    case 'mediumint':
    case 'int':
      return integer(column.unsigned, map.widths[index] ?? 0);
    case 'bigint':
      return (buffer, at) => bigint(buffer, at, column.unsigned);
    case 'year':
      return (buffer, at) => String(buffer[at] === 0 ? 0 : 1900 + (buffer[at] ?? 0));
    case 'decimal':
      return (buffer, at) => `"${decodeDecimal(buffer, at, meta & 0xff, meta >> 8)}"`;
    case 'float':
      return (buffer, at) => floatText(buffer.readFloatLE(at));
    case 'double':
      return (buffer, at) => floatText(buffer.readDoubleLE(at));
    case 'bit':
      return bits(column.precision === 1, map.widths[index] ?? 0);
    case 'date':
      return (buffer, at) => `"${datePart(buffer, at)}"`;
    case 'time':
      return (buffer, at) => `"${timePart(buffer, at, meta)}"`;
    case 'datetime':
      return (buffer, at) => `"${datetimePart(buffer, at, meta)}"`;
    case 'timestamp':
      return (buffer, at) => `"${timestampPart(buffer, at, meta)}"`;
    case 'enum':
    case 'set':
      return (buffer, at) => JSON.stringify(memberText(column, buffer, at, map.widths[index] ?? 1));
    case 'binary':
      return binary(map.widths[index] ?? -1, column.length ?? 0);
    case 'varbinary':
    case 'tinyblob':
    case 'blob':
    case 'mediumblob':
    case 'longblob':
      return binary(map.widths[index] ?? -1, 0);
    case 'char':
    case 'varchar':
    case 'tinytext':
    case 'text':
    case 'mediumtext':
    case 'longtext':
      return characters(column.charset, map.widths[index] ?? -1);
    default:
      return null;
  }
}

function integer(unsigned: boolean, bytes: number): PartReader {
  return unsigned
    ? (buffer, at) => String(buffer.readUIntLE(at, bytes))
    : (buffer, at) => String(buffer.readIntLE(at, bytes));
}

/** Most fit a number, which is made three times faster than a bigint. */
function bigint(buffer: Buffer, at: number, unsigned: boolean): string {
  const high = unsigned ? buffer.readUInt32LE(at + 4) : buffer.readInt32LE(at + 4);
  if (high >= -0x200000 && high < 0x200000) return String(high * 0x100000000 + buffer.readUInt32LE(at));
  return String(unsigned ? buffer.readBigUInt64LE(at) : buffer.readBigInt64LE(at));
}

/** One number has one text here and in `asRead`; MySQL prints others (`3.0`, `1e15`). */
function floatText(value: number): string {
  return value === 0 ? '0' : String(value);
}

function bits(isBoolean: boolean, bytes: number): PartReader {
  return (buffer, at) => {
    let value = 0n;
    for (let i = 0; i < bytes; i++) value = (value << 8n) | BigInt(buffer[at + i] ?? 0);
    return isBoolean ? String(value !== 0n) : String(value);
  };
}

/** Of an ENUM or a SET. */
export function memberText(column: Column, buffer: Buffer, at: number, bytes: number): string {
  return column.type === 'enum' ? member(column, lengthAt(buffer, at, bytes)) : membersOf(column, buffer, at, bytes);
}

/** Number 0 is the empty text of an error value. */
function member(column: Column, number: number): string {
  return number === 0 ? '' : (column.members[number - 1] ?? '');
}

/** As MySQL prints them: no comma behind the empty member. */
function membersOf(column: Column, buffer: Buffer, at: number, bytes: number): string {
  const isSet = (i: number): boolean => i >> 3 < bytes && ((buffer[at + (i >> 3)] ?? 0) & (1 << (i & 7))) !== 0;
  return column.members.reduce(
    (text, member, i) => (isSet(i) ? `${text}${text === '' ? '' : ','}${member}` : text),
    '',
  );
}

/** BINARY(n) travels without its closing NULs. */
function binary(width: number, padded: number): PartReader {
  return (buffer, at) => {
    const bytes = lengthAt(buffer, at, -width);
    const value = buffer.subarray(at - width, at - width + bytes);
    const whole = bytes < padded ? Buffer.concat([value], padded) : value;
    return `"${whole.toString('base64')}"`;
  };
}

function characters(charset: string | null, width: number): PartReader | null {
  const decode = characterDecoder(charset ?? 'binary');
  if (decode === null || charset === null) return null;
  const open = openCodes[charset];
  return (buffer, at) => {
    const from = at - width;
    const to = from + lengthAt(buffer, at, -width);
    const text = decode(buffer, from, to);
    if (open?.test(text) !== true) return JSON.stringify(text);
    return `${beforeBytes(charset)}${buffer.toString('hex', from, to).toUpperCase()}${afterBytes}`;
  };
}

/** What Node makes of codes that MySQL has no character for. */
const openCodes: Readonly<Record<string, RegExp>> = {
  ucs2: /[\ud800-\udfff]/,
  cp1250: /[\u0080-\u009f]/,
  cp1251: /[\u0080-\u009f]/,
};

/** Whether key texts of the change log must go through `asRead` to be compared: MySQL prints floats its own way. */
export function hasFloatKey(definition: Definition): boolean {
  return keyColumns(definition).some(isFloat);
}

/** A key text of the change log as a `KeyReader` would give it; as it is, when it is of a key with other columns. */
export function asRead(definition: Definition, key: string): string {
  const names = Object.keys(JSON.parse(key) as object);
  if (names.length !== definition.key.length || !definition.key.every((name) => names.includes(name))) return key;
  const columns = keyColumns(definition);
  const parts = keyParts(definition, Buffer.from(key));
  return keyTextOf(
    definition,
    parts.map((part, i) => {
      const column = columns[i];
      return column !== undefined && isFloat(column) ? floatText(Number(part)) : part;
    }),
  );
}

function isFloat({ type }: Column): boolean {
  return type === 'float' || type === 'double';
}
