/** The bound of the change log on a real server: applications go on, nothing is forgotten, triggers come back. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { watchTriggers } from '../../stages/watch.js';
import { readCopies } from '../../stores/mysql/copies.js';
import { asCount } from '../../stores/mysql/cell.js';
import { createRig, eventually, type Rig } from './mysqlRig.js';

let rig: Rig;

beforeEach(async () => {
  rig = await createRig({ changeLog: { maxBytes: 64 * 1024 * 1024 } });
  await rig.run('CREATE TABLE {src}.t (id INT PRIMARY KEY AUTO_INCREMENT, v LONGTEXT)');
  await rig.install();
});

afterEach(async () => {
  await rig.drop();
});

const look = () => watchTriggers({ config: rig.config, mysql: rig.mysql });

async function triggers(): Promise<number> {
  const [row] = await rig.mysql.rows('SELECT COUNT(*) FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = ?', [
    rig.source,
  ]);
  return asCount(row?.[0]);
}

test('at the limit triggers go, applications go on, and below half they come back with a copy', async () => {
  expect((await look()).suspended).toBeNull();
  for (let i = 0; i < 9; i++) await rig.run(`INSERT INTO {src}.t (v) VALUES (REPEAT('x', 8000000))`);
  expect((await look()).suspended).toMatchObject({ code: 'LS-CHANGE-LOG-FULL' });
  expect(await triggers()).toBe(0);

  const logged = (await rig.log()).length;
  await rig.run("INSERT INTO {src}.t (v) VALUES ('not captured')");
  expect(await rig.log()).toHaveLength(logged);

  await rig.mysql.run(`DELETE FROM ${rig.state}.change_log WHERE seq <= 2`);
  // Purge frees the extents some moments after the delete: until then the log is full, then it is over half.
  await look();
  expect(await triggers()).toBe(0);

  await rig.clearLog();
  const back = await eventually(async () => {
    const report = await look();
    return report.suspended === null ? report : undefined;
  }, 60_000);
  expect(back.copies).toEqual([{ table: 't', reason: 'trigger-gap' }]);
  expect(await triggers()).toBe(3);
  const [copy] = await readCopies(rig.mysql, rig.state);
  expect(copy).toMatchObject({ phase: 'needed', reason: 'trigger-gap' });
});

test('over half alone changes nothing', async () => {
  for (let i = 0; i < 5; i++) await rig.run(`INSERT INTO {src}.t (v) VALUES (REPEAT('x', 8000000))`);
  expect((await look()).suspended).toBeNull();
  expect(await triggers()).toBe(3);
});
