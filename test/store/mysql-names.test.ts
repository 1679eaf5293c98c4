/** Column names of every make in triggers: MySQL itself stumbles over some, and what it cannot name is left out by name. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isNameableInTrigger, quoteName } from '../../stores/mysql/quote.js';
import { readTables } from '../../stores/mysql/definitions.js';
import { createTrigger, triggersOf } from '../../stores/mysql/triggers.js';
import { triggerSession } from '../../stores/mysql/triggerInstall.js';
import { readPlan } from '../../stages/tableSource.js';
import { seededRandom, testSeed } from '../support/random.js';
import { createRig, type Rig } from './mysqlRig.js';

const pieces = ['a', '`', '"', 'ж', '表', "'", '\\', '.', '$', ' '];
const seed = testSeed();
let rig: Rig;

beforeAll(async () => {
  rig = await createRig();
});

afterAll(async () => await rig.drop());

test('a column that is called nameable can be named by a trigger, and no other', async () => {
  console.log(`seed ${seed}`);
  const random = seededRandom(seed);
  const names = new Set(['`', '"', '`"', 'ж`', '`ж', '`"ж', 'ж`"ж', '`a"', '``ж', "`ж'"]);
  while (names.size < 50) {
    const name = Array.from({ length: 1 + random.below(6) }, () => random.pick(pieces)).join('');
    if (!name.endsWith(' ')) names.add(name);
  }
  const session = await triggerSession(rig.mysql);
  const wrong: string[] = [];
  try {
    for (const name of names) {
      await rig.run(`CREATE TABLE {src}.t (id INT PRIMARY KEY, ${quoteName(name)} INT)`);
      const [facts] = await readTables(rig.mysql, rig.source, 't');
      const scope = { stateDatabase: rig.state, tableId: 1, definer: 'root@localhost' };
      const [trigger] = triggersOf(facts!.definition, scope);
      const made = await session.run(createTrigger(rig.source, { ...trigger!, definer: 'CURRENT_USER' })).then(
        () => true,
        () => false,
      );
      if (made !== isNameableInTrigger(name)) wrong.push(`${name}: ${made ? 'made' : 'refused'}`);
      await rig.run('DROP TABLE {src}.t');
    }
  } finally {
    session.destroy();
  }
  expect(wrong).toEqual([]);
  expect([...names].filter((name) => !isNameableInTrigger(name)).length).toBeGreaterThan(0);
});

test('what a trigger can name is captured under its name; the rest is left out with the reason', async () => {
  const odd = ['ж`', '表"', 'a`ж"b', `\\"'`, 'a.b $`', `a${'表'.repeat(60)}` + '`"b', 'constructor', '__proto__', '10'];
  await rig.run(
    `CREATE TABLE {src}.odd (id INT PRIMARY KEY, ${odd.map((name) => `${quoteName(name)} INT`).join(', ')})`,
    'CREATE TABLE {src}.bad (id INT PRIMARY KEY, `ж``"ж` INT)',
  );
  const { leftOut } = await readPlan({ config: rig.config, mysql: rig.mysql });
  expect(leftOut.map(({ table, reason }) => [table, reason])).toEqual([['bad', 'unnameable-column']]);
  await rig.install();
  await rig.run(`INSERT INTO {src}.odd VALUES (1, ${odd.map((_, i) => i).join(', ')})`);
  const [logged] = await rig.log();
  const members = odd.map((name, i) => `${JSON.stringify(name)}:${i}`);
  expect(logged?.after).toBe(`{"id":1,${members.join(',')}}`);
});
