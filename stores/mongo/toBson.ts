/**
 * The type table: row JSON by its definition → BSON bytes. A definition is compiled once into one function a column;
 * the same bytes are what apply writes and what a comparison expects.
 */
import { keyColumns, type Column, type Definition } from '../../core/definition.js';
import { LockstepError } from '../../core/errors.js';
import { isNull, malformed, nameBytes, scanMembers, stringAt } from '../../core/jsonScan.js';
import { keyShape } from '../../core/keyText.js';
import { idFieldName } from '../../core/names.js';
import { scanRow } from '../../core/rowJson.js';
import { bsonType, elementName, type BsonWriter } from './bsonWriter.js';
import { writeDecimal128 } from './decimal128.js';
import { indexName, writeArray, writeJson, writeString } from './jsonToBson.js';
import { writeDouble, writeInt32, writeInt64 } from './numbers.js';
import { writeDate, writeMoment } from './times.js';

/** Writes the value of the token between two bytes and returns its BSON type. */
export type WriteValue = (w: BsonWriter, text: Uint8Array, start: number, end: number) => number;

export interface DocumentShape {
  readonly definition: Definition;
  /** Field names and writers of the columns, in the table's order. */
  readonly names: readonly Buffer[];
  readonly write: readonly WriteValue[];
  /** A column named `_id`, which is the single key column: its field is the document's `_id` itself. */
  readonly idColumn: number;
  readonly idNames: readonly Buffer[];
  readonly writeId: readonly WriteValue[];
  /** A column's own name begins with `$`. */
  readonly dollarNames: boolean;
}

const shapes = new WeakMap<Definition, DocumentShape>();
const idName = elementName('_id');
const sridName = elementName('srid');
const wkbName = elementName('wkb');

export function documentShape(definition: Definition): DocumentShape {
  let shape = shapes.get(definition);
  if (shape === undefined) {
    const composite = definition.key.length > 1;
    shape = {
      definition,
      names: definition.columns.map((c) => elementName(c.name)),
      write: definition.columns.map(writerOf),
      idColumn: definition.columns.findIndex((c) => c.name === '_id'),
      idNames: definition.key.map((name) => elementName(idFieldName(name))),
      // An array cannot be `_id`: a SET that is the whole key stays the text that MySQL prints.
      writeId: keyColumns(definition).map((c) => (c.type === 'set' && !composite ? writeString : writerOf(c))),
      dollarNames: definition.columns.some((c) => c.name.startsWith('$')),
    };
    shapes.set(definition, shape);
  }
  return shape;
}

/** The element `_id` from key text. */
export function writeId(w: BsonWriter, shape: DocumentShape, key: Buffer): void {
  const { names, spans } = keyShape(shape.definition);
  scanMembers(key, 0, key.length, names, spans);
  const place = w.begin(idName);
  const [single] = shape.writeId;
  if (shape.writeId.length === 1 && single !== undefined) {
    w.setType(place, single(w, key, spans[0] ?? 0, spans[1] ?? 0));
    return;
  }
  const opened = w.open();
  writeElements(w, shape.idNames, shape.writeId, key, spans, -1);
  w.close(opened);
  w.setType(place, bsonType.document);
}

/** Every column as an element, in the table's order, without the document's frame and `_id`. */
export function writeColumns(w: BsonWriter, shape: DocumentShape, row: Buffer): void {
  const spans = scanRow(shape.definition, row);
  if (shape.dollarNames) w.dollarNames = true;
  writeElements(w, shape.names, shape.write, row, spans, shape.idColumn);
}

/** A whole document, `_id` first. */
export function writeDocument(w: BsonWriter, shape: DocumentShape, key: Buffer, row: Buffer): void {
  const opened = w.open();
  writeId(w, shape, key);
  writeColumns(w, shape, row);
  w.close(opened);
}

function writeElements(
  w: BsonWriter,
  names: readonly Buffer[],
  writers: readonly WriteValue[],
  text: Uint8Array,
  spans: Int32Array,
  left: number,
): void {
  for (let i = 0; i < names.length; i++) {
    const [name, write] = [names[i], writers[i]];
    if (i === left || name === undefined || write === undefined) continue;
    const start = spans[2 * i] ?? 0;
    const place = w.begin(name);
    if (isNull(text, start)) w.setType(place, bsonType.null);
    else w.setType(place, write(w, text, start, spans[2 * i + 1] ?? 0));
  }
}

export function writerOf(column: Column): WriteValue {
  switch (column.form ?? 'own') {
    case 'int64-string':
    case 'json-string':
      return writeString;
    case 'datetime-date':
      return writeMoment;
    case 'tinyint1-boolean':
      return writeTruth;
    case 'own':
      return ownWriter(column);
  }
}

/** One line a type of the contract's table. */
function ownWriter(column: Column): WriteValue {
  switch (column.type) {
    case 'tinyint':
    case 'smallint':
    case 'mediumint':
    case 'year':
      return writeInt32;
    case 'int':
      return column.unsigned ? writeInt64 : writeInt32;
    case 'bigint':
      return writeInt64;
    case 'decimal':
      return (column.precision ?? 0) > 34 ? writeString : writeDecimal;
    case 'float':
    case 'double':
      return writeDouble;
    case 'bit':
      return column.precision === 1 ? writeBoolean : writeInt64;
    case 'char':
    case 'varchar':
    case 'tinytext':
    case 'text':
    case 'mediumtext':
    case 'longtext':
    case 'enum':
    case 'time':
      return writeString;
    case 'set':
      return writeSet;
    case 'binary':
    case 'varbinary':
    case 'tinyblob':
    case 'blob':
    case 'mediumblob':
    case 'longblob':
      return writeBinary;
    case 'date':
      return writeDate;
    case 'datetime':
    case 'timestamp':
      return (column.fsp ?? 0) > 3 ? writeString : writeMoment;
    case 'json':
      return writeJson;
    case 'geometry':
    case 'point':
    case 'linestring':
    case 'polygon':
    case 'multipoint':
    case 'multilinestring':
    case 'multipolygon':
    case 'geomcollection':
    case 'geometrycollection':
      return writeGeometry;
    case 'vector':
      return writeVector;
    default:
      throw new LockstepError('LS-TYPE-UNKNOWN', `column ${column.name} has the unknown type ${column.type}`, {
        details: { column: column.name, type: column.type },
      });
  }
}

const writeBoolean: WriteValue = (w, text, start) => {
  w.byte(text[start] === 0x74 ? 1 : 0);
  return bsonType.boolean;
};

/** A TINYINT(1) in the form of a truth value, or the number that it is. */
const writeTruth: WriteValue = (w, text, start, end) => {
  const first = text[start];
  return first === 0x74 || first === 0x66 ? writeBoolean(w, text, start, end) : writeInt32(w, text, start, end);
};

/** The token is a string: quotes off. */
const writeDecimal: WriteValue = (w, text, start, end) => {
  if (!writeDecimal128(w, text, start + 1, end - 1)) throw malformed('a DECIMAL exceeds its precision');
  return bsonType.decimal128;
};

const writeBinary: WriteValue = (w, text, start, end) => {
  w.base64(Buffer.from(text.buffer, text.byteOffset + start + 1, end - start - 2).toString('latin1'));
  return bsonType.binary;
};

const writeSet: WriteValue = (w, text, start, end) => {
  const shown = stringAt(text, start, end);
  const opened = w.open();
  if (shown !== '') {
    for (const [i, member] of shown.split(',').entries()) {
      const place = w.begin(indexName(i));
      w.text(member);
      w.setType(place, bsonType.string);
    }
  }
  w.close(opened);
  return bsonType.array;
};

const geometryNames = ['srid', 'wkb'].map(nameBytes);
const geometrySpans = new Int32Array(4);

const writeGeometry: WriteValue = (w, text, start, end) => {
  scanMembers(text, start, end, geometryNames, geometrySpans);
  const [sridStart, sridEnd, wkbStart, wkbEnd] = [...geometrySpans] as [number, number, number, number];
  const opened = w.open();
  const srid = w.begin(sridName);
  w.setType(srid, writeJson(w, text, sridStart, sridEnd));
  const wkb = w.begin(wkbName);
  w.setType(wkb, writeBinary(w, text, wkbStart, wkbEnd));
  w.close(opened);
  return bsonType.document;
};

const writeVector: WriteValue = (w, text, start, end) => writeArray(w, text, start, end, writeDouble);
