/**
 * One column's rule for values from a file: text or a typed value in, a value to bind or a fault out. The same rule for every
 * format, made once for a plan, since it runs for every value of every row.
 */
import { isUtf8 } from 'node:buffer';
import type { Column } from './definition.js';
import type { InputValue, Reading } from './ingest.js';
import { Fault } from './ingestFault.js';
import { bitOf, decimalOf, doubleText, floatOf, integerOf, yearOf } from './ingestNumbers.js';
import { bytesOf, enumOf, geometryOf, jsonOf, setOf, textOf, vectorOf } from './ingestTexts.js';
import { dateOf, datetimeOf, timeOf } from './ingestTimes.js';

export interface ValueRule {
  /** A field of text, which is not NULL. */
  readonly ofText: (text: string) => InputValue | Fault;
  /** A NULL. */
  readonly ofNull: () => InputValue | Fault;
  /** Whether an empty text can be a value: text, ENUM, SET and bytes. Elsewhere an empty field is NULL. */
  readonly emptyIsValue: boolean;
  /** JSON columns: what a format gives is a value, not yet JSON text. */
  readonly isJson: boolean;
}

type RuleReading = Pick<Reading, 'binary' | 'round'>;

/** With `autoIncrement`, NULL asks MySQL for the number. */
export function valueRule(column: Column, reading: RuleReading, autoIncrement: boolean): ValueRule {
  const isNull = new Fault('null');
  return {
    ofText: textRule(column, reading),
    ofNull: () => (column.nullable || autoIncrement ? null : isNull),
    emptyIsValue: holdsEmpty(column),
    isJson: column.type === 'json',
  };
}

function textRule(column: Column, { binary, round }: RuleReading): (text: string) => InputValue | Fault {
  switch (column.type) {
    case 'tinyint':
    case 'smallint':
    case 'mediumint':
    case 'int':
    case 'bigint':
      return integerOf(column);
    case 'year':
      return yearOf;
    case 'decimal':
      return decimalOf(column, round);
    case 'float':
    case 'double':
      return floatOf(column, round);
    case 'bit':
      return bitOf(column);
    case 'date':
      return dateOf;
    case 'time':
      return timeOf(column, round);
    case 'datetime':
    case 'timestamp':
      return datetimeOf(column, round);
    case 'json':
      return jsonOf;
    case 'char':
    case 'varchar':
    case 'tinytext':
    case 'text':
    case 'mediumtext':
    case 'longtext':
      return textOf(column);
    case 'enum':
      return enumOf(column);
    case 'set':
      return setOf(column);
    case 'binary':
    case 'varbinary':
    case 'tinyblob':
    case 'blob':
    case 'mediumblob':
    case 'longblob':
      return bytesOf(column, binary);
    case 'vector':
      return vectorOf(column);
    case 'geometry':
    case 'point':
    case 'linestring':
    case 'polygon':
    case 'multipoint':
    case 'multilinestring':
    case 'multipolygon':
    case 'geomcollection':
    case 'geometrycollection':
      return geometryOf;
    default: {
      const unknown = new Fault('type', `a type that lockstep does not know: ${column.type}`);
      return () => unknown;
    }
  }
}

function holdsEmpty(column: Column): boolean {
  if (column.type === 'enum') return column.members.includes('');
  return /char|text|^set$|blob|binary/.test(column.type);
}

const notText = new Fault('type', 'an object or array where one value belongs');

/**
 * A value that a typed format gave (JSON, Parquet): null, boolean, number, bigint, text, bytes, arrays and objects. `text`
 * gives the JSON text of a value with every digit it had.
 */
export function valueOf(
  rule: ValueRule,
  column: Column,
  value: unknown,
  text: (value: unknown) => string,
): InputValue | Fault {
  if (value === null || value === undefined) return rule.ofNull();
  // A text is JSON text already, as in CSV; anything else becomes it.
  if (rule.isJson) return rule.ofText(typeof value === 'string' ? value : text(value));
  if (typeof value === 'string') return rule.ofText(value);
  if (typeof value === 'number') return rule.ofText(doubleText(value));
  if (typeof value === 'boolean' || typeof value === 'bigint') return rule.ofText(String(value));
  return ofObject(rule, column, value, text);
}

function ofObject(
  rule: ValueRule,
  column: Column,
  value: unknown,
  text: (value: unknown) => string,
): InputValue | Fault {
  if (Buffer.isBuffer(value)) return ofBytes(rule, column, value);
  if (column.type === 'set' && Array.isArray(value) && value.every((part) => typeof part === 'string')) {
    return value.some((part) => part.includes(',')) ? notText : rule.ofText(value.join(','));
  }
  if (column.type === 'vector' || /geom|point|linestring|polygon/.test(column.type)) return rule.ofText(text(value));
  return notText;
}

/** Bytes fit binary columns as they are; elsewhere they are text if they are valid UTF-8. */
function ofBytes(rule: ValueRule, column: Column, bytes: Buffer): InputValue | Fault {
  if (/blob|binary/.test(column.type)) {
    return bytes.length <= (column.length ?? 0) ? bytes : new Fault('length', `at most ${column.length ?? 0} bytes`);
  }
  return isUtf8(bytes) ? rule.ofText(bytes.toString('utf8')) : new Fault('encoding', 'bytes that are not UTF-8');
}
