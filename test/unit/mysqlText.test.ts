/** The texts that the MySQL side builds and reads: names, members, statements, grants, triggers. Pure. */
import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import type { Column, Definition } from '../../core/definition.js';
import { members } from '../../stores/mysql/columnType.js';
import { databaseProblems, serverProblems } from '../../stores/mysql/check.js';
import { isSupportedVersion, type ServerFacts } from '../../stores/mysql/server.js';
import { changesKey, changesRows } from '../../stores/mysql/definitionChange.js';
import { leftOut } from '../../stores/mysql/eligibility.js';
import { mysqlFailure } from '../../stores/mysql/failure.js';
import { hasGlobal, hasPrivilege, parseGrants } from '../../stores/mysql/grants.js';
import { decodeBoundary, encodeBoundary, inRange } from '../../stores/mysql/keyWalk.js';
import { readMigrations, splitStatements } from '../../stores/mysql/migrate.js';
import { quoteHex, quoteName, quoteText } from '../../stores/mysql/quote.js';
import {
  createTrigger,
  isOurName,
  triggersOf,
  triggerSqlMode,
  writesTo,
  type Trigger,
} from '../../stores/mysql/triggers.js';
import { compareTriggers, foreignTriggers, isSettled, type InstalledTrigger } from '../../stores/mysql/triggerState.js';
import { rowFault } from '../../stages/ingestFault.js';
import { nextChunkRows, smallerChunkRows } from '../../stages/snapshotPace.js';

function column(name: string, type: string, more: Partial<Column> = {}): Column {
  return {
    name,
    type,
    columnType: type,
    nullable: true,
    unsigned: false,
    zerofill: false,
    length: null,
    precision: null,
    scale: null,
    fsp: null,
    charset: null,
    collation: null,
    generated: false,
    invisible: false,
    members: [],
    ...more,
  };
}

const text = { charset: 'utf8mb4', collation: 'utf8mb4_bin' };

const item: Definition = {
  database: 'shop',
  table: 'item',
  columns: [
    column('id', 'int', { nullable: false }),
    column('name', 'varchar', text),
    column('price', 'decimal', { scale: 2 }),
  ],
  key: ['id'],
};

describe('quoting', () => {
  test('a name ends where it began, whatever it holds', () => {
    fc.assert(
      fc.property(fc.string(), (name) => {
        const quoted = quoteName(name);
        expect(quoted.slice(1, -1).replaceAll('``', '')).not.toContain('`');
        expect(quoted.slice(1, -1).replaceAll('``', '`')).toBe(name);
      }),
    );
  });

  test('a text comes back by MySQL’s own rules', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (value) => {
        const inner = quoteText(value).slice(1, -1);
        expect(inner.replaceAll(/\\\\|''/g, (pair) => pair.charAt(0))).toBe(value);
        expect(inner.replaceAll(/\\\\|''/g, '')).not.toMatch(/['\\]/);
      }),
    );
  });

  test('hex takes nothing but pairs of hex digits', () => {
    expect(quoteHex('00fF')).toBe("X'00fF'");
    for (const wrong of ['0', "00'", 'zz']) expect(() => quoteHex(wrong)).toThrow(/hex/);
  });
});

test('members of ENUM and SET come back from COLUMN_TYPE, whatever they hold', () => {
  expect(members('int unsigned')).toEqual([]);
  expect(members("enum('')")).toEqual(['']);
  fc.assert(
    fc.property(fc.constantFrom('enum', 'set'), fc.array(fc.string(), { minLength: 1 }), (type, names) => {
      const written = names.map((name) => {
        const escaped = name
          .replaceAll('\\', '\\\\')
          .replaceAll("'", "''")
          .replaceAll('\n', '\\n')
          .replaceAll('\0', '\\0');
        return `'${escaped}'`;
      });
      expect(members(`${type}(${written.join(',')})`)).toEqual(names);
    }),
  );
});

describe('migrations', () => {
  test('statements end with a line; comments and blank ones go', () => {
    expect(splitStatements("-- it's\nCREATE TABLE a (\n  -- inside; too\n  x INT\n);\n\n;\nSELECT 1;")).toEqual([
      'CREATE TABLE a (\n  x INT\n)',
      'SELECT 1',
    ]);
  });

  test('the files are numbered without gaps and name no database of their own', async () => {
    const migrations = await readMigrations();
    expect(migrations.map((migration) => migration.number)).toEqual(migrations.map((_, i) => i + 1));
    for (const statement of migrations.flatMap((migration) => migration.statements))
      expect(statement).toContain('{db}.');
  });
});

describe('grants', () => {
  const grants = parseGrants([
    'GRANT USAGE, PROCESS ON *.* TO `u`@`%`',
    'GRANT SELECT, INSERT (a, `b`), TRIGGER ON `shop\\_eu`.* TO `u`@`%`',
    'GRANT ALL PRIVILEGES ON `lock%`.* TO `u`@`%`',
    'GRANT SELECT ON `other`.`one``s` TO `u`@`%`',
    'GRANT `role`@`%` TO `u`@`%`',
    // As a session with ANSI_QUOTES sees them.
    'GRANT SELECT, TRIGGER ON "ansi\\_eu".* TO "u"@"%"',
    'GRANT SELECT ON "ansi"."one""s" TO "u"@"%"',
  ]);

  test.for([
    ['SELECT', 'shop_eu', undefined, true],
    ['SELECT', 'shopXeu', undefined, false],
    ['DELETE', 'shop_eu', undefined, false],
    ['DELETE', 'lockstep', undefined, true],
    ['SELECT', 'other', undefined, false],
    ['SELECT', 'other', 'one`s', true],
    ['TRIGGER', 'ansi_eu', undefined, true],
    ['DELETE', 'ansi_eu', undefined, false],
    ['SELECT', 'ansi', 'one"s', true],
  ] as const)('%s on %s.%s: %s', ([privilege, database, table, held]) => {
    expect(hasPrivilege(grants, privilege, database, table)).toBe(held);
  });

  test('a partial revoke takes a global privilege from one database', () => {
    const root = parseGrants([
      'GRANT SELECT, TRIGGER ON *.* TO `u`@`%` WITH GRANT OPTION',
      'REVOKE SELECT ON `secret`.* FROM `u`@`%`',
    ]);
    expect(hasGlobal(root, 'TRIGGER')).toBe(true);
    expect(hasPrivilege(root, 'SELECT', 'shop')).toBe(true);
    expect(hasPrivilege(root, 'SELECT', 'secret')).toBe(false);
    expect(hasPrivilege(root, 'TRIGGER', 'secret')).toBe(true);
  });
});

describe('what a server must be', () => {
  const config = { uri: 'mysql://db:3306', database: 'shop', stateDatabase: 'lockstep', tls: null };
  const good: ServerFacts = {
    version: '9.7.4',
    serverUuid: '',
    account: 'lockstep@%',
    readOnly: false,
    binaryLog: true,
    binlogFormat: 'ROW',
    trustsCreators: true,
    multiPrimary: false,
    autoincLockMode: 2,
  };
  const plain = parseGrants(['GRANT SELECT ON *.* TO `lockstep`@`%`']);
  test.for([
    ['nothing', {}, []],
    ['error 1419 to come', { trustsCreators: false }, ['LS-MYSQL-TRUST']],
    ['no binary log, no 1419', { trustsCreators: false, binaryLog: false }, []],
    ['a replica', { readOnly: true }, ['LS-MYSQL-READ-ONLY']],
    ['a multi-primary group', { multiPrimary: true }, ['LS-MYSQL-MULTI-PRIMARY']],
    ['statement-based logging', { binlogFormat: 'STATEMENT' }, ['LS-MYSQL-BINLOG-FORMAT']],
    ['a lock on the change log for each number', { autoincLockMode: 1 }, ['LS-MYSQL-AUTOINC']],
  ] as const)('%s', ([, facts, codes]) => {
    expect(serverProblems(config, { ...good, ...facts }, plain).map((problem) => problem.code)).toEqual(codes);
  });

  test('SUPER does without log_bin_trust_function_creators', () => {
    const root = parseGrants(['GRANT SUPER ON *.* TO `lockstep`@`%`']);
    expect(serverProblems(config, { ...good, trustsCreators: false }, root)).toEqual([]);
  });

  test('the state database is another one than the source, with a plain name', () => {
    const there = new Set(['shop']);
    const codes = (changes: object): string[] => databaseProblems({ ...config, ...changes }, there).map((p) => p.code);
    expect(codes({})).toEqual([]);
    expect(codes({ database: 'nowhere' })).toEqual(['LS-MYSQL-DATABASE']);
    expect(codes({ stateDatabase: 'shop' })).toEqual(['LS-CONFIG-INVALID']);
    expect(codes({ stateDatabase: 'l`s' })).toEqual(['LS-CONFIG-INVALID']);
  });
});

test.for([
  ['8.4.0', true],
  ['9.7.4-2', true],
  ['8.0.36', false],
  ['5.7.44-log', false],
  ['10.0.0', false],
  ['11.4.2-MariaDB', false],
] as const)('version %s is supported: %s', ([version, supported]) => {
  expect(isSupportedVersion(version)).toBe(supported);
});

describe('which tables are captured', () => {
  const all = { include: ['*'], exclude: [] };
  const facts = (changes: Partial<Definition>, engine = 'InnoDB'): Parameters<typeof leftOut>[0] => ({
    definition: { ...item, ...changes },
    engine,
  });
  test.for([
    ['a plain table', facts({}), null],
    ['without a key', facts({ key: [] }), 'no-primary-key'],
    ['of another engine', facts({}, 'MyISAM'), 'not-innodb'],
    ['gh-ost’s ghost', facts({ table: '_item_gho' }), 'ghost-table'],
    ['pt-osc’s, after failed tries', facts({ table: '___item_new' }), 'ghost-table'],
    ['a name that only looks alike', facts({ table: 'item_new' }), null],
    ['a column _id beside the key', facts({ columns: [...item.columns, column('_id', 'int')] }), 'column-named-id'],
    ['a key named _id', facts({ columns: [column('_id', 'int')], key: ['_id'] }), null],
    [
      '_id in a composite key',
      facts({ columns: [column('_id', 'int'), column('b', 'int')], key: ['_id', 'b'] }),
      'column-named-id',
    ],
    [
      'an ENUM key whose error value reads like a member',
      facts({ columns: [column('e', 'enum', { members: ['', 'a'] })], key: ['e'] }),
      'ambiguous-key',
    ],
    [
      'such an ENUM beside the key',
      facts({ columns: [...item.columns, column('e', 'enum', { members: ['', 'a'] })] }),
      null,
    ],
    [
      'key columns that MongoDB would call the same',
      facts({ columns: [column('a$', 'int'), column('a-0024', 'int')], key: ['a$', 'a-0024'] }),
      'ambiguous-key',
    ],
  ] as const)('%s', ([, table, reason]) => {
    expect(leftOut(table, all)?.reason ?? null).toBe(reason);
  });

  test('a ghost’s name that is included in full is taken', () => {
    expect(leftOut(facts({ table: '_item_old' }), { include: ['*', '_item_old'], exclude: [] })).toBeNull();
    expect(leftOut(facts({}), { include: ['*'], exclude: ['it*'] })?.reason).toBe('excluded');
  });
});

describe('triggers', () => {
  const scope = { stateDatabase: 'lockstep', tableId: 7, definer: 'lockstep@%' };
  const expected = triggersOf(item, scope);
  const asInstalled = (trigger: Trigger): InstalledTrigger => ({
    ...trigger,
    timing: 'AFTER',
    sqlMode: triggerSqlMode,
    characterSet: 'utf8mb4',
    collation: 'utf8mb4_bin',
  });
  const installed = expected.map(asInstalled);
  const compare = (found: readonly InstalledTrigger[]) => compareTriggers('item', expected, found, 'lockstep');
  const theirs: InstalledTrigger = { ...asInstalled(expected[0]!), name: 'their_own', body: 'SET @x = 1' };

  test('the three texts are what stands in the snapshot', () => {
    expect(expected.map((trigger) => createTrigger('shop', trigger)).join('\n\n')).toMatchSnapshot();
  });

  test('a name changes with the columns, the definer, the table and the state database', () => {
    const names = (definition: Definition, changes: Partial<typeof scope> = {}): string =>
      triggersOf(definition, { ...scope, ...changes })[0]!.name;
    const all = [
      names(item),
      names({ ...item, columns: [...item.columns, column('x', 'int')] }),
      names(item, { definer: 'other@%' }),
      names(item, { stateDatabase: 'elsewhere' }),
      names({ ...item, table: 'renamed' }),
    ];
    expect(new Set(all).size).toBe(all.length);
    for (const name of all) expect(isOurName(name)).toBe(true);
  });

  test('as expected, in any order and beside the application’s own: settled', () => {
    const difference = compare([theirs, ...installed.toReversed()]);
    expect(isSettled(difference)).toBe(true);
    expect(difference.gap).toBe(false);
  });

  test('a missing one is a gap; not so where an earlier version stands', () => {
    expect(compare(installed.slice(1))).toMatchObject({ missing: [expected[0]], stray: [], gap: true });
    const older = triggersOf({ ...item, columns: item.columns.slice(0, 2) }, scope).map(asInstalled);
    const difference = compare(older);
    expect(difference).toMatchObject({ missing: expected, altered: [], gap: false });
    expect(difference.stray.toSorted()).toEqual(older.map((trigger) => trigger.name).toSorted());
  });

  test('the triggers of another table that was renamed to this one are stray, and cover nothing', () => {
    const renamed = triggersOf({ ...item, table: 'before' }, { ...scope, tableId: 3 }).map(asInstalled);
    expect(compare(renamed)).toMatchObject({ missing: expected, gap: true });
  });

  test.for([
    ['another body', { body: 'BEGIN END' }],
    ['another definer', { definer: 'root@localhost' }],
    ['another mode', { sqlMode: 'STRICT_ALL_TABLES' }],
    ['another time', { timing: 'BEFORE' }],
    ['another event', { event: 'DELETE' }],
    ['another character set', { characterSet: 'latin1' }],
  ] as const)('%s under the name is altered', ([, change]) => {
    const [first, ...rest] = installed;
    expect(compare([{ ...first!, ...change }, ...rest])).toMatchObject({ altered: [expected[0]], gap: true });
  });

  test('those of another state database are told from ours', () => {
    const other = triggersOf(item, { ...scope, stateDatabase: 'lockstep2' }).map(asInstalled);
    expect(foreignTriggers([...installed, ...other, theirs], 'lockstep')).toEqual(other);
    expect(writesTo(other[0]!.body, 'lockstep')).toBe(false);
    expect(isSettled(compare([...installed, ...other]))).toBe(true);
  });
});

describe('whether a change of columns changes rows', () => {
  const enumOf = (...names: string[]): Column => column('e', 'enum', { ...text, members: names });
  const base: Definition = { ...item, columns: [...item.columns, enumOf('a', 'b')] };
  const changed = (i: number, to: Column): Definition => ({ ...base, columns: base.columns.with(i, to) });
  test.for([
    ['nothing', base, false],
    ['a longer VARCHAR', changed(1, { ...base.columns[1]!, length: 500, columnType: 'varchar(500)' }), false],
    ['a character set that holds as much', changed(1, { ...base.columns[1]!, charset: 'utf16' }), false],
    // Outside strict mode MySQL makes something else of what does not fit, and tells nobody.
    ['a character set that holds less', changed(1, { ...base.columns[1]!, charset: 'utf8mb3' }), true],
    ['NOT NULL', changed(1, { ...base.columns[1]!, nullable: false }), true],
    ['NULL', changed(0, { ...base.columns[0]!, nullable: true }), false],
    ['another expression', changed(2, { ...base.columns[2]!, generated: true, expression: '(`id` + 1)' }), true],
    ['one more ENUM member', changed(3, enumOf('a', 'b', 'c')), false],
    ['members in another order', changed(3, enumOf('b', 'a')), true],
    ['another scale', changed(2, { ...base.columns[2]!, scale: 4 }), true],
    ['another type', changed(0, { ...base.columns[0]!, type: 'bigint' }), true],
    ['another name', changed(1, { ...base.columns[1]!, name: 'title' }), true],
    ['one more column', { ...base, columns: [...base.columns, column('x', 'int')] }, true],
    ['another order', { ...base, columns: base.columns.toReversed() }, true],
    ['another key', { ...base, key: ['id', 'name'] }, true],
  ] as const)('%s', ([, now, changes]) => {
    expect(changesRows(base, now)).toBe(changes);
  });

  test.for([
    ['varchar', 20, 40, false],
    ['varchar', 40, 20, true],
    ['varbinary', 3, 6, false],
    // Values of BINARY are filled up with zero bytes.
    ['binary', 3, 6, true],
  ] as const)('%s(%i) to (%i)', ([type, before, now, changes]) => {
    const of = (length: number): Definition => ({
      ...item,
      columns: [item.columns[0]!, column('x', type, { length })],
    });
    expect(changesRows(of(before), of(now))).toBe(changes);
    const key = (length: number): Definition => ({ ...of(length), key: ['x'] });
    expect(changesKey(key(before), key(now))).toBe(type === 'binary');
  });
});

describe('key ranges', () => {
  const composite: Definition = {
    ...item,
    columns: [column('a', 'int'), column('b', 'varchar', text)],
    key: ['a', 'b'],
  };

  test('are expanded so that MySQL makes one range of them', () => {
    expect(inRange(item, { after: ['5'], upTo: ['9'] })).toBe('(t.`id`>5) AND (t.`id`<=9)');
    expect(inRange(item, { after: null, upTo: null })).toBe('TRUE');
    expect(inRange(composite, { after: ['5', '6162'], upTo: null })).toBe(
      "(t.`a`>=5 AND ((t.`a`>5) OR (t.`a`=5 AND t.`b`>_utf8mb4 X'6162' COLLATE utf8mb4_bin)))",
    );
  });

  test('take nothing into the text that is not a value of the column', () => {
    expect(() => inRange(item, { after: ['1 OR 1=1'], upTo: null })).toThrow(/number/);
    expect(() => inRange(composite, { after: ['1', "00' OR '"], upTo: null })).toThrow(/hex/);
    expect(() => inRange(composite, { after: ['1'], upTo: null })).toThrow(/fewer/);
  });

  test('a boundary survives its text', () => {
    fc.assert(
      fc.property(fc.array(fc.string()), (parts) => {
        expect(decodeBoundary(encodeBoundary(parts))).toEqual(parts);
      }),
    );
  });
});

test('a chunk’s size follows the clock, and stays within its bounds', () => {
  expect(nextChunkRows(1_000, 80, 50)).toBe(500);
  expect(nextChunkRows(1_000, 20, 50)).toBe(2_000);
  expect(nextChunkRows(1_000, 40, 50)).toBe(1_000);
  // At 0.1 ms a row at best, 500 rows fit: fewer would not make a chunk of 300 ms shorter.
  expect(nextChunkRows(700, 300, 50, 0.1)).toBe(500);
  expect(nextChunkRows(400, 300, 50, 0.1)).toBe(400);
  // A good pace before does not excuse long locks on rows that are wider now.
  expect(nextChunkRows(8_000, 300, 50, 0.005)).toBe(4_000);
  expect(nextChunkRows(700, 300, 50, 0.005)).toBe(500);
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20_000 }), fc.double({ min: 0, max: 1e6, noNaN: true }), (rows, ms) => {
      for (const next of [nextChunkRows(rows, ms, 50), smallerChunkRows(rows)]) {
        expect(next).toBeGreaterThanOrEqual(1);
        expect(next).toBeLessThanOrEqual(20_000);
      }
    }),
  );
});

describe('failures', () => {
  const thrown = (fields: object, message = 'why'): Error => Object.assign(new Error(message), fields);
  test.for([
    [{ errno: 1045, code: 'ER_ACCESS_DENIED_ERROR' }, 'why', 'LS-MYSQL-ACCESS'],
    [{ errno: 1142 }, 'why', 'LS-MYSQL-PRIVILEGE'],
    [{ errno: 1419 }, 'why', 'LS-MYSQL-TRUST'],
    [{ errno: 1205 }, 'why', 'LS-MYSQL-LOCK-WAIT'],
    [{ errno: 1290 }, 'running with the --super-read-only option', 'LS-MYSQL-READ-ONLY'],
    [{ errno: 1290 }, 'running with the --secure-file-priv option', 'LS-MYSQL-STATEMENT'],
    [{ code: 'ECONNREFUSED', errno: -111 }, 'why', 'LS-MYSQL-UNREACHABLE'],
    [{}, "Can't add new command when connection is in closed state", 'LS-MYSQL-UNREACHABLE'],
    [{ errno: 1064 }, 'syntax', 'LS-MYSQL-STATEMENT'],
    [{ errno: 1114 }, "The table 't' is full", 'LS-MYSQL-FULL'],
    [{ errno: 1030 }, "Got error 28 - 'No space left on device' from storage engine", 'LS-MYSQL-FULL'],
    [{ errno: 3 }, "Error writing file '/x' (OS errno 28 - No space left on device)", 'LS-MYSQL-FULL'],
    [{ errno: 1026 }, "Error writing file '/x' (errno: 122 - Disk quota exceeded)", 'LS-MYSQL-FULL'],
    [{ errno: 1030 }, "Got error 5 - 'Input/output error' from storage engine", 'LS-MYSQL-STATEMENT'],
    [{ errno: 1644 }, 'our stock: errno 28 - none left', 'LS-MYSQL-STATEMENT'],
  ] as const)('%o %s → %s', ([fields, message, code]) => {
    expect(mysqlFailure(thrown(fields, message), 'db:3306').code).toBe(code);
  });

  test.each([1030, 3, 1038, 1197, 1467])('error %i is the server’s own trouble: no row is rejected for it', (errno) => {
    expect(rowFault(mysqlFailure(thrown({ errno }, 'trouble'), 'db:3306'))).toBeNull();
  });

  test.each([
    [1062, 'duplicate'],
    [1644, 'refused'],
    [1526, 'refused'],
    [5001, 'refused'],
  ])('error %i is a row’s own: %s', (errno, reason) => {
    expect(rowFault(mysqlFailure(thrown({ errno }, 'no'), 'db:3306'))).toMatchObject({ reason });
  });

  test('neither the statement nor a value of a row survives', () => {
    const error = mysqlFailure(
      thrown({ errno: 1062, code: 'ER_DUP_ENTRY', sql: "INSERT … 'secret'" }, "Duplicate entry 'secret' for key 'a'"),
      'db:3306',
    );
    expect(JSON.stringify([error.message, error.details, error.cause ?? null])).not.toContain('secret');
  });
});
