/** Apply as a process of its own: argument is a file with the configuration, then the stores that it serves. */
import { readFileSync } from 'node:fs';
import type { Config } from '../core/config.js';
import type { Store } from '../core/store.js';
import { runApply } from '../stages/apply.js';
import { openReader } from '../stores/kafka/reader.js';
import { openMongoStore } from '../stores/mongo/store.js';
import { openRedisStore } from '../stores/redis/store.js';

const [file = '', ...names] = process.argv.slice(2);
const config = JSON.parse(readFileSync(file, 'utf8')) as Config;
const abort = new AbortController();
process.once('SIGTERM', () => abort.abort());

async function serve(store: Store): Promise<void> {
  const outcome = await runApply(
    {
      config,
      store,
      openReader: () => openReader(config.kafka),
      wasInitialised: () => Promise.resolve(false),
      recordInitialised: () => Promise.resolve(),
      wantDefinition: () => Promise.resolve(true),
      requestCopies: () => Promise.reject(new Error('nothing was to be lost here')),
    },
    { shard: 0, pausedTables: [] },
    abort.signal,
    { beat: () => undefined },
  );
  await store.close();
  if (outcome.kind !== 'stopped') throw new Error(`apply ended: ${outcome.kind}`);
}

const stores: Store[] = [];
if (names.includes('mongo') && config.mongo !== null) stores.push(openMongoStore(config.mongo, config.pipeline));
if (names.includes('redis') && config.redis !== null) stores.push(openRedisStore(config.redis, config.pipeline));
await Promise.all(stores.map(serve));
