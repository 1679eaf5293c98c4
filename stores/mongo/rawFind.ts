/**
 * A find whose documents stay the bytes that came. The driver's cursor, with `raw` too, takes each document apart into its
 * elements first: a quarter of what comparing a row with its document costs.
 */
import { MongoNetworkError, type ClientSession, type Db, type Document } from 'mongodb';

export type FindCommand = Document & { readonly find: string };

interface Reply {
  readonly cursor: {
    readonly id: unknown;
    readonly firstBatch?: readonly Uint8Array[];
    readonly nextBatch?: readonly Uint8Array[];
  };
}

/**
 * Everything that the command `find` returns; `batchSize` should hold all of it. What a majority holds, or what the caller's
 * session reads; once more from the beginning where the connection breaks, as the driver does for reads of its own.
 */
export async function rawFind(db: Db, command: FindCommand, session?: ClientSession): Promise<Buffer[]> {
  if (session !== undefined) return await readTwice(db, command, session);
  const own = db.client.startSession();
  try {
    return await readTwice(db, { ...command, readConcern: { level: 'majority' } }, own);
  } finally {
    await own.endSession();
  }
}

async function readTwice(db: Db, command: FindCommand, session: ClientSession): Promise<Buffer[]> {
  try {
    return await readAll(db, command, session);
  } catch (error) {
    if (!(error instanceof MongoNetworkError)) throw error;
    return await readAll(db, command, session);
  }
}

async function readAll(db: Db, command: FindCommand, session: ClientSession): Promise<Buffer[]> {
  const options = { session, fieldsAsRaw: { firstBatch: true, nextBatch: true } };
  const documents: Buffer[] = [];
  // Each answer holds 16 MB at most.
  for (let next: Document = command; ;) {
    const { cursor } = (await db.command(next, options)) as Reply;
    for (const bytes of cursor.firstBatch ?? cursor.nextBatch ?? []) documents.push(asBuffer(bytes));
    if (Number(cursor.id) === 0) return documents;
    next = { getMore: cursor.id, collection: command.find, batchSize: command['batchSize'] as unknown };
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
