/** README's "your own database in five minutes", command by command. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { parse } from 'yaml';
import { compareStores, differencesOf } from '../support/compare.js';
import type { CompareTargets } from '../support/compare.js';
import { createPipeline, removeEverything, stateGrants } from '../support/pipeline.js';
import type { Pipeline } from '../support/pipeline.js';
import { runCommand, spawnWorker } from '../support/processes.js';
import type { CommandResult, WorkerProcess } from '../support/processes.js';

const stack = inject('stack');
let owner: Pipeline;
let env: NodeJS.ProcessEnv;
let worker: WorkerProcess | undefined;
let stateDatabase = '';
let pipeline = '';

beforeAll(async () => {
  // For a database, a user and a folder; its own lockstep.yaml is not used.
  owner = await createPipeline(stack, { label: 'five' });
  for (const database of ['lockstep', `lockstep_${owner.name.replaceAll('-', '_')}`]) {
    const pattern = database.replaceAll('_', String.raw`\_`);
    await owner.root.query(`GRANT ${stateGrants} ON \`${pattern}\`.* TO '${owner.database}'@'%'`);
  }
  await owner.root.query('CREATE TABLE customers (id INT PRIMARY KEY, name VARCHAR(40), credit DECIMAL(8,2))');
  await owner.root.query("INSERT INTO customers VALUES (1, 'Ada', 10.50), (2, 'Grace', -3)");
  await owner.root.query('CREATE TABLE no_key (n INT)');
  env = { MYSQL_PASSWORD: new URL(owner.mysqlUri).password };
  const mongo = new URL(stack.mongo.uri).password;
  const redis = new URL(stack.redis.uri).password;
  if (mongo !== '') env['MONGO_PASSWORD'] = mongo;
  if (redis !== '') env['REDIS_PASSWORD'] = redis;
});

afterAll(async () => {
  await worker?.kill();
  if (pipeline !== '') {
    await removeEverything(stack, { pipeline, database: owner.database, stateDatabase, root: owner.root });
  }
  await owner.remove();
});

async function lockstep(...args: string[]): Promise<CommandResult> {
  const result = await runCommand(args, { cwd: owner.folder, env });
  if (result.code !== 0)
    throw new Error(`lockstep ${args.join(' ')}: ${result.code}\n${result.stderr}\n${worker?.log()}`);
  return result;
}

test('init writes a file without a password and names what is left out', async () => {
  const uri = new URL(owner.mysqlUri);
  uri.password = '';
  const from = ['--mysql', uri.href, '--kafka', stack.kafka.brokers.join(','), '--temporal', stack.temporal.address];
  const to = ['--mongo', stack.mongo.uri, '--redis', stack.redis.uri];
  const { stdout } = await lockstep('init', ...from, ...to, '--force');
  expect(stdout).toContain('no_key');
  const text = await readFile(join(owner.folder, 'lockstep.yaml'), 'utf8');
  expect(text).not.toContain(env['MYSQL_PASSWORD']);
  const config = parse(text.replaceAll(/\$\{\w+\}/g, 'x')) as { pipeline: string; mysql: { stateDatabase?: string } };
  pipeline = config.pipeline;
  stateDatabase = config.mysql.stateDatabase ?? 'lockstep';
});

test('doctor, worker, start, status, wait: both stores hold the rows', async () => {
  await lockstep('doctor');
  worker = spawnWorker(['worker'], { cwd: owner.folder, env });
  await lockstep('start', '--wait');
  expect((await lockstep('status')).stdout).toContain('customers');
  await owner.root.query("UPDATE customers SET name = 'Ada Lovelace' WHERE id = 1");
  await owner.root.query("INSERT INTO customers VALUES (3, 'Edsger', NULL)");
  const waited = await lockstep('wait', '--timeout', '30s');
  expect(waited.stdout).toMatch(/\d+ ?ms/);
  const targets: CompareTargets = {
    mysql: { uri: stack.mysql.uri, database: owner.database },
    mongo: { uri: stack.mongo.uri, database: owner.database },
    redis: { uri: stack.redis.uri, keyPrefix: pipeline },
  };
  expect(differencesOf(await compareStores(targets))).toEqual([]);
  const redis = new Redis(stack.redis.uri);
  expect(await redis.get(`${pipeline}:customers:1`)).toBe('{"id":1,"name":"Ada Lovelace","credit":"10.50"}');
  redis.disconnect();
});

test('stop and uninstall leave the data and nothing else in MySQL', async () => {
  await lockstep('stop');
  await lockstep('uninstall');
  const [triggers] = await owner.root.query(
    'SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = ?',
    [owner.database],
  );
  expect(triggers).toEqual([]);
  const redis = new Redis(stack.redis.uri);
  expect(await redis.exists(`${pipeline}:customers:3`)).toBe(1);
  redis.disconnect();
});
