/**
 * What the file said against what MySQL returned, over the given columns, as one canonical text each. They differ where, and
 * only where, MySQL holds another value than the file wrote. Equal by definition of the type, and by nothing else:
 * trailing blanks of CHAR, zero bytes that fill a BINARY, the nearest FLOAT or DOUBLE of a number, the member that
 * an ENUM or SET was found by, and the order and spacing of JSON.
 */
import type { Column, Definition } from './definition.js';
import type { ContentCheck, GivenColumn, IngestPlan, InputValue } from './ingest.js';
import { canonicalJson } from './ingestJson.js';
import { isNull, quote, stringAt } from './jsonScan.js';
import { vectorText, scanRow } from './rowJson.js';

interface Side {
  readonly column: Column;
  /** Index into the definition's columns, so into the spans of a row. */
  readonly place: number;
  /** The value as canonical text. */
  readonly written: (value: InputValue) => string;
  /** Row JSON between two bytes as canonical text; null: the bytes as they stand. */
  readonly read: ((row: Buffer, start: number, end: number) => string) | null;
}

/** MySQL gives what the file did not. */
const given = '*';

export function contentCheck(plan: Pick<IngestPlan, 'definition' | 'columns' | 'autoIncrement'>): ContentCheck {
  const { definition } = plan;
  const sides = plan.columns.map((column) => sideOf(definition, column));
  const auto = sides.findIndex(({ column }) => column.name === plan.autoIncrement);
  return {
    expected: ({ values }) =>
      sides.map((side, i) => {
        const value = values[i];
        return value === undefined || (value === null && i === auto) ? given : side.written(value);
      }),
    difference(expected, rowJson) {
      const spans = scanRow(definition, rowJson);
      const other = sides.find((side, i) => {
        const text = expected[i] ?? given;
        return text !== given && !holds(side, text, rowJson, spans);
      });
      return other?.column.name ?? null;
    },
  };
}

function sideOf(definition: Definition, { name }: GivenColumn): Side {
  const place = definition.columns.findIndex((column) => column.name === name);
  const column = definition.columns[place];
  if (column === undefined) throw new TypeError(`given column ${name} is not in ${definition.table}`);
  return { column, place, written: writtenBy(column), read: readerOf(column) };
}

/** What reads the same byte for byte is the same; MySQL prints few values in another form than ours. */
function holds({ place, read }: Side, text: string, row: Buffer, spans: Int32Array): boolean {
  const [start, end] = [spans[2 * place] ?? 0, spans[2 * place + 1] ?? 0];
  if (isAscii(text, row, start, end)) return true;
  if (isNull(row, start)) return text === 'null';
  return text === (read === null ? row.toString('utf8', start, end) : read(row, start, end));
}

/** Whether these bytes are the text, all of it ASCII. Making a text of them to compare took three times as long. */
function isAscii(text: string, bytes: Buffer, start: number, end: number): boolean {
  if (text.length !== end - start) return false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 0x7f || code !== bytes[start + i]) return false;
  }
  return true;
}

/** A value's canonical text; for most types the bytes of row JSON themselves. */
function writtenBy(column: Column): (value: InputValue) => string {
  const text = notNull(column);
  return (value) => (value === null || value === undefined ? 'null' : text(value));
}

function notNull(column: Column): (value: string | number | bigint | Buffer) => string {
  switch (column.type) {
    case 'tinyint':
    case 'smallint':
    case 'mediumint':
    case 'int':
    case 'bigint':
      return String;
    case 'year':
      return (value) => String(Number(value));
    case 'bit':
      return column.precision === 1 ? (value) => String(Number(value) !== 0) : String;
    case 'float':
    case 'double': {
      const canonical = floatText(column);
      return (value) => canonical(column.type === 'float' ? Math.fround(Number(value)) : Number(value));
    }
    case 'json':
      return (value) => canonicalJson(asText(value));
    case 'char':
      return (value) => JSON.stringify(asText(value).replace(/ +$/, ''));
    case 'datetime':
      return (value) => `"${isoTime(asText(value))}"`;
    case 'timestamp':
      return (value) => `"${isoTime(asText(value))}${isCalendarDay(asText(value)) ? 'Z' : ''}"`;
    case 'binary': {
      const length = column.length ?? 0;
      return (value) => `"${Buffer.concat([asBytes(value)], length).toString('base64')}"`;
    }
    case 'varbinary':
    case 'tinyblob':
    case 'blob':
    case 'mediumblob':
    case 'longblob':
      return (value) => `"${asBytes(value).toString('base64')}"`;
    case 'vector':
      return (value) => vectorText(asBytes(value).toString('base64'));
    case 'geometry':
    case 'point':
    case 'linestring':
    case 'polygon':
    case 'multipoint':
    case 'multilinestring':
    case 'multipolygon':
    case 'geomcollection':
    case 'geometrycollection':
      return (value) => {
        const bytes = asBytes(value);
        return `{"srid":${bytes.readUInt32LE(0)},"wkb":"${bytes.toString('base64', 4)}"}`;
      };
    default:
      return (value) => JSON.stringify(asText(value));
  }
}

/** Where MySQL prints one value in more than one form, or its form is not JavaScript's. */
function readerOf(column: Column): Side['read'] {
  switch (column.form ?? 'own') {
    case 'int64-string':
      return stringAt;
    case 'json-string':
      return (row, start, end) => canonicalJson(stringAt(row, start, end));
    case 'tinyint1-boolean':
      return truthReader;
    case 'datetime-date':
    case 'own':
      return ownReaderOf(column);
  }
}

function truthReader(row: Buffer, start: number, end: number): string {
  const text = row.toString('latin1', start, end);
  return text === 'true' ? '1' : text === 'false' ? '0' : text;
}

function ownReaderOf(column: Column): Side['read'] {
  switch (column.type) {
    case 'float':
    case 'double': {
      const canonical = floatText(column);
      return (row, start, end) => canonical(Number(row.toString('latin1', start, end)));
    }
    case 'json':
      return (row, start, end) => canonicalJson(row.toString('utf8', start, end));
    case 'char':
    case 'varchar':
    case 'tinytext':
    case 'text':
    case 'mediumtext':
    case 'longtext':
    case 'enum':
    case 'set':
      return textReader;
    default:
      return null;
  }
}

/** Escapes have more than one spelling; a text without any has one. */
function textReader(row: Buffer, start: number, end: number): string {
  const text = row.toString('utf8', start, end);
  return text.includes('\\') && row[start] === quote ? JSON.stringify(stringAt(row, start, end)) : text;
}

/** FLOAT(M,D) and DOUBLE(M,D) hold D decimals; their value may be a neighbour of the nearest double. */
function floatText({ scale }: Column): (value: number) => string {
  if (scale !== null) return (value) => value.toFixed(scale).replace(/^-(0\.?0*)$/, '$1');
  return (value) => (Object.is(value, -0) ? '-0' : String(value));
}

/** Row JSON writes a day of the calendar with `T`, and any other as MySQL prints it. */
function isoTime(text: string): string {
  return isCalendarDay(text) ? text.replace(' ', 'T') : text;
}

function isCalendarDay(text: string): boolean {
  return !text.startsWith('0000') && text.slice(5, 7) !== '00' && text.slice(8, 10) !== '00';
}

function asText(value: string | number | bigint | Buffer): string {
  if (typeof value === 'string') return value;
  throw new TypeError('a checked value is not the text it should be');
}

function asBytes(value: string | number | bigint | Buffer): Buffer {
  if (Buffer.isBuffer(value)) return value;
  throw new TypeError('a checked value is not the bytes it should be');
}
