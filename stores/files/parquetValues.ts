/** Logical types of Parquet → the values that `core/ingestValue.ts` takes: exact, whatever the library would make of them. */
import type { ConvertedType, SchemaElement, TimeUnit } from 'hyparquet';
import type { ParquetField } from './parquet.js';

/** Whether values are read here from their physical type. */
export function isExact(element: SchemaElement): boolean {
  return element.num_children === undefined && kindOf(element) !== null;
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
      return timestampText(asInteger(value) * 86_400_000n, 'MILLIS', false).slice(0, 10);
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

/** ISO 8601; `Z` where the file says that the time is UTC. */
export function timestampText(value: bigint, unit: TimeUnit, utc: boolean): string {
  const [seconds, fraction] = split(value, unit);
  const iso = new Date(Number(seconds) * 1000).toISOString().slice(0, -5);
  return `${iso}.${fraction}${utc ? 'Z' : ''}`;
}

function clockText(value: bigint, unit: TimeUnit): string {
  const [seconds, fraction] = split(value, unit);
  return `${new Date(Number(seconds) * 1000).toISOString().slice(11, 19)}.${fraction}`;
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
