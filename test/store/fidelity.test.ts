/**
 * The type table as a matrix: every type × its boundary values × every road × every place that holds a row. What is
 * expected stands in typeTable.ts, by hand. Another road is one more entry of `roads`.
 */
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { createLineRig, type LineRig } from '../support/lineRig.js';
import { readRawDocument } from '../support/rawBson.js';
import { readTopics, type TopicEvent } from '../support/topics.js';
import { typeTable, type TypeColumn, type TypeValue } from '../support/typeTable.js';

const stack = inject('stack');
const tables = { json: 'matrix', hash: 'matrix_hash' } as const;
type Layout = keyof typeof tables;

/** Row i holds each column's i-th value; columns with fewer hold NULL. One more row holds nothing but NULL. */
const rowCount = Math.max(...typeTable.map(({ values }) => values.length)) + 1;
const rows = Array.from({ length: rowCount }, (_, i) => i);
const columnName = (i: number): string => `c${i}`;
const none: TypeValue = ['NULL', 'null', 'null'];
const valueAt = ({ values }: TypeColumn, row: number): TypeValue => values[row] ?? none;

interface Road {
  readonly name: string;
  /** Ids of the road's rows begin here. */
  readonly from: number;
  /** The writer's session: none of its settings may show. */
  readonly session: string;
  /** Before lockstep is installed, or while it runs. */
  readonly when: 'before' | 'after';
  /** Statements that write row `id` with these literals. */
  readonly write: (table: string, id: number, literals: readonly string[]) => readonly string[];
  /** What the topic holds of the row, in order: op, whether before and after hold the values; `null` is no image. */
  readonly events: readonly (readonly [op: string, before: Image, after: Image])[];
  /** The value of `touched` in the stores; null where the row is gone. */
  readonly ends: number | null;
}

/** An image with the values, or with nothing but NULL; with what `touched` is. */
type Image = null | { readonly full: boolean; readonly touched: number };

const full = (touched: number): Image => ({ full: true, touched });
const bare: Image = { full: false, touched: 0 };
const names = typeTable.map((_, i) => columnName(i));
const insert = (table: string, id: number, literals: readonly string[]): string =>
  `INSERT INTO ${table} (id, ${names.join(', ')}) VALUES (${id}, ${literals.join(', ')})`;

const roads: readonly Road[] = [
  {
    name: 'snapshot',
    from: 1000,
    session: "time_zone = '+02:00'",
    when: 'before',
    write: (table, id, literals) => [insert(table, id, literals)],
    events: [['r', null, full(0)]],
    ends: 0,
  },
  {
    name: 'insert',
    from: 2000,
    session: "time_zone = '-03:30'",
    when: 'after',
    write: (table, id, literals) => [insert(table, id, literals)],
    events: [['c', null, full(0)]],
    ends: 0,
  },
  {
    name: 'update',
    from: 3000,
    session: "time_zone = '+13:00', sql_mode = 'ALLOW_INVALID_DATES,ANSI,PIPES_AS_CONCAT'",
    when: 'after',
    write: (table, id, literals) => [
      `INSERT INTO ${table} (id) VALUES (${id})`,
      `UPDATE ${table} SET touched = 1, ${names.map((name, i) => `${name} = ${literals[i]}`).join(', ')} WHERE id = ${id}`,
      `UPDATE ${table} SET touched = 2 WHERE id = ${id}`,
    ],
    events: [
      ['c', null, bare],
      ['u', bare, full(1)],
      ['u', full(1), full(2)],
    ],
    ends: 2,
  },
  {
    name: 'delete',
    from: 4000,
    session: "time_zone = '+05:45', sql_mode = 'ALLOW_INVALID_DATES,PAD_CHAR_TO_FULL_LENGTH,REAL_AS_FLOAT'",
    when: 'after',
    write: (table, id, literals) => [insert(table, id, literals), `DELETE FROM ${table} WHERE id = ${id}`],
    events: [
      ['c', null, full(0)],
      ['d', full(0), null],
      ['t', null, null],
    ],
    ends: null,
  },
];

let line: LineRig;
let events: readonly TopicEvent[];
let failures: readonly string[];

beforeAll(async () => {
  const columns = Object.fromEntries(
    typeTable.flatMap(({ forms }, i) => (forms === undefined ? [] : [[columnName(i), forms]])),
  );
  line = await createLineRig(stack, 'fidelity', {
    overrides: { [tables.json]: { columns }, [tables.hash]: { columns, redis: { layout: 'hash' } } },
  });
  await line.rig.root.query("SET sql_mode = ''");
  for (const table of Object.values(tables)) {
    const ddl = typeTable.map(({ type }, i) => `${columnName(i)} ${type} NULL`);
    await line.rig.root.query(
      `CREATE TABLE ${table} (id INT PRIMARY KEY, touched INT NOT NULL DEFAULT 0, ${ddl.join(', ')},
         twice BIGINT AS (id * 2) VIRTUAL, thrice VARCHAR(20) AS (CONCAT(id * 3, 'ß')) STORED INVISIBLE)`,
    );
  }
  await travel('before');
  await line.rig.install();
  line.run();
  await line.copyAll();
  await travel('after');
  await line.wait();
  failures = await line.stop();
  events = await readTopics(stack.kafka.brokers, line.config.pipeline);
});

afterAll(async () => await line.remove());

async function travel(when: Road['when']): Promise<void> {
  const { root } = line.rig;
  for (const road of roads.filter((r) => r.when === when)) {
    await root.query("SET NAMES utf8mb4, sql_mode = 'ALLOW_INVALID_DATES'");
    await root.query(`SET ${road.session}`);
    for (const table of Object.values(tables)) {
      for (const row of rows) {
        const literals = typeTable.map((column) => valueAt(column, row)[0]);
        for (const statement of road.write(table, road.from + row, literals)) await root.query(statement);
      }
    }
  }
}

/** The whole row as row JSON must hold it. */
function rowJson(id: number, row: number, { full: filled, touched }: { full: boolean; touched: number }): string {
  const members = typeTable.map((column, i) => `"${columnName(i)}":${filled ? valueAt(column, row)[1] : 'null'}`);
  return `{"id":${id},"touched":${touched},${members.join(',')},"twice":${id * 2},"thrice":"${id * 3}ß"}`;
}

/** Cells that are not as expected, by type and value. */
function wrongCells(row: number, expected: readonly string[], found: (column: string) => string | undefined): string[] {
  return typeTable.flatMap((column, i) => {
    const actual = found(columnName(i)) ?? 'absent';
    const wanted = expected[i] ?? '';
    if (actual === wanted) return [];
    return [`${column.type.slice(0, 40)} ${valueAt(column, row)[0].slice(0, 80)}: ${cut(actual)} for ${cut(wanted)}`];
  });
}

const cut = (shown: string): string => (shown.length > 300 ? `${shown.slice(0, 300)}…` : shown);

/** The first place where two texts part, for a message that can be read. */
function parting(actual: string | null, wanted: string): string[] {
  if (actual === wanted) return [];
  if (actual === null) return [`nothing for ${cut(wanted)}`];
  let at = 0;
  while (at < wanted.length && actual[at] === wanted[at]) at++;
  const from = Math.max(0, at - 60);
  return [`…${actual.slice(from, at + 60)}… for …${wanted.slice(from, at + 60)}…`];
}

describe.each(roads)('$name', ({ from, events: expected, ends }) => {
  const layouts: readonly Layout[] = ['json', 'hash'];

  test.each(layouts)('Kafka, table of layout %s: before and after are the expected bytes', (layout) => {
    const wrong = rows.flatMap((row) => {
      const id = from + row;
      const key = `{"id":${id}}`;
      const found = events.filter((e) => e.topic.endsWith(`.${tables[layout]}`) && e.key === key);
      if (found.map((e) => e.op).join() !== expected.map(([op]) => op).join()) {
        return [`${key}: ${found.map((e) => e.op).join()} for ${expected.map(([op]) => op).join()}`];
      }
      return found.flatMap((event, i) => {
        const [op, before, after] = expected[i] ?? ['?', null, null];
        if (op === 't') return event.valueText === null ? [] : ['a tombstone with a value'];
        const image = (of: Image): string => (of === null ? 'null' : rowJson(id, row, of));
        const head = `{"before":${image(before)},"after":${image(after)},"source":{`;
        return parting(event.valueText?.slice(0, head.length) ?? null, head);
      });
    });
    expect(wrong).toEqual([]);
  });

  test.each(layouts)('MongoDB, table of layout %s: every field has its value and type, in order', async (layout) => {
    const collection = line.mongo.db(line.database).collection<Buffer>(tables[layout], { raw: true });
    const wrong: string[] = [];
    for (const row of rows) {
      const id = from + row;
      const bytes = await collection.findOne({ _id: id } as object);
      if (ends === null || bytes === null) {
        if ((bytes === null) !== (ends === null)) wrong.push(`${id}: ${bytes === null ? 'missing' : 'still there'}`);
        continue;
      }
      const fields = readRawDocument(bytes);
      expect(fields.map(([name]) => name)).toEqual(['_id', 'id', 'touched', ...names, 'twice', 'thrice']);
      const document = new Map(fields);
      wrong.push(
        ...wrongCells(
          row,
          typeTable.map((column) => valueAt(column, row)[2]),
          (name) => document.get(name),
        ),
      );
      expect([document.get('_id'), document.get('touched'), document.get('twice'), document.get('thrice')]).toEqual([
        `int ${id}`,
        `int ${ends}`,
        `long ${id * 2}`,
        `"${id * 3}ß"`,
      ]);
    }
    expect(wrong).toEqual([]);
  });

  test('Redis json: the value is the row JSON, byte for byte', async () => {
    const wrong: string[] = [];
    for (const row of rows) {
      const id = from + row;
      const stored = await line.redis.get(`${line.config.pipeline}:${tables.json}:${id}`);
      if (ends !== null) wrong.push(...parting(stored, rowJson(id, row, { full: true, touched: ends })));
      else if (stored !== null) wrong.push(`${id} is still there`);
    }
    expect(wrong).toEqual([]);
  });

  test('Redis hash: a field a column, strings bare, NULL absent', async () => {
    const wrong: string[] = [];
    for (const row of rows) {
      const id = from + row;
      const stored = await line.redis.hgetall(`${line.config.pipeline}:${tables.hash}:${id}`);
      if (ends === null) {
        if (Object.keys(stored).length > 0) wrong.push(`${id} is still there`);
        continue;
      }
      const expectedFields = typeTable.map((column) => hashField(column, valueAt(column, row)[1]));
      wrong.push(...wrongCells(row, expectedFields, (name) => stored[name]));
      expect([stored['id'], stored['touched'], stored['thrice']]).toEqual([String(id), String(ends), `${id * 3}ß`]);
    }
    expect(wrong).toEqual([]);
  });
});

/** A hash's field of a row JSON text: strings without their quotes, unless they are a JSON column's value. */
function hashField({ type, forms }: TypeColumn, json: string): string {
  if (json === 'null') return 'absent';
  const bare = json.startsWith('"') && (type !== 'JSON' || forms !== undefined);
  return bare ? (JSON.parse(json) as string) : json;
}

test('the product itself finds nothing to complain of', async () => {
  const parked = await Promise.all(line.stores.map(async (store) => await store.parkedKeys(10)));
  expect(parked.flat()).toEqual([]);
  expect(failures).toEqual([]);
});
