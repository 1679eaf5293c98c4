import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { createCaptureRig, type CaptureRig } from '../support/captureRig.js';
import { shapeViolations } from '../support/topicChecks.js';
import { readTopics } from '../support/topics.js';

let rig: CaptureRig;

beforeAll(async () => {
  rig = await createCaptureRig(inject('stack'), 'capture', [
    'CREATE TABLE orders (id INT PRIMARY KEY, note VARCHAR(100), amount DECIMAL(10,2))',
    'CREATE TABLE order_lines (order_id INT, n VARCHAR(10), note LONGTEXT, PRIMARY KEY (order_id, n))',
  ]);
  await rig.install();
});

afterAll(async () => {
  await rig.remove();
});

test('publishes each change once, with envelope, key, header and tombstone', async () => {
  const run = rig.capture();
  await rig.root.query("INSERT INTO orders VALUES (1, 'a', 1.50), (2, 'b', NULL)");
  await rig.root.query("UPDATE orders SET note = 'c' WHERE id = 1");
  await rig.root.query('UPDATE orders SET note = note');
  await rig.root.query('UPDATE orders SET id = 3 WHERE id = 2');
  await rig.root.query('DELETE FROM orders WHERE id = 1');
  await rig.root.query("BEGIN; INSERT INTO orders VALUES (9, 'never', 0); ROLLBACK");
  await rig.root.query("INSERT INTO order_lines VALUES (1, 'x', REPEAT('long', 20000))");
  await rig.drained();
  expect(await run.stop()).toEqual({ kind: 'stopped' });
  const events = await readTopics(rig.config.kafka.brokers, rig.config.kafka.topicPrefix);
  const summary = events.map((e) => `${e.key} ${e.op} ${e.afterText?.slice(0, 40) ?? 'null'}`).toSorted();
  expect(summary).toEqual([
    '{"id":1} c {"id":1,"note":"a","amount":"1.50"}',
    '{"id":1} d null',
    '{"id":1} t null',
    '{"id":1} u {"id":1,"note":"c","amount":"1.50"}',
    '{"id":2} c {"id":2,"note":"b","amount":null}',
    '{"id":2} d null',
    '{"id":2} t null',
    '{"id":3} c {"id":3,"note":"b","amount":null}',
    '{"order_id":1,"n":"x"} c {"order_id":1,"n":"x","note":"longlonglo',
  ]);
  expect(shapeViolations(events)).toEqual([]);
});
