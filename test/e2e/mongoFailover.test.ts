/**
 * MongoDB as a replica set whose primary is killed, frozen and sent back while changes arrive: what a primary accepted and
 * no other member has is rolled back with it, so nothing may count as applied before a majority holds it.
 */
import { randomBytes } from 'node:crypto';
import { MongoClient } from 'mongodb';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { openMongoStore } from '../../stores/mongo/store.js';
import { differencesWithin } from '../support/convergence.js';
import { createPipeline } from '../support/pipeline.js';
import type { Pipeline } from '../support/pipeline.js';
import { until } from '../support/processes.js';
import { testSeed } from '../support/random.js';
import { mongodProgram, startReplicaSet, type ReplicaSet } from '../support/replicaSet.js';
import { batch, own, put, start } from '../support/storeRig.js';
import { createWorkloadTables, fillWorkloadTables, runWorkload } from '../support/workload.js';

const stack = inject('stack');
const seed = testSeed();
const program = await mongodProgram(stack);

describe.skipIf(program === null)('a replica set of three', () => {
  let set: ReplicaSet;
  let pipeline: Pipeline;

  beforeAll(async () => {
    console.log(`seed ${seed}`);
    set = await startReplicaSet(program ?? '');
    pipeline = await createPipeline(stack, { label: 'failover', mongoUri: set.uri });
    await createWorkloadTables(pipeline.root);
    await fillWorkloadTables(pipeline.root, seed, 200);
    pipeline.worker();
    await pipeline.run('start', '--wait');
  });

  afterAll(async () => {
    await pipeline.remove();
    await set.remove();
  });

  async function underLoad(failure: () => Promise<void>): Promise<string[]> {
    const stop = new AbortController();
    const { database } = pipeline;
    const writing = runWorkload({ uri: stack.mysql.uri, database, seed, pauseMs: 10, signal: stop.signal });
    await new Promise((resolve) => setTimeout(resolve, 1000));
    await failure();
    await new Promise((resolve) => setTimeout(resolve, 1000));
    stop.abort();
    await writing;
    const differences = await differencesWithin(pipeline.targets(), 60_000);
    await pipeline.run('wait', '--timeout', '60s');
    return differences;
  }

  test('the primary dies; another is elected; the dead one comes back and rolls back what only it had', async () => {
    const differences = await underLoad(async () => {
      const old = await set.primary();
      await set.kill(old);
      expect(await set.primary()).not.toBe(old);
      await set.start(old);
    });
    expect(differences).toEqual([]);
  });

  test('the primary freezes, is replaced, and wakes up with writes of its own under way', async () => {
    const differences = await underLoad(async () => {
      const old = await set.primary();
      set.signal(old, 'SIGSTOP');
      try {
        expect(await set.primary()).not.toBe(old);
      } finally {
        set.signal(old, 'SIGCONT');
      }
    });
    expect(differences).toEqual([]);
  });

  test('what the primary alone has counts neither as passed nor as there', async () => {
    const name = `alone_${randomBytes(4).toString('hex')}`;
    const store = openMongoStore({ uri: set.uri, database: name, stateDatabase: `${name}_state`, tls: null }, name);
    const client = await MongoClient.connect(set.uri);
    const epoch = await own(store);
    await store.apply(0, epoch, batch(start, [put(1, 'held', 'c')]));
    const passed = await store.readState(0);
    const primary = await set.primary();
    const others = set.ports.filter((port) => port !== primary);
    for (const port of others) set.signal(port, 'SIGSTOP');
    try {
      // As a batch that is committed here and held by nobody else yet.
      const alone = { writeConcern: { w: 1 } } as const;
      const positions = client.db(`${name}_state`).collection('positions');
      await positions.updateOne({}, { $set: { applied: 99 } }, alone);
      await client
        .db(name)
        .collection('things')
        .updateOne({}, { $set: { v: 'alone' } }, alone);
      expect(await positions.findOne({})).toMatchObject({ applied: 99 });
      expect(await store.readState(0)).toEqual(passed);
    } finally {
      for (const port of others) set.signal(port, 'SIGCONT');
    }
    await until('the others have it', async () => (await store.readState(0))?.progress.applied === 99);
    await client.close();
    await store.close();
  });
});
