/**
 * kill -9 of each of the five servers in the middle of a load, by either road; the server comes back, and the same command
 * ends as if nothing had been. Servers of its own, and minutes: LOCKSTEP_INGEST_SERVERS=1 runs it.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createConnection, type RowDataPacket } from 'mysql2/promise';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { IngestReport } from '../../core/ingestReport.js';
import { serverNames, type ServerName } from '../../temporal-compose/server-name.js';
import { down, up, type Stack } from '../../temporal-compose/stack.js';
import { strikeServer } from '../support/localServer.js';
import { differencesWithin } from '../support/convergence.js';
import { createPipeline, type Pipeline } from '../support/pipeline.js';
import { until } from '../support/processes.js';
import { seededRandom, testSeed } from '../support/random.js';

const wanted = process.env['LOCKSTEP_INGEST_SERVERS'] === '1';
const seed = testSeed();
const records = 40_000;
let root: string;
let stack: Stack;
let pipeline: Pipeline;

describe.runIf(wanted)('a server that dies in the middle of a load', () => {
  beforeAll(async () => {
    console.log(`seed ${seed}`);
    root = await mkdtemp(join(tmpdir(), 'lockstep-servers-'));
    stack = await up({ root, ports: 'free' });
  }, 300_000);

  /** A pipeline a case: what one loses is not copied again while the next one loads. */
  beforeEach(async () => {
    pipeline = await createPipeline(stack, {
      label: 'servers',
      sourceGrants: 'SELECT, TRIGGER, INSERT, UPDATE, CREATE',
    });
    // It is cut off with the server.
    pipeline.root.on('error', () => undefined);
    const lines = Array.from({ length: records }, (_, n) => `${n},"name ${n}",${'note '.repeat(n % 40)}`);
    await writeFile(join(pipeline.folder, 'load.csv'), `n,name,note\n${lines.join('\n')}\n`);
    await pipeline.root.query('CREATE TABLE first (id INT PRIMARY KEY)');
    pipeline.worker();
    await pipeline.run('start', '--wait');
  });

  afterEach(async () => {
    await Promise.all(pipeline.workers.map((worker) => worker.kill()));
    pipeline.root.destroy();
    await rm(pipeline.folder, { recursive: true, force: true });
  });

  afterAll(async () => {
    await down({ root, wipe: true });
    await rm(root, { recursive: true, force: true });
  }, 120_000);

  /** By a connection of its own: MySQL itself may be away. */
  async function cell(sql: string): Promise<number> {
    const connection = await createConnection({ uri: stack.mysql.uri, database: pipeline.database });
    try {
      const [rows] = await connection.query<RowDataPacket[]>({ sql, rowsAsArray: true });
      return Number(rows[0]?.[0] ?? 0);
    } finally {
      await connection.end();
    }
  }

  async function kill(server: ServerName): Promise<void> {
    await strikeServer(root, server, 'kill');
    await up({ root });
  }

  const cases = serverNames.flatMap((server) => (['direct', 'log'] as const).map((road) => ({ server, road })));
  test.each(cases)('$server, $road', { timeout: 300_000 }, async ({ server, road }) => {
    const table = `${server}_${road}`;
    const flags = road === 'direct' ? [] : ['--through-log'];
    const words = ['ingest', table, 'load.csv', '--create', '--yes', '--json', ...flags];
    const random = seededRandom(seed + cases.findIndex((one) => one.server === server && one.road === road));
    const state = `\`${pipeline.stateDatabase}\``;
    const loaded = `SELECT IFNULL(SUM(c.accepted), 0) FROM ${state}.ingest_chunks c
                      JOIN ${state}.ingests i ON i.id = c.ingest WHERE i.table_name = '${table}'`;
    const loading = pipeline.cli(...words);
    const at = records * (0.1 + 0.6 * random.next());
    await until('the load goes on', async () => (await cell(loaded)) >= at, { timeoutMs: 60_000, everyMs: 20 });
    await kill(server);
    // The command itself may have lost what it watches: the work goes on, and the same command finds it.
    let result = await loading;
    if (result.stdout === '') {
      console.log(`${table}: the command ended with ${result.stderr.trim().split('\n').at(-1)}`);
      result = await pipeline.cli('ingest', table, 'load.csv', '--json', ...flags);
    }
    const report = JSON.parse(result.stdout) as IngestReport;
    expect([result.code, report]).toEqual([
      0,
      expect.objectContaining({ road, end: 'loaded', agrees: true, accepted: records, rejected: 0 }),
    ]);
    expect(await cell(`SELECT COUNT(*) FROM ${table}`)).toBe(records);
    expect(await cell(`SELECT COUNT(DISTINCT n) FROM ${table}`)).toBe(records);
    expect(await differencesWithin(pipeline.targets(), 120_000)).toEqual([]);
  });
});
