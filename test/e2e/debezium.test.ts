/**
 * Readers of Debezium's format that other projects wrote, unchanged from their registry, read our topics: the MongoDB
 * Kafka connector's handler for Debezium's MySQL events in both envelope forms, and Debezium's own flattening of them.
 * What they leave in MongoDB must be the rows, to the digit.
 */
import { Binary, Decimal128, Double, Int32, Long, MongoClient, type Document } from 'mongodb';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { tableTopic } from '../../core/names.js';
import { createCaptureRig, type CaptureRig, type CaptureRun } from '../support/captureRig.js';
import { connectMissing, startConnect, type Connect } from '../support/connect.js';
import {
  canonicalRow,
  canonicalRowJson,
  connectSource,
  readRows,
  readTables,
  type SourceTable,
} from '../support/source.js';

const stack = inject('stack');
const missing = connectMissing();

const ddl = [
  `CREATE TABLE orders (
     id INT PRIMARY KEY, customer VARCHAR(40), total DECIMAL(10,2), account BIGINT, hash BIGINT UNSIGNED, ratio DOUBLE,
     weight FLOAT, paid BIT(1), flags BIT(9), mask BIT(64), placed DATETIME(3), seen TIMESTAMP(6) NULL, day DATE,
     span TIME(1), y YEAR, kind ENUM('a','b'), tags SET('x','y'), raw VARBINARY(20), place POINT, v VECTOR(3), note TEXT
   )`,
  'CREATE TABLE order_lines (order_id BIGINT UNSIGNED, sku VARCHAR(10), qty INT UNSIGNED, PRIMARY KEY (sku, order_id))',
];

/** One form of the envelope: a source of its own, and the databases in which its readers write. */
interface Side {
  readonly rig: CaptureRig;
  readonly run: CaptureRun & { readonly failures: string[] };
  readonly targets: readonly string[];
}

const handler = 'com.mongodb.kafka.connect.sink.cdc.debezium.rdbms.mysql.MysqlHandler';

describe.skipIf(missing !== undefined)(
  `readers of Debezium's format${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    let sides: readonly Side[] = [];
    let connect: Connect | null = null;
    let mongo: MongoClient;

    beforeAll(async () => {
      mongo = await MongoClient.connect(stack.mongo.uri);
      // Without a schema, Connect reads every whole number as 64 bits with a sign.
      sides = [
        await side('plain', '9223372036854775807', ['handled']),
        await side('schema', '18446744073709551615', ['handled', 'unwrapped']),
      ];
      connect = await startConnect(stack.kafka.brokers, Object.fromEntries(sides.flatMap(connectorsOf)));
    });

    afterAll(async () => {
      await connect?.stop();
      for (const { rig, run, targets } of sides) {
        await run.stop();
        await rig.remove();
        for (const target of targets) await mongo.db(target).dropDatabase();
      }
      await mongo.close();
    });

    test('copies, inserts, updates, deletes with their tombstones and changed keys arrive as the rows they left', async () => {
      expect(await differences()).toEqual([]);
    }, 90_000);

    test('and so does what happens while they read', async () => {
      for (const { rig } of sides) {
        await rig.root.query("INSERT INTO orders (id, customer) VALUES (100, 'late'), (101, 'gone')");
        await rig.root.query('UPDATE orders SET total = -0.01, customer = NULL WHERE id IN (3, 100)');
        await rig.root.query('DELETE FROM orders WHERE id IN (4, 101)');
        await rig.root.query('INSERT INTO orders (id, note) VALUES (4, ?)', ['back "again" \u0001 \\ 漢字 😀']);
        await rig.root.query("UPDATE order_lines SET sku = UPPER(sku) WHERE sku = 'b'");
        await rig.root.query('UPDATE order_lines SET order_id = order_id + 7 WHERE qty = 2');
      }
      expect(await differences()).toEqual([]);
    }, 90_000);

    /** most: the largest unsigned value that readers of this form hold exactly. */
    async function side(envelope: 'plain' | 'schema', most: string, readers: readonly string[]): Promise<Side> {
      const rig = await createCaptureRig(stack, `debezium_${envelope}`, ddl, { envelope, partitions: 2 });
      await rig.install();
      await firstChanges(rig, most);
      const targets = readers.map((reader) => `${rig.config.mysql.database}_${reader}`);
      return { rig, targets, run: rig.keepCapturing() };
    }

    /** Once the readers have caught up, or after a minute. A task that fails on a record is restarted by nobody. */
    async function differences(): Promise<string[]> {
      const found: string[] = [];
      for (const { rig, run, targets } of sides) {
        await rig.drained();
        found.push(...run.failures);
        for (const target of targets) {
          const deadline = performance.now() + 60_000;
          let left = await differencesIn(rig, target);
          while (left.length > 0 && performance.now() < deadline && connect?.running() === true) {
            await new Promise((resolve) => setTimeout(resolve, 200));
            left = await differencesIn(rig, target);
          }
          found.push(...left);
        }
      }
      const errors = connect?.log().match(/^.*\bERROR\b[^]{0,2000}/m);
      return [...found, ...(errors ?? [])];
    }

    async function differencesIn({ config }: CaptureRig, target: string): Promise<string[]> {
      const source = await connectSource(stack.mysql.uri, config.mysql.database);
      try {
        const found: string[] = [];
        for (const table of await readTables(source, config.mysql.database)) {
          const topic = tableTopic(config.kafka.topicPrefix, config.mysql.database, table.name);
          const documents = await mongo.db(target).collection(topic).find({}, { promoteValues: false }).toArray();
          const rows = (await readRows(source, table)).map((row) => asLine(canonicalRow(table, row)));
          const read = documents.map((document) => asLine(canonicalRowJson(table, rowText(table, document))));
          found.push(
            ...without(rows, read).map((line) => `missing ${line}`),
            ...without(read, rows).map((line) => `extra ${line}`),
          );
        }
        return found.slice(0, 6);
      } finally {
        await source.end();
      }
    }
  },
);

function connectorsOf({ rig, targets }: Side): [string, Record<string, string>][] {
  const { mysql, kafka } = rig.config;
  const schemas = String(kafka.envelope === 'schema');
  const common = {
    'connector.class': 'com.mongodb.kafka.connect.MongoSinkConnector',
    topics: ['orders', 'order_lines'].map((table) => tableTopic(kafka.topicPrefix, mysql.database, table)).join(','),
    'connection.uri': stack.mongo.uri,
    'key.converter': 'org.apache.kafka.connect.json.JsonConverter',
    'key.converter.schemas.enable': schemas,
    'value.converter': 'org.apache.kafka.connect.json.JsonConverter',
    'value.converter.schemas.enable': schemas,
    'errors.tolerance': 'none',
  };
  const unwrapped = {
    transforms: 'unwrap',
    'transforms.unwrap.type': 'io.debezium.transforms.ExtractNewRecordState',
    'document.id.strategy': 'com.mongodb.kafka.connect.sink.processor.id.strategy.FullKeyStrategy',
    'delete.on.null.values': 'true',
  };
  return targets.map((database) => {
    const reading = database.endsWith('_unwrapped') ? unwrapped : { 'change.data.capture.handler': handler };
    return [database, { ...common, ...reading, database }];
  });
}

/** Before anyone reads: a copy, and every kind of change. */
async function firstChanges({ root, stateDatabase }: CaptureRig, most: string): Promise<void> {
  const rows = Array.from({ length: 12 }, (_, i) => i + 1);
  for (const id of rows) {
    await root.query(
      `INSERT INTO orders VALUES (?, 'Zoë 😀', 12345678.90, -9223372036854775808, ${most}, 1e300, 0.1, b'1', b'101010101', ${most},
         '2024-02-29 23:59:59.999', '2026-10-25 00:30:00.123456', '1999-12-31', '-838:59:59.0', 2155, 'b', 'x,y', X'00FF10',
         ST_GeomFromText('POINT(13.4 52.5)'), STRING_TO_VECTOR('[0.1,-3,1e-20]'), 'plain')`,
      [id],
    );
  }
  await root.query('INSERT INTO orders (id) VALUES (50)');
  await root.query(
    `INSERT INTO order_lines VALUES (${most}, 'a', 4294967295), (1, 'b', 2), (2, 'b', 3), (3, 'c:%', 2)`,
  );
  await root.query(
    `INSERT INTO ${stateDatabase}.change_log (identity, table_id, op, \`key\`, \`after\`, definition)
     SELECT RANDOM_BYTES(8), table_id, 'r', \`key\`, \`after\`, definition FROM ${stateDatabase}.change_log WHERE op = 'c'`,
  );
  await root.query(
    "UPDATE orders SET paid = b'0', ratio = -0.0, hash = 0, note = REPEAT('x', 20000) WHERE id IN (2, 3)",
  );
  await root.query('DELETE FROM orders WHERE id IN (5, 6)');
  await root.query("REPLACE INTO orders (id, customer) VALUES (6, 'replaced'), (7, 'replaced')");
  await root.query('UPDATE orders SET id = id + 1000 WHERE id IN (8, 9)');
  await root.query("UPDATE order_lines SET sku = 'B' WHERE order_id = 2");
  await root.query('DELETE FROM order_lines WHERE order_id = 3');
  await root.query("INSERT INTO order_lines VALUES (3, 'c:%', 5)");
}

/** Key fields and the others as one row, its values as row JSON writes them. */
function rowText(table: SourceTable, { _id, ...others }: Document): string {
  const fields: Document = { ...(_id as Document), ...others };
  const members = table.columns.map(({ name }) => `${JSON.stringify(name)}:${jsonText(fields[name])}`);
  const unknown = Object.keys(fields).filter((name) => !table.columns.some((column) => column.name === name));
  return `{${[...members, ...unknown.map((name) => `${JSON.stringify(name)}:"unknown"`)].join(',')}}`;
}

function jsonText(value: unknown): string {
  if (value instanceof Int32 || value instanceof Long || value instanceof Decimal128) return value.toString();
  if (value instanceof Double) return Object.is(value.value, -0) ? '-0' : String(value.value);
  if (value instanceof Binary) return JSON.stringify(value.toString('base64'));
  if (Array.isArray(value)) return `[${value.map(jsonText).join(',')}]`;
  if (value !== null && typeof value === 'object') {
    return `{${Object.entries(value)
      .map(([name, inner]) => `${JSON.stringify(name)}:${jsonText(inner)}`)
      .join(',')}}`;
  }
  return value === undefined ? '"absent"' : JSON.stringify(value);
}

function asLine(row: ReadonlyMap<string, string>): string {
  return [...row].map(([name, value]) => `${name}=${value.slice(0, 200)}`).join(' ');
}

function without(lines: readonly string[], others: readonly string[]): string[] {
  const known = new Set(others);
  return lines.filter((line) => !known.has(line));
}
