/** Which form a column gets, and which settings are refused: tables of configuration × column. */
import { describe, expect, it } from 'vitest';
import type { Config, TableOverride } from '../../core/config.js';
import { canonicalDefinition, definitionHash, parseDefinition, type Column } from '../../core/definition.js';
import { checkForms } from '../../core/formChecks.js';
import { formLosses, withForms, type FormSettings } from '../../core/forms.js';
import { keyParts, keyTextOf } from '../../core/keyText.js';
import { columnText } from '../../core/rowJson.js';
import { changesRows } from '../../stores/mysql/definitionChange.js';
import { column, definition } from '../support/storeRig.js';

const columns = {
  id: column('id', 'bigint', { columnType: 'bigint unsigned', unsigned: true, nullable: false }),
  n: column('n', 'int'),
  big: column('big', 'bigint'),
  bits: column('bits', 'bit', { columnType: 'bit(54)', precision: 54 }),
  few: column('few', 'bit', { columnType: 'bit(53)', precision: 53 }),
  doc: column('doc', 'json'),
  at: column('at', 'datetime', { columnType: 'datetime(6)', fsp: 6 }),
  ms: column('ms', 'timestamp', { columnType: 'timestamp(3)', fsp: 3 }),
  ok: column('ok', 'tinyint', { columnType: 'tinyint(1)' }),
  tiny: column('tiny', 'tinyint', { columnType: 'tinyint' }),
};
const t = definition(Object.values(columns), ['id'], 't');
const keyed = (column: Column): ReturnType<typeof definition> => definition([column], [column.name], 't');

function config(
  pipeline: FormSettings,
  table?: Omit<TableOverride, 'redis' | 'mongo'>,
): Pick<Config, 'forms' | 'overrides'> {
  return { forms: pipeline, overrides: table === undefined ? {} : { t: table } };
}

function formsOf(of: typeof t, settings: Pick<Config, 'forms' | 'overrides'>): Record<string, string> {
  return Object.fromEntries(
    withForms(of, settings).columns.flatMap(({ name, form }) => (form === undefined ? [] : [[name, form]])),
  );
}

describe('forms', () => {
  it.each<[string, FormSettings, Omit<TableOverride, 'redis' | 'mongo'> | undefined, Record<string, string>]>([
    ['none', {}, undefined, {}],
    ['own forms, by name', { int64: 'number', json: 'value', datetime: 'string', boolean: 'bit1' }, undefined, {}],
    [
      'of the pipeline',
      { int64: 'string' },
      undefined,
      { id: 'int64-string', big: 'int64-string', bits: 'int64-string' },
    ],
    ['of a table', {}, { forms: { json: 'string', datetime: 'date' } }, { doc: 'json-string', at: 'datetime-date' }],
    ['of a column', {}, { columns: { ok: { boolean: 'tinyint1' } } }, { ok: 'tinyint1-boolean' }],
    ['a table over the pipeline', { boolean: 'tinyint1' }, { forms: { boolean: 'bit1' } }, {}],
    [
      'a column over its table',
      { json: 'string' },
      { forms: { int64: 'string' }, columns: { id: { int64: 'number' }, bits: { int64: 'number' } } },
      { doc: 'json-string', big: 'int64-string' },
    ],
  ])('%s', (_, pipeline, table, expected) => {
    expect(formsOf(t, config(pipeline, table))).toEqual(expected);
  });

  it('leave a key what would make two keys one', () => {
    const all = config({ datetime: 'date', boolean: 'tinyint1', int64: 'string' });
    expect(formsOf(keyed(columns.at), all)).toEqual({});
    expect(formsOf(keyed(columns.ok), all)).toEqual({});
    expect(formsOf(keyed(columns.big), all)).toEqual({ big: 'int64-string' });
  });

  it('are part of the definition and of its hash, and survive its text', () => {
    const formed = withForms(t, config({ json: 'string' }));
    expect(definitionHash(formed)).not.toBe(definitionHash(t));
    expect(parseDefinition(canonicalDefinition(formed))).toEqual(formed);
    expect(withForms(t, config({}))).toBe(t);
  });

  it.each<FormSettings>([{ int64: 'string' }, { json: 'string' }, { datetime: 'date' }, { boolean: 'tinyint1' }])(
    '%j changes how rows look, in both directions',
    (settings) => {
      const formed = withForms(t, config(settings));
      expect([changesRows(t, formed), changesRows(formed, t), changesRows(formed, formed)]).toEqual([
        true,
        true,
        false,
      ]);
    },
  );

  it('show as text in keys and hashes', () => {
    const of = withForms(keyed(columns.big), config({ int64: 'string' }));
    expect(keyTextOf(of, ['9007199254740993'])).toBe('{"big":"9007199254740993"}');
    expect(keyParts(of, Buffer.from('{"big":"9007199254740993"}'))).toEqual(['9007199254740993']);
    const text = Buffer.from('"{\\"a\\": 1}"');
    expect(columnText({ ...columns.doc, form: 'json-string' }, text, 0, text.length)).toBe('{"a": 1}');
  });

  it('name what is lost', () => {
    const formed = withForms(t, config({ int64: 'string', json: 'string', datetime: 'date', boolean: 'tinyint1' }));
    expect(formLosses(formed).map(({ column: name, loss }) => [name, loss])).toEqual([
      ['at', 'datetime(6) becomes a BSON Date (datetime: date): digits below the millisecond are cut in MongoDB'],
    ]);
  });
});

describe('settings that are refused', () => {
  it.each<[string, Omit<TableOverride, 'redis' | 'mongo'>, string[]]>([
    ['none', { forms: { int64: 'string' }, columns: { doc: { json: 'string' } } }, []],
    [
      'an unknown column',
      { columns: { dok: { json: 'string' } } },
      [
        'overrides.t.columns.dok names no column of t (did you mean doc?); allowed: id, n, big, bits, few, doc, at, ms, ok, tiny',
      ],
    ],
    [
      'another case',
      { columns: { DOC: {} } },
      [
        'overrides.t.columns.DOC names no column of t (did you mean doc?); allowed: id, n, big, bits, few, doc, at, ms, ok, tiny',
      ],
    ],
    [
      'int64 on INT',
      { columns: { n: { int64: 'string' } } },
      ['overrides.t.columns.n.int64 does not fit int; allowed on BIGINT and BIT(54) to BIT(64)'],
    ],
    [
      'int64 on a BIT that JavaScript holds',
      { columns: { few: { int64: 'string' } } },
      ['overrides.t.columns.few.int64 does not fit bit(53); allowed on BIGINT and BIT(54) to BIT(64)'],
    ],
    [
      'datetime on milliseconds',
      { columns: { ms: { datetime: 'date' } } },
      [
        'overrides.t.columns.ms.datetime does not fit timestamp(3); allowed on DATETIME and TIMESTAMP with more than 3 fraction digits',
      ],
    ],
    [
      'boolean on TINYINT',
      { columns: { tiny: { boolean: 'tinyint1' } } },
      ['overrides.t.columns.tiny.boolean does not fit tinyint; allowed on TINYINT(1)'],
    ],
    [
      'an own form where it does not fit',
      { columns: { n: { json: 'value' } } },
      ['overrides.t.columns.n.json does not fit int; allowed on JSON'],
    ],
    [
      'two at once',
      { columns: { n: { json: 'string', boolean: 'tinyint1' } } },
      [
        'overrides.t.columns.n.json does not fit int; allowed on JSON',
        'overrides.t.columns.n.boolean does not fit int; allowed on TINYINT(1)',
      ],
    ],
  ])('%s', (_, table, expected) => {
    expect(checkForms({ overrides: { t: table } }, [t]).map((m) => `${m.path} ${m.problem}`)).toEqual(expected);
  });

  it('a form that would make two keys one', () => {
    const refused = checkForms({ overrides: { t: { columns: { at: { datetime: 'date' } } } } }, [keyed(columns.at)]);
    expect(refused.map((m) => m.problem)).toEqual([
      'is not for a column of the key: two keys that differ in microseconds would become one',
    ]);
    expect(checkForms({ overrides: { t: { columns: { at: { datetime: 'string' } } } } }, [keyed(columns.at)])).toEqual(
      [],
    );
  });

  it('a setting of a table that fits none of its columns', () => {
    const of = [definition([columns.n], ['n'], 't')];
    expect(checkForms({ overrides: { t: { forms: { json: 'string' } } } }, of)).toEqual([
      { path: 'overrides.t.json', problem: 'fits no column of t; allowed on JSON' },
    ]);
    expect(checkForms({ overrides: { t: { forms: { json: 'value' } } } }, of)).toEqual([]);
  });
});
