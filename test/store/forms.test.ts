/**
 * Settings of other forms that change while rows are there and changes are on their way: triggers follow, every row is
 * written again, keys that look different move, and both stores end equal. And what does not fit is refused before anything.
 */
import { afterEach, beforeEach, expect, inject, test } from 'vitest';
import type { FormSettings } from '../../core/forms.js';
import { compareStores, differencesOf } from '../support/compare.js';
import { createLineRig, type LineRig } from '../support/lineRig.js';
import type { ChosenForms } from '../support/source.js';

const stack = inject('stack');
let line: LineRig;

beforeEach(async () => {
  line = await createLineRig(stack, 'forms', { overrides: { h: { redis: { layout: 'hash' } } } });
  for (const table of ['t', 'h']) {
    await line.rig.root.query(
      `CREATE TABLE ${table} (id BIGINT PRIMARY KEY, doc JSON, at DATETIME(6), ok TINYINT(1), n INT)`,
    );
  }
});

afterEach(async () => await line.remove());

async function write(from: number): Promise<void> {
  for (const table of ['t', 'h']) {
    await line.rig.root.query(
      `INSERT INTO ${table} VALUES (?, '{"a": 9007199254740993}', '2024-01-02 03:04:05.678901', ?, 0), (?, 'null', NULL, 2, 0)`,
      [`900719925474099${from}`, from % 2, -from - 1],
    );
  }
}

const columnOf = { int64: 'id', json: 'doc', datetime: 'at', boolean: 'ok' } as const;

/** What the comparison has to expect: the test's own account of the settings. */
function chosen(forms: FormSettings): ChosenForms {
  const settings = Object.entries(forms) as [keyof FormSettings, string][];
  const columns = Object.fromEntries(settings.map(([name, value]) => [columnOf[name], { [name]: value }]));
  return { t: columns, h: columns };
}

async function differences(forms: FormSettings): Promise<string[]> {
  await line.copyAll();
  await line.wait();
  return differencesOf(await compareStores({ ...line.targets(), forms: chosen(forms) }));
}

test('all of them there and back again, with changes on their way', { timeout: 300_000 }, async () => {
  const all: FormSettings = { int64: 'string', json: 'string', datetime: 'date', boolean: 'tinyint1' };
  await write(1);
  await line.rig.install();
  line.run();
  expect(await differences({})).toEqual([]);
  expect(await line.stop()).toEqual([]);

  // In the log and in the change log under the old forms, and soon in the stores under the new ones.
  await write(3);
  await line.reconfigure({ forms: all });
  await write(5);
  await line.rig.root.query('DELETE FROM t WHERE id = -4');
  line.run();
  expect(await differences(all)).toEqual([]);
  const [id] = await line.mongo.db(line.database).collection('t').distinct('_id');
  expect(typeof id).toBe('string');
  expect(await line.redis.get(`${line.config.pipeline}:t:9007199254740993`)).toContain('"id":"9007199254740993"');

  await line.reconfigure({ forms: {} });
  await write(7);
  expect(await differences({})).toEqual([]);
});

test('the forms of a table and of a column', async () => {
  await line.rig.install();
  line.run();
  await write(1);
  expect(await differences({})).toEqual([]);
  await line.reconfigure({
    forms: { json: 'string' },
    overrides: {
      t: { forms: { boolean: 'tinyint1' }, columns: { doc: { json: 'value' } } },
      h: { redis: { layout: 'hash' }, forms: { boolean: 'tinyint1' }, columns: { doc: { json: 'value' } } },
    },
  });
  await write(3);
  expect(await differences({ boolean: 'tinyint1' })).toEqual([]);
});

test('what does not fit is refused with every reason before anything is written', async () => {
  await line.remove();
  line = await createLineRig(stack, 'forms', {
    overrides: { t: { columns: { ok: { json: 'string' }, dok: { json: 'string' } } } },
  });
  await line.rig.root.query('CREATE TABLE t (id BIGINT PRIMARY KEY, doc JSON, ok TINYINT(1))');
  await expect(line.rig.install()).rejects.toThrow(
    /columns\.ok\.json does not fit tinyint\(1\); allowed on JSON[\s\S]*columns\.dok names no column of t/,
  );
  const [databases] = await line.rig.root.query('SHOW DATABASES LIKE ?', [line.rig.stateDatabase]);
  expect(databases).toEqual([]);
});
