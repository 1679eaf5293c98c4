/**
 * Documents read back and held against rows, byte by byte. Two ways to read: many at once, for a first look, and a few
 * together with the positions under one snapshot, which is one moment.
 */
import { BSON, Int32, Long, type ClientSession, type Db, type Document } from 'mongodb';
import type { Definition } from '../../core/definition.js';
import { codeOf } from '../../core/errors.js';
import type { Content, Expected, Held, RowVerdict, SourceRow, Target } from '../../core/store.js';
import { bsonType, BsonWriter } from './bsonWriter.js';
import { isTransient, serverCode } from './client.js';
import { elementsOf, firstElement, readTyped } from './element.js';
import { positionsOf } from './ownership.js';
import { rawFind } from './rawFind.js';
import { positionId, stateOf } from './shardState.js';
import { documentShape, writeDocument, writeId } from './toBson.js';
import type { Places } from './transaction.js';

export async function compareRows(
  db: Db,
  target: Target,
  definition: Definition,
  rows: readonly SourceRow[],
): Promise<RowVerdict[]> {
  if (rows.length === 0) return [];
  return withWriter(async (w) => {
    const expected = documentsOf(w, definition, rows);
    const ids = expected.flatMap((document) => (document === null ? [] : [idOf(document)]));
    const found = await findById(db, target, ids);
    return expected.map((document) =>
      document === null ? noDocument : verdictOf(document, found.get(idText(document))),
    );
  });
}

/** The document of a row against what the store holds under its `_id`. */
export function verdictOf(document: Buffer, stored: Buffer | undefined): RowVerdict {
  if (stored === undefined) return { kind: 'missing' };
  if (stored.equals(document)) return { kind: 'equal' };
  return { kind: 'different', fields: differentFields(document, stored) };
}

/** `_id` with its type: the Double 5 is not the key 5. */
export function idText(document: Buffer): string {
  return firstElement(document).toString('latin1');
}

/** Kept between calls: a sweep makes a thousand documents at a time, again and again. */
const writers: BsonWriter[] = [];
const keptBytes = 4 * 1024 * 1024;

/** What is written is gone when `work` has ended. */
export async function withWriter<T>(work: (w: BsonWriter) => Promise<T>): Promise<T> {
  const w = writers.pop() ?? new BsonWriter(512 * 1024);
  try {
    return await work(w);
  } finally {
    if (w.bytes.length <= keptBytes) writers.push(w);
  }
}

/** Its key was parked when it came: whatever is there is not what the row asks for. */
export const noDocument: RowVerdict = { kind: 'different', fields: ['(no document can be made of the row)'] };

/** What the codec makes of the rows: views of one buffer. Null for a row that no document can hold. */
export function documentsOf(
  w: BsonWriter,
  definition: Definition,
  rows: readonly SourceRow[],
): readonly (Buffer | null)[] {
  const shape = documentShape(definition);
  w.at = 0;
  const spans = rows.map(({ key, row }) => {
    const start = w.at;
    try {
      writeDocument(w, shape, key, row);
    } catch (error) {
      if (codeOf(error) !== 'LS-ROW-JSON' && codeOf(error) !== 'LS-TYPE-UNKNOWN') throw error;
      w.at = start;
    }
    return [start, w.at] as const;
  });
  return spans.map(([start, end]) => (start === end ? null : w.bytes.subarray(start, end)));
}

/** The value of `_id` with its type. The element alone is read, whatever follows it; the usual types at once. */
export function idOf(document: Buffer): unknown {
  const usual = document.toString('latin1', 5, 9) === '_id\0' ? document[4] : undefined;
  if (usual === bsonType.int32) return new Int32(document.readInt32LE(9));
  if (usual === bsonType.int64) return new Long(document.readInt32LE(9), document.readInt32LE(13));
  const id = valueOf(firstElement(document));
  // An object of JavaScript would put fields such as `10` first: in another order it is another `_id`.
  const reordered = isFields(id) && Object.keys(id).some((name) => /^\d+$/.test(name));
  return reordered ? fieldsInOrder(firstElement(document)) : id;
}

function isFields(id: unknown): id is Readonly<Record<string, unknown>> {
  return typeof id === 'object' && id !== null && Object.getPrototypeOf(id) === Object.prototype;
}

/** Of an element that is a sub-document; the driver writes a Map as it stands. */
function fieldsInOrder(element: Buffer): ReadonlyMap<string, unknown> {
  const content = element.subarray(element.indexOf(0, 1) + 1);
  return new Map(elementsOf(content).map(({ name, bytes }) => [name, valueOf(bytes)]));
}

function valueOf(element: Buffer): unknown {
  const only = Buffer.allocUnsafe(element.length + 5);
  only.writeInt32LE(only.length, 0);
  element.copy(only, 4);
  only[only.length - 1] = 0;
  return Object.values(readTyped(only))[0];
}

/** In a snapshot's session the documents of its moment. */
export async function findById(
  db: Db,
  { collection }: Pick<Target, 'collection'>,
  ids: readonly unknown[],
  options: Document = {},
  session?: ClientSession,
): Promise<Map<string, Buffer>> {
  const command = { find: collection, filter: { _id: { $in: ids } }, batchSize: ids.length + 1, ...options };
  const documents = await rawFind(db, command, session);
  return new Map(documents.map((document) => [idText(document), document]));
}

const snapshotUnavailable = 246;
const snapshotTooOld = 239;
const mostAttempts = 5;

/** Keys and the positions of shards at one moment. */
export async function readAtOnce(
  places: Places,
  target: Target,
  definition: Definition,
  keys: readonly Buffer[],
  shards: number,
): Promise<Held> {
  const elements = keys.map((key) => idElementOrNull(definition, key));
  for (let attempt = 1; ; attempt++) {
    const session = places.client.startSession({ snapshot: true });
    try {
      const ids = Array.from({ length: shards }, (_, shard) => positionId(places.pipeline, shard));
      const documents = await positionsOf(places)
        .find({ _id: { $in: ids } }, { session })
        .toArray();
      const byId = new Map(documents.map((document) => [document._id, document]));
      const asked = elements.flatMap((element) => (element === null ? [] : [idOf(element)]));
      const found =
        asked.length === 0 ? new Map<string, Buffer>() : await findById(places.data, target, asked, {}, session);
      return {
        shards: ids.map((id) => {
          const document = byId.get(id);
          return document === undefined ? null : { ...stateOf(document), epoch: document.epoch };
        }),
        contents: elements.map((element) => {
          const bytes = element === null ? undefined : found.get(firstElement(element).toString('latin1'));
          return bytes === undefined ? { kind: 'absent' } : { kind: 'bytes', bytes, expiresAt: null };
        }),
      };
    } catch (error) {
      // A collection that was just made, or dropped, has no past to be read at.
      const passing = serverCode(error) === snapshotUnavailable || serverCode(error) === snapshotTooOld;
      if (!(passing || isTransient(error)) || attempt >= mostAttempts) throw error;
    } finally {
      await session.endSession();
    }
  }
}

/** Null for a key of which there is no `_id`: nothing can lie under it. */
function idElementOrNull(definition: Definition, key: Buffer): Buffer | null {
  try {
    return idElement(definition, key);
  } catch (error) {
    if (codeOf(error) !== 'LS-ROW-JSON') throw error;
    return null;
  }
}

/** A document of `_id` alone. */
export function idElement(definition: Definition, key: Buffer): Buffer {
  const w = new BsonWriter(256);
  const opened = w.open();
  writeId(w, documentShape(definition), key);
  w.close(opened);
  return Buffer.from(w.since(0));
}

export function verdict(definition: Definition, content: Content, { key, row }: Expected): RowVerdict {
  if (content.kind === 'absent') return { kind: row === null ? 'equal' : 'missing' };
  if (row === null) return { kind: 'extra' };
  if (content.kind !== 'bytes') return { kind: 'different', fields: [`(${content.kind})`] };
  const [document] = documentsOf(new BsonWriter(4096), definition, [{ key, row }]);
  if (document === null || document === undefined) return noDocument;
  if (document.equals(content.bytes)) return { kind: 'equal' };
  return { kind: 'different', fields: differentFields(document, content.bytes) };
}

export function differentFields(expected: Buffer, actual: Buffer): readonly string[] {
  const [wanted, stored] = [elementsOf(expected), elementsOf(actual)];
  const storedByName = new Map(stored.map((e) => [e.name, e.bytes]));
  const wantedNames = new Set(wanted.map((e) => e.name));
  const fields = wanted.filter((e) => storedByName.get(e.name)?.equals(e.bytes) !== true).map((e) => e.name);
  fields.push(...stored.filter((e) => !wantedNames.has(e.name)).map((e) => e.name));
  return fields.length > 0 ? fields : ['(order of fields)'];
}

/** Extended JSON, with every type told. */
export function documentText(document: Buffer): string {
  return BSON.EJSON.stringify(readTyped(document), { relaxed: false });
}
