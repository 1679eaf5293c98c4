/**
 * What capture cannot publish now or at all: a row behind a lock is waited for without holding anything else up, one over
 * a limit is parked, and a limit that someone lowers meanwhile is learned.
 */
import { Kafka, logLevel } from 'kafkajs';
import { createConnection, type Connection, type RowDataPacket } from 'mysql2/promise';
import { afterEach, expect, inject, test } from 'vitest';
import { decodeState, stateKey } from '../../core/stateRecord.js';
import { ownTopic, tableTopic } from '../../core/names.js';
import { openReader } from '../../stores/kafka/reader.js';
import { insertMarker, readMarker } from '../../stores/mysql/markers.js';
import { readParked } from '../../stores/mysql/parked.js';
import { createCaptureRig, readEvents, type CaptureRig } from '../support/captureRig.js';
import { until } from '../support/processes.js';

const stack = inject('stack');
const ddl = [
  'CREATE TABLE orders (id INT PRIMARY KEY, note LONGTEXT)',
  'CREATE TABLE items (id INT PRIMARY KEY, data LONGBLOB)',
];
const removals: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const remove of removals.splice(0).toReversed()) await remove();
});

async function rigWith(settings: Parameters<typeof createCaptureRig>[3]): Promise<CaptureRig> {
  const rig = await createCaptureRig(stack, 'capturelimit', ddl, settings);
  removals.push(async () => await rig.remove());
  await rig.install();
  return rig;
}

async function connect(rig: CaptureRig): Promise<Connection> {
  const connection = await createConnection({ uri: stack.mysql.uri, database: rig.config.mysql.database });
  removals.push(async () => {
    connection.destroy();
    await Promise.resolve();
  });
  return connection;
}

/** As a trigger logs a change that it has no image of. */
async function takeImages(rig: CaptureRig): Promise<void> {
  await rig.root.query(`UPDATE ${rig.stateDatabase}.change_log SET op = '?', \`after\` = NULL WHERE op <> 'm'`);
}

async function keysIn(rig: CaptureRig, table: string): Promise<string[]> {
  const topic = tableTopic(rig.config.kafka.topicPrefix, rig.config.mysql.database, table);
  return (await readEvents(rig.config)).filter((e) => e.topic === topic).map((e) => `${e.key} ${e.op}`);
}

test('a row whose table is locked stays, with the markers behind it; everything else goes on', async () => {
  const rig = await rigWith({ batchRows: 20 });
  const [reader, ddlSession] = [await connect(rig), await connect(rig)];
  await rig.root.query("INSERT INTO items VALUES (1, 'one'), (2, 'two')");
  await takeImages(rig);
  await insertMarker(rig.mysql, rig.stateDatabase, 'behind');
  // An ALTER that waits for a transaction lets nobody else near the table.
  await reader.query('START TRANSACTION');
  await reader.query('SELECT * FROM items');
  const altered = ddlSession.query('ALTER TABLE items ADD COLUMN more INT, ALGORITHM=COPY');
  await until('the ALTER waits', async () => {
    const [rows] = await rig.root.query<RowDataPacket[]>(
      "SELECT 1 FROM performance_schema.processlist WHERE state LIKE '%metadata lock%' AND info LIKE 'ALTER TABLE items%'",
    );
    return rows.length > 0;
  });
  const run = rig.keepCapturing();
  await rig.root.query("INSERT INTO orders VALUES (1, 'a')");
  await until('the other table goes on', async () => (await rig.waiting()) === 3);
  await insertMarker(rig.mysql, rig.stateDatabase, 'further behind');
  await rig.root.query("INSERT INTO orders VALUES (2, 'b')");
  await until('and on', async () => (await rig.waiting()) === 4);
  expect(await readParked(rig.mysql, rig.stateDatabase, 10)).toEqual([]);
  expect(await readMarker(rig.mysql, rig.stateDatabase, 'behind')).toBeNull();
  // Another relay finds them where they are.
  await run.stop();
  const next = rig.keepCapturing();
  await rig.root.query("INSERT INTO orders VALUES (3, 'c')");
  await until('the next relay works', async () => (await rig.waiting()) === 4);
  await reader.query('COMMIT');
  await altered;
  await rig.drained();
  await next.stop();
  expect([...run.failures, ...next.failures]).toEqual([]);
  expect((await keysIn(rig, 'orders')).toSorted()).toEqual(['{"id":1} c', '{"id":2} c', '{"id":3} c']);
  expect((await keysIn(rig, 'items')).toSorted()).toEqual(['{"id":1} r', '{"id":2} r']);
  for (const marker of ['behind', 'further behind']) {
    expect(await readMarker(rig.mysql, rig.stateDatabase, marker)).not.toBeNull();
  }
  expect(await readParked(rig.mysql, rig.stateDatabase, 10)).toEqual([]);
});

test('LOCK TABLES, and the death of the query that reads a row again, are waited out', async () => {
  const rig = await rigWith({ maxMessageBytes: 33_554_432, partitions: 1 });
  const locker = await connect(rig);
  // Large enough to be caught while it is read, and for the trigger to leave it to capture.
  await rig.root.query("INSERT INTO items VALUES (1, REPEAT('x', 20 * 1024 * 1024))");
  await locker.query('LOCK TABLES items WRITE');
  const run = rig.keepCapturing();
  // Longer than any statement of ours waits for a table.
  await new Promise((resolve) => setTimeout(resolve, 5_500));
  await locker.query('UNLOCK TABLES');
  let killed = 0;
  await until(
    'the query is killed once',
    async () => {
      const [rows] = await rig.root.query<RowDataPacket[]>(
        "SELECT id FROM performance_schema.processlist WHERE db IS NULL AND info LIKE 'SELECT CAST(CASE WHEN%items%'",
      );
      for (const { id } of rows) {
        await rig.root.query(`KILL QUERY ${String(id)}`);
        killed += 1;
      }
      return killed > 0 || (await rig.waiting()) === 0;
    },
    { everyMs: 2 },
  );
  await rig.drained();
  await run.stop();
  expect(await readParked(rig.mysql, rig.stateDatabase, 10)).toEqual([]);
  expect(await keysIn(rig, 'items')).toEqual(['{"id":1} r']);
  expect(killed).toBeGreaterThan(0);
});

test('around the largest message each row is either published or parked, and capture never fails', async () => {
  const limit = 65_536;
  const rig = await rigWith({ maxMessageBytes: limit, partitions: 1 });
  const run = rig.keepCapturing();
  // The envelope, the key and the header are between 300 and 500 bytes here.
  const lengths = Array.from({ length: 100 }, (_, i) => limit - 500 + 2 * i);
  for (const length of lengths) {
    await rig.root.query('INSERT INTO orders VALUES (?, REPEAT(?, ?))', [length, 'x', length]);
  }
  await rig.drained();
  await run.stop();
  const published = (await keysIn(rig, 'orders')).map((text) => Number(/\d+/.exec(text)?.[0]));
  const parked = (await readParked(rig.mysql, rig.stateDatabase, 200)).map(({ key }) => Number(/\d+/.exec(key)?.[0]));
  expect(run.failures).toEqual([]);
  expect([...published, ...parked].toSorted((a, b) => a - b)).toEqual(lengths);
  expect(published.length).toBeGreaterThan(0);
  // Digits of numbers and times in the header vary.
  expect(Math.max(...published) - Math.min(...parked)).toBeLessThan(20);
});

test('a limit that an operator lowers is learned: what no longer fits is parked, the rest goes on', async () => {
  const rig = await rigWith({ maxMessageBytes: 1_000_000, partitions: 1 });
  const run = rig.keepCapturing();
  await rig.root.query("INSERT INTO orders VALUES (1, REPEAT('x', 200000))");
  await rig.drained();
  const kafka = new Kafka({ brokers: stack.kafka.brokers, logLevel: logLevel.NOTHING });
  const admin = kafka.admin();
  const topic = tableTopic(rig.config.kafka.topicPrefix, rig.config.mysql.database, 'orders');
  await admin.connect();
  await admin.alterConfigs({
    validateOnly: false,
    resources: [{ type: 2, name: topic, configEntries: [{ name: 'max.message.bytes', value: '100000' }] }],
  });
  await admin.disconnect();
  await rig.root.query("UPDATE orders SET note = REPEAT('y', 200000) WHERE id = 1");
  await rig.root.query("INSERT INTO orders VALUES (2, 'small')");
  await rig.drained();
  await run.stop();
  const parked = await readParked(rig.mysql, rig.stateDatabase, 10);
  expect(parked.map(({ key }) => key)).toEqual(['{"id":1}']);
  expect(parked[0]?.reason).toContain('max.message.bytes 100000');
  expect((await keysIn(rig, 'orders')).toSorted()).toEqual(['{"id":1} c', '{"id":2} c']);
});

test('with a schema beside it, an event is counted with the schema, and a delete frees the key', async () => {
  const rig = await rigWith({ maxMessageBytes: 65_536, partitions: 1, envelope: 'schema' });
  const run = rig.keepCapturing();
  await rig.root.query("INSERT INTO orders VALUES (1, REPEAT('x', 64500)), (2, REPEAT('x', 60000))");
  await rig.drained();
  expect((await readParked(rig.mysql, rig.stateDatabase, 10)).map(({ key }) => key)).toEqual(['{"id":1}']);
  await rig.root.query('DELETE FROM orders WHERE id = 1');
  await rig.drained();
  await run.stop();
  expect(await readParked(rig.mysql, rig.stateDatabase, 10)).toEqual([]);
  const reader = openReader(rig.config.kafka);
  try {
    const record = await reader.lastCommitted(ownTopic(rig.config.kafka.topicPrefix, 'state'), stateKey);
    expect(decodeState(record!.value!).published).toBe(2);
  } finally {
    await reader.close();
  }
  const [first] = await readEvents(rig.config);
  expect(JSON.parse(first!.key)).toMatchObject({ schema: { type: 'struct' }, payload: { id: 2 } });
  expect(JSON.parse(first!.afterText!)).toMatchObject({ id: 2 });
});
