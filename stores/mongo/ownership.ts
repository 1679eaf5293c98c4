/**
 * Who may write a shard. A dead client's transaction stays open for up to a minute and holds the position document; so
 * the owner's session is named in it, and whoever takes over kills that session first. Under a second, tried by kill -9.
 */
import { MongoServerError, type Binary, type ClientSession, type Collection } from 'mongodb';
import { LockstepError } from '../../core/errors.js';
import type { ShardState } from '../../core/store.js';
import { mongoError, serverCode } from './client.js';
import { fieldsOf, positionId, type PositionDocument } from './shardState.js';
import type { Places } from './transaction.js';

export interface Owned {
  readonly session: ClientSession;
  readonly document: PositionDocument;
}

/** Longer than the server lets an idle transaction live, for a user who may not kill sessions. */
const giveUpAfterMs = 90_000;
const lockWaitMs = 500;
const [timedOut, writeConflict, duplicateKey] = [50, 112, 11000];

export function positionsOf(places: Places): Collection<PositionDocument> {
  return places.state.collection<PositionDocument>('positions');
}

/** Null: there is no position document. `fenced`: its epoch is above `atMost`. */
export async function raiseEpoch(places: Places, shard: number, atMost: number): Promise<Owned | 'fenced' | null> {
  const giveUpAt = Date.now() + giveUpAfterMs;
  const session = places.client.startSession();
  try {
    for (;;) {
      const before = await readPosition(places, shard);
      const outcome =
        before === null ? null : before.epoch > atMost ? 'fenced' : await raiseFrom(places, session, before);
      if (outcome === null || outcome === 'fenced') {
        await session.endSession();
        return outcome;
      }
      if (outcome !== 'again') return { session, document: outcome };
      if (Date.now() > giveUpAt) {
        throw new LockstepError(
          'LS-MONGO-WRITE',
          'cannot take over: the position document stays locked by another client',
        );
      }
    }
  } catch (error) {
    await session.endSession();
    throw mongoError(error, 'take over the position document');
  }
}

async function raiseFrom(
  places: Places,
  session: ClientSession,
  before: PositionDocument,
): Promise<PositionDocument | 'again'> {
  if (before.lsid !== null) await killSession(places, before.lsid);
  try {
    const after = await positionsOf(places).findOneAndUpdate(
      { _id: before._id, epoch: before.epoch },
      { $inc: { epoch: 1 }, $set: { lsid: lsidOf(session) } },
      { returnDocument: 'after', maxTimeMS: lockWaitMs },
    );
    return after ?? 'again';
  } catch (error) {
    const code = serverCode(error);
    if (code === timedOut || code === writeConflict) return 'again';
    throw error;
  }
}

async function killSession(places: Places, lsid: Binary): Promise<void> {
  try {
    await places.client.db('admin').command({ killSessions: [{ id: lsid }] });
  } catch (error) {
    // A user without that right waits until the server ends the dead client's transaction by itself.
    if (!(error instanceof MongoServerError) || Number(error.code) !== 13) throw error;
  }
}

/** Null when a position document appeared meanwhile. */
export async function createPosition(places: Places, shard: number, state: ShardState): Promise<Owned | null> {
  const session = places.client.startSession();
  const document: PositionDocument = {
    _id: positionId(places.pipeline, shard),
    pipeline: places.pipeline,
    shard,
    epoch: 1,
    lsid: lsidOf(session),
    ...fieldsOf(state),
    applied: state.progress.applied,
    lastEventAt: state.progress.lastEventAt,
    lag: [...state.progress.lag],
    collections: [],
  };
  try {
    await positionsOf(places).insertOne(document);
    return { session, document };
  } catch (error) {
    await session.endSession();
    if (serverCode(error) === duplicateKey) return null;
    throw mongoError(error, 'create the position document');
  }
}

/** As the primary has it, for its owner, who writes on condition of what it read. */
export async function readPosition(places: Places, shard: number): Promise<PositionDocument | null> {
  return await positionsOf(places).findOne({ _id: positionId(places.pipeline, shard) });
}

/**
 * As a majority has it, for those who read documents afterwards: those are read as a majority has them too, which may be a
 * moment behind the primary. What lies behind a position that only the primary has might not be seen, and may yet be lost.
 */
export async function readPassedPosition(places: Places, shard: number): Promise<PositionDocument | null> {
  const _id = positionId(places.pipeline, shard);
  return await positionsOf(places).findOne({ _id }, { readConcern: { level: 'majority' } });
}

function lsidOf(session: ClientSession): Binary {
  const id = session.id?.id;
  if (id === undefined) throw new LockstepError('LS-INTERNAL', 'a MongoDB session has no id');
  return id;
}

/** One pipeline a database: the first writes its name down. */
export async function claim(places: Places): Promise<void> {
  const owner = await claimant(places);
  if (owner !== places.pipeline) throw claimed(places.data.databaseName, owner);
}

export function claimed(database: string, owner: string): LockstepError {
  return new LockstepError('LS-STORE-CLAIMED', `MongoDB database ${database} belongs to the pipeline ${owner}`, {
    details: { owner },
  });
}

interface Claim {
  readonly _id: string;
  readonly pipeline: string;
}

export function claimsOf(places: Places): Collection<Claim> {
  return places.state.collection<Claim>('claims');
}

async function claimant(places: Places): Promise<string> {
  const _id = places.data.databaseName;
  try {
    const found = await claimsOf(places).findOneAndUpdate(
      { _id },
      { $setOnInsert: { pipeline: places.pipeline } },
      { upsert: true, returnDocument: 'after' },
    );
    return found?.pipeline ?? places.pipeline;
  } catch (error) {
    if (serverCode(error) !== duplicateKey) throw error;
    return (await claimsOf(places).findOne({ _id }))?.pipeline ?? places.pipeline;
  }
}
