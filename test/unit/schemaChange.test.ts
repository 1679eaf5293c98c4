/** What is said of two definitions: every kind of change by name, nothing of what stayed, whatever the tables are. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Column, Definition } from '../../core/definition.js';
import { describeChanges, diffDefinitions } from '../../core/schemaChange.js';
import { keptDefinition, policyOf } from '../../core/schemaPolicy.js';
import { changesKey, changesRows } from '../../stores/mysql/definitionChange.js';

export function column(name: string, over: Partial<Column> = {}): Column {
  return {
    name,
    type: 'int',
    columnType: 'int',
    nullable: true,
    unsigned: false,
    zerofill: false,
    length: null,
    precision: 10,
    scale: 0,
    fsp: null,
    charset: null,
    collation: null,
    generated: false,
    invisible: false,
    members: [],
    ...over,
  };
}

function text(name: string, length: number, over: Partial<Column> = {}): Column {
  const texts = { charset: 'utf8mb4', collation: 'utf8mb4_0900_ai_ci', precision: null, scale: null };
  return column(name, { type: 'varchar', columnType: `varchar(${length})`, length, ...texts, ...over });
}

function table(columns: readonly Column[], key: readonly string[] = ['id']): Definition {
  return { database: 'shop', table: 't', columns, key };
}

const id = column('id', { nullable: false });
const before = table([id, column('a'), text('b', 20)]);

describe('changes by name', () => {
  const cases: readonly (readonly [string, Definition, string])[] = [
    ['nothing', before, ''],
    ['added', table([id, column('a'), text('b', 20), column('c')]), 'column c added (int)'],
    ['dropped', table([id, text('b', 20)]), 'column a dropped (int)'],
    ['renamed', table([id, column('x'), text('b', 20)]), 'column a renamed to x'],
    [
      'renamed to another type',
      table([id, text('x', 5), text('b', 20)]),
      'column a dropped (int); column x added (varchar(5))',
    ],
    [
      'another type',
      table([id, column('a', { type: 'bigint', columnType: 'bigint' }), text('b', 20)]),
      'column a changed from int to bigint',
    ],
    [
      'another character set',
      table([id, column('a'), text('b', 20, { charset: 'latin1', collation: 'latin1_bin' })]),
      'column b changed from utf8mb4 utf8mb4_0900_ai_ci to latin1 latin1_bin',
    ],
    [
      'not null',
      table([id, column('a', { nullable: false }), text('b', 20)]),
      'column a changed from NULL to NOT NULL',
    ],
    ['another order', table([id, text('b', 20), column('a')]), 'columns reordered'],
    ['another key', table([id, column('a'), text('b', 20)], ['id', 'a']), 'key changed from (id) to (id, a)'],
    [
      'a form',
      table([id, column('a', { form: 'int64-string' }), text('b', 20)]),
      'column a changed from form of the type to form int64-string',
    ],
  ];

  it.each(cases)('%s', (_, after, said) => {
    expect(describeChanges(diffDefinitions(before, after))).toBe(said);
  });

  it('a renamed column of the key is no other key', () => {
    const after = table([column('uid', { nullable: false }), column('a'), text('b', 20)], ['uid']);
    expect(describeChanges(diffDefinitions(before, after))).toBe('column id renamed to uid');
  });
});

const columns = fc.uniqueArray(
  fc.record({
    name: fc.constantFrom('id', 'a', 'b', 'c', 'd', 'e'),
    size: fc.integer({ min: 1, max: 3 }),
    nullable: fc.boolean(),
  }),
  { selector: ({ name }) => name, minLength: 1 },
);
const definitions = columns.map((list) =>
  table(
    list.map(({ name, size, nullable }) => text(name, size, { nullable })),
    [list[0]?.name ?? 'id'],
  ),
);

describe('any two definitions', () => {
  it('are told apart where they differ, and only there', () => {
    fc.assert(
      fc.property(definitions, definitions, (one, other) => {
        const changes = diffDefinitions(one, other);
        expect(changes.length === 0).toBe(JSON.stringify(one) === JSON.stringify(other));
        const names = new Set(one.columns.map(({ name }) => name));
        const wrong = changes.filter(
          (change) =>
            (change.kind === 'column-added' && names.has(change.column)) ||
            (change.kind === 'column-dropped' && !names.has(change.column)),
        );
        expect(wrong).toEqual([]);
      }),
    );
  });

  it('a key that stands as it was moves no row', () => {
    fc.assert(
      fc.property(definitions, (one) => {
        expect([changesKey(one, one), changesRows(one, one)]).toEqual([false, false]);
      }),
    );
  });
});

describe('what a change of the key is', () => {
  const keyed = (key: Column): Definition => table([key, column('a')], [key.name]);
  const cases: readonly (readonly [string, Column, Column, boolean])[] = [
    [
      'INT to MEDIUMINT is Int32 both',
      column('id'),
      column('id', { type: 'mediumint', columnType: 'mediumint' }),
      false,
    ],
    [
      'INT to BIGINT: MongoDB would keep the Int32',
      column('id'),
      column('id', { type: 'bigint', columnType: 'bigint', precision: 19 }),
      true,
    ],
    ['INT to INT UNSIGNED', column('id'), column('id', { unsigned: true, columnType: 'int unsigned' }), true],
    ['a longer VARCHAR', text('id', 5), text('id', 9), false],
    ['VARCHAR to CHAR', text('id', 5), text('id', 5, { type: 'char', columnType: 'char(5)' }), false],
    ['another name', column('id'), column('uid'), true],
  ];

  it.each(cases)('%s', (_, one, other, moves) => {
    expect(changesKey(keyed({ ...one, precision: null }), keyed({ ...other, precision: null }))).toBe(moves);
  });
});

describe('policies', () => {
  it('a table has its own, else the pipeline’s, else evolve', () => {
    const overrides = { a: { schema: { policy: 'ignore' } }, b: {} } as const;
    const schema = { policy: 'pause', validators: 'error', indexes: 'off' } as const;
    expect(['a', 'b', 'toString'].map((name) => policyOf(name, { overrides, schema }))).toEqual([
      'ignore',
      'pause',
      'pause',
    ]);
    expect(policyOf('b', { overrides })).toBe('evolve');
  });

  it('ignored, columns that came stay out; those that went, and the key, follow', () => {
    const source = table([id, text('b', 99), column('new')]);
    expect(keptDefinition(source, before).columns.map(({ columnType }) => columnType)).toEqual(['int', 'varchar(99)']);
    expect(keptDefinition(before, source)).toEqual(table([id, text('b', 20)]));
  });
});
