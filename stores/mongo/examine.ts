/**
 * Documents and the position as one snapshot shows them: what an applied event should have left, held against what is
 * there. Reads outside a transaction, so that no lock is taken and nothing waits for it.
 */
import { BSON, type ClientSession } from 'mongodb';
import { codeOf } from '../../core/errors.js';
import type { EventVerdict, ExpectedEvent, Found, Sight } from '../../core/store.js';
import { BsonWriter } from './bsonWriter.js';
import { isTransient, serverCode } from './client.js';
import { differentFields, findById } from './documents.js';
import { positionsOf } from './ownership.js';
import { positionId, stateOf } from './shardState.js';
import { documentShape, writeDocument, writeId } from './toBson.js';
import type { ParkedDocument, Places } from './transaction.js';

/** Keys in one look: a filter of 1,000 ids is about 30 KB. */
export const examineAtMost = 1_000;
const maxTimeMS = 10_000;

/** A collection that was just made, or dropped, has no past to be read at. */
const snapshotUnavailable = 246;
const snapshotTooOld = 239;
const mostAttempts = 5;

export async function examine(places: Places, shard: number, keys: readonly ExpectedEvent[]): Promise<Sight> {
  for (let attempt = 1; ; attempt++) {
    const session = places.client.startSession({ snapshot: true });
    try {
      return await examineAt(places, shard, keys, session);
    } catch (error) {
      const passing = serverCode(error) === snapshotUnavailable || serverCode(error) === snapshotTooOld;
      if (!(passing || isTransient(error)) || attempt >= mostAttempts) throw error;
    } finally {
      await session.endSession();
    }
  }
}

async function examineAt(
  places: Places,
  shard: number,
  keys: readonly ExpectedEvent[],
  session: ClientSession,
): Promise<Sight> {
  // The first read decides the moment of all of them.
  const document = await positionsOf(places).findOne(
    { _id: positionId(places.pipeline, shard) },
    { session, maxTimeMS },
  );
  const at = Date.now();
  if (document === null) return { state: null, found: [], at, deletesAhead: false };
  const parked = await parkedAmong(places, shard, keys, session);
  const ids = idsByCollection(keys);
  const contents = new Map<string, Map<string, Buffer>>();
  for (const [collection, { values }] of ids) {
    contents.set(collection, await findById(places.data, { collection }, values, { maxTimeMS }, session));
  }
  const found = keys.map(({ target, key }, i): Found => {
    const id = ids.get(target.collection)?.elements.get(i) ?? '';
    return {
      content: contents.get(target.collection)?.get(id) ?? null,
      otherType: false,
      expiresAt: null,
      parked: parked.has(`${target.table}\0${key.toString('utf8')}`),
    };
  });
  return { state: { ...stateOf(document), epoch: document.epoch }, found, at, deletesAhead: false };
}

export function judge(expected: ExpectedEvent, { content, parked }: Found): EventVerdict {
  if (parked) return { kind: 'parked' };
  if (expected.after === null) return { kind: content === null ? 'equal' : 'extra' };
  if (content === null || !Buffer.isBuffer(content)) return { kind: 'missing' };
  try {
    writer.at = 0;
    writeDocument(writer, documentShape(expected.definition), expected.key, expected.after);
    const document = writer.bytes.subarray(0, writer.at);
    if (document.equals(content)) return { kind: 'equal' };
    return { kind: 'different', fields: differentFields(document, content) };
  } catch (error) {
    // A row that has no document was parked when it came; it is not any more, so nothing can be said of it.
    if (codeOf(error) === 'LS-ROW-JSON' || codeOf(error) === 'LS-TYPE-UNKNOWN') return { kind: 'parked' };
    throw error;
  }
}

/** Used and left within one call. */
const writer = new BsonWriter(64 * 1024);

interface Ids {
  /** As the driver's own classes, for a filter. */
  readonly values: unknown[];
  /** Index of the key → its element `_id`, one character a byte. */
  readonly elements: Map<number, string>;
}

function idsByCollection(keys: readonly ExpectedEvent[]): Map<string, Ids> {
  const collections = new Map<string, Ids>();
  for (const [i, { target, definition, key }] of keys.entries()) {
    let ids = collections.get(target.collection);
    if (ids === undefined) collections.set(target.collection, (ids = { values: [], elements: new Map() }));
    writer.at = 0;
    const opened = writer.open();
    writeId(writer, documentShape(definition), key);
    writer.close(opened);
    // A copy: the driver's Binary is a view of the bytes it was read from, and the writer's are used again.
    const document = Buffer.from(writer.bytes.subarray(0, writer.at));
    ids.elements.set(i, document.toString('latin1', 4, document.length - 1));
    ids.values.push(BSON.deserialize(document, { promoteValues: false, promoteLongs: false })['_id']);
  }
  return collections;
}

async function parkedAmong(
  places: Places,
  shard: number,
  keys: readonly ExpectedEvent[],
  session: ClientSession,
): Promise<ReadonlySet<string>> {
  const parked = places.state.collection<ParkedDocument>('parked');
  const { pipeline } = places;
  // Documents compare field by field, so this is a range of the index.
  const ofShard = { _id: { $gte: { pipeline, shard }, $lt: { pipeline, shard: shard + 1 } } };
  const any = await parked.findOne(ofShard as object, { session, maxTimeMS, projection: { _id: 1 } });
  if (any === null) return new Set();
  const wanted = keys.map((key) => ({
    pipeline,
    shard,
    table: key.target.table,
    key: key.key.toString('utf8'),
  }));
  const found = await parked.find({ _id: { $in: wanted } }, { session, maxTimeMS, projection: { _id: 1 } }).toArray();
  return new Set(found.map(({ _id }) => `${_id.table}\0${_id.key}`));
}
