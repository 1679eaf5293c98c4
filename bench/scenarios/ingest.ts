/**
 * A file into all three stores, by either road, beside a bare loop of bulk writers that promises nothing; and what an
 * application's transactions of one row take meanwhile.
 */
import { createReadStream, createWriteStream } from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createConnection, type ResultSetHeader, type RowDataPacket } from 'mysql2/promise';
import type { IngestReport } from '../../core/ingestReport.js';
import { quantile } from '../harness.js';
import type { Bench, Measurement, Scenario } from '../harness.js';
import { memoryOf, startCpuMeter } from '../processes.js';
import { benchRow } from '../rows.js';

const rows = 200_000;
const columns = ['id', 'customer', 'sku', 'status', 'amount', 'quantity', 'price', 'placed', 'note', 'flags', 'doc'];

export const ingestDirect: Scenario = {
  name: 'ingest-direct',
  title: `A CSV of ${rows.toLocaleString('en-US')} rows into a table that is not captured yet`,
  goals: {
    'rows/s': { min: 15_000, unit: '/s' },
    'of the bare loop': { min: 0.45, unit: '' },
    'application p99 / at rest': { max: 2, unit: '' },
    'worker peak RSS': { max: 400, unit: 'MB' },
  },
  run: (bench) => measure(bench, []),
};

export const ingestLog: Scenario = {
  name: 'ingest-log',
  title: `A CSV of ${rows.toLocaleString('en-US')} rows through triggers and the log`,
  goals: {
    'rows/s': { min: 9_000, unit: '/s' },
    'application p99 / at rest': { max: 2, unit: '' },
    'worker peak RSS': { max: 400, unit: 'MB' },
  },
  run: (bench) => measure(bench, ['--through-log']),
};

/** `rows/s`: from the registration until every chunk is in all three and compared; `to the last proof` counts the closing comparison too. */
async function measure(bench: Bench, flags: readonly string[]): Promise<Measurement> {
  const { pipeline } = bench;
  // The pattern that the account's other rights stand under: MySQL takes those of one.
  const pattern = pipeline.database.replaceAll('_', String.raw`\_`);
  await pipeline.root.query(`GRANT INSERT ON \`${pattern}\`.* TO '${pipeline.database}'@'%'`);
  await pipeline.root.query('CREATE TABLE app (id INT PRIMARY KEY, n INT NOT NULL)');
  await pipeline.root.query('INSERT INTO app VALUES (1, 0), (2, 0), (3, 0), (4, 0)');
  const file = await writeCsv(join(pipeline.folder, 'bench.csv'));
  const worker = bench.worker();
  const meter = await startCpuMeter(await bench.pids());
  const [seconds, report] = await load(bench, 'bench', file, flags);
  const cpuPerChange = new Map([...(await meter.read())].map(([name, us]) => [name, us / rows]));
  const peak = (await memoryOf(worker.pid)).peakMb;
  const bare = await bareLoop(bench, file);
  const atRest = await application(bench, () => sleep(8_000));
  const meanwhile = await application(bench, async () => {
    // Only now: a running pipeline captures a new table within seconds.
    await pipeline.root.query('CREATE TABLE beside LIKE bench');
    await load(bench, 'beside', file, flags);
  });
  await worker.stop();
  return {
    figures: {
      'rows/s': rows / seconds,
      'rows/s to the last proof': report.rowsPerSecond,
      'bare loop rows/s': rows / bare,
      'of the bare loop': bare / seconds,
      'application p99 at rest': atRest,
      'application p99 / at rest': meanwhile / atRest,
      'worker peak RSS': peak,
    },
    cpuPerChange,
  };
}

async function writeCsv(path: string): Promise<string> {
  const out = createWriteStream(path);
  out.write(`${columns.join(',')}\n`);
  for (let id = 1; id <= rows; id++) {
    const line = benchRow(id).map((value) => {
      const text = String(value);
      return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
    });
    if (!out.write(`${line.join(',')}\n`)) await once(out, 'drain');
  }
  out.end();
  await once(out, 'finish');
  return path;
}

async function load(
  { pipeline }: Bench,
  table: string,
  file: string,
  flags: readonly string[],
): Promise<readonly [seconds: number, report: IngestReport]> {
  const state = `\`${pipeline.stateDatabase}\``;
  const running = pipeline.run('ingest', table, file, '--json', ...flags);
  let ended = false;
  const end = running.finally(() => (ended = true));
  let [began, landed] = [0, 0];
  const sql = `SELECT (SELECT COUNT(*) FROM ${state}.ingests WHERE table_name = ?) AS begun,
      (SELECT IFNULL(SUM(c.accepted), 0) FROM ${state}.ingest_chunks c JOIN ${state}.ingests i ON i.id = c.ingest
        WHERE i.table_name = ? AND c.landed) AS landed`;
  while (!ended && landed === 0) {
    // Before the first ingest there is no such table.
    const [[found]] = await pipeline.root.query<RowDataPacket[]>(sql, [table, table]).catch(() => [[undefined]]);
    if (began === 0 && Number(found?.['begun'] ?? 0) > 0) began = performance.now();
    if (Number(found?.['landed'] ?? 0) === rows) landed = performance.now();
    await sleep(50);
  }
  const report = JSON.parse((await end).stdout) as IngestReport;
  if (!report.agrees) throw new Error(`file and stores do not agree: ${JSON.stringify(report)}`);
  return [(landed - began) / 1000, report];
}

/** LOAD DATA, insertMany and pipelined SET of the same rows, all three at once; seconds. */
async function bareLoop({ stack, pipeline, mongo, redis }: Bench, file: string): Promise<number> {
  const { database } = pipeline;
  // In a database of its own: nobody captures it.
  const apart = `${database}_bare`;
  await pipeline.root.query(`CREATE DATABASE ${apart}; CREATE TABLE ${apart}.bare LIKE ${database}.bench`);
  await pipeline.root.query('SET GLOBAL local_infile = ON');
  const connection = await createConnection({ uri: stack.mysql.uri, database: apart, flags: ['+LOCAL_FILES'] });
  const began = performance.now();
  const intoMysql = connection.query<ResultSetHeader>({
    sql: `LOAD DATA LOCAL INFILE 'bench.csv' INTO TABLE bare CHARACTER SET utf8mb4 FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '"' ESCAPED BY '' IGNORE 1 LINES`,
    infileStreamFactory: () => createReadStream(file),
  });
  const intoStores = (async () => {
    const collection = mongo.db(database).collection<{ _id: number }>('bare');
    for (let from = 1; from <= rows; from += 1_000) {
      const group = Array.from({ length: 1_000 }, (_, i) => {
        const values = benchRow(from + i);
        return Object.fromEntries(columns.map((name, c) => [name, values[c]]));
      });
      const setting = redis.pipeline();
      for (const row of group) setting.set(`${pipeline.name}:bare:${String(row['id'])}`, JSON.stringify(row));
      await Promise.all([
        collection.insertMany(group.map((row) => ({ _id: Number(row['id']), ...row }))),
        setting.exec(),
      ]);
    }
  })();
  await Promise.all([intoMysql, intoStores]);
  const seconds = (performance.now() - began) / 1000;
  await connection.end();
  await pipeline.root.query(`DROP DATABASE ${apart}`);
  return seconds;
}

/** p99 in milliseconds of transactions of one row, four connections, while `work` goes on. */
async function application({ stack, pipeline }: Bench, work: () => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  let ended = false;
  const writing = Array.from({ length: 4 }, async (_, i) => {
    const connection = await createConnection({ uri: stack.mysql.uri, database: pipeline.database });
    while (!ended) {
      const began = performance.now();
      await connection.execute('UPDATE app SET n = n + 1 WHERE id = ?', [i + 1]);
      times.push(performance.now() - began);
      await sleep(20);
    }
    await connection.end();
  });
  await work();
  ended = true;
  await Promise.all(writing);
  return quantile(times, 0.99);
}
