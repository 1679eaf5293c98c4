/** The status of a pipeline, read from real servers: before it is installed, while tables are due, and while all is away. */
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { observe, type ObserveDeps } from '../../stages/observe.js';
import { recordInitialised, wasInitialised } from '../../stores/mysql/initialised.js';
import { readDueCopies } from '../../stores/mysql/dueCopies.js';
import { openClients, type Clients } from '../../workers/clients.js';
import { createRig, type Rig } from './mysqlRig.js';

const stack = inject('stack');
const calm = { since: null, paused: false, pausedTables: [] };
let rig: Rig;
let clients: Clients;
let deps: ObserveDeps;

beforeAll(async () => {
  rig = await createRig();
  const name = rig.source.replaceAll('_', '-');
  const config = {
    ...rig.config,
    pipeline: name,
    kafka: { ...rig.config.kafka, brokers: stack.kafka.brokers, topicPrefix: name },
    mongo: { uri: stack.mongo.uri, database: rig.source, stateDatabase: rig.state, tls: null },
    redis: { uri: stack.redis.uri, keyPrefix: name, tls: null },
    changeLog: { maxBytes: 2 ** 30 },
  };
  clients = openClients(config);
  deps = { config, ...clients };
});

afterAll(async () => {
  await clients.close();
  await rig.drop();
});

it('is empty, and no problem, before anything is installed', async () => {
  const { status } = await observe(deps, calm);
  expect(status.problems).toEqual([]);
  expect(status.tables).toEqual([]);
  expect(status.stores.map(({ store, state }) => [store, state])).toEqual([
    ['mongo', 'empty'],
    ['redis', 'empty'],
  ]);
});

describe('once installed', () => {
  beforeAll(async () => {
    await rig.run(
      'CREATE TABLE {src}.large (id INT PRIMARY KEY, v VARCHAR(1000))',
      `INSERT INTO {src}.large WITH RECURSIVE s AS (SELECT 1 n UNION ALL SELECT n + 1 FROM s WHERE n < 900)
         SELECT n, REPEAT('x', 1000) FROM s`,
      'CREATE TABLE {src}.small (id INT PRIMARY KEY)',
      'ANALYZE TABLE {src}.large, {src}.small',
    );
    await rig.install();
  });

  it('names every table, what is due, and what waits in the change log', async () => {
    await rig.run('INSERT INTO {src}.small VALUES (1), (2), (3)');
    const { status } = await observe(deps, calm);
    expect(status.stage).toBe('copying');
    expect(status.tables.map(({ table, stage }) => [table, stage])).toEqual([
      ['large', 'waiting'],
      ['small', 'waiting'],
    ]);
    expect(status.capture.backlog).toBe(3);
    expect(status.capture.bytes).toBeGreaterThan(0);
    expect(status.problems).toEqual([]);
  });

  it('has the small table copied first, and asks for no more than it can start', async () => {
    const due = await readDueCopies(rig.mysql, 10);
    expect(due.map(({ table }) => table)).toEqual(['small', 'large']);
    expect(due[0]?.run).toMatch(/^[0-9a-f-]{36}$/);
    expect((await readDueCopies(rig.mysql, 1)).map(({ table }) => table)).toEqual(['small']);
  });

  it('counts a copy that is done, and no longer has it due', async () => {
    await rig.mysql.run(
      `UPDATE ${rig.state}.copies c JOIN ${rig.state}.tables t ON t.id = c.table_id
          SET c.phase = IF(t.name = 'small', 'done', 'waiting'), c.rows_copied = 3`,
    );
    expect(await readDueCopies(rig.mysql, 10)).toEqual([]);
    const { status } = await observe(deps, calm);
    expect(status.tables.find(({ table }) => table === 'small')).toMatchObject({ stage: 'streaming', copy: null });
  });

  it('knows which shards were initialised', async () => {
    expect(await wasInitialised(rig.mysql, rig.state, 'redis', 1)).toBe(false);
    await recordInitialised(rig.mysql, rig.state, 'redis', 1, 2);
    await recordInitialised(rig.mysql, rig.state, 'redis', 1, 2);
    expect(await wasInitialised(rig.mysql, rig.state, 'redis', 1)).toBe(true);
    expect(await wasInitialised(rig.mysql, rig.state, 'redis', 0)).toBe(false);
    expect(await wasInitialised(rig.mysql, rig.state, 'mongo', 1)).toBe(false);
  });
});

it('answers within seconds when nothing does, and names each server', async () => {
  const config = {
    ...deps.config,
    mysql: { ...deps.config.mysql, uri: 'mysql://root:secret@127.0.0.1:9' },
    kafka: { ...deps.config.kafka, brokers: ['127.0.0.1:9'] },
    mongo: { uri: 'mongodb://127.0.0.1:9/?replicaSet=rs0', database: 'x', stateDatabase: 'y', tls: null },
    redis: { uri: 'redis://127.0.0.1:9', keyPrefix: 'x', tls: null },
  };
  const away = openClients(config);
  try {
    const began = performance.now();
    const { status } = await observe({ config, ...away }, calm);
    expect(performance.now() - began).toBeLessThan(10_000);
    expect(status.problems.map(({ code }) => code).toSorted()).toEqual([
      'LS-KAFKA-UNREACHABLE',
      'LS-MONGO-UNREACHABLE',
      'LS-MYSQL-UNREACHABLE',
      'LS-REDIS-UNREACHABLE',
    ]);
    expect(status.stores.map(({ state }) => state)).toEqual(['unreachable', 'unreachable']);
    expect(JSON.stringify(status)).not.toContain('secret');
  } finally {
    await away.close();
  }
});
