/**
 * What MongoDB, Redis and the topics must hold for one MySQL value, derived from the contract's type table alone.
 * Input is what a plain SELECT returns: the server's own text or bytes. Every value becomes a canonical text that names
 * its type, so that an Int32 where a Long belongs is a difference.
 */
import { Binary, Decimal128, Double, Int32, Long, ObjectId } from 'mongodb';
import { canonicalJson, canonicalNumber, ExactNumber, parseExact } from './exactJson.js';
import type { ExactJson } from './exactJson.js';

export interface SourceColumn {
  readonly name: string;
  readonly dataType: string;
  readonly columnType: string;
  readonly precision: number;
  readonly fsp: number;
  /** The setting under which the column has another form than its type's own. */
  readonly form?: 'int64' | 'json' | 'datetime' | 'boolean';
}

/** Bytes of the text protocol; FLOAT arrives as the exact number from the binary protocol. */
export type SourceValue = Buffer | number | null;

const small = new Set(['tinyint', 'smallint', 'mediumint', 'year']);
const text = new Set(['char', 'varchar', 'tinytext', 'text', 'mediumtext', 'longtext', 'enum']);
const bytes = new Set(['binary', 'varbinary', 'tinyblob', 'blob', 'mediumblob', 'longblob']);
const geometry = new Set([
  'geometry',
  'point',
  'linestring',
  'polygon',
  'multipoint',
  'multilinestring',
  'multipolygon',
  'geomcollection',
  'geometrycollection',
]);
const maxLong = 2n ** 63n - 1n;

/** The value as row JSON must show it. */
export function expectedJson(column: SourceColumn, value: SourceValue): ExactJson {
  if (value === null) return null;
  if (typeof value === 'number') return new ExactNumber(numberText(value));
  if (column.form === 'json') return value.toString('utf8');
  const own = ownJson(column, value);
  return column.form === 'int64' || column.form === 'boolean' ? inOtherForm(column.form, own) : own;
}

function inOtherForm(form: 'int64' | 'boolean', own: ExactJson): ExactJson {
  if (!(own instanceof ExactNumber)) throw new Error(`no number under ${form}`);
  if (form === 'int64') return own.text;
  return own.text === '1' ? true : own.text === '0' ? false : own;
}

function ownJson(column: SourceColumn, value: Buffer): ExactJson {
  const type = column.dataType;
  if (text.has(type) || type === 'set') return value.toString('utf8');
  if (bytes.has(type)) return value.toString('base64');
  if (geometry.has(type)) {
    return new Map<string, ExactJson>([
      ['srid', new ExactNumber(String(value.readUInt32LE(0)))],
      ['wkb', value.subarray(4).toString('base64')],
    ]);
  }
  if (type === 'vector') return floats(value).map((f) => new ExactNumber(numberText(f)));
  if (type === 'bit') {
    const bits = BigInt(`0x${value.toString('hex')}`);
    return column.precision === 1 ? bits === 1n : new ExactNumber(bits.toString());
  }
  const shown = value.toString('utf8');
  if (type === 'json') return parseExact(shown);
  if (type === 'decimal' || type === 'date' || type === 'time') return shown;
  if (type === 'datetime') return isRealDate(shown) ? shown.replace(' ', 'T') : shown;
  if (type === 'timestamp') return isRealDate(shown) ? `${shown.replace(' ', 'T')}Z` : shown;
  return new ExactNumber(shown.replace(/^(-?)0+(?=\d)/, '$1'));
}

/** The value as MongoDB must hold it, canonical text with its type. */
export function expectedBson(column: SourceColumn, value: SourceValue): string {
  if (value === null) return 'null';
  const type = column.dataType;
  if (typeof value === 'number') return canonicalBson(new Double(value));
  if (column.form === 'int64' || column.form === 'json') return canonicalBson(expectedJson(column, value) as string);
  if (column.form === 'datetime') return datetimeAsDate(value.toString());
  if (bytes.has(type)) return canonicalBson(new Binary(value, 0));
  if (geometry.has(type)) {
    const srid = value.readUInt32LE(0);
    return `{"srid":number ${canonicalNumber(String(srid))},"wkb":${canonicalBson(new Binary(value.subarray(4), 0))}}`;
  }
  if (type === 'vector') return canonicalBson(floats(value).map((f) => new Double(f)));
  const json = expectedJson(column, value);
  if (type === 'json') return canonicalJson(json);
  if (type === 'set') return canonicalBson(json === '' ? [] : String(json as string).split(','));
  if (typeof json === 'boolean') return canonicalBson(json);
  if (type === 'double') return canonicalBson(new Double(Number(value.toString())));
  if (type === 'decimal') {
    const shown = value.toString();
    return canonicalBson(column.precision > 34 ? shown : Decimal128.fromString(shown));
  }
  if (json instanceof ExactNumber) return canonicalBson(expectedInteger(column, BigInt(json.text)));
  const shown = json as string;
  if (!isRealDate(value.toString())) return canonicalBson(shown);
  if (type === 'date') return canonicalBson(new Date(`${shown}T00:00:00Z`));
  if (type === 'datetime' && column.fsp <= 3) return canonicalBson(new Date(`${shown}Z`));
  if (type === 'timestamp' && column.fsp <= 3) return canonicalBson(new Date(shown));
  return canonicalBson(shown);
}

function expectedInteger(column: SourceColumn, value: bigint): unknown {
  if (small.has(column.dataType)) return new Int32(Number(value));
  if (column.dataType === 'int' && !column.columnType.includes('unsigned')) return new Int32(Number(value));
  return value > maxLong ? Decimal128.fromString(value.toString()) : Long.fromBigInt(value);
}

/** Under `datetime: date`: cut to the millisecond. */
function datetimeAsDate(shown: string): string {
  if (!isRealDate(shown)) return canonicalBson(shown);
  return canonicalBson(new Date(`${shown.replace(' ', 'T').slice(0, 23)}Z`));
}

/** A BSON value read without promotion. Fields keep their order: a sub-document key is another key in another order. */
export function canonicalBson(value: unknown): string {
  if (value === null) return 'null';
  if (value === undefined) return 'absent';
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'boolean') return String(value);
  if (value instanceof Int32) return `int ${value.valueOf()}`;
  if (value instanceof Long) return `long ${value.toString()}`;
  if (value instanceof Double) return `double ${numberText(value.valueOf())}`;
  if (value instanceof Decimal128) return `decimal ${value.toString()}`;
  if (value instanceof Date) return `date ${value.toISOString()}`;
  if (value instanceof Binary) return `binary/${value.sub_type} ${Buffer.from(value.value()).toString('base64')}`;
  if (value instanceof ObjectId) return `objectid ${value.toHexString()}`;
  if (Array.isArray(value)) return `[${value.map(canonicalBson).join(',')}]`;
  if (typeof value === 'object') {
    return `{${Object.entries(value)
      .map(([name, member]) => `${JSON.stringify(name)}:${canonicalBson(member)}`)
      .join(',')}}`;
  }
  return `unexpected ${typeof value}`;
}

/** The actual value of one column in a document, on the same scale as `expectedBson`. */
export function actualBson(column: SourceColumn, value: unknown): string {
  if (column.dataType === 'json' && column.form === undefined) return canonicalJson(bsonAsJson(value));
  if (geometry.has(column.dataType) && typeof value === 'object' && value !== null && !(value instanceof Binary)) {
    const { srid, wkb, ...rest } = value as { srid?: unknown; wkb?: unknown };
    if (Object.keys(rest).length > 0) return canonicalBson(value);
    return `{"srid":number ${canonicalNumber(String(srid))},"wkb":${canonicalBson(wkb)}}`;
  }
  return canonicalBson(value);
}

/** A JSON column's BSON: the number's type is free, its exact value is not. */
function bsonAsJson(value: unknown): ExactJson {
  if (value === undefined) return 'absent';
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return value;
  if (value instanceof Int32 || value instanceof Long || value instanceof Decimal128) {
    return new ExactNumber(value.toString().replace('E', 'e'));
  }
  if (value instanceof Double) return new ExactNumber(numberText(value.valueOf()));
  if (Array.isArray(value)) return value.map(bsonAsJson);
  if (value instanceof Binary || value instanceof Date) return `not JSON: ${canonicalBson(value)}`;
  return new Map(Object.entries(value as object).map(([name, member]) => [name, bsonAsJson(member)]));
}

/** Text of a FLOAT or DOUBLE that another text of the same double is brought to before the two are compared. */
export function numberText(value: number): string {
  return Object.is(value, -0) ? '-0' : String(value);
}

export function isFloating(column: SourceColumn): boolean {
  return column.dataType === 'float' || column.dataType === 'double' || column.dataType === 'vector';
}

/** Row JSON's member for a column, on the same scale for both sides. */
export function canonicalMember(column: SourceColumn, value: ExactJson | undefined): string {
  if (value === undefined) return 'absent';
  if (isFloating(column) && value instanceof ExactNumber) return numberText(Number(value.text));
  if (isFloating(column) && Array.isArray(value)) {
    return `[${value.map((v) => canonicalMember({ ...column, dataType: 'float' }, v)).join(',')}]`;
  }
  return canonicalJson(value);
}

/** One part of a Redis key: the member's text, strings unquoted. */
export function keyPartText(column: SourceColumn, value: ExactJson): string {
  if (typeof value === 'string') return value;
  return value instanceof ExactNumber && !isFloating(column) ? value.text : canonicalMember(column, value);
}

/** A hash's field on the scale of `canonicalField`. */
export function expectedField(column: SourceColumn, value: ExactJson): string {
  const bare = typeof value === 'string' && (column.dataType !== 'json' || column.form === 'json');
  return bare ? value : canonicalMember(column, value);
}

/** The same scale for a text that was read from a hash. */
export function canonicalField(column: SourceColumn, shown: string): string {
  const type = column.dataType;
  if (column.form === 'json' || column.form === 'int64') return shown;
  if (column.form === 'boolean') return shown === 'true' || shown === 'false' ? shown : canonicalNumber(shown);
  if (type === 'json' || type === 'vector' || geometry.has(type)) {
    return canonicalMember(column, parseExact(shown));
  }
  if (type === 'float' || type === 'double') return numberText(Number(shown));
  if (type.endsWith('int') || type === 'year' || (type === 'bit' && column.precision > 1))
    return canonicalNumber(shown);
  return shown;
}

function floats(value: Buffer): number[] {
  return Array.from({ length: value.length / 4 }, (_, i) => value.readFloatLE(i * 4));
}

/** Days that no calendar has, zero parts included, are shown as MySQL prints them. */
function isRealDate(shown: string): boolean {
  const match = /^(\d{4})-(\d\d)-(\d\d)/.exec(shown);
  if (match === null) return false;
  const [year, month, day] = [Number(match[1]), Number(match[2]), Number(match[3])];
  if (year === 0 || month === 0 || day === 0) return false;
  const date = new Date(Date.UTC(2000, 0, 1));
  date.setUTCFullYear(year, month - 1, day);
  return date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
}
