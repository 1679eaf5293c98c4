/** A predecessor that was killed, or froze and came back, in the middle of a transaction. */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createInterface } from 'node:readline';
import { MongoClient } from 'mongodb';
import { afterAll, afterEach, beforeEach, expect, inject, it } from 'vitest';
import type { Store } from '../../core/store.js';
import { openMongoStore } from '../../stores/mongo/store.js';
import { packageRoot } from '../../temporal-compose/place.js';
import { batch, own, put, start } from '../support/storeRig.js';

/**
 * An owner of a shard that stops in the middle of a transaction. Argument: JSON of uri, database, id (of the position
 * document) and epoch. It takes the shard as a store does, writes, and says `open`; on a line of input it commits.
 */
const owner = `
import { createInterface } from 'node:readline';
import { MongoClient } from 'mongodb';

const { uri, database, id, epoch } = JSON.parse(process.argv[1]);
const client = await MongoClient.connect(uri);
const positions = client.db(database + '_state').collection('positions');
const session = client.startSession();
await positions.updateOne({ _id: id, epoch }, { $inc: { epoch: 1 }, $set: { lsid: session.id.id } });
session.startTransaction();
await positions.updateOne({ _id: id, epoch: epoch + 1 }, { $set: { applied: 666 } }, { session });
await client.db(database).collection('things').replaceOne({ _id: 1 }, { v: 'zombie' }, { upsert: true, session });
process.stdout.write('open\\n');
for await (const line of createInterface({ input: process.stdin })) {
  const said = await session.commitTransaction().then(
    () => 'committed',
    (error) => 'refused: ' + (error.codeName ?? error.message),
  );
  process.stdout.write(line + ' ' + said + '\\n');
}
`;

const { uri } = inject('stack').mongo;
const client = new MongoClient(uri);
/** An idle transaction lives for a minute in the server: much less than that was won by ending it. */
const transactionLifetimeMs = 60_000;
let name = '';
let store: Store;
let epoch = 0;
let child: ChildProcessWithoutNullStreams;
let lines: AsyncIterator<string>;

beforeEach(async () => {
  name = `sinks_${randomBytes(4).toString('hex')}`;
  store = openMongoStore({ uri, database: name, stateDatabase: `${name}_state`, tls: null }, name);
  epoch = await own(store);
  await store.apply(0, epoch, batch(start, [put(1, 'good', 'c')]));
  const args = JSON.stringify({ uri, database: name, id: `${name}/0`, epoch });
  child = spawn(process.execPath, ['--input-type=module', '-e', owner, args], { cwd: packageRoot(), stdio: 'pipe' });
  lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
});

afterEach(async () => {
  child.kill('SIGKILL');
  await store.close();
  await client.db(name).dropDatabase();
  await client.db(`${name}_state`).dropDatabase();
});

afterAll(async () => {
  await client.close();
});

async function takeOverAndWrite(): Promise<number> {
  const began = performance.now();
  expect(await store.takeOver(0)).toMatchObject({
    kind: 'owned',
    epoch: epoch + 2,
    state: { progress: { applied: 1 } },
  });
  const next = batch({ offset: 2, ordinal: 1 }, [put(1, 'better')]);
  expect(await store.apply(0, epoch + 2, next)).toEqual({ kind: 'applied', parked: [] });
  return performance.now() - began;
}

it('killed: its open transaction is ended and the shard taken over at once', async () => {
  expect((await lines.next()).value).toBe('open');
  child.kill('SIGKILL');
  expect(await takeOverAndWrite()).toBeLessThan(transactionLifetimeMs / 6);
  expect(await client.db(name).collection<{ _id: number }>('things').findOne({ _id: 1 })).toMatchObject({
    v: 'better',
  });
});

it('frozen: what it held back is refused when it comes back', async () => {
  expect((await lines.next()).value).toBe('open');
  child.kill('SIGSTOP');
  expect(await takeOverAndWrite()).toBeLessThan(transactionLifetimeMs / 6);
  child.kill('SIGCONT');
  child.stdin.write('commit\n');
  expect((await lines.next()).value).toBe('commit refused: NoSuchTransaction');
  expect(await client.db(name).collection<{ _id: number }>('things').findOne({ _id: 1 })).toMatchObject({
    v: 'better',
  });
});
