/** DDL taken apart: which tables a statement changes, whatever quotes, comments and blanks are around it. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseDdl, splitSql } from '../../core/sqlStatements.js';

function read(text: string): string {
  const parsed = parseDdl(text);
  if ('refusal' in parsed) return `refused: ${parsed.refusal}`;
  const { kind, tables } = parsed.statement;
  return `${kind} ${tables.map(({ database, table }) => (database === null ? table : `${database}.${table}`)).join(' ')}`;
}

describe('statements', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['ALTER TABLE t ADD x INT', 'alter-table t'],
    ['alter /* why */ table `a b``c` drop x', 'alter-table a b`c'],
    ['ALTER TABLE shop . orders ADD x INT', 'alter-table shop.orders'],
    ['CREATE TABLE IF NOT EXISTS t (id INT PRIMARY KEY)', 'create-table t'],
    ['DROP TABLE IF EXISTS a, `b`', 'drop-table a b'],
    ['RENAME TABLE a TO b, c TO d', 'rename-table a b c d'],
    ['CREATE UNIQUE INDEX i USING BTREE ON t (a)', 'create-index t'],
    ['CREATE INDEX i ON `ta ble` (a)', 'create-index ta ble'],
    ['DROP INDEX i ON t', 'drop-index t'],
    ['ALTER TABLE größe ADD x INT', 'alter-table größe'],
    ['ALTER TABLE', 'refused: the name of a table is missing'],
    ['UPDATE t SET a = 1', 'refused: it is none of ALTER, CREATE, DROP, RENAME TABLE and CREATE, DROP INDEX'],
    ['CREATE VIEW v AS SELECT 1', 'refused: it is none of ALTER, CREATE, DROP, RENAME TABLE and CREATE, DROP INDEX'],
    ['RENAME TABLE a b', 'refused: TO is missing'],
  ];

  it.each(cases)('%s', (text, expected) => {
    expect(read(text)).toBe(expected);
  });

  it('TRUNCATE says what to do instead, and comments that MySQL reads are refused', () => {
    expect(read('TRUNCATE t')).toMatch(/^refused: TRUNCATE fires no trigger/);
    expect(read('ALTER TABLE t /*!80000 ADD x INT */')).toMatch(/^refused: it has a comment that MySQL reads/);
  });

  it('the first name can be put elsewhere', () => {
    const text = 'ALTER TABLE `shop`.`orders` ADD x INT';
    const parsed = parseDdl(text);
    if ('refusal' in parsed) throw new Error(parsed.refusal);
    const { nameStart, nameEnd } = parsed.statement;
    expect(`${text.slice(0, nameStart)}here${text.slice(nameEnd)}`).toBe('ALTER TABLE here ADD x INT');
  });
});

describe('a file', () => {
  it('is cut at semicolons that are none of a text, a name or a comment', () => {
    const file = `-- first; still a comment
ALTER TABLE t ADD x VARCHAR(9) DEFAULT 'a;''b\\';' COMMENT "q;"; # ; and this
/* ; */ ALTER TABLE \`t;\` ADD y INT

;;`;
    expect(splitSql(file)).toEqual([
      `ALTER TABLE t ADD x VARCHAR(9) DEFAULT 'a;''b\\';' COMMENT "q;"`,
      'ALTER TABLE `t;` ADD y INT',
    ]);
  });

  it('with a quote or a comment that is not closed is refused', () => {
    expect(() => splitSql("ALTER TABLE t COMMENT 'x")).toThrow(/not closed/);
    expect(() => splitSql('ALTER TABLE t /* x')).toThrow(/not closed/);
  });

  it('any name in backticks comes back as it is', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, maxLength: 64 }), (name) => {
        const quoted = `\`${name.replaceAll('`', '``')}\``;
        expect(read(`ALTER TABLE ${quoted} ADD x INT`)).toBe(`alter-table ${name}`);
        expect(splitSql(`DROP TABLE ${quoted}; DROP TABLE ${quoted}`)).toHaveLength(2);
      }),
    );
  });
});
