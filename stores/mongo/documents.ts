/** Reads documents back: held against rows byte by byte, or as the keys they lie under. */
import { Binary, Decimal128, Double, Int32, Long, type Collection, type Db } from 'mongodb';
import { keyColumns, type Column, type Definition } from '../../core/definition.js';
import { keyTextOf } from '../../core/keyText.js';
import type { RowVerdict, SourceRow, Target } from '../../core/store.js';
import { idFieldName } from '../../core/names.js';
import { BsonWriter } from './bsonWriter.js';
import { decimalText } from './decimal128.js';
import { elementsOf, firstElement, readTyped } from './element.js';
import { documentShape, writeDocument } from './toBson.js';

const scanGroup = 1_000;

/** A find with `raw` gives each document's own bytes. */
function rawDocuments(db: Db, target: Target): Collection<Buffer> {
  return db.collection<Buffer>(target.collection, { raw: true });
}

export async function compareRows(
  db: Db,
  target: Target,
  definition: Definition,
  rows: readonly SourceRow[],
): Promise<RowVerdict[]> {
  const shape = documentShape(definition);
  const w = new BsonWriter();
  const expected = rows
    .map(({ key, row }) => {
      const start = w.at;
      writeDocument(w, shape, key, row);
      return [start, w.at] as const;
    })
    .map(([start, end]) => w.bytes.subarray(start, end));
  const ids = expected.map((document) => readTyped(document)['_id'] as unknown);
  const found = new Map<string, Buffer>();
  const documents = rawDocuments(db, target).find({ _id: { $in: ids } } as object);
  for await (const document of documents) found.set(firstElement(document).toString('latin1'), document);
  return expected.map((document) => verdict(document, found.get(firstElement(document).toString('latin1'))));
}

function verdict(expected: Buffer, actual: Buffer | undefined): RowVerdict {
  if (actual === undefined) return { kind: 'missing' };
  if (expected.equals(actual)) return { kind: 'equal' };
  const [wanted, stored] = [elementsOf(expected), elementsOf(actual)];
  const storedByName = new Map(stored.map((e) => [e.name, e.bytes]));
  const wantedNames = new Set(wanted.map((e) => e.name));
  const fields = wanted.filter((e) => storedByName.get(e.name)?.equals(e.bytes) !== true).map((e) => e.name);
  fields.push(...stored.filter((e) => !wantedNames.has(e.name)).map((e) => e.name));
  return { kind: 'different', fields: fields.length > 0 ? fields : ['(order of fields)'] };
}

export async function* scanKeys(db: Db, target: Target, definition: Definition): AsyncIterable<readonly string[]> {
  const columns = keyColumns(definition);
  let group: string[] = [];
  for await (const document of rawDocuments(db, target).find({}, { projection: { _id: 1 }, batchSize: scanGroup })) {
    const id = readTyped(document)['_id'] as unknown;
    const values =
      columns.length === 1 ? [id] : columns.map((c) => (id as Record<string, unknown>)?.[idFieldName(c.name)]);
    group.push(
      keyTextOf(
        definition,
        columns.map((c, i) => partText(c, values[i])),
      ),
    );
    if (group.length >= scanGroup) {
      yield group;
      group = [];
    }
  }
  if (group.length > 0) yield group;
}

/** A part of `_id` as key text has it, strings unquoted. What no row of ours could have made is shown as it is. */
function partText(column: Column, value: unknown): string {
  if (value instanceof Int32 || value instanceof Double) return Object.is(value.value, -0) ? '0' : String(value.value);
  if (value instanceof Long) return value.toString();
  if (value instanceof Decimal128) return decimalText(value.bytes, column.type === 'decimal' ? (column.scale ?? 0) : 0);
  if (value instanceof Binary) return Buffer.from(value.value()).toString('base64');
  if (value instanceof Date) return dateText(column, value);
  if (Array.isArray(value)) return value.join(',');
  return String(value);
}

function dateText(column: Column, value: Date): string {
  const text = value.toISOString();
  if (column.type === 'date') return text.slice(0, 10);
  const fsp = column.fsp ?? 0;
  return `${text.slice(0, fsp === 0 ? 19 : 20 + fsp)}${column.type === 'timestamp' ? 'Z' : ''}`;
}
