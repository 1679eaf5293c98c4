/**
 * `lockstep ingest` as users run it: real commands, workers that are killed in the middle, stores that are cut off, an
 * application that writes to the same table all the while. At the end every record of the file is accounted for, nothing is
 * there twice, and the three stores are equal.
 */
import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import { createConnection, type ResultSetHeader, type RowDataPacket } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { IngestReport } from '../../core/ingestReport.js';
import { ingestId } from '../../core/workflowNames.js';
import { down, up } from '../../temporal-compose/stack.js';
import { strikeServer } from '../support/localServer.js';
import { startBreakingProxy, type BreakingProxy } from '../support/breakingProxy.js';
import { compareStores, differencesOf } from '../support/compare.js';
import { peopleFile, peopleTable, readPeople, type PeopleFile } from '../support/peopleFile.js';
import { createPipeline, type Pipeline } from '../support/pipeline.js';
import { runCommand, until, type CommandResult, type WorkerProcess } from '../support/processes.js';
import { seededRandom, testSeed } from '../support/random.js';
import { readTopics } from '../support/topics.js';
import { pauseIngestUpdate } from '../../workflows/messages.js';

const stack = inject('stack');
const seed = testSeed();
const people = peopleFile(20_000);
let pipeline: Pipeline;
let worker: WorkerProcess;
let temporal: Client;
/** Of a server of this file's own, because it hangs on purpose. */
let redisFolder: string;
let proxies: { readonly mongo: BreakingProxy; readonly redis: BreakingProxy };

beforeAll(async () => {
  console.log(`seed ${seed}`);
  redisFolder = await mkdtemp(join(tmpdir(), 'lockstep-ingest-redis-'));
  const own = await up({ root: redisFolder, ports: 'free', only: ['redis'] });
  proxies = { mongo: await proxyOf(stack.mongo.uri), redis: await proxyOf(own.redis.uri) };
  pipeline = await createPipeline(stack, {
    label: 'ingest',
    // The port alone is another's; `directConnection`: the replica set would name the real one.
    mongoUri: through(proxies.mongo, stack.mongo.uri).replace(/replicaSet=\w+/, 'directConnection=true'),
    redisUri: through(proxies.redis, own.redis.uri),
    sourceGrants: 'SELECT, TRIGGER, INSERT, UPDATE, CREATE',
  });
  const connection = await Connection.connect({ address: stack.temporal.address });
  temporal = new Client({ connection, namespace: stack.temporal.namespace });
  await pipeline.root.query(peopleTable('people'));
  await writeFile(join(pipeline.folder, 'people.csv'), people.bytes);
  worker = pipeline.worker();
});

afterAll(async () => {
  await temporal.connection.close();
  await pipeline.remove();
  await proxies.mongo.close();
  await proxies.redis.close();
  await down({ root: redisFolder, wipe: true });
  await rm(redisFolder, { recursive: true, force: true });
});

async function proxyOf(uri: string): Promise<BreakingProxy> {
  const { hostname, port } = new URL(uri);
  return await startBreakingProxy({ host: hostname, port: Number(port) });
}

function through({ port }: BreakingProxy, uri: string): string {
  const url = new URL(uri);
  url.host = `127.0.0.1:${port}`;
  return url.href;
}

async function cell(sql: string): Promise<number> {
  const [rows] = await pipeline.root.query<RowDataPacket[]>({ sql, rowsAsArray: true });
  return Number(rows[0]?.[0] ?? 0);
}

/** Records of an ingest into the table that are in MySQL; none before lockstep has tables of its own. */
async function recordsIn(table: string): Promise<number> {
  const state = `\`${pipeline.stateDatabase}\``;
  return await cell(
    `SELECT IFNULL(SUM(c.accepted + c.rejected), 0) FROM ${state}.ingest_chunks c
       JOIN ${state}.ingests i ON i.id = c.ingest WHERE i.table_name = '${table}'`,
  ).catch((error: unknown) => {
    if ((error as { errno?: number }).errno === 1146 || (error as { errno?: number }).errno === 1049) return 0;
    throw error;
  });
}

async function phaseOf(table: string): Promise<string> {
  const [rows] = await pipeline.root.query<RowDataPacket[]>(
    `SELECT phase FROM \`${pipeline.stateDatabase}\`.ingests WHERE table_name = ? ORDER BY id DESC LIMIT 1`,
    [table],
  );
  return String(rows[0]?.['phase'] ?? '');
}

async function equal(): Promise<void> {
  await pipeline.run('wait', '--timeout', '60s');
  expect(differencesOf(await compareStores(pipeline.targets()))).toEqual([]);
}

function reportOf({ stdout }: CommandResult): IngestReport & { readonly rejectFile: string | null } {
  return JSON.parse(stdout) as IngestReport & { readonly rejectFile: string | null };
}

async function rejectsIn(path: string): Promise<{ line: number; reason: string; raw: string }[]> {
  const lines = (await readFile(join(pipeline.folder, path), 'utf8')).trimEnd().split('\n');
  return lines.map((text) => {
    const { line, reason, raw } = JSON.parse(text) as { line: number; reason: string; raw: string };
    return { line, reason, raw };
  });
}

/** What an application does meanwhile; ends with the numbers of the file's rows that it deleted. */
function application(table: string): { stop(): Promise<{ deleted: Set<number>; writes: number }> } {
  const random = seededRandom(seed);
  const deleted = new Set<number>();
  let [writes, stopped] = [0, false];
  const done = (async () => {
    const connection = await createConnection({ uri: stack.mysql.uri, database: pipeline.database });
    const own: number[] = [];
    let most = 1;
    while (!stopped) {
      if (own.length < 5 || random.chance(0.3)) {
        const [{ insertId }] = await connection.query<ResultSetHeader>(
          `INSERT INTO ${table} (n, name) VALUES (?, 'ours')`,
          [-1 - writes],
        );
        own.push(insertId);
        most = Math.max(most, insertId);
      } else if (random.chance(0.15)) {
        await connection.query(`DELETE FROM ${table} WHERE id = ?`, [own.splice(random.below(own.length), 1)[0]]);
      } else {
        const id = 1 + random.below(most);
        await connection.query(`UPDATE ${table} SET touched = touched + 1 WHERE id = ?`, [id]);
        if (random.chance(0.05)) {
          const [[row]] = await connection.query<RowDataPacket[]>(`SELECT n FROM ${table} WHERE id = ? AND n >= 0`, [
            id,
          ]);
          if (row !== undefined) {
            await connection.query(`DELETE FROM ${table} WHERE id = ?`, [id]);
            deleted.add(Number(row['n']));
          }
        }
      }
      writes += 1;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await connection.end();
  })();
  return {
    async stop() {
      stopped = true;
      await done;
      return { deleted, writes };
    },
  };
}

async function replaceWorker(): Promise<void> {
  await worker.kill();
  worker = pipeline.worker();
}

/** A server that nobody reaches for a moment. */
async function cutOff(proxy: BreakingProxy): Promise<void> {
  proxy.cut();
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  proxy.mend();
}

async function expectPeople(table: string, file: PeopleFile, without: ReadonlySet<number> = new Set()): Promise<void> {
  const wanted = new Map([...file.rows].filter(([n]) => !without.has(n)));
  const found = await readPeople(pipeline.root, table);
  const wrong = [...wanted].filter(([n, row]) => JSON.stringify(found.get(n)) !== JSON.stringify(row));
  expect(wrong.slice(0, 3).map(([n, row]) => [row, found.get(n)])).toEqual([]);
  expect(found.size).toBe(wanted.size);
}

test('directly, while workers and the command are killed, stores are cut off, and an application writes', async () => {
  const random = seededRandom(seed);
  // How it gives way to an application is the pace's own test; here it only takes time.
  const words = ['ingest', 'people', 'people.csv', '--null', 'NA', '--full-speed', '--json'];
  const writing = application('people');
  const first = new AbortController();
  const killed = runCommand([...words, '-c', pipeline.configFile], { cwd: pipeline.folder, kill: first.signal });
  const at = async (from: number, to: number): Promise<void> => {
    const records = people.records * (from + (to - from) * random.next());
    await until('the load goes on', async () => (await recordsIn('people')) >= records, {
      timeoutMs: 60_000,
      everyMs: 10,
    });
  };
  await at(0.02, 0.15);
  await replaceWorker();
  first.abort();
  expect((await killed).code).toBe(-1);
  const second = pipeline.cli(...words);
  await at(0.2, 0.35);
  await cutOff(proxies.redis);
  await at(0.4, 0.55);
  await replaceWorker();
  await at(0.6, 0.7);
  await cutOff(proxies.mongo);
  await at(0.75, 0.9);
  await replaceWorker();
  await until('no row is loaded any more', async () => (await phaseOf('people')) !== 'loading', { timeoutMs: 60_000 });
  await replaceWorker();
  const result = await second;
  const { deleted, writes } = await writing.stop();
  expect([result.code, result.stderr]).toEqual([0, expect.any(String)]);
  const direct = reportOf(result);
  const accepted = people.rows.size;
  expect(direct).toMatchObject({
    road: 'direct',
    end: 'loaded',
    agrees: true,
    records: people.records,
    accepted,
    rejected: people.rejects.length,
    notRead: 0,
    mysql: { equal: accepted, altered: 0 },
  });
  for (const proof of Object.values(direct.stores)) expect(proof.equal + proof.changed).toBe(accepted);
  expect(Object.keys(direct.stores)).toEqual(['mongo', 'redis']);
  expect(await rejectsIn(reportOf(result).rejectFile ?? '')).toEqual(people.rejects);
  expect(writes).toBeGreaterThan(100);
  await expectPeople('people', people, deleted);
  await equal();
});

test('the same content again is refused without --again, wherever the file lies', async () => {
  await writeFile(join(pipeline.folder, 'other-name.csv.gz'), gzipSync(people.bytes, { level: 1 }));
  const before = await cell('SELECT COUNT(*) FROM people');
  const refused = await pipeline.cli('ingest', 'people', 'other-name.csv.gz', '--null', 'NA');
  expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('LS-INGEST-DONE')]);
  expect(await cell('SELECT COUNT(*) FROM people')).toBe(before);
});

test('through the log: paused, resumed, cancelled, and gone on with to the same end', async () => {
  // Enough that the second pause still finds it loading.
  const many = peopleFile(40_000, 'log');
  await writeFile(join(pipeline.folder, 'many.csv.gz'), gzipSync(many.bytes, { level: 1 }));
  await pipeline.root.query(peopleTable('people_log'));
  const words = ['ingest', 'people_log', 'many.csv.gz', '--null', 'NA', '--through-log', '--json'];
  const cancelled = pipeline.cli(...words);
  const moving = async (from: number): Promise<void> =>
    await until('rows are loaded', async () => (await recordsIn('people_log')) > from, { timeoutMs: 60_000 });
  await moving(0);
  // Redis hangs for longer than reading is given to end: what is in MySQL by then lands once Redis is back.
  await strikeServer(redisFolder, 'redis', 'freeze');
  await until('chunks wait for Redis', async () => (await chunksOpen('people_log')) > 0);
  const reading = await pendingOf('people_log');
  await pipeline.run('ingests', 'pause', 'people_log');
  await until('reading has ended', async () => ![null, reading].includes(await pendingOf('people_log')));
  expect(await chunksOpen('people_log')).toBeGreaterThan(0);
  await strikeServer(redisFolder, 'redis', 'thaw');
  await until('it rests', async () => (await pendingOf('people_log')) === null, { timeoutMs: 60_000 });
  const paused = await recordsIn('people_log');
  expect([paused < many.records, await chunksOpen('people_log')]).toEqual([true, 0]);
  // At rest, what is in is equal everywhere.
  await equal();
  expect(await recordsIn('people_log')).toBe(paused);
  await pipeline.run('ingests', 'resume', 'people_log');
  await moving(paused);
  // As the web UI does it: nothing is read while a command starts.
  await (await workflowOf('people_log')).executeUpdate(pauseIngestUpdate);
  await pipeline.run('ingests', 'cancel', 'people_log');
  const ended = await cancelled;
  const partly = reportOf(ended);
  expect([ended.code, partly.end, partly.road]).toEqual([1, 'cancelled', 'log']);
  expect(partly.accepted + partly.rejected + partly.notRead).toBe(many.records);
  expect(partly.notRead).toBeGreaterThan(0);
  expect(await cell('SELECT COUNT(*) FROM people_log')).toBe(partly.accepted);
  await equal();

  const rest = pipeline.cli(...words);
  await moving(partly.accepted + partly.rejected);
  await replaceWorker();
  const whole = await rest;
  expect([whole.code, whole.stderr]).toEqual([0, expect.any(String)]);
  expect(reportOf(whole)).toMatchObject({ end: 'loaded', agrees: true, accepted: many.rows.size });
  expect(await rejectsIn(reportOf(whole).rejectFile ?? '')).toEqual(many.rejects);
  await expectPeople('people_log', many);
  await equal();
});

/** Chunks in MySQL of which nobody knows whether they are in every store. */
async function chunksOpen(table: string): Promise<number> {
  const state = `\`${pipeline.stateDatabase}\``;
  return await cell(
    `SELECT COUNT(*) FROM ${state}.ingest_chunks c JOIN ${state}.ingests i ON i.id = c.ingest
      WHERE i.table_name = '${table}' AND NOT c.landed`,
  );
}

async function workflowOf(table: string): Promise<WorkflowHandle> {
  const [rows] = await pipeline.root.query<RowDataPacket[]>(
    `SELECT name FROM \`${pipeline.stateDatabase}\`.ingests WHERE table_name = ? ORDER BY id DESC LIMIT 1`,
    [table],
  );
  return temporal.workflow.getHandle(ingestId(pipeline.name, table, String(rows[0]?.['name'])));
}

/** Which activity its workflow has under way. */
async function pendingOf(table: string): Promise<string | null> {
  const { raw } = await (await workflowOf(table)).describe();
  return raw.pendingActivities?.[0]?.activityId ?? null;
}

/** All at once: each waits for servers most of its time. */
describe('small files', () => {
  const small = peopleFile(1_200, 'small');

  test.concurrent('a dry run says what would be rejected, and writes nothing', async () => {
    await writeFile(join(pipeline.folder, 'small.csv'), small.bytes);
    const dry = await pipeline.cli(
      'ingest',
      'people',
      'small.csv',
      '--null',
      'NA',
      '--dry-run',
      '--rejects',
      'dry.ndjson',
      '--json',
    );
    const known = small.rejects.filter(({ reason }) => reason !== 'duplicate' && reason !== 'check');
    expect([dry.code, JSON.parse(dry.stdout)]).toEqual([
      1,
      expect.objectContaining({ dryRun: true, records: 1_200, rejected: known.length }),
    ]);
    expect(await rejectsIn('dry.ndjson')).toEqual(known);
    expect(await cell(`SELECT COUNT(*) FROM people WHERE name LIKE '%small%'`)).toBe(0);
  });

  test.concurrent(
    'standard input, packed, into a table that is made for it; its rows as events; full disks in the way',
    async () => {
      const made = peopleFile(900, 'made');
      const words = ['ingest', 'made', '-', '--null', 'NA', '--create', '--yes', '--key', 'n', '--ignore', 'note'];
      const flags = ['--as-events', '--rejects', 'made.ndjson', '-c', pipeline.configFile];
      const options = { cwd: pipeline.folder, input: gzipSync(made.bytes) };
      const noRoom = await runCommand([...words, ...flags], { ...options, first: 'ulimit -f 8' });
      expect([noRoom.code, noRoom.stderr]).toEqual([1, expect.stringMatching(/LS-INGEST-SPOOL.*EFBIG/s)]);
      expect(await readdir(join(pipeline.folder, '.lockstep', 'spool'))).toEqual([]);
      // The reject file goes to a device without room; the load is over by then.
      await symlink('/dev/full', join(pipeline.folder, 'made.ndjson.part'));
      const loaded = await runCommand([...words, ...flags], options);
      expect([loaded.code, loaded.stderr]).toEqual([1, expect.stringMatching(/CREATE TABLE.*LS-INGEST-REJECT-FILE/s)]);
      expect(loaded.stderr).toMatch(/accepted {3}899\n.*directly|directly.*accepted {3}899\n/s);
      expect(loaded.stderr).toContain('file and stores agree');
      const again = await runCommand([...words, ...flags], options);
      expect([again.code, again.stderr]).toEqual([1, expect.stringMatching(/made\.ndjson.*LS-INGEST-DONE/s)]);
      expect(await rejectsIn('made.ndjson')).toEqual(made.rejects);
    },
  );

  test.concurrent('several tables at once, parents first, and again as if it had been broken off', async () => {
    await pipeline.root.query(`CREATE TABLE customers (id INT PRIMARY KEY, name VARCHAR(20) NOT NULL);
      CREATE TABLE orders (id INT PRIMARY KEY, customer INT NOT NULL, FOREIGN KEY (customer) REFERENCES customers (id));
      CREATE TABLE order_lines (order_id INT, line INT, sku VARCHAR(10), PRIMARY KEY (order_id, line), FOREIGN KEY (order_id) REFERENCES orders (id))`);
    const lines = (count: number, line: (i: number) => string): string =>
      Array.from({ length: count }, (_, i) => line(i)).join('\n');
    await writeFile(join(pipeline.folder, 'customers.csv'), `id,name\n${lines(200, (i) => `${i},c${i}`)}`);
    // Two orders name a customer that is not there.
    await writeFile(
      join(pipeline.folder, 'orders.ndjson'),
      lines(300, (i) => JSON.stringify({ id: i, customer: i < 298 ? i % 200 : 999 })),
    );
    await writeFile(
      join(pipeline.folder, 'lines.tsv'),
      `order_id\tline\tsku\n${lines(500, (i) => `${i % 250}\t${Math.floor(i / 250)}\ts${i}`)}`,
    );
    const files = ['order_lines=lines.tsv', 'orders=orders.ndjson', 'customers=customers.csv'];
    const words = ['ingest', ...files, '--rejects', 'bad.csv', '--json'];
    const all = await pipeline.cli(...words);
    expect([all.code, all.stderr]).toEqual([0, expect.stringContaining('order: customers, orders, order_lines')]);
    const { ingests } = JSON.parse(all.stdout) as { ingests: IngestReport[] };
    expect(ingests.map(({ table, accepted, rejected, agrees }) => [table, accepted, rejected, agrees])).toEqual([
      ['customers', 200, 0, true],
      ['orders', 298, 2, true],
      ['order_lines', 500, 0, true],
    ]);
    expect(ingests[1]?.reasons).toEqual({ 'foreign-key': 2 });
    expect((await readdir(pipeline.folder)).filter((name) => name.startsWith('bad-'))).toEqual(['bad-orders.csv']);
    expect((await pipeline.cli(...words)).code).toBe(0);
  });

  test.concurrent(
    'a table that did not agree ends the same command with 1 again, and nothing comes behind it',
    async () => {
      await pipeline.root.query('CREATE TABLE stamped (id INT PRIMARY KEY, v INT); CREATE TABLE plain LIKE stamped');
      await pipeline.root.query('CREATE TRIGGER stamp BEFORE INSERT ON stamped FOR EACH ROW SET NEW.v = 0');
      await writeFile(join(pipeline.folder, 'stamped.csv'), 'id,v\n1,1\n2,2\n');
      const words = ['ingest', 'stamped=stamped.csv', 'plain=stamped.csv', '--json'];
      const first = await pipeline.cli(...words);
      expect([first.code, JSON.parse(first.stdout)]).toMatchObject([1, { ingests: [{ accepted: 2, agrees: false }] }]);
      const again = await pipeline.cli(...words);
      expect([again.code, JSON.parse(again.stdout)]).toMatchObject([1, { ingests: [{ done: true, agrees: false }] }]);
      expect(await cell('SELECT COUNT(*) FROM plain')).toBe(0);
    },
  );

  test.concurrent('too many rejects stop the load, and the stores are equal all the same', async () => {
    await pipeline.root.query(peopleTable('few'));
    await writeFile(
      join(pipeline.folder, 'bad.csv'),
      `n,name\n${Array.from({ length: 6_000 }, (_, i) => (i % 2 === 0 ? `${i},x` : `${i}`)).join('\n')}`,
    );
    const stopped = await pipeline.cli('ingest', 'few', 'bad.csv', '--max-rejects', '500', '--json');
    expect([stopped.code, reportOf(stopped).end]).toEqual([1, 'too-many-rejects']);
    expect(reportOf(stopped).accepted).toBe(await cell('SELECT COUNT(*) FROM few'));
  });

  test('all of it is equal, and the topics have each row of the table that was loaded with --as-events once', async () => {
    await equal();
    await pipeline.run('stop');
    const events = (await readTopics(stack.kafka.brokers, pipeline.name)).filter(({ topic }) =>
      topic.endsWith('.made'),
    );
    const rows = await cell('SELECT COUNT(*) FROM made');
    expect(rows).toBeGreaterThan(890);
    expect(new Set(events.map(({ key }) => key)).size).toBe(rows);
    expect([...new Set(events.map(({ op }) => op))]).toEqual(['r']);
  });
});
