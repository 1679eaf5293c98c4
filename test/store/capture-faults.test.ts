/** What can go wrong around capture, one fault a test: whatever it is, each committed change ends in the topics once. */
import { createConnection } from 'mysql2/promise';
import { afterEach, beforeEach, expect, inject, test } from 'vitest';
import { ownTopic } from '../../core/names.js';
import { readMarker, insertMarker } from '../../stores/mysql/markers.js';
import { readCopies } from '../../stores/mysql/copies.js';
import { readParked } from '../../stores/mysql/parked.js';
import { createCaptureRig, readEvents, type CapturedEvent, type CaptureRig } from '../support/captureRig.js';
import { KafkaProxy } from '../support/kafkaProxy.js';
import { until } from '../support/processes.js';
import { deleteTopics } from '../support/topics.js';

let rig: CaptureRig;
const stack = inject('stack');

beforeEach(async () => {
  rig = await createCaptureRig(
    stack,
    'capturefault',
    [
      'CREATE TABLE orders (id INT PRIMARY KEY, note LONGTEXT)',
      'CREATE TABLE items (order_id INT, n VARCHAR(10), PRIMARY KEY (order_id, n))',
    ],
    { batchRows: 50, maxMessageBytes: 100_000 },
  );
  await rig.install();
});

afterEach(async () => {
  await rig.remove();
});

async function events(): Promise<CapturedEvent[]> {
  return await readEvents(rig.config);
}

/** Keys of `orders` in the topics, without tombstones. */
function ids(found: readonly CapturedEvent[]): number[] {
  const keys = found.filter((event) => event.op !== 't' && event.topic.endsWith('.orders'));
  return keys.map((event) => Number((JSON.parse(event.key) as { id: number }).id)).toSorted((a, b) => a - b);
}

async function insert(from: number, to: number): Promise<void> {
  const rows = Array.from({ length: to - from }, (_, i) => `(${from + i}, 'note ${from + i}')`);
  await rig.root.query(`INSERT INTO orders VALUES ${rows.join(',')}`);
}

function numbers(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i);
}

async function due(): Promise<string[]> {
  const copies = await readCopies(rig.mysql, rig.stateDatabase);
  const [tables] = await rig.root.query(`SELECT id, name FROM ${rig.stateDatabase}.tables`);
  const names = new Map((tables as { id: number; name: string }[]).map(({ id, name }) => [id, name]));
  return copies
    .filter(({ phase }) => phase !== 'done')
    .map(({ tableId }) => names.get(tableId) ?? '')
    .toSorted();
}

/** As if every copy had been made. */
async function allCopied(): Promise<void> {
  await rig.root.query(`UPDATE ${rig.stateDatabase}.copies SET phase = 'done'`);
}

test('broker connections are cut again and again', async () => {
  const proxy = new KafkaProxy(stack.kafka.brokers[0] ?? '');
  try {
    const run = rig.keepCapturing(await proxy.listen());
    let rows = 0;
    // In the middle of the rows: a transaction is hit, and now and then the fetches of the start after it.
    for (; run.failures.length < 4 && rows < 20_000; rows += 500) {
      await insert(rows, rows + 500);
      await until('capture is at it', async () => (await rig.waiting()) < 450);
      proxy.cut();
      await new Promise((resolve) => setTimeout(resolve, 100));
      proxy.cut();
    }
    await rig.drained();
    await run.stop();
    expect(run.failures.length).toBeGreaterThanOrEqual(4);
    expect(ids(await events())).toEqual(numbers(0, rows));
  } finally {
    proxy.close();
  }
});

test('the answers to commits are lost', async () => {
  const proxy = new KafkaProxy(stack.kafka.brokers[0] ?? '');
  try {
    const run = rig.keepCapturing(await proxy.listen());
    await insert(0, 100);
    await rig.drained();
    for (let round = 1; round <= 5; round++) {
      proxy.swallowCommits(1);
      await insert(round * 100, round * 100 + 100);
      await until('a commit lost its answer', () => proxy.swallowed >= round);
    }
    await rig.drained();
    await run.stop();
    expect(run.failures.filter((text) => text.includes('commit')).length).toBeGreaterThan(0);
    expect(ids(await events())).toEqual(numbers(0, 600));
  } finally {
    proxy.close();
  }
});

test('TRUNCATE of the change log gives numbers out again', async () => {
  const run = rig.capture();
  await insert(0, 60);
  await rig.drained();
  await run.stop();
  await allCopied();
  await rig.root.query(`TRUNCATE TABLE ${rig.stateDatabase}.change_log`);
  await insert(100, 160);
  const again = await rig.capture().done;
  expect(again.kind).toBe('source-rewound');
  expect(await due()).toEqual(['items', 'orders']);
  const third = rig.capture();
  await rig.drained();
  await third.stop();
  expect(ids(await events())).toEqual([...numbers(0, 60), ...numbers(100, 160)]);
});

test('TRUNCATE while capture runs takes nothing else away', async () => {
  const run = rig.capture();
  await insert(0, 60);
  await rig.drained();
  await rig.root.query(`TRUNCATE TABLE ${rig.stateDatabase}.change_log`);
  await insert(100, 160);
  // Numbers begin again below the floor, where capture looks once a minute if the floor had moved by then.
  await rig.drained(90_000);
  await run.stop();
  expect(ids(await events())).toEqual([...numbers(0, 60), ...numbers(100, 160)]);
});

test('a restored change log holds other rows under published numbers', async () => {
  const run = rig.capture();
  await insert(0, 10);
  await rig.drained();
  await run.stop();
  // The last state record still names these numbers; their rows are new ones.
  await insert(10, 20);
  const [rows] = await rig.root.query(`SELECT MIN(seq) low FROM ${rig.stateDatabase}.change_log`);
  const { low } = (rows as { low: number }[])[0] ?? { low: 0 };
  await rig.root.query(`UPDATE ${rig.stateDatabase}.change_log SET seq = seq - ? ORDER BY seq`, [low - 1]);
  await allCopied();
  const next = rig.capture();
  await rig.drained();
  await next.stop();
  expect(ids(await events())).toEqual(numbers(0, 20));
});

test('rows that were published come back, and are not published twice', async () => {
  await insert(0, 20);
  await rig.root.query(`CREATE TABLE ${rig.stateDatabase}.kept LIKE ${rig.stateDatabase}.change_log`);
  await rig.root.query(`INSERT INTO ${rig.stateDatabase}.kept SELECT * FROM ${rig.stateDatabase}.change_log`);
  const run = rig.capture();
  await rig.drained();
  await run.stop();
  // What a crash between commit and delete leaves behind.
  await rig.root.query(`INSERT INTO ${rig.stateDatabase}.change_log SELECT * FROM ${rig.stateDatabase}.kept`);
  const next = rig.capture();
  await rig.drained();
  await next.stop();
  expect(ids(await events())).toEqual(numbers(0, 20));
});

test('an uncommitted neighbour delays nobody', async () => {
  const other = await createConnection({ uri: stack.mysql.uri, database: rig.config.mysql.database });
  try {
    const run = rig.capture();
    await insert(0, 5);
    await rig.drained();
    await other.query('BEGIN');
    await other.query("INSERT INTO orders VALUES (1000, 'open')");
    const began = performance.now();
    await insert(5, 200);
    await until('only the open row waits', async () => (await rig.waiting()) === 0, { everyMs: 5 });
    expect(performance.now() - began).toBeLessThan(900);
    await other.query('COMMIT');
    await rig.drained();
    await run.stop();
    expect(ids(await events())).toEqual([...numbers(0, 200), 1000]);
  } finally {
    await other.end();
  }
});

test('a locked row of the change log holds up its own delete only', async () => {
  const other = await createConnection({ uri: stack.mysql.uri, database: rig.stateDatabase });
  try {
    await insert(0, 10);
    await other.query('BEGIN');
    await other.query('SELECT * FROM change_log ORDER BY seq LIMIT 1 FOR UPDATE');
    const run = rig.capture();
    await until('the others are gone', async () => (await rig.waiting()) === 1);
    await insert(10, 200);
    await until('what came later is gone too', async () => (await rig.waiting()) === 1);
    // A successor inherits what could not be deleted.
    await run.stop();
    const next = rig.capture();
    await insert(200, 210);
    await until('the successor works', async () => (await rig.waiting()) === 1);
    await other.query('ROLLBACK');
    await rig.drained();
    await next.stop();
    expect(ids(await events())).toEqual(numbers(0, 210));
  } finally {
    await other.end();
  }
});

test('a change over the message limit is parked; a later one that fits frees the key', async () => {
  const run = rig.capture();
  await rig.root.query("INSERT INTO orders VALUES (1, 'small'), (2, 'small')");
  await rig.root.query("UPDATE orders SET note = REPEAT('x', 150000) WHERE id = 1");
  await rig.root.query("UPDATE orders SET note = 'still' WHERE id = 2");
  await rig.drained();
  const parked = await readParked(rig.mysql, rig.stateDatabase, 10);
  expect(parked.map(({ key, reason }) => [key, reason.includes('max.message.bytes 100000')])).toEqual([
    ['{"id":1}', true],
  ]);
  await rig.root.query("UPDATE orders SET note = 'small again' WHERE id = 1");
  await rig.root.query("INSERT INTO orders VALUES (3, REPEAT('y', 150000))");
  await rig.root.query('DELETE FROM orders WHERE id = 3');
  await rig.drained();
  await until('nothing is parked', async () => (await readParked(rig.mysql, rig.stateDatabase, 10)).length === 0);
  await run.stop();
  const seen = (await events())
    .map((e) => `${e.key} ${e.op} ${e.afterText ?? ''}`)
    .filter((text) => !text.startsWith('{"id":2}'));
  expect(seen.toSorted()).toEqual([
    '{"id":1} c {"id":1,"note":"small"}',
    '{"id":1} u {"id":1,"note":"small again"}',
    '{"id":3} d ',
    '{"id":3} t ',
  ]);
});

test('a change without an image is read again from its table', async () => {
  await rig.root.query("INSERT INTO orders VALUES (1, 'now'), (2, 'now')");
  await rig.root.query(`UPDATE ${rig.stateDatabase}.change_log SET op = '?', \`after\` = NULL`);
  await rig.root.query(`INSERT INTO ${rig.stateDatabase}.change_log (identity, table_id, op, \`key\`, definition)
    SELECT RANDOM_BYTES(8), table_id, '?', '{"id":77}', definition FROM ${rig.stateDatabase}.change_log LIMIT 1`);
  const run = rig.capture();
  await rig.drained();
  await run.stop();
  const seen = (await events()).map((e) => `${e.key} ${e.op} ${e.afterText ?? ''}`);
  expect(seen.toSorted()).toEqual([
    '{"id":1} r {"id":1,"note":"now"}',
    '{"id":2} r {"id":2,"note":"now"}',
    '{"id":77} d ',
    '{"id":77} t ',
  ]);
});

test('a deleted data topic costs its table a copy and no other table anything', async () => {
  const run = rig.capture();
  await insert(0, 30);
  await rig.root.query("INSERT INTO items VALUES (1, 'a')");
  await rig.drained();
  await run.stop();
  await allCopied();
  await deleteTopics(stack.kafka.brokers, `${rig.config.kafka.topicPrefix}.${rig.config.mysql.database}`);
  await until('they are gone', async () => (await events()).length === 0);
  const next = rig.capture();
  await insert(30, 40);
  await rig.drained();
  expect(await due()).toEqual(['items', 'orders']);
  await allCopied();
  await next.stop();
  const third = rig.capture();
  await insert(40, 50);
  await rig.drained();
  await third.stop();
  expect(await due()).toEqual([]);
  const found = await events();
  expect(ids(found)).toEqual(numbers(30, 50));
  expect(Math.min(...found.map(({ ordinal }) => ordinal))).toBeGreaterThan(1);
});

test('a lost state topic begins a new incarnation and asks for copies until they are recorded', async () => {
  const run = rig.capture();
  await insert(0, 30);
  await rig.drained();
  await run.stop();
  await allCopied();
  await deleteTopics(stack.kafka.brokers, `${rig.config.kafka.topicPrefix}.lockstep`);
  const lost = await rig.capture().done;
  expect(lost.kind).toBe('log-lost');
  expect(await due()).toEqual(['items', 'orders']);
  const next = rig.capture();
  await insert(30, 40);
  await rig.drained();
  await next.stop();
  const found = await events();
  expect(ids(found)).toEqual(numbers(0, 40));
  expect(new Set(found.map(({ incarnation }) => incarnation)).size).toBe(2);
});

test('a marker resolves to ends that cover everything committed before it', async () => {
  const run = rig.capture();
  await insert(0, 30);
  const id = '3f2b8c52-0000-4000-8000-000000000001';
  await insertMarker(rig.mysql, rig.stateDatabase, id);
  await until('it is resolved', async () => (await readMarker(rig.mysql, rig.stateDatabase, id)) !== null, {
    everyMs: 5,
  });
  const vector = (await readMarker(rig.mysql, rig.stateDatabase, id)) ?? new Map<string, number>();
  await run.stop();
  for (const { topic, partition, offset } of await events()) {
    expect(vector.get(`${topic}/${partition}`) ?? 0).toBeGreaterThan(offset);
  }
  expect([...vector.keys()].every((name) => !name.startsWith(ownTopic(rig.config.kafka.topicPrefix, 'state')))).toBe(
    true,
  );
});
