/**
 * A process of its own that loads an ingest and ends itself by SIGKILL at a named step of the third chunk that takes it.
 * Argument: JSON of configuration, ingest, content and step.
 */
import type { Config } from '../../core/config.js';
import type { Store } from '../../core/store.js';
import { loadFiles } from '../../stages/ingest.js';
import { definitionOf } from '../../stages/ingestTable.js';
import { openMongoStore } from '../../stores/mongo/store.js';
import { openMysql, type Mysql, type Queries, type Session } from '../../stores/mysql/connection.js';
import { openRedisStore } from '../../stores/redis/store.js';
import { chunksOf, contentOf, type Given } from '../support/ingestFiles.js';

export interface IngestJob {
  readonly config: Config;
  readonly name: string;
  readonly given: Given;
  readonly step: string;
}

const { config, name, given, step } = JSON.parse(process.argv[2] ?? '') as IngestJob;
// The word of landed chunks is written a few times at most.
let left = step.endsWith('word') ? 1 : 3;

/** Never returns once its turn has come. */
async function at(here: string): Promise<void> {
  if (here !== step || --left > 0) return;
  process.kill(process.pid, 'SIGKILL');
  await new Promise(() => undefined);
}

/** Statements of the chunk's transaction by what they begin with. */
function watched(queries: Queries): Queries {
  return {
    rows: (sql, values) => queries.rows(sql, values),
    async run(sql, values) {
      const kind = sql.includes('.`ingest_chunks`') ? 'entry' : sql.startsWith('INSERT INTO') ? 'rows' : 'other';
      await at(`before ${kind}`);
      const done = await queries.run(sql, values);
      await at(`after ${kind}`);
      return done;
    },
  };
}

function watchedSession(session: Session): Session {
  return {
    ...session,
    async transaction(work) {
      const result = await session.transaction((queries) => work(watched(queries)));
      await at('after commit');
      return result;
    },
  };
}

function watchedMysql(mysql: Mysql): Mysql {
  return {
    ...mysql,
    async run(sql, values) {
      const word = sql.startsWith('UPDATE') && sql.includes('.`ingest_chunks`');
      if (word) await at('before word');
      const done = await mysql.run(sql, values);
      if (word) await at('after word');
      return done;
    },
    session: async (settings) => watchedSession(await mysql.session(settings)),
  };
}

function watchedStore(store: Store): Store {
  return new Proxy(store, {
    get(target, property) {
      const value: unknown = Reflect.get(target, property, target);
      if (typeof value !== 'function') return value;
      const call = value.bind(target) as (...args: unknown[]) => unknown;
      if (property !== 'apply') return call;
      return async (...args: unknown[]) => {
        await at(`before ${store.name}`);
        const outcome = await call(...args);
        await at(`after ${store.name}`);
        return outcome;
      };
    },
  });
}

const mysql = watchedMysql(openMysql(config.mysql));
const { mongo, redis, pipeline } = config;
if (mongo === null || redis === null) throw new Error('both stores are needed');
const stores = [openMongoStore(mongo, pipeline), openRedisStore(redis, pipeline)].map(watchedStore);
const deps = {
  config,
  mysql,
  stores,
  readChunks: (plan: Parameters<typeof chunksOf>[0], from: Parameters<typeof chunksOf>[2]) =>
    chunksOf(plan, given, from),
  contentOf: contentOf(given),
  definitionOf: definitionOf(config, mysql),
};
const outcome = await loadFiles(deps, name, { readOn: true, sliceMs: 60_000 }, new AbortController().signal, {
  beat: () => undefined,
  trouble: () => undefined,
  progress: () => undefined,
});
process.stdout.write(JSON.stringify(outcome));
process.exit(0);
