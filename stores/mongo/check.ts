/** Everything about the MongoDB side that would stop a pipeline, found before anything is written. */
import type { Document, MongoClient } from 'mongodb';
import type { Config } from '../../core/config.js';
import { problem, problemOf, type Problem } from '../../core/problem.js';
import { hostsOf } from '../../core/uri.js';
import { mongoError, openMongo } from './client.js';
import { claimed, claimsOf } from './ownership.js';
import type { Places } from './transaction.js';

const oldestMajor = 6;

export async function checkMongo(config: Config): Promise<readonly Problem[]> {
  if (config.mongo === null) return [];
  const { mongo, pipeline } = config;
  const where = hostsOf(mongo.uri, 27017).join(', ');
  let client: MongoClient | undefined;
  try {
    client = openMongo(mongo, pipeline);
    const state = client.db(mongo.stateDatabase);
    const hello = await client.db('admin').command({ hello: 1 });
    // Needs a login where the server asks for one, which hello does not.
    const { version } = await client.db('admin').command({ buildInfo: 1 });
    const places = { client, data: client.db(mongo.database), state, pipeline };
    const owner = await claimsOf(places).findOne({ _id: mongo.database });
    const taken =
      owner === null || owner.pipeline === pipeline ? [] : [problemOf(claimed(mongo.database, owner.pipeline))];
    const problems = [...serverProblems(hello, String(version), where), ...taken];
    if (problems.length === 0) await tryToWrite(places);
    return problems;
  } catch (error) {
    return [problemOf(mongoError(error, `use MongoDB at ${where}`))];
  } finally {
    await client?.close();
  }
}

/** Everything that apply does, in a transaction that is given up: proves the rights and leaves nothing. */
async function tryToWrite({ client, data, state }: Places): Promise<void> {
  await data.listCollections().toArray();
  await client.withSession(async (session) => {
    session.startTransaction();
    try {
      for (const db of [data, state]) {
        const probe = db.collection<{ _id: string }>('lockstep-check');
        await probe.updateOne({ _id: 'check' }, { $set: { at: 0 } }, { upsert: true, session });
        await probe.deleteOne({ _id: 'check' }, { session });
      }
    } finally {
      await session.abortTransaction();
    }
  });
}

/** hello: the server's own answer. */
export function serverProblems(hello: Document, version: string, where: string): readonly Problem[] {
  const problems: Problem[] = [];
  if (Number(version.split('.')[0]) < oldestMajor) {
    problems.push(problem('LS-MONGO-VERSION', `MongoDB at ${where} is version ${version}`));
  }
  const transactions = hello['setName'] !== undefined || hello['msg'] === 'isdbgrid';
  if (!transactions) problems.push(problem('LS-MONGO-STANDALONE', `MongoDB at ${where} is no member of a replica set`));
  return problems;
}
