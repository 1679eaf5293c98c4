/** An ingest of rows that a test makes up, through the real stages and servers, without Temporal. */
import { createHash, randomBytes } from 'node:crypto';
import { MongoClient } from 'mongodb';
import { Redis } from 'ioredis';
import { inject } from 'vitest';
import type { Config } from '../../core/config.js';
import type { Definition } from '../../core/definition.js';
import {
  defaultReading,
  type ContentCheck,
  type FileChunk,
  type IngestOptions,
  type IngestPlan,
  type InputValue,
  type Reject,
  type ResumePoint,
} from '../../core/ingest.js';
import type { IngestProgress } from '../../core/ingestReport.js';
import type { LoadOutcome } from '../../core/outcome.js';
import type { Store } from '../../core/store.js';
import { registerIngest, type Registered } from '../../stages/ingestBegin.js';
import { loadFiles, type IngestDeps } from '../../stages/ingest.js';
import { definitionOf } from '../../stages/ingestTable.js';
import { openMongoStore } from '../../stores/mongo/store.js';
import { openRedisStore } from '../../stores/redis/store.js';
import { createRig, type Rig } from '../store/mysqlRig.js';

export interface IngestRig extends Rig {
  readonly stores: readonly Store[];
  readonly mongo: MongoClient;
  readonly redis: Redis;
  readonly name: string;
  plan(table: string, given: Given): Promise<IngestPlan>;
  deps(given: Given): IngestDeps;
  register(table: string, given: Given, options?: Partial<IngestOptions>): Promise<Registered>;
  load(name: string, given: Given, more?: Partial<LoadMore>): Promise<LoadOutcome>;
  remove(): Promise<void>;
}

export interface LoadMore {
  readonly signal: AbortSignal;
  readonly readOn: boolean;
  readonly deps: Partial<IngestDeps>;
  readonly progress: (progress: IngestProgress) => void;
}

/** The content of a file: columns, and rows or the reason why a record is none. */
export interface Given {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly InputValue[] | Reject['reason'])[];
  readonly chunkRows?: number;
}

export const defaultOptions: IngestOptions = {
  mode: 'insert',
  maxRejects: null,
  again: false,
  throughLog: false,
  asEvents: false,
};

export async function createIngestRig(): Promise<IngestRig> {
  const stack = inject('stack');
  const name = `roads-${randomBytes(3).toString('hex')}`;
  const database = name.replaceAll('-', '_');
  const rig = await createRig({
    pipeline: name,
    mongo: { uri: stack.mongo.uri, database, stateDatabase: `${database}_state`, tls: null },
    redis: { uri: stack.redis.uri, keyPrefix: name, tls: null },
  } as Partial<Config>);
  const stores = [openMongoStore(rig.config.mongo!, name), openRedisStore(rig.config.redis!, name)];
  const mongo = await MongoClient.connect(stack.mongo.uri);
  const redis = new Redis(stack.redis.uri);
  const definition = definitionOf(rig.config, rig.mysql);

  async function plan(table: string, given: Given): Promise<IngestPlan> {
    return planOf(await definition(table), await autoIncrementOf(rig, table), given);
  }
  function deps(given: Given): IngestDeps {
    return {
      config: rig.config,
      mysql: rig.mysql,
      stores,
      readChunks: (of, from) => chunksOf(of, given, from),
      contentOf: contentOf(given),
      definitionOf: definition,
    };
  }
  return {
    ...rig,
    stores,
    mongo,
    redis,
    name,
    plan,
    deps,
    register: async (table, given, options = {}) =>
      registerIngest(rig, await plan(table, given), { ...defaultOptions, ...options }),
    load: (ingest, given, more = {}) =>
      loadFiles(
        { ...deps(given), ...more.deps },
        ingest,
        { readOn: more.readOn ?? true, sliceMs: 600_000 },
        more.signal ?? new AbortController().signal,
        { beat: () => undefined, trouble: () => undefined, progress: more.progress ?? (() => undefined) },
      ),
    async remove() {
      for (const store of stores) await store.close();
      await mongo.db(database).dropDatabase();
      await mongo.db(`${database}_state`).dropDatabase();
      await mongo.close();
      const keys = await redis.keys(`${name}:*`);
      if (keys.length > 0) await redis.unlink(keys);
      redis.disconnect();
      await rig.drop();
    },
  };
}

async function autoIncrementOf(rig: Rig, table: string): Promise<string | null> {
  const [row] = await rig.mysql.rows(
    `SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? AND EXTRA LIKE '%auto_increment%'`,
    [rig.source, table],
  );
  return row === undefined ? null : String(row[0]);
}

function planOf(definition: Definition, autoIncrement: string | null, given: Given): IngestPlan {
  const content = JSON.stringify([given.columns, given.rows], (_, value: unknown) =>
    typeof value === 'bigint' ? `${value}n` : value,
  );
  const contentHash = createHash('sha256').update(content).digest('hex');
  const reading = { ...defaultReading, chunkRows: given.chunkRows ?? 100 };
  const chunks = Math.ceil(given.rows.length / reading.chunkRows);
  const file = {
    path: '/nowhere/made-up.csv',
    entry: null,
    compression: 'none' as const,
    size: content.length,
    mtimeNs: '0',
    contentBytes: content.length,
    sha256: contentHash,
    records: given.rows.length,
    chunks,
  };
  return {
    definition,
    files: [file],
    reading,
    columns: given.columns.map((column) => ({ name: column, field: column })),
    autoIncrement,
    required: [],
    contentHash,
    records: given.rows.length,
    chunks,
  };
}

async function* chunksOf(plan: IngestPlan, given: Given, from: ResumePoint): AsyncIterable<FileChunk> {
  const { chunkRows } = plan.reading;
  for (let number = from.chunk; number * chunkRows < given.rows.length; number++) {
    const [first, end] = [number * chunkRows, Math.min(given.rows.length, (number + 1) * chunkRows)];
    const records = given.rows.slice(first, end).map((values, i) => ({ line: first + i + 2, values }));
    const point = (chunk: number, row: number): ResumePoint => ({ file: 0, chunk, offset: row, line: row + 2 });
    yield await Promise.resolve({
      from: point(number, first),
      next: end < given.rows.length ? point(number + 1, end) : null,
      records: records.length,
      bytes: records.length * 10,
      rows: records.flatMap(({ line, values }) => (typeof values === 'string' ? [] : [{ line, values }])),
      rejects: records.flatMap(({ line, values }) =>
        typeof values === 'string' ? [{ line, reason: values, column: null, detail: null, raw: `bad ${line}` }] : [],
      ),
      raw: (line: number) => `raw ${line}`,
    });
  }
}

/** Values are compared as text: enough for what these tests give. */
function contentOf({ columns }: Given): (plan: IngestPlan) => ContentCheck {
  return ({ autoIncrement }) => {
    const open = (values: readonly InputValue[], i: number): boolean =>
      values[i] === undefined || (values[i] === null && columns[i] === autoIncrement);
    return {
      expected: ({ values }) => values.map((value, i) => (open(values, i) ? '*' : plain(value))).join('|'),
      stored: ({ values }, row) => {
        const held = JSON.parse(row.toString()) as Record<string, unknown>;
        return columns.map((name, i) => (open(values, i) ? '*' : plain(held[name]))).join('|');
      },
      difference: () => null,
    };
  };
}

function plain(value: unknown): string {
  if (value === null) return 'null';
  return typeof value === 'object' ? JSON.stringify(value) : String(value as string | number);
}
