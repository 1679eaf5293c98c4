/**
 * The type table by way of files: every type × its boundary values, as CSV and as NDJSON, directly into every store and through
 * triggers and the log. The same hand-written answers as for every other road (fidelity.test.ts): the same bytes in Kafka and
 * Redis, the same types in MongoDB. A value that a file cannot bring is rejected with its reason, never changed.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { defaultReading, type IngestFormat, type RejectReason } from '../../core/ingest.js';
import { contentCheck } from '../../core/ingestContent.js';
import { loadFiles } from '../../stages/ingest.js';
import { registerIngest } from '../../stages/ingestBegin.js';
import { settleIngest } from '../../stages/ingestEnd.js';
import { planIngest, surveyFiles } from '../../stages/ingestPlan.js';
import { definitionOf } from '../../stages/ingestTable.js';
import { readChunks } from '../../stores/files/readChunks.js';
import { readCounts, readRejects } from '../../stores/mysql/ingestChunks.js';
import { readIngest } from '../../stores/mysql/ingests.js';
import { readInsertFacts } from '../../stores/mysql/insertFacts.js';
import { createLineRig, type LineRig } from '../support/lineRig.js';
import { readRawDocument } from '../support/rawBson.js';
import { readTopics, type TopicEvent } from '../support/topics.js';
import { typeTable, type TypeColumn, type TypeValue } from '../support/typeTable.js';

const stack = inject('stack');
const formats = ['csv', 'ndjson'] as const satisfies readonly IngestFormat[];
const layouts = ['json', 'hash'] as const;
const roads = ['direct', 'log'] as const;
type Road = (typeof roads)[number];
type Format = (typeof formats)[number];
type Layout = (typeof layouts)[number];

/** What a file cannot say, by type and SQL literal. */
const unsayable: readonly (readonly [type: RegExp, sql: RegExp, reason: RejectReason])[] = [
  // Days that no calendar has, which only a session with ALLOW_INVALID_DATES writes.
  [/^DATE$/, /1900-02-29|2023-02-31|0000-01-01|0000-12-31/, 'range'],
  [/^DATETIME/, /2024-02-30|0000-06-15/, 'range'],
  // The error value of an ENUM is no member.
  [/^ENUM/, /none/, 'member'],
  // DECIMALs within JSON, which only SQL makes: from text they would be rounded to doubles.
  [/^JSON$/, /1234567890\.0123456789/, 'range'],
];

const reasonFor = (type: string, sql: string): RejectReason | null =>
  unsayable.find(([types, literals]) => types.test(type) && literals.test(sql))?.[2] ?? null;

interface Cell {
  readonly column: number;
  readonly value: TypeValue;
}

const columnName = (i: number): string => `c${i}`;
const names = typeTable.map((_, i) => columnName(i));
const rowCount = Math.max(...typeTable.map(({ values }) => values.length)) + 1;
const none: TypeValue = ['NULL', 'null', 'null'];
/** Row i holds each column's i-th value, or NULL where there is none that a file can say. */
const rowsOf = (format: Format): readonly (readonly TypeValue[])[] =>
  Array.from({ length: rowCount }, (_, i) =>
    typeTable.map(({ type, values }) => {
      const value = values[i] ?? none;
      // A null of NDJSON is the NULL of SQL; JSON's own can only be told from it under `json: string`.
      const isNull = format === 'ndjson' && type === 'JSON' && value[0] === "'null'";
      return reasonFor(type, value[0]) === null && !isNull ? value : none;
    }),
  );
const rows = { csv: rowsOf('csv'), ndjson: rowsOf('ndjson') };
/** Each of the others has a record of its own. An empty field of CSV is the NULL of an ENUM without an empty member. */
const refusedOf = (format: Format): readonly (Cell & { readonly reason: RejectReason })[] =>
  typeTable.flatMap(({ type, values }, column) =>
    values.flatMap((value) => {
      const reason = reasonFor(type, value[0]);
      return reason === null || (format === 'csv' && value[1] === '""') ? [] : [{ column, value, reason }];
    }),
  );
const refused = { csv: refusedOf('csv'), ndjson: refusedOf('ndjson') };

const isJson = ({ type }: TypeColumn): boolean => type === 'JSON';

/** The text of a value, as a field of CSV holds it; null for NULL. */
function textOf(column: TypeColumn, json: string): string | null {
  if (json === 'null') return null;
  const bare = json.startsWith('"') && (!isJson(column) || column.forms !== undefined);
  return bare ? (JSON.parse(json) as string) : json;
}

function csvField(text: string | null): string {
  return text === null ? 'NA' : `"${text.replaceAll('"', '""')}"`;
}

/** Row JSON itself is what a line of NDJSON holds; under `json: string` it is text that holds the JSON. */
function ndjsonMember(column: TypeColumn, json: string): string {
  return isJson(column) && column.forms !== undefined && json !== 'null' ? (JSON.parse(json) as string) : json;
}

function contentOf(format: Format, from: number): string {
  const cells = [
    ...rows[format],
    ...refused[format].map(({ column, value }) => typeTable.map((_, i) => (i === column ? value : none))),
  ];
  const lines = cells.map((values, i) => {
    const id = from + i;
    if (format === 'csv') {
      return [id, ...values.map(([, json], c) => csvField(textOf(typeTable[c]!, json)))].join(',');
    }
    return `{"id":${id},${values.map(([, json], c) => `"${names[c]}":${ndjsonMember(typeTable[c]!, json)}`).join(',')}}`;
  });
  return `${(format === 'csv' ? [['id', ...names].join(','), ...lines] : lines).join('\n')}\n`;
}

const tableOf = (format: Format, layout: Layout): string => `${format}_${layout}`;
const firstId: Readonly<Record<Road, number>> = { direct: 1_000, log: 5_000 };

let line: LineRig;
let folder: string;
let events: readonly TopicEvent[];
let failures: readonly string[];
const rejected = new Map<string, readonly string[]>();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lockstep-fidelity-'));
  const columns = Object.fromEntries(
    typeTable.flatMap(({ forms }, i) => (forms === undefined ? [] : [[columnName(i), forms]])),
  );
  const tables = formats.flatMap((format) => layouts.map((layout) => [tableOf(format, layout), layout] as const));
  line = await createLineRig(stack, 'fileroad', {
    overrides: Object.fromEntries(tables.map(([table, layout]) => [table, { columns, redis: { layout } }])),
  });
  await line.rig.root.query("SET sql_mode = ''");
  for (const [table] of tables) {
    const ddl = typeTable.map(({ type }, i) => `${columnName(i)} ${type} NULL`);
    await line.rig.root.query(
      `CREATE TABLE ${table} (id INT PRIMARY KEY, touched INT NOT NULL DEFAULT 0, ${ddl.join(', ')},
         twice BIGINT AS (id * 2) VIRTUAL, thrice VARCHAR(20) AS (CONCAT(id * 3, 'ß')) STORED INVISIBLE)`,
    );
  }
  for (const format of formats) for (const layout of layouts) await load('direct', format, layout);
  await line.rig.install();
  line.run();
  await line.copyAll();
  await line.wait();
  for (const format of formats) for (const layout of layouts) await load('log', format, layout);
  await line.wait();
  failures = await line.stop();
  events = await readTopics(stack.kafka.brokers, line.config.pipeline);
});

afterAll(async () => {
  await line.remove();
  await rm(folder, { recursive: true, force: true });
});

async function load(road: Road, format: Format, layout: Layout): Promise<void> {
  const table = tableOf(format, layout);
  const { config } = line;
  const { mysql, stateDatabase } = line.rig;
  const path = join(folder, `${table}-${road}.${format}`);
  await writeFile(path, contentOf(format, firstId[road]));
  const reading = { ...defaultReading, format, nullTokens: ['NA'], binary: 'base64', chunkRows: 7 } as const;
  const definition = await definitionOf(config, mysql)(table);
  const facts = await readInsertFacts(mysql, config.mysql.database, table);
  const sources = [{ path, entry: null, compression: 'none' as const }];
  const surveyed = await surveyFiles(sources, reading, () => undefined);
  const plan = planIngest(surveyed, reading, { definition, facts }, 'insert');
  const options = { mode: 'insert', maxRejects: null, again: false, throughLog: false, asEvents: true } as const;
  const { name, road: taken } = await registerIngest({ config, mysql }, plan, options);
  expect(taken).toBe(road);
  const deps = {
    config,
    mysql,
    stores: line.stores,
    readChunks,
    contentOf: contentCheck,
    definitionOf: definitionOf(config, mysql),
  };
  const hooks = { beat: () => undefined, trouble: () => undefined, progress: () => undefined };
  const outcome = await loadFiles(deps, name, { readOn: true, sliceMs: 600_000 }, new AbortController().signal, hooks);
  expect(outcome).toEqual({ kind: 'loaded' });
  const ingest = await readIngest(mysql, stateDatabase, name);
  const counts = await readCounts(mysql, stateDatabase, ingest?.id ?? 0);
  const reasons: string[] = [];
  for await (const { raw, reason, column } of readRejects(mysql, stateDatabase, ingest?.id ?? 0)) {
    const i = Number(/\d+/.exec(raw)?.[0]) - firstId[road];
    const cell = i < rowCount ? `row ${i}` : refused[format][i - rowCount]?.value[0];
    reasons.push(`${typeTable[Number(column?.slice(1))]?.type ?? column} ${cell}: ${reason}`);
  }
  rejected.set(`${road} ${table}`, reasons);
  expect([counts.altered, counts.changed, counts.parked]).toEqual([0, 0, 0]);
  await settleIngest(deps, name);
}

function rowJson(id: number, row: readonly TypeValue[]): string {
  const members = row.map(([, json], i) => `"${columnName(i)}":${json}`);
  return `{"id":${id},"touched":0,${members.join(',')},"twice":${id * 2},"thrice":"${id * 3}ß"}`;
}

/** The first place where two texts part, for a message that can be read. */
function parting(actual: string | null, wanted: string): string[] {
  if (actual === wanted) return [];
  if (actual === null) return [`nothing for ${wanted.slice(0, 100)}`];
  let at = 0;
  while (at < wanted.length && actual[at] === wanted[at]) at++;
  const from = Math.max(0, at - 60);
  return [`…${actual.slice(from, at + 60)}… for …${wanted.slice(from, at + 60)}…`];
}

describe.each(roads.flatMap((road) => formats.map((format) => ({ road, format }))))(
  '$format, $road',
  ({ road, format }) => {
    test.each(layouts)('what cannot be said is rejected with its reason, all else goes in, layout %s', (layout) => {
      const wanted = refused[format].map(
        ({ column, value, reason }) => `${typeTable[column]?.type} ${value[0]}: ${reason}`,
      );
      expect(rejected.get(`${road} ${tableOf(format, layout)}`)).toEqual(wanted);
    });

    test.each(layouts)('Kafka, table of layout %s: the image has the expected bytes', (layout) => {
      const wrong = rows[format].flatMap((row, i) => {
        const id = firstId[road] + i;
        const found = events.filter((e) => e.topic.endsWith(`.${tableOf(format, layout)}`) && e.key === `{"id":${id}}`);
        // A directly loaded row is copied: `r`.
        const ops = road === 'direct' ? 'r' : 'c';
        if (found.map(({ op }) => op).join() !== ops) return [`${id}: ${found.map(({ op }) => op).join()} for ${ops}`];
        return found.flatMap(({ valueText }) => {
          const head = `{"before":null,"after":${rowJson(id, row)},"source":{`;
          return parting(valueText?.slice(0, head.length) ?? null, head);
        });
      });
      expect(wrong).toEqual([]);
    });

    test.each(layouts)('MongoDB, table of layout %s: every field has its value and type', async (layout) => {
      const collection = line.mongo.db(line.database).collection<Buffer>(tableOf(format, layout), { raw: true });
      const wrong: string[] = [];
      for (const [i, row] of rows[format].entries()) {
        const id = firstId[road] + i;
        const bytes = await collection.findOne({ _id: id } as object);
        const document = new Map(bytes === null ? [] : readRawDocument(bytes));
        for (const [c, [sql, , bson]] of row.entries()) {
          const found = document.get(columnName(c)) ?? 'absent';
          if (found !== bson)
            wrong.push(`${typeTable[c]?.type} ${sql.slice(0, 80)}: ${found.slice(0, 200)} for ${bson.slice(0, 200)}`);
        }
        expect(document.get('thrice')).toBe(`"${id * 3}ß"`);
      }
      expect(wrong).toEqual([]);
    });

    test('Redis json: the value is the row JSON, byte for byte', async () => {
      const wrong: string[] = [];
      for (const [i, row] of rows[format].entries()) {
        const id = firstId[road] + i;
        const stored = await line.redis.get(`${line.config.pipeline}:${tableOf(format, 'json')}:${id}`);
        wrong.push(...parting(stored, rowJson(id, row)));
      }
      expect(wrong).toEqual([]);
    });

    test('Redis hash: a field a column, strings bare, NULL absent', async () => {
      const wrong: string[] = [];
      for (const [i, row] of rows[format].entries()) {
        const id = firstId[road] + i;
        const stored = await line.redis.hgetall(`${line.config.pipeline}:${tableOf(format, 'hash')}:${id}`);
        for (const [c, [sql, json]] of row.entries()) {
          const column = typeTable[c]!;
          const [found, wanted] = [stored[columnName(c)] ?? 'absent', textOf(column, json) ?? 'absent'];
          if (found !== wanted)
            wrong.push(`${column.type} ${sql.slice(0, 80)}: ${found.slice(0, 200)} for ${wanted.slice(0, 200)}`);
        }
        expect([stored['id'], stored['touched'], stored['thrice']]).toEqual([String(id), '0', `${id * 3}ß`]);
      }
      expect(wrong).toEqual([]);
    });
  },
);

test('the product itself finds nothing to complain of', async () => {
  const parked = await Promise.all(line.stores.map(async (store) => await store.parkedKeys(10)));
  expect(parked.flat()).toEqual([]);
  expect(failures).toEqual([]);
});
