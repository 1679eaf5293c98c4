/** Collections: made sure of before the first write, recognised by their UUID ever after. */
import type { CollectionInfo, Db } from 'mongodb';
import { LockstepError } from '../../core/errors.js';
import { serverCode } from './client.js';
import type { KnownCollection } from './shardState.js';

const alreadyThere = 48;

export async function ensureCollection(db: Db, name: string): Promise<{ uuid: string; empty: boolean }> {
  try {
    await db.createCollection(name);
  } catch (error) {
    if (serverCode(error) !== alreadyThere) throw error;
  }
  const uuid = (await uuidsOf(db)).get(name);
  if (uuid === undefined) {
    throw new LockstepError(
      'LS-MONGO-WRITE',
      `collection ${name} is a view, or was dropped while it was being created`,
    );
  }
  return { uuid, empty: (await db.collection(name).estimatedDocumentCount()) === 0 };
}

/** UUIDs in hex by name; views have none. */
export async function uuidsOf(db: Db): Promise<Map<string, string>> {
  const uuids = new Map<string, string>();
  for await (const { name, info } of db.listCollections<CollectionInfo>({ type: 'collection' })) {
    const uuid = info?.uuid;
    if (uuid !== undefined) uuids.set(name, Buffer.from(uuid.value()).toString('hex'));
  }
  return uuids;
}

/** Those that are not there any more, or there anew. */
export function lostAmong(known: readonly KnownCollection[], uuids: ReadonlyMap<string, string>): KnownCollection[] {
  return known.filter((k) => uuids.get(k.collection) !== k.uuid);
}
