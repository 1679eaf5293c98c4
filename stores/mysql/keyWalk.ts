/**
 * Walks a table along its primary key in chunks: boundaries as text that comes back as exactly the same value, and ranges
 * over composite keys that the optimizer turns into one range of the index. Pure.
 */
import { keyColumns, type Column, type Definition } from '../../core/definition.js';
import { binary } from '../../core/undecodable.js';
import { quoteHex, quoteName, quoteText } from './quote.js';

/** One text for each key column, in key order. */
export type Boundary = readonly string[];

/** A half-open range of keys, (after, upTo]; null is no bound. */
export interface KeyRange {
  readonly after: Boundary | null;
  readonly upTo: Boundary | null;
}

export function encodeBoundary(boundary: Boundary): string {
  return JSON.stringify(boundary);
}

export function decodeBoundary(text: string): Boundary {
  return JSON.parse(text) as Boundary;
}

/** Select list that gives a row's boundary; the table is `t`. */
export function boundaryColumns(definition: Definition): string {
  return keyColumns(definition)
    .map((column) => boundaryText(column))
    .join(',');
}

export function keyOrder(definition: Definition, direction: 'ASC' | 'DESC' = 'ASC'): string {
  return keyColumns(definition)
    .map((column) => `t.${quoteName(column.name)} ${direction}`)
    .join(',');
}

/** Condition for the rows of a range; `TRUE` for the whole table. */
export function inRange(definition: Definition, range: KeyRange): string {
  const columns = keyColumns(definition);
  const parts = [
    ...(range.after === null ? [] : [beyond(columns, range.after, '>', '>')]),
    ...(range.upTo === null ? [] : [beyond(columns, range.upTo, '<', '<=')]),
  ];
  return parts.length === 0 ? 'TRUE' : parts.join(' AND ');
}

/** Condition for the one row with this key. */
export function atKey(definition: Definition, key: Boundary): string {
  return keyColumns(definition)
    .map((column, i) => compare(column, '=', at(key, i)))
    .join(' AND ');
}

/**
 * (a, b) > (1, 2) as `a >= 1 AND (a > 1 OR (a = 1 AND b > 2))`: MySQL makes no range of a row comparison, but one of this.
 */
function beyond(columns: readonly Column[], boundary: Boundary, strict: '>' | '<', last: Operator): string {
  const alternatives = columns.map((column, i) => {
    const equal = columns.slice(0, i).map((before, j) => compare(before, '=', at(boundary, j)));
    const operator = i === columns.length - 1 ? last : strict;
    return [...equal, compare(column, operator, at(boundary, i))].join(' AND ');
  });
  const [first] = columns;
  if (first === undefined || alternatives.length === 1) return `(${alternatives.join('')})`;
  const bound = compare(first, strict === '>' ? '>=' : '<=', at(boundary, 0));
  return `(${bound} AND (${alternatives.map((text) => `(${text})`).join(' OR ')}))`;
}

function at(boundary: Boundary, i: number): string {
  const text = boundary[i];
  if (text === undefined) throw new TypeError('a boundary with fewer parts than the key');
  return text;
}

type Operator = '=' | '>' | '>=' | '<' | '<=';

function compare(column: Column, operator: Operator, text: string): string {
  const n = `t.${quoteName(column.name)}`;
  if (column.type === 'enum' && operator !== '=') return `${n} IN (${enumNumbers(column, operator, Number(text))})`;
  return `${n}${operator}${literal(column, text)}`;
}

/** Of `enum > 3` MySQL makes no range, of `enum IN (4,5)` it does. No member's number is −1. */
function enumNumbers(column: Column, operator: Exclude<Operator, '='>, bound: number): string {
  const numbers = Array.from({ length: column.members.length + 1 }, (_, i) => i).filter((i) => {
    switch (operator) {
      case '>':
        return i > bound;
      case '>=':
        return i >= bound;
      case '<':
        return i < bound;
      case '<=':
        return i <= bound;
    }
  });
  return numbers.length === 0 ? '-1' : numbers.join(',');
}

/** How a value travels: as a number, as date text, or as bytes in hex. */
type Form = 'number' | 'double' | 'text' | 'bytes' | 'characters';

function formOf(column: Column): Form {
  switch (column.type) {
    case 'tinyint':
    case 'smallint':
    case 'mediumint':
    case 'int':
    case 'bigint':
    case 'bit':
    // Both sort by their number, not by their text.
    case 'enum':
    case 'set':
    case 'decimal':
      return 'number';
    case 'float':
    case 'double':
      return 'double';
    case 'date':
    case 'datetime':
    case 'timestamp':
    case 'time':
    case 'year':
      return 'text';
    case 'char':
    case 'varchar':
    case 'tinytext':
    case 'text':
    case 'mediumtext':
    case 'longtext':
      return 'characters';
    default:
      return 'bytes';
  }
}

function boundaryText(column: Column): string {
  const n = `t.${quoteName(column.name)}`;
  switch (formOf(column)) {
    case 'number':
      return `CONCAT(${n}+0)`;
    case 'double':
      return `CONCAT(CAST(${n} AS JSON))`;
    case 'text':
      return `CONCAT(${n})`;
    case 'bytes':
    case 'characters':
      return `HEX(${n})`;
  }
}

function literal(column: Column, text: string): string {
  switch (formOf(column)) {
    case 'number':
      if (!/^-?\d+(?:\.\d+)?$/.test(text)) throw new TypeError(`not a number in the key of ${column.name}`);
      return text;
    case 'double':
      if (!/^-?\d+(?:\.\d+)?(?:e[+-]?\d+)?$/i.test(text))
        throw new TypeError(`not a number in the key of ${column.name}`);
      return /e/i.test(text) ? text : `${text}e0`;
    case 'text':
      return quoteText(text);
    case 'bytes':
      return quoteHex(text);
    case 'characters':
      return charactersLiteral(column, text);
  }
}

/** The column's own bytes under its own collation: the constant is the stored value. ENUM and SET in `binary` show neither. */
export function charactersLiteral({ charset, collation }: Column, hex: string): string {
  return `_${charset ?? binary} ${quoteHex(hex)} COLLATE ${collation ?? binary}`;
}
