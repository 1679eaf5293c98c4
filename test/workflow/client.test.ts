/** Commands as they reach a pipeline's workflow: what they do, and what they say when it cannot be done. */
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import type { Config } from '../../core/config.js';
import { validateDefaults } from '../../core/configValidate.js';
import { LockstepError } from '../../core/errors.js';
import { openPipelineClient, type PipelineClient } from '../../workers/pipelineClient.js';
import { until } from '../support/processes.js';
import { openRig, type Rig } from './rig.js';

let rig: Rig;
let clients: PipelineClient[];

beforeEach(async () => {
  rig = await openRig(inject('stack'));
  clients = [];
});

afterEach(async () => {
  for (const client of clients) await client.close();
  await rig.close();
});

function config(over: Partial<Config> = {}): Config {
  const { address, namespace } = inject('stack').temporal;
  return {
    pipeline: rig.name,
    mysql: { uri: 'mysql://app:s3cret@db.example:3306', database: 'shop', stateDatabase: 'lockstep', tls: null },
    kafka: {
      brokers: ['kafka.example:9092'],
      topicPrefix: 'shop',
      partitions: 1,
      replicationFactor: 1,
      minInsyncReplicas: 1,
      retentionMs: 1,
      maxMessageBytes: 1,
      envelope: 'plain',
      tls: null,
      sasl: null,
    },
    mongo: { uri: 'mongodb://m.example/?replicaSet=rs0', database: 'shop', stateDatabase: 'lockstep', tls: null },
    redis: { uri: 'redis://r.example:6379', keyPrefix: 'shop', tls: null },
    temporal: { address, namespace, tls: null, apiKey: null },
    tables: { include: ['*'], exclude: [] },
    overrides: {},
    changeLog: { maxBytes: 1 },
    capture: { batchRows: 1 },
    apply: { shards: 1 },
    snapshot: { chunkMs: 1, maxBacklogRows: 1, parallel: 2 },
    validate: validateDefaults,
    resync: { automatic: true },
    verify: { sample: 1, repair: true },
    ...over,
  };
}

async function open(over: Partial<Config> = {}): Promise<PipelineClient> {
  const client = await openPipelineClient(config(over));
  clients.push(client);
  return client;
}

async function failure(work: Promise<unknown>): Promise<LockstepError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof LockstepError)) throw new Error(`no LockstepError: ${String(error)}`);
  return error;
}

describe('a pipeline', () => {
  it('is started once, answers, obeys, and is stopped', async () => {
    const client = await open();
    expect(await client.view()).toBeNull();
    expect(await client.start()).toBe('started');
    expect(await client.start()).toBe('running');
    await until('streaming', async () => (await client.view())?.stage === 'streaming');
    await client.pause();
    expect((await client.view())?.stage).toBe('paused');
    await client.resume();
    await client.resync('one');
    expect(rig.script.asked).toEqual([{ tables: ['one'] }]);
    expect(await client.refresh()).toEqual({ tables: ['one', 'two'] });
    expect(await client.ended()).toBeNull();
    expect(await client.stop()).toEqual({ kind: 'stopped', stillDraining: [] });
    expect(await client.view()).toBeNull();
    expect(await client.ended()).toBe('stopped');
  });

  it('is not started twice with another configuration; each difference is named, and no secret', async () => {
    await (await open()).start();
    const { mysql } = config();
    const other = await open({ mysql: { ...mysql, uri: 'mysql://app:0ther@db2.example:3306', database: 'shop2' } });
    const error = await failure(other.start());
    expect(error.code).toBe('LS-PIPELINE-OTHER');
    expect(error.message).toContain('mysql.database: running shop, here shop2');
    expect(error.message).toContain('mysql.uri: running db.example:3306, here db2.example:3306');
    expect(error.message).not.toMatch(/s3cret|0ther/);
    const memo = await rig.client.workflow.getHandle(`lockstep/${rig.name}`).describe();
    expect(JSON.stringify(memo.memo)).not.toContain('s3cret');
  });

  it('says why it ended', async () => {
    rig.script.install = () => Promise.reject(new LockstepError('LS-MYSQL-PRIVILEGE', 'TRIGGER is missing on shop'));
    const client = await open();
    await client.start();
    await until('it ended', async () => (await client.ended()) !== null);
    expect(await client.ended()).toMatchObject({ code: 'LS-MYSQL-PRIVILEGE', message: 'TRIGGER is missing on shop' });
  });

  it('is stopped even where only its streams are left', async () => {
    const client = await open();
    await client.start();
    await until('streaming', async () => (await client.view())?.stage === 'streaming');
    await rig.client.workflow.getHandle(`lockstep/${rig.name}`).terminate('an operator');
    expect(await client.stop()).toEqual({ kind: 'stopped', stillDraining: [] });
    const { status } = await rig.client.workflow.getHandle(`lockstep/${rig.name}/capture`).describe();
    expect(status.name).toBe('COMPLETED');
    expect((await failure(client.stop())).code).toBe('LS-PIPELINE-NOT-RUNNING');
  });

  it('is ended without a worker, and its streams with it', async () => {
    const client = await open();
    await client.start();
    await until('streaming', async () => (await client.view())?.stage === 'streaming');
    await rig.stopWorkers();
    expect(await client.stopNow()).toBeGreaterThanOrEqual(4);
    for (const id of ['', '/capture', '/apply/mongo', '/apply/redis']) {
      const { status } = await rig.client.workflow.getHandle(`lockstep/${rig.name}${id}`).describe();
      expect(status.name).toBe('TERMINATED');
    }
    expect((await failure(client.stopNow())).code).toBe('LS-PIPELINE-NOT-RUNNING');
  });
});

describe('what cannot be done', () => {
  it.each([
    ['pause', (client: PipelineClient) => client.pause()],
    ['resync', (client: PipelineClient) => client.resync('one')],
    ['stop', (client: PipelineClient) => client.stop()],
  ])('%s of a pipeline that does not run', async (_, command) => {
    expect((await failure(command(await open()))).code).toBe('LS-PIPELINE-NOT-RUNNING');
  });

  it('asking a pipeline that no worker serves', async () => {
    await rig.stopWorkers();
    const client = await open();
    await client.start();
    expect((await failure(client.pause())).code).toBe('LS-PIPELINE-NO-WORKER');
  });

  it('a resync that fails in the worker comes back with its code', async () => {
    const client = await open();
    await client.start();
    rig.script.request = () => Promise.reject(new LockstepError('LS-TABLE-UNKNOWN', 'not captured: nine'));
    expect(await failure(client.resync('nine'))).toMatchObject({
      code: 'LS-TABLE-UNKNOWN',
      message: 'not captured: nine',
    });
  });

  it('a namespace that does not exist', async () => {
    const client = await open({ temporal: { ...config().temporal, namespace: 'nowhere' } });
    expect((await failure(client.start())).code).toBe('LS-TEMPORAL-REFUSED');
  });

  it('a server that does not answer', async () => {
    const { code, message } = await failure(open({ temporal: { ...config().temporal, address: '127.0.0.1:9' } }));
    expect(code).toBe('LS-TEMPORAL-UNREACHABLE');
    expect(message).toContain('127.0.0.1:9');
  });
});
