/**
 * The codec alone, a row at a time, by the width of the table: row JSON as MySQL makes it (what the expression adds to a scan),
 * row JSON taken apart into texts (what the hash layout does; the json layout passes it on), and row JSON into BSON.
 */
import type { Connection } from 'mysql2/promise';
import type { Definition } from '../../core/definition.js';
import { openMysql } from '../../stores/mysql/connection.js';
import { readTables } from '../../stores/mysql/definitions.js';
import { readRows } from '../../stores/mysql/readRows.js';
import { rowJson } from '../../stores/mysql/rowJson.js';
import { BsonWriter } from '../../stores/mongo/bsonWriter.js';
import { documentShape, writeDocument } from '../../stores/mongo/toBson.js';
import { hashFields } from '../../stores/redis/batchArguments.js';
import type { SourceRow } from '../../core/store.js';
import { median } from '../harness.js';
import type { Bench, Measurement, Scenario } from '../harness.js';

const widths = [5, 20, 80];
const rows = 20_000;
const repetitions = 5;

/** Each type with an expression of the row's number `i`; a table takes as many as it is wide, over and over. */
const columns: readonly (readonly [type: string, value: string])[] = [
  ['VARCHAR(40)', "CONCAT('name ', i, ' of ', i * 7)"],
  ['INT', 'i * 31 % 1000000'],
  ['DECIMAL(12,2)', 'i / 7'],
  ['DATETIME(3)', "TIMESTAMP'2024-01-01 00:00:00' + INTERVAL i SECOND"],
  ['BIGINT', 'i * 900719925474'],
  ["ENUM('placed','paid','shipped')", '1 + i % 3'],
  ['DOUBLE', 'i / 9e0'],
  ['TIMESTAMP', "TIMESTAMP'2024-01-01 00:00:00' + INTERVAL i SECOND"],
  ['VARBINARY(16)', 'LEFT(UNHEX(SHA2(i, 256)), 16)'],
  ['JSON', "JSON_OBJECT('colour', 'blue', 'size', JSON_ARRAY(i, i % 20))"],
];

export const codec: Scenario = {
  name: 'codec',
  title: 'The codec, µs a row by columns',
  goals: {
    'encode 20 columns': { max: 8, unit: 'µs' },
    'decode 20 columns': { max: 7, unit: 'µs' },
    'BSON 20 columns': { max: 9, unit: 'µs' },
  },
  run: async (bench) => {
    const figures: Record<string, number> = {};
    for (const width of widths) {
      await createWideTable(bench.pipeline.root, width);
      Object.assign(figures, await measure(bench, width));
    }
    return { figures } satisfies Measurement;
  },
};

async function createWideTable(root: Connection, width: number): Promise<void> {
  const chosen = Array.from({ length: width - 1 }, (_, i) => columns[i % columns.length] ?? ['INT', 'i']);
  const ddl = chosen.map(([type], i) => `c${i} ${type} NULL`);
  await root.query(`CREATE TABLE wide${width} (id BIGINT PRIMARY KEY, ${ddl.join(', ')})`);
  await root.query('SET SESSION cte_max_recursion_depth = 1000000');
  await root.query(
    `INSERT INTO wide${width} WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < ${rows})
     SELECT i, ${chosen.map(([, value]) => value).join(', ')} FROM n`,
  );
}

async function measure({ stack, pipeline }: Bench, width: number): Promise<Record<string, number>> {
  const { database, stateDatabase, root } = pipeline;
  const mysql = openMysql({ uri: stack.mysql.uri, database, stateDatabase, tls: null }, { connections: 1 });
  try {
    const [facts] = await readTables(mysql, database, `wide${width}`);
    if (facts === undefined) throw new Error(`no table wide${width}`);
    const { definition } = facts;
    const read = await readRows(mysql, definition, null, rows);
    const microseconds = (ms: number): number => (1000 * ms) / rows;
    return {
      [`encode ${width} columns`]: microseconds(await encoding(root, definition)),
      [`decode ${width} columns`]: microseconds(await repeated(() => decode(definition, read.rows))),
      [`BSON ${width} columns`]: microseconds(await repeated(() => toBson(definition, read.rows))),
      [`bytes a row, ${width} columns`]: read.rows.reduce((sum, { row }) => sum + row.length, 0) / rows,
    };
  } finally {
    await mysql.close();
  }
}

/** What the expression adds to a scan of the same rows. */
async function encoding(root: Connection, definition: Definition): Promise<number> {
  const scan = async (sum: string): Promise<number> =>
    await repeated(async () => await root.query(`SELECT SUM(${sum}) FROM ${definition.table} t`));
  const columnsRead = definition.columns.map(({ name }) => `(t.${name} IS NULL)`).join('+');
  return (await scan(`LENGTH(${rowJson(definition, 't')})`)) - (await scan(columnsRead));
}

function decode(definition: Definition, from: readonly SourceRow[]): void {
  let fields = 0;
  for (const { row } of from) fields += hashFields(definition, row).length;
  if (fields === 0) throw new Error('nothing was decoded');
}

function toBson(definition: Definition, from: readonly SourceRow[]): void {
  const shape = documentShape(definition);
  const w = new BsonWriter();
  for (const { key, row } of from) {
    w.at = 0;
    writeDocument(w, shape, key, row);
  }
}

/** The median, after one run that is not counted. */
async function repeated(work: () => unknown): Promise<number> {
  await work();
  const times: number[] = [];
  for (let i = 0; i < repetitions; i++) {
    const began = performance.now();
    await work();
    times.push(performance.now() - began);
  }
  return median(times);
}
