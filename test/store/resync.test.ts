/** Resyncs beside capture and apply: what they leave in a real store, whatever is still on its way to it. */
import { Redis } from 'ioredis';
import { afterEach, beforeEach, expect, inject, test } from 'vitest';
import type { Store } from '../../core/store.js';
import { runApply } from '../../stages/apply.js';
import { copyTable } from '../../stages/snapshot.js';
import { wait } from '../../stages/wait.js';
import { openReader } from '../../stores/kafka/reader.js';
import { readCopies } from '../../stores/mysql/copies.js';
import { recordInitialised, wasInitialised } from '../../stores/mysql/initialised.js';
import { openRedisStore } from '../../stores/redis/store.js';
import { createCaptureRig, type CaptureRig, type CaptureRun } from '../support/captureRig.js';

const stack = inject('stack');
const never = new AbortController().signal;
let rig: CaptureRig;
let capture: CaptureRun;
let store: Store;
let redis: Redis;
let stopApply: () => Promise<unknown>;

beforeEach(async () => {
  rig = await createCaptureRig(stack, 'resync', ['CREATE TABLE a (id INT PRIMARY KEY, v VARCHAR(40))']);
  await rig.install();
  redis = new Redis(stack.redis.uri);
  store = openRedisStore({ uri: stack.redis.uri, keyPrefix: rig.config.pipeline, tls: null }, rig.config.pipeline);
  capture = rig.capture();
  stopApply = apply();
});

afterEach(async () => {
  await stopApply();
  await capture.stop().catch(() => undefined);
  await store.forget();
  await store.close();
  const keys = await redis.keys(`${rig.config.pipeline}:*`);
  if (keys.length > 0) await redis.del(keys);
  redis.disconnect();
  await rig.remove();
});

function apply(): () => Promise<unknown> {
  const abort = new AbortController();
  const { config, mysql, stateDatabase } = rig;
  const done = runApply(
    {
      config,
      store,
      openReader: () => openReader(config.kafka, { maxWaitMs: 100 }),
      wasInitialised: (shard) => wasInitialised(mysql, stateDatabase, store.name, shard),
      recordInitialised: (shard) => recordInitialised(mysql, stateDatabase, store.name, shard, 1),
      wantDefinition: () => Promise.resolve(true),
      requestCopies: () => Promise.resolve(),
    },
    { shard: 0, pausedTables: [] },
    abort.signal,
    { beat: () => undefined },
  );
  return async () => {
    abort.abort();
    await done;
  };
}

async function copy(): ReturnType<typeof copyTable> {
  const { config, mysql, stateDatabase } = rig;
  const run = (await readCopies(mysql, stateDatabase)).at(-1)!.run;
  return copyTable({ config, mysql, stores: [store] }, { table: 'a', run }, never, { beat: () => undefined });
}

async function caughtUp(): Promise<void> {
  const { mysql, stateDatabase } = rig;
  const outcome = await wait({ queries: mysql, stateDatabase, stores: [store], shards: 1 }, 20_000, never);
  expect(outcome.kind).toBe('passed');
}

test('a key that is on its way while its row vanishes unseen does not stay in the store', async () => {
  await rig.root.query("INSERT INTO a VALUES (1,'x'),(2,'y')");
  expect(await copy()).toMatchObject({ kind: 'copied' });
  await caughtUp();
  await capture.stop();
  await rig.root.query("INSERT INTO a VALUES (3,'late')");
  // Someone drops the triggers and deletes a row; the triggers come back, and with them a copy is due.
  const [triggers] = await rig.root.query('SHOW TRIGGERS');
  for (const { Trigger } of triggers as { Trigger: string }[]) await rig.root.query(`DROP TRIGGER ${Trigger}`);
  await rig.root.query('DELETE FROM a WHERE id = 3');
  await rig.install();
  const copying = copy();
  const phase = async (): Promise<string> => (await readCopies(rig.mysql, rig.stateDatabase)).at(-1)!.phase;
  for (const giveUpAt = Date.now() + 20_000; !/orphans|done/.test(await phase());) {
    if (Date.now() > giveUpAt) throw new Error('the copy does not come to its orphans');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await new Promise((resolve) => setTimeout(resolve, 300));
  capture = rig.capture();
  expect(await copying).toMatchObject({ kind: 'copied', orphans: 1 });
  await caughtUp();
  expect((await redis.keys(`${rig.config.pipeline}:a:*`)).toSorted()).toEqual(
    [1, 2].map((id) => `${rig.config.pipeline}:a:${id}`),
  );
});
