/**
 * Keys of every kind on real servers: no two keys meet, in no store, and whatever finds a row by its key finds that row: the
 * look for orphans, the change whose image is missing, the walk of a copy. What is expected stands in keyTable.ts, by hand.
 */
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { Definition } from '../../core/definition.js';
import { targetOf } from '../../core/target.js';
import { compareTable, differenceCount } from '../../stages/compare.js';
import { asMysqlPrints, keysWithoutRow } from '../../stores/mysql/keyLookup.js';
import type { Boundary } from '../../stores/mysql/keyWalk.js';
import { readRows } from '../../stores/mysql/readRows.js';
import { readRowByKey } from '../../stores/mysql/rowByKey.js';
import { readCapturedTables, readDefinition } from '../../stores/mysql/state.js';
import { keyKinds, type KeyCase, type KeyKind } from '../support/keyTable.js';
import { createLineRig, type LineRig } from '../support/lineRig.js';
import { readRawDocument } from '../support/rawBson.js';
import { quote } from '../support/source.js';
import { readTopics, type TopicEvent } from '../support/topics.js';

const stack = inject('stack');
const kinds = keyKinds.map((kind, i) => ({ ...kind, table: `k${i}`, asHash: i % 2 === 1 }));
let line: LineRig;
let events: readonly TopicEvent[];

beforeAll(async () => {
  const overrides = Object.fromEntries(
    kinds.map(({ table, asHash, forms }) => [
      table,
      { redis: { layout: asHash ? 'hash' : 'json' }, ...(forms === undefined ? {} : { forms }) } as const,
    ]),
  );
  line = await createLineRig(stack, 'keys', { overrides });
  const { root } = line.rig;
  await root.query("SET NAMES utf8mb4, sql_mode = 'ALLOW_INVALID_DATES', time_zone = '-03:30'");
  for (const { table, columns, primary } of kinds) {
    const list = columns.map(([name, type]) => `${quote(name)} ${type} NOT NULL`).toReversed();
    const key = primary ?? columns.map(([name]) => quote(name)).join(', ');
    await root.query(`CREATE TABLE ${table} (value INT NOT NULL, ${list.join(', ')}, PRIMARY KEY (${key}))`);
  }
  await insert((_, i) => i % 2 === 0);
  await line.rig.install();
  line.run();
  await line.copyAll();
  await insert((_, i) => i % 2 === 1);
  for (const { table, columns, changes } of kinds) {
    for (const [from, [literals]] of changes ?? []) {
      const set = columns.map(([name], i) => `${quote(name)} = ${literals[i]}`).join(', ');
      await root.query(`UPDATE ${table} SET ${set} WHERE value = ${from}`);
    }
    await root.query(`UPDATE ${table} SET value = value + 1000`);
  }
  await line.wait();
});

afterAll(async () => await line.remove());

async function insert(which: (key: KeyCase, index: number) => boolean): Promise<void> {
  for (const { table, columns, keys } of kinds) {
    for (const [i, key] of keys.entries()) {
      if (!which(key, i)) continue;
      const names = columns.map(([name]) => quote(name)).join(', ');
      await line.rig.root.query(`INSERT INTO ${table} (${names}, value) VALUES (${key[0].join(', ')}, ${i})`);
    }
  }
}

/** Keys as they are in the end. */
function finalKeys({ keys, changes }: KeyKind): KeyCase[] {
  const changed = new Map(changes);
  return keys.map((key, i) => changed.get(i) ?? key);
}

async function definitionOf(name: string): Promise<Definition> {
  const { mysql, stateDatabase } = line.rig;
  const captured = (await readCapturedTables(mysql, stateDatabase)).find((table) => table.name === name);
  const definition = await readDefinition(mysql, stateDatabase, captured?.definition ?? '');
  if (definition === null) throw new Error(`${name} has no definition`);
  return definition;
}

describe.each(kinds)('$name', (kind) => {
  const { table } = kind;
  const expected = finalKeys(kind);
  const kafkaKeys = expected.map(([, kafka]) => kafka).toSorted();

  test('MongoDB: one document a key, under its _id', async () => {
    const found = line.mongo.db(line.database).collection<Buffer>(table, { raw: true }).find();
    const ids = (await found.toArray()).map((bytes) => (readRawDocument(bytes)[0] ?? []).join(' '));
    expect(ids.toSorted()).toEqual(expected.map(([, , , id]) => `_id ${id}`).toSorted());
  });

  test('Redis: one key a key', async () => {
    const prefix = `${line.config.pipeline}:${table}:`;
    const found: string[] = [];
    for await (const keys of line.redis.scanStream({ match: `${prefix}*`, count: 1000 }))
      found.push(...(keys as string[]));
    expect([...new Set(found)].toSorted()).toEqual(expected.map(([, , redis]) => prefix + redis).toSorted());
  });

  test('the product finds nothing different, nothing missing and nothing extra', async () => {
    const definition = await definitionOf(table);
    const { mysql } = line.rig;
    const compared = await compareTable({ mysql, stores: line.stores }, definition, targetOf(table, line.config));
    expect([compared.rows, differenceCount(compared), compared.differences]).toEqual([expected.length, 0, []]);
  });

  test('each store’s keys lead back to the rows', async () => {
    const definition = await definitionOf(table);
    const { mysql } = line.rig;
    for (const store of line.stores) {
      const found: string[] = [];
      for await (const keys of store.scanKeys(targetOf(table, line.config), definition)) found.push(...keys);
      const printed = await asMysqlPrints(mysql, definition, [...new Set(found)]);
      expect([store.name, printed.toSorted()]).toEqual([store.name, kafkaKeys]);
      expect(await keysWithoutRow(mysql, definition, printed)).toEqual([]);
    }
  });

  test('a row is found by the key that the log holds, and only its own', async () => {
    const definition = await definitionOf(table);
    for (const [, kafka] of expected) {
      const found = await readRowByKey(line.rig.mysql, definition, Buffer.from(kafka));
      expect([kafka, found.kind]).toEqual([kafka, 'row']);
    }
    for (const [from] of kind.changes ?? []) {
      const old = Buffer.from(kind.keys[from]?.[1] ?? '');
      expect([old.toString(), (await readRowByKey(line.rig.mysql, definition, old)).kind]).toEqual([
        old.toString(),
        'gone',
      ]);
    }
  });

  test('a walk by single rows meets each once', async () => {
    const definition = await definitionOf(table);
    const met: string[] = [];
    for (let after: Boundary | null = null; ;) {
      const { rows, last } = await readRows(line.rig.mysql, definition, after, 1);
      met.push(...rows.map(({ key }) => key.toString()));
      if (last === null || met.length > expected.length) break;
      after = last;
    }
    expect(met.toSorted()).toEqual(kafkaKeys);
  });
});

test('deleting every row leaves both stores empty, and the topics tell each change of key', async () => {
  for (const { table } of kinds) await line.rig.root.query(`DELETE FROM ${table}`);
  await line.wait();
  for (const { table } of kinds) {
    expect([table, await line.mongo.db(line.database).collection(table).countDocuments()]).toEqual([table, 0]);
  }
  const left = (await line.redis.keys(`${line.config.pipeline}:*`)).filter((key) => !key.includes('::lockstep:'));
  expect(left).toEqual([]);
  expect(await line.stop()).toEqual([]);

  events = await readTopics(stack.kafka.brokers, line.config.pipeline);
  for (const kind of kinds) {
    const topic = `.${kind.table}`;
    const opsOf = (key: string): string =>
      events
        .filter((e) => e.topic.endsWith(topic) && e.key === key)
        .map((e) => e.op)
        .join('');
    const changed = new Map(kind.changes);
    const story = kind.keys.flatMap(([, key], i): [string, string][] => {
      const begins = i % 2 === 0 ? 'r' : 'c';
      const to = changed.get(i);
      return to === undefined
        ? [[key, `${begins}udt`]]
        : [
            [key, `${begins}dt`],
            [to[1], 'cudt'],
          ];
    });
    expect([kind.name, story.map(([key]) => [key, opsOf(key)])]).toEqual([kind.name, story]);
  }
});
