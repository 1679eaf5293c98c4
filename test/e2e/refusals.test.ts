/** What must not start does not: each cause has its code, names the fix, and leaves nothing half installed. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, inject, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { compareStores, differencesOf } from '../support/compare.js';
import { createPipeline } from '../support/pipeline.js';
import type { Pipeline, PipelineOptions } from '../support/pipeline.js';
import { runCommand } from '../support/processes.js';
import type { CommandResult } from '../support/processes.js';

const stack = inject('stack');
const created: Pipeline[] = [];

afterEach(async () => {
  for (const pipeline of created.splice(0)) await pipeline.remove();
});

async function pipelineWith(options: Partial<PipelineOptions> = {}): Promise<Pipeline> {
  const pipeline = await createPipeline(stack, { label: 'refuse', ...options });
  created.push(pipeline);
  await pipeline.root.query('CREATE TABLE t (id INT PRIMARY KEY)');
  return pipeline;
}

/** The same pipeline's file with some settings changed, run by one command. */
async function withSettings(
  pipeline: Pipeline,
  change: (config: Record<string, Record<string, unknown>>) => void,
  ...args: string[]
): Promise<CommandResult> {
  const config = parse(await readFile(pipeline.configFile, 'utf8')) as Record<string, Record<string, unknown>>;
  change(config);
  const file = join(pipeline.folder, 'other.yaml');
  await writeFile(file, stringify(config));
  return await runCommand([...args, '-c', file], { cwd: pipeline.folder });
}

async function installed(pipeline: Pipeline): Promise<number> {
  const [rows] = await pipeline.root.query(
    `SELECT (SELECT COUNT(*) FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = ?) +
            (SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = ?) n`,
    [pipeline.database, pipeline.stateDatabase],
  );
  return Number((rows as { n: unknown }[])[0]?.n);
}

test.each<[string, Partial<PipelineOptions>, RegExp]>([
  ['TRIGGER is not granted', { sourceGrants: 'SELECT' }, /LS-MYSQL-PRIVILEGE[^]*TRIGGER[^]*GRANT/],
  ['SELECT is not granted', { sourceGrants: 'TRIGGER' }, /LS-MYSQL-PRIVILEGE[^]*SELECT[^]*GRANT/],
  [
    'MongoDB is unreachable',
    { settings: { mongo: { uri: 'mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=800' } } },
    /LS-MONGO-\w+/,
  ],
  ['Redis is unreachable', { settings: { redis: { uri: 'redis://127.0.0.1:1' } } }, /LS-REDIS-\w+/],
  ['Kafka is unreachable', { settings: { kafka: { brokers: ['127.0.0.1:1'] } } }, /LS-KAFKA-UNREACHABLE/],
  ['Temporal is unreachable', { settings: { temporal: { address: '127.0.0.1:1' } } }, /LS-TEMPORAL-\w+/],
])('start is refused when %s, with nothing installed', async (_, options, message) => {
  const pipeline = await pipelineWith(options);
  const { code, stderr } = await pipeline.cli('start');
  expect(stderr).toMatch(message);
  expect(code).toBe(1);
  expect(await installed(pipeline)).toBe(0);
});

test('a wrong password, a missing database: the server is named, the password is not', async () => {
  const pipeline = await pipelineWith();
  const wrong = await withSettings(
    pipeline,
    (config) => {
      const uri = new URL(String(config['mysql']?.['uri']));
      uri.password = 'hunter2secret';
      config['mysql'] = { ...config['mysql'], uri: uri.href };
    },
    'start',
  );
  expect(wrong.code).toBe(1);
  expect(wrong.stderr).toMatch(/LS-MYSQL-ACCESS/);
  expect(wrong.stderr + wrong.stdout).not.toContain('hunter2secret');
  const missing = await withSettings(
    pipeline,
    (config) => {
      config['mysql'] = { ...config['mysql'], uri: stack.mysql.uri.replace(/\/?$/, '/no_such_database') };
    },
    'start',
  );
  expect(missing.code).toBe(1);
  expect(missing.stderr).toMatch(/LS-MYSQL-DATABASE[^]*no_such_database/);
});

test('every mistake of a configuration in one message, exit code 2', async () => {
  const pipeline = await pipelineWith();
  const { code, stderr } = await withSettings(
    pipeline,
    (config) => {
      config['pipeline'] = 'Not Allowed' as never;
      config['kafka'] = { ...config['kafka'], partitons: 3 };
      config['redis'] = { ...config['redis'], uri: 'http://example.org' };
    },
    'start',
  );
  expect(code).toBe(2);
  expect(stderr).toMatch(/pipeline/);
  expect(stderr).toMatch(/partitons/);
  expect(stderr).toMatch(/redis\.uri/);
});

test('a second pipeline on the same state database, topics or keys is refused by name', async () => {
  const first = await pipelineWith();
  first.worker();
  await first.run('start', '--wait');
  const second = await pipelineWith();

  const sameState = await withSettings(
    second,
    (config) => {
      config['mysql'] = {
        uri: new URL(`/${second.database}`, stack.mysql.uri).href,
        stateDatabase: first.stateDatabase,
      };
    },
    'start',
  );
  expect(sameState.code).toBe(1);
  expect(sameState.stderr).toMatch(/stateDatabase/);

  const samePrefix = await withSettings(
    second,
    (config) => {
      config['kafka'] = { ...config['kafka'], topicPrefix: first.name };
    },
    'start',
  );
  expect(samePrefix.code).toBe(1);
  expect(samePrefix.stderr).toMatch(/topicPrefix/);

  const sameName = await withSettings(
    second,
    (config) => {
      config['pipeline'] = first.name as never;
    },
    'start',
  );
  expect(sameName.code).toBe(1);
  expect(sameName.stderr).toContain(first.name);
  expect(await installed(second)).toBe(0);
});

test('tables that cannot be captured are named and left out; the others stream, into the one store there is', async () => {
  const pipeline = await pipelineWith({ settings: { mongo: 'off' } });
  await pipeline.root.query('CREATE TABLE keyless (n INT)');
  await pipeline.root.query('CREATE TABLE isam (id INT PRIMARY KEY) ENGINE=MyISAM');
  await pipeline.root.query('CREATE TABLE `_t_gho` (id INT PRIMARY KEY)');
  pipeline.worker();
  await pipeline.run('start', '--wait');
  const status = await pipeline.run('status');
  expect(status.stdout).toMatch(/keyless/);
  expect(status.stdout).toMatch(/isam/);
  const [triggers] = await pipeline.root.query(
    'SELECT DISTINCT EVENT_OBJECT_TABLE t FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = ?',
    [pipeline.database],
  );
  expect(triggers).toEqual([{ t: 't' }]);
  await pipeline.root.query('INSERT INTO t VALUES (1), (2)');
  await pipeline.run('wait', '--timeout', '30s');
  expect(differencesOf(await compareStores(pipeline.targets()))).toEqual([]);
});
