/**
 * Whether the two images of an updated row print the same row JSON though their bytes differ: SQL NULL and the JSON value
 * null, JSON that is stored in another way, an ENUM's error value and its member ''. Such an update has a row event, and a
 * log row by whose text nothing changed. Pure.
 */
import type { Column, Definition } from '../../core/definition.js';
import { compareJson, isJsonNull, type Alike } from './binlogJson.js';
import { memberText } from './binlogKey.js';
import { isAbsent, lengthAt, type Spots } from './binlogRows.js';
import { columnTypes, type TableMap } from './binlogTableMap.js';

/** partialJson: the new image may hold differences of JSON values instead of values. */
export type CompareImages = (buffer: Buffer, before: Spots, after: Spots, partialJson: boolean) => Alike;

/** Two values of a column, which differ, each by its spot. */
type CompareValues = (buffer: Buffer, before: number, after: number, partialJson: boolean) => Alike;

/** Null where different bytes always print differently. definition: null where none is that of the rows. */
export function imagesComparison(definition: Definition | null, map: TableMap): CompareImages | null {
  const { types, widths } = map;
  const columns = types.map((type, i): ComparedColumn => {
    const width = widths[i] ?? 0;
    return { compare: comparisonOf(definition?.columns[i], type, width), type, width };
  });
  if (columns.every(({ compare }) => compare === null)) return null;
  return (buffer, before, after, partialJson) => {
    let found: Alike = 'same';
    for (const [i, column] of columns.entries()) {
      const values = compareColumn(column, buffer, before[i], after[i], partialJson);
      if (values === 'different') return values;
      if (values === 'unknown') found = values;
    }
    return found;
  };
}

interface ComparedColumn {
  readonly compare: CompareValues | null;
  readonly type: number;
  readonly width: number;
}

function compareColumn(
  { compare, type, width }: ComparedColumn,
  buffer: Buffer,
  was = isAbsent,
  is = isAbsent,
  partialJson = false,
): Alike {
  // Left out of the new image: it stayed. Out of the old one alone: nobody can tell.
  if (is === isAbsent) return 'same';
  if (was === isAbsent) return 'unknown';
  if (was < 0 || is < 0) {
    if (was === is) return 'same';
    const there = Math.max(was, is);
    const printsNull = type === columnTypes.json && isJsonNull(buffer, there - width, endOf(buffer, there, width));
    return printsNull ? 'same' : 'different';
  }
  const [wasEnd, isEnd] = [endOf(buffer, was, width), endOf(buffer, is, width)];
  if (wasEnd - was === isEnd - is && buffer.compare(buffer, was, wasEnd, is, isEnd) === 0) return 'same';
  return compare === null ? 'different' : compare(buffer, was, is, partialJson);
}

function endOf(buffer: Buffer, at: number, width: number): number {
  return width >= 0 ? at + width : at - width + lengthAt(buffer, at, -width);
}

const unknown: CompareValues = () => 'unknown';

function comparisonOf(column: Column | undefined, type: number, width: number): CompareValues | null {
  if (type === columnTypes.json) return json(width);
  return column === undefined ? byTypeAlone(type) : byColumn(column, width);
}

function json(width: number): CompareValues {
  return (buffer, before, after, partialJson) =>
    partialJson
      ? 'unknown'
      : compareJson(buffer, before - width, endOf(buffer, before, width), after - width, endOf(buffer, after, width));
}

function byTypeAlone(type: number): CompareValues | null {
  switch (type) {
    case columnTypes.enum:
    case columnTypes.set:
    case columnTypes.string:
    case columnTypes.varchar:
    case columnTypes.varString:
    case columnTypes.tinyBlob:
    case columnTypes.mediumBlob:
    case columnTypes.longBlob:
    case columnTypes.blob:
      return unknown;
    default:
      return null;
  }
}

/** Sets of which different bytes are different characters in Unicode, too. */
const oneToOne = new Set(['utf8mb4', 'utf8mb3', 'utf8', 'latin1', 'binary']);

function byColumn(column: Column, width: number): CompareValues | null {
  switch (column.type) {
    case 'enum':
    case 'set':
      if (!column.members.includes('')) return null;
      return (buffer, before, after) =>
        memberText(column, buffer, before, width) === memberText(column, buffer, after, width) ? 'same' : 'different';
    case 'char':
    case 'varchar':
    case 'tinytext':
    case 'text':
    case 'mediumtext':
    case 'longtext':
      if (oneToOne.has(column.charset ?? 'binary')) return null;
      return (buffer, before, after) =>
        isPlain(buffer, before, width) && isPlain(buffer, after, width) ? 'different' : 'unknown';
    default:
      return null;
  }
}

/** Below 0x80 no set has two codes for one character. */
function isPlain(buffer: Buffer, at: number, width: number): boolean {
  const end = endOf(buffer, at, width);
  for (let i = at - width; i < end; i++) if ((buffer[i] ?? 0) >= 0x80) return false;
  return true;
}
