/**
 * One batch as one transaction: the position first, on condition of epoch and previous positions, then the documents,
 * then what is parked. Whatever is not a clear "committed" or "nothing written" is thrown: the caller retakes.
 */
import { MongoServerError, type ClientSession, type Db, type Document, type MongoClient } from 'mongodb';
import type { Batch, ParkedKey, StoreEvent } from '../../core/store.js';
import type { BsonWriter } from './bsonWriter.js';
import { isTransient, mongoError, serverCode } from './client.js';
import { documentSequence } from './driver.js';
import { advance, positionId, type KnownCollection, type PositionDocument } from './shardState.js';
import type { Command, Statements } from './statements.js';

export interface Written {
  readonly kind: 'written';
}

/** Why nothing was written, as far as the server told. */
export type Unwritten =
  /** The position document is not as the batch assumes. */
  | { readonly kind: 'elsewhere' }
  /** A key that was to be inserted is there already. */
  | { readonly kind: 'not-empty'; readonly collection: string }
  /** More than the server's cache takes in one transaction. */
  | { readonly kind: 'too-large' }
  /** The collection has a validator: it is for those who write by themselves. */
  | { readonly kind: 'validated'; readonly collection: string }
  /** One statement was refused for the sake of its own content. */
  | { readonly kind: 'refused'; readonly event: StoreEvent; readonly reason: string }
  /** The content of one of the statements is more than the server takes; which one it does not say. */
  | { readonly kind: 'unfit'; readonly reason: string }
  /** Write conflict or election: the same again may succeed. */
  | { readonly kind: 'conflict'; readonly cause: unknown };

export interface Places {
  readonly client: MongoClient;
  readonly data: Db;
  readonly state: Db;
  readonly pipeline: string;
}

export interface Transaction {
  readonly shard: number;
  readonly epoch: number;
  readonly batch: Batch;
  readonly statements: Statements;
  readonly writer: BsonWriter;
  /** Parked keys (as `parkedId`) that this batch writes well. */
  readonly unparked: readonly ParkedKey[];
  /** The whole list, when this batch meets collections for the first time. */
  readonly collections: readonly KnownCollection[] | null;
  /** Collections with a validator, which is to be bypassed. That takes a right of its own, so it is not asked for elsewhere. */
  readonly validated: ReadonlySet<string>;
}

const tooLargeForCache = 388;
const duplicateKey = 11000;
const failedValidation = 121;

export async function runTransaction(
  places: Places,
  session: ClientSession,
  transaction: Transaction,
): Promise<Written | Unwritten> {
  session.startTransaction({ readConcern: { level: 'local' }, writeConcern: { w: 'majority', journal: true } });
  let unwritten: Unwritten | null;
  try {
    unwritten = await writeAll(places, session, transaction);
  } catch (error) {
    await session.abortTransaction();
    if (serverCode(error) === tooLargeForCache) return { kind: 'too-large' };
    if (isTransient(error)) return { kind: 'conflict', cause: error };
    const reason = unfitReason(error);
    if (reason !== null) return { kind: 'unfit', reason };
    throw mongoError(error, 'write a batch');
  }
  if (unwritten !== null) {
    await session.abortTransaction();
    return unwritten;
  }
  try {
    await session.commitTransaction();
  } catch (error) {
    if (serverCode(error) === tooLargeForCache) return { kind: 'too-large' };
    if (isTransient(error)) return { kind: 'conflict', cause: error };
    const reason = unfitReason(error);
    if (reason !== null) return { kind: 'unfit', reason };
    throw mongoError(error, 'learn whether a batch was committed');
  }
  return { kind: 'written' };
}

/**
 * Overflow (nesting), InvalidBSON, TransactionTooLarge, and the three for a document that is too large: of a command or a
 * commit as a whole, they mean its content all the same.
 */
const unfitCodes = new Set([15, 22, 257, 10334, 17419, 17420]);

function unfitReason(error: unknown): string | null {
  const code = serverCode(error);
  if (code === undefined || !unfitCodes.has(code)) return null;
  const name = error instanceof MongoServerError ? (error.codeName ?? '') : '';
  return `MongoDB refuses the document with error ${code} ${name}`.trim();
}

async function writeAll(places: Places, session: ClientSession, t: Transaction): Promise<Unwritten | null> {
  const { filter, update } = advance(positionId(places.pipeline, t.shard), t.epoch, t.batch, t.collections);
  const moved = await places.state.collection<PositionDocument>('positions').updateOne(filter, update, { session });
  if (moved.matchedCount === 0) return { kind: 'elsewhere' };
  for (const command of t.statements.commands) {
    const unwritten = await send(places.data, session, command, t);
    if (unwritten !== null) return unwritten;
  }
  await writeParked(places, session, t);
  return null;
}

const fields = { insert: 'documents', update: 'updates', delete: 'deletes' } as const;

async function send(data: Db, session: ClientSession, command: Command, t: Transaction): Promise<Unwritten | null> {
  const { kind, collection, start, end, events } = command;
  const reply = await data.command(
    {
      [kind]: collection,
      [fields[kind]]: documentSequence(fields[kind], t.writer.bytes.subarray(start, end)),
      ordered: true,
      // Events of an older definition than the validator's may be on their way.
      ...(kind !== 'delete' && t.validated.has(collection) ? { bypassDocumentValidation: true } : {}),
    },
    { session },
  );
  const [error] = (reply['writeErrors'] ?? []) as readonly Document[];
  if (error === undefined) return null;
  const code = Number(error['code']);
  if (kind === 'insert' && code === duplicateKey && onlyId(error)) return { kind: 'not-empty', collection };
  if (code === failedValidation && !t.validated.has(collection)) return { kind: 'validated', collection };
  const event = events[Number(error['index'])];
  if (event === undefined || (code === duplicateKey && onlyId(error))) return { kind: 'conflict', cause: error };
  return { kind: 'refused', event, reason: reasonOf(error, code) };
}

/** Two writers of one new `_id`, not a unique index of the user's. */
function onlyId(error: Document): boolean {
  return Object.keys((error['keyPattern'] ?? {}) as Document).join() === '_id';
}

/** Never the server's message: it quotes values. */
function reasonOf(error: Document, code: number): string {
  if (code !== duplicateKey)
    return `MongoDB refuses the document with error ${code} ${String(error['codeName'] ?? '')}`.trim();
  const index = Object.keys((error['keyPattern'] ?? {}) as Document).join(', ');
  return `a unique index on ${index} holds this value for another document`;
}

export interface ParkedDocument {
  readonly _id: { readonly pipeline: string; readonly shard: number; readonly table: string; readonly key: string };
  readonly reason: string;
  readonly seq: number;
}

export function parkedId(places: Places, shard: number, parked: ParkedKey): ParkedDocument['_id'] {
  return { pipeline: places.pipeline, shard, table: parked.table, key: parked.key };
}

async function writeParked(places: Places, session: ClientSession, t: Transaction): Promise<void> {
  const operations = [
    ...t.unparked.map((p) => ({ deleteOne: { filter: { _id: parkedId(places, t.shard, p) } } })),
    ...t.statements.parked.map((p) => ({
      replaceOne: {
        filter: { _id: parkedId(places, t.shard, p) },
        replacement: { reason: p.reason, seq: p.seq },
        upsert: true,
      },
    })),
  ];
  if (operations.length === 0) return;
  await places.state.collection<ParkedDocument>('parked').bulkWrite(operations, { session });
}
