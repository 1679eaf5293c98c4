/** Logical types of Parquet → the values that `core/ingestValue.ts` takes: exact, whatever the library would make of them. */
import type { ConvertedType, SchemaElement, SchemaTree, TimeUnit } from 'hyparquet';
import type { ParquetField } from './parquet.js';

/** Whether values are read here from their physical type. */
export function isExact(element: SchemaElement): boolean {
  return element.num_children === undefined && kindOf(element) !== null;
}

/** The first type below a field that the library rounds, or gives as a bare number or as bytes; null where there is none. */
export function inexactIn({ element, children }: SchemaTree): string | null {
  if (element.logical_type?.type === 'VARIANT' || element.type === 'INT96') {
    return element.logical_type?.type ?? 'INT96';
  }
  if (children.length === 0) return kindOf(element)?.kind.toUpperCase() ?? null;
  for (const child of children) {
    const found = inexactIn(child);
    if (found !== null) return found;
  }
  return null;
}

type Kind =
  | { readonly kind: 'decimal'; readonly scale: number }
  | { readonly kind: 'date' }
  | { readonly kind: 'uuid' }
  | { readonly kind: 'time' | 'timestamp'; readonly unit: TimeUnit; readonly utc: boolean };

function kindOf({ converted_type: converted, logical_type: logical, scale }: SchemaElement): Kind | null {
  if (logical?.type === 'DECIMAL') return { kind: 'decimal', scale: logical.scale };
  if (logical?.type === 'TIME') return { kind: 'time', unit: logical.unit, utc: logical.isAdjustedToUTC };
  if (logical?.type === 'TIMESTAMP') return { kind: 'timestamp', unit: logical.unit, utc: logical.isAdjustedToUTC };
  if (logical?.type === 'DATE') return { kind: 'date' };
  if (logical?.type === 'UUID') return { kind: 'uuid' };
  if (converted === 'DECIMAL') return { kind: 'decimal', scale: scale ?? 0 };
  return converted === undefined ? null : (older[converted] ?? null);
}

/** What files wrote before there were logical types. */
const older: Readonly<Partial<Record<ConvertedType, Kind>>> = {
  DATE: { kind: 'date' },
  TIME_MILLIS: { kind: 'time', unit: 'MILLIS', utc: true },
  TIME_MICROS: { kind: 'time', unit: 'MICROS', utc: true },
  TIMESTAMP_MILLIS: { kind: 'timestamp', unit: 'MILLIS', utc: true },
  TIMESTAMP_MICROS: { kind: 'timestamp', unit: 'MICROS', utc: true },
};

/** A column's value from what the library gave. Bytes stay bytes; NULL is null. */
export function exactValue(value: unknown, { element, nested }: ParquetField, asBytes: boolean): unknown {
  if (value === null || value === undefined) return null;
  if (nested) return value;
  const bytes = value instanceof Uint8Array ? Buffer.from(value.buffer, value.byteOffset, value.byteLength) : null;
  const kind = kindOf(element);
  if (kind === null)
    return element.type === 'INT96' ? timestampText(asInteger(value), 'NANOS', true) : (bytes ?? value);
  switch (kind.kind) {
    case 'decimal':
      return decimalText(bytes === null ? asInteger(value) : signed(bytes), kind.scale);
    case 'date':
      return dateText(asInteger(value));
    case 'time':
      return clockText(asInteger(value), kind.unit);
    case 'timestamp':
      return timestampText(asInteger(value), kind.unit, kind.utc);
    case 'uuid':
      return bytes === null || asBytes ? (bytes ?? value) : uuidText(bytes);
  }
}

function uuidText(bytes: Buffer): string {
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

function asInteger(value: unknown): bigint {
  if (typeof value === 'bigint') return value;
  if (typeof value === 'number') return BigInt(value);
  throw new TypeError('a column of integers holds something else');
}

/** Big-endian two's complement. */
function signed(bytes: Buffer): bigint {
  if (bytes.length === 0) return 0n;
  return BigInt.asIntN(8 * bytes.length, BigInt(`0x${bytes.toString('hex')}`));
}

export function decimalText(unscaled: bigint, scale: number): string {
  const negative = unscaled < 0n;
  const digits = String(negative ? -unscaled : unscaled).padStart(scale + 1, '0');
  const whole = digits.slice(0, digits.length - scale);
  return `${negative ? '-' : ''}${whole}${scale === 0 ? '' : `.${digits.slice(digits.length - scale)}`}`;
}

const perSecond = { MILLIS: 1_000n, MICROS: 1_000_000n, NANOS: 1_000_000_000n } as const;
const digitsOf = { MILLIS: 3, MICROS: 6, NANOS: 9 } as const;

const unitNames = { MILLIS: 'ms', MICROS: 'µs', NANOS: 'ns' } as const;

/** Seconds from 1970 that a Date of JavaScript reaches, either way: 275,760 years. */
const mostSeconds = 8_640_000_000_000n;

/**
 * ISO 8601; `Z` where the file says that the time is UTC. What no Date reaches is `9223372036854775807 µs since 1970`: columns of
 * times reject it, columns of text lose nothing.
 */
export function timestampText(value: bigint, unit: TimeUnit, utc: boolean): string {
  const [seconds, fraction] = split(value, unit);
  if (!isReached(seconds)) return `${value} ${unitNames[unit]} since 1970`;
  const iso = new Date(Number(seconds) * 1000).toISOString().slice(0, -5);
  return `${iso}.${fraction}${utc ? 'Z' : ''}`;
}

function dateText(days: bigint): string {
  const seconds = days * 86_400n;
  if (!isReached(seconds)) return `${days} days since 1970`;
  const iso = new Date(Number(seconds) * 1000).toISOString();
  // Years of more than four digits have a sign before them.
  return iso.slice(0, iso.indexOf('T'));
}

function isReached(seconds: bigint): boolean {
  // A fraction of the last second would lie behind it.
  return seconds >= -mostSeconds && seconds < mostSeconds;
}

/** Not by a Date: 24:00:00 and more, and what is negative, are times of MySQL too. */
function clockText(value: bigint, unit: TimeUnit): string {
  const [seconds, fraction] = split(value < 0n ? -value : value, unit);
  const parts = [seconds / 3600n, (seconds / 60n) % 60n, seconds % 60n];
  const clock = parts.map((part) => String(part).padStart(2, '0')).join(':');
  return `${value < 0n ? '-' : ''}${clock}.${fraction}`;
}

function split(value: bigint, unit: TimeUnit): readonly [bigint, string] {
  const per = perSecond[unit];
  const rest = ((value % per) + per) % per;
  return [(value - rest) / per, String(rest).padStart(digitsOf[unit], '0')];
}

/** The type of MySQL that holds every value of a field. */
export function columnTypeOf({ element, nested }: ParquetField): string {
  if (nested) return 'JSON';
  const kind = kindOf(element);
  if (kind !== null) return ofKind(kind, element);
  const { converted_type: converted, logical_type: logical, type } = element;
  if (logical?.type === 'JSON' || converted === 'JSON') return 'JSON';
  const unsigned = converted?.startsWith('UINT_') === true || (logical?.type === 'INTEGER' && !logical.isSigned);
  switch (type ?? 'BYTE_ARRAY') {
    case 'BOOLEAN':
      return 'BOOLEAN';
    case 'INT32':
      return unsigned ? 'INT UNSIGNED' : 'INT';
    case 'INT64':
      return unsigned ? 'BIGINT UNSIGNED' : 'BIGINT';
    case 'INT96':
      return 'DATETIME(6)';
    case 'FLOAT':
      return 'FLOAT';
    case 'DOUBLE':
      return 'DOUBLE';
    case 'FIXED_LEN_BYTE_ARRAY':
      return `BINARY(${element.type_length ?? 1})`;
    case 'BYTE_ARRAY':
      return logical?.type === 'STRING' || logical?.type === 'ENUM' || converted === 'UTF8' ? 'LONGTEXT' : 'LONGBLOB';
  }
}

function ofKind(kind: Kind, element: SchemaElement): string {
  switch (kind.kind) {
    case 'decimal':
      return `DECIMAL(${element.precision ?? 38},${kind.scale})`;
    case 'date':
      return 'DATE';
    case 'uuid':
      return 'CHAR(36)';
    case 'time':
      return kind.unit === 'MILLIS' ? 'TIME(3)' : 'TIME(6)';
    case 'timestamp':
      return kind.unit === 'MILLIS' ? 'DATETIME(3)' : 'DATETIME(6)';
  }
}
