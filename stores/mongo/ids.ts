/** What a collection holds, as the keys of its table: every `_id` in the order of the index, whatever its type. */
import { Binary, BSON, Decimal128, Double, Int32, Long, MaxKey, type Collection, type Db } from 'mongodb';
import { keyColumns, type Column, type Definition } from '../../core/definition.js';
import { codeOf } from '../../core/errors.js';
import { keyTextOf } from '../../core/keyText.js';
import { idFieldName } from '../../core/names.js';
import type { Entries, Entry, Target } from '../../core/store.js';
import { bsonType } from './bsonWriter.js';
import { decimalText } from './decimal128.js';
import { idElement, idOf } from './documents.js';
import { rawFind } from './rawFind.js';
import { firstElement } from './element.js';

const scanGroup = 1_000;

export async function* scanKeys(db: Db, target: Target, definition: Definition): AsyncIterable<readonly string[]> {
  let group: string[] = [];
  for await (const document of rawDocuments(db, target).find({}, { projection: { _id: 1 }, batchSize: scanGroup })) {
    group.push(keyOf(definition, document));
    if (group.length >= scanGroup) {
      yield group;
      group = [];
    }
  }
  if (group.length > 0) yield group;
}

/** For a walk over all of it. A find with `raw` gives each document's own bytes. */
function rawDocuments(db: Db, target: Target): Collection<Buffer> {
  return db.collection<Buffer>(target.collection, { raw: true, readConcern: { level: 'majority' } });
}

/** Key text as near as the `_id` comes to it. */
function keyOf(definition: Definition, document: Buffer): string {
  const columns = keyColumns(definition);
  const id = idOf(document);
  const values = columns.length === 1 ? [id] : columns.map((c) => fieldOf(id, idFieldName(c.name)));
  return keyTextOf(
    definition,
    columns.map((c, i) => partText(c, values[i])),
  );
}

function fieldOf(id: unknown, name: string): unknown {
  if (id instanceof Map) return id.get(name);
  return typeof id === 'object' && id !== null && Object.hasOwn(id, name) ? Reflect.get(id, name) : undefined;
}

interface Tables {
  readonly target: Target;
  readonly definition: Definition;
}

/** One collection after the other in the order of `_id`. A place is a collection and the last `_id` seen. */
export async function readEntries(
  db: Db,
  tables: readonly Tables[],
  from: string | null,
  limit: number,
): Promise<Entries> {
  const order = tables.toSorted((a, b) => (a.target.collection < b.target.collection ? -1 : 1));
  const place = from === null ? null : (JSON.parse(from) as Place);
  const entries: Entry[] = [];
  for (const { target, definition } of order) {
    if (place !== null && target.collection < place.collection) continue;
    const after = place?.collection === target.collection ? place.after : null;
    const found = await idsBehind(db, target, after, limit - entries.length);
    for (const document of found) entries.push(entryOf(target, definition, document));
    const last = found.at(-1);
    if (entries.length < limit || last === undefined) continue;
    const next = { collection: target.collection, after: last.toString('base64') } satisfies Place;
    return { entries, next: JSON.stringify(next) };
  }
  return { entries, next: null };
}

interface Place {
  readonly collection: string;
  /** The document `{_id}` as base64. */
  readonly after: string | null;
}

/** By bounds of the index: unlike `$gt`, they pass from one type to the next. They include the document they begin with. */
async function idsBehind(db: Db, target: Target, after: string | null, limit: number): Promise<readonly Buffer[]> {
  const seen = after === null ? null : Buffer.from(after, 'base64');
  const found = await rawFind(db, {
    find: target.collection,
    projection: { _id: 1 },
    hint: { _id: 1 },
    sort: { _id: 1 },
    limit: limit + 1,
    batchSize: limit + 1,
    ...(seen === null ? {} : { min: { _id: idOf(seen) } }),
  });
  if (seen === null) return found.slice(0, limit);
  const last = found.length <= limit ? await lastOfAll(db, target) : [];
  return [...found, ...last].filter((document) => !document.equals(seen)).slice(0, limit);
}

/** What has MaxKey as its `_id`: a walk with a lower bound and no upper one ends before it. */
export async function lastOfAll(db: Db, target: Target): Promise<readonly Buffer[]> {
  return await rawFind(db, { find: target.collection, filter: { _id: new MaxKey() }, projection: { _id: 1 } });
}

/** A key of the table only when the codec makes just this `_id` of it. */
export function entryOf(target: Target, definition: Definition, document: Buffer): Entry {
  const number = wholeNumber(definition, document);
  if (number !== null)
    return { table: target.table, key: `{${JSON.stringify(definition.key[0])}:${number}}`, isKey: true };
  const key = keyOf(definition, document);
  const isKey = sameId(definition, key, document);
  return { table: target.table, key: isKey ? key : BSON.EJSON.stringify(idOf(document)), isKey };
}

/** The usual key, at once: one column of an integer type, and just the BSON type that it lands in. */
function wholeNumber(definition: Definition, document: Buffer): string | null {
  const [column, ...more] = keyColumns(definition);
  if (column === undefined || more.length > 0 || column.form !== undefined) return null;
  const type = document[4];
  if (column.type === 'bigint' && !column.unsigned && type === bsonType.int64)
    return document.readBigInt64LE(9).toString();
  if (column.type === 'int' && !column.unsigned && type === bsonType.int32) return String(document.readInt32LE(9));
  return null;
}

function sameId(definition: Definition, key: string, document: Buffer): boolean {
  try {
    return firstElement(idElement(definition, Buffer.from(key))).equals(firstElement(document));
  } catch (error) {
    if (codeOf(error) !== 'LS-ROW-JSON') throw error;
    return false;
  }
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
  if (Number.isNaN(value.getTime())) return '';
  const text = value.toISOString();
  if (column.type === 'date') return text.slice(0, 10);
  const fsp = column.fsp ?? 0;
  return `${text.slice(0, fsp === 0 ? 19 : 20 + fsp)}${column.type === 'timestamp' ? 'Z' : ''}`;
}
