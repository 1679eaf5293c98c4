/** What the witness decides without a server: pairs of a transaction, statements, and what they do to captured tables. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hindrances, type BinlogFacts } from '../../stores/mysql/binlogFacts.js';
import { rowImageProblems, type RowImages } from '../../stores/mysql/rowImage.js';
import { descendantsOf } from '../../stores/mysql/foreignKeys.js';
import { readStatement, type Statement } from '../../stores/mysql/statement.js';
import { TablePairs, type RowOp } from '../../stages/witnessPairs.js';
import { WitnessedTransaction } from '../../stages/witnessTransaction.js';

describe('pairs of a transaction', () => {
  it('has nothing to say where every row event has its log row, in whatever order', () => {
    const half = fc.record({ op: fc.constantFrom<RowOp>('c', 'u', 'd'), key: fc.integer({ min: 0, max: 5 }) });
    fc.assert(
      fc.property(fc.array(half, { maxLength: 40 }), fc.array(fc.nat()), (changes, order) => {
        const pairs = new TablePairs();
        const halves = changes.flatMap((change) => [
          { ...change, logged: false },
          { ...change, logged: true },
        ]);
        for (const at of order) halves.push(...halves.splice(at % Math.max(1, halves.length), 1));
        for (const { op, key, logged } of halves) {
          if (logged) pairs.logged(op, `{"id":${key}}`);
          else pairs.changed(op, `{"id":${key}}`);
        }
        expect(pairs.unpaired()).toBeNull();
      }),
    );
  });

  it('names exactly the keys whose log row is missing', () => {
    const change = fc.record({ op: fc.constantFrom<RowOp>('c', 'u', 'd'), key: fc.nat(9), escapes: fc.boolean() });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 40 }), (changes) => {
        const pairs = new TablePairs();
        for (const { op, key, escapes } of changes) {
          pairs.changed(op, String(key));
          if (!escapes) pairs.logged(op, String(key));
        }
        const escaped = new Set(changes.filter(({ escapes }) => escapes).map(({ key }) => String(key)));
        expect(new Set(pairs.unpaired()?.escaped)).toEqual(escaped);
      }),
    );
  });

  describe('updates that print nothing new', () => {
    /** What the row event shows, and what the log row does; null: there is none. */
    const kinds = {
      new: ['different', 'new'],
      // SQL NULL became the JSON value null: the bytes differ, and the text is the same.
      stored: ['same', 'same'],
      nothing: [null, 'same'],
      unsureAndNew: ['unknown', 'new'],
      unsureAndSame: ['unknown', 'same'],
      escaped: ['different', null],
    } as const;
    type Kind = keyof typeof kinds;
    const update = (...of: Kind[]) => fc.record({ key: fc.constantFrom('a', 'b'), kind: fc.constantFrom(...of) });

    /** Each road tells of the updates in their order; how the two meet is random. */
    function fed(updates: readonly { key: string; kind: Kind }[], eventNext: readonly boolean[]): TablePairs {
      const pairs = new TablePairs();
      const events = updates.flatMap(({ key, kind }) => (kinds[kind][0] === null ? [] : [{ key, of: kinds[kind][0] }]));
      const logs = updates.flatMap(({ key, kind }) => (kinds[kind][1] === null ? [] : [{ key, of: kinds[kind][1] }]));
      for (let i = 0; events.length > 0 || logs.length > 0; i++) {
        const event = logs.length === 0 || eventNext[i % eventNext.length] === true ? events.shift() : undefined;
        if (event !== undefined) {
          if (event.of === 'different') pairs.changed('u', event.key);
          else pairs.changedAlike(event.key, event.of);
          continue;
        }
        const log = logs.shift();
        if (log?.of === 'new') pairs.logged('u', log.key);
        else if (log !== undefined) pairs.loggedAlike(log.key);
      }
      return pairs;
    }
    const meeting = fc.array(fc.boolean(), { minLength: 1 });

    it('are no news, with a row event and without', () => {
      const any = update('new', 'stored', 'nothing', 'unsureAndNew', 'unsureAndSame');
      fc.assert(
        fc.property(fc.array(any, { maxLength: 12 }), meeting, (updates, eventNext) => {
          expect(fed(updates, eventNext).unpaired()).toBeNull();
        }),
        { numRuns: 2_000 },
      );
    });

    it('hide nothing that escaped beside them', () => {
      fc.assert(
        fc.property(
          fc.array(update('new', 'stored', 'nothing', 'escaped'), { maxLength: 12 }),
          meeting,
          (updates, eventNext) => {
            const escaped = new Set(updates.filter(({ kind }) => kind === 'escaped').map(({ key }) => key));
            expect(new Set(fed(updates, eventNext).unpaired()?.escaped)).toEqual(escaped);
          },
        ),
        { numRuns: 2_000 },
      );
    });

    it('are told from changes that were logged and did not happen', () => {
      const pairs = new TablePairs();
      pairs.changedAlike('a', 'same');
      pairs.logged('u', 'a');
      pairs.loggedAlike('a');
      expect(pairs.unpaired()).toEqual({ escaped: [], unfounded: ['a'], wholeTable: false });
    });

    it('are counted where keys cannot be read, or are too many', () => {
      const unreadable = new TablePairs();
      unreadable.changedAlike(null, 'same');
      unreadable.loggedAlike('a');
      unreadable.changedAlike(null, 'unknown');
      unreadable.logged('d', 'a');
      unreadable.logged('c', 'b');
      expect(unreadable.unpaired()).toBeNull();
      const many = new TablePairs();
      for (let i = 0; i < 250_000; i++) many.loggedAlike(String(i));
      for (let i = 0; i < 250_000; i++) many.changedAlike(String(i), i % 2 === 0 ? 'same' : 'unknown');
      expect(many.unpaired()).toBeNull();
    });

    it('wait for nothing: many of them are not counted as many that wait', () => {
      const pairs = new TablePairs();
      for (let i = 0; i < 250_000; i++) {
        pairs.changedAlike(String(i), 'unknown');
        pairs.logged('u', String(i));
        pairs.loggedAlike(String(i));
        pairs.changedAlike(String(i), 'same');
      }
      pairs.changed('d', '7');
      expect(pairs.unpaired()).toEqual({ escaped: ['7'], unfounded: [], wholeTable: false });
    });
  });

  it('counts a covered key as covered, too', () => {
    const pairs = new TablePairs();
    pairs.changed('c', 'large');
    pairs.covers('large');
    for (let i = 0; i < 250_000; i++) pairs.changed('c', String(i));
    for (let i = 0; i < 250_000; i++) pairs.logged('c', String(i));
    pairs.changed('d', 'large too');
    pairs.covers('large too');
    expect(pairs.unpaired()).toBeNull();
  });

  it('takes a key as covered when capture reads the row again', () => {
    const pairs = new TablePairs();
    pairs.changed('u', 'a');
    pairs.changed('d', 'a');
    pairs.covers('a');
    expect(pairs.unpaired()).toBeNull();
  });

  it('names a change that was logged and is not in the binary log, but for deletes of our own', () => {
    const pairs = new TablePairs();
    pairs.logged('c', 'a');
    pairs.deletedPerhaps('b');
    expect(pairs.unpaired()).toEqual({ escaped: [], unfounded: ['a'], wholeTable: false });
  });

  it('pairs a delete without an image with its row event', () => {
    const pairs = new TablePairs();
    pairs.deletedPerhaps('a');
    pairs.changed('d', 'a');
    expect(pairs.unpaired()).toBeNull();
  });

  it('knows the table alone where keys cannot be read', () => {
    const balanced = new TablePairs();
    balanced.changed('c', null);
    balanced.logged('c', 'a');
    expect(balanced.unpaired()).toBeNull();
    const changedKey = new TablePairs();
    changedKey.changed('u', null);
    changedKey.logged('d', 'a');
    changedKey.logged('c', 'b');
    expect(changedKey.unpaired()).toBeNull();
    const escaped = new TablePairs();
    escaped.changed('d', null);
    expect(escaped.unpaired()?.wholeTable).toBe(true);
  });

  it('counts where too many wait for their other half', () => {
    const pairs = new TablePairs();
    for (let i = 0; i < 250_000; i++) pairs.changed('c', String(i));
    for (let i = 0; i < 250_000; i++) pairs.logged('c', String(i));
    expect(pairs.unpaired()).toBeNull();
    pairs.changed('d', '7');
    expect(pairs.unpaired()).toEqual({ escaped: [], unfounded: [], wholeTable: true });
  });

  it('gives the table where more keys escaped than are worth listing', () => {
    const pairs = new TablePairs();
    for (let i = 0; i < 30_000; i++) pairs.changed('d', String(i));
    expect(pairs.unpaired()?.wholeTable).toBe(true);
  });
});

describe('a transaction whose keys may have been read in two ways', () => {
  const always = (): boolean => true;

  it('is paired by the reading under which they find their log rows', () => {
    const transaction = new WitnessedTransaction();
    for (const [form, key] of [
      ['now', '{"b":7}'],
      ['then', '{"a":1}'],
    ] as const) {
      transaction.pairs(3, form).changed('c', key);
      transaction.pairs(3, form).logged('c', '{"a":1}');
    }
    expect(transaction.findings(always, false)).toEqual([]);
  });

  it('names what escaped under each of them, where no log row tells which is right', () => {
    const transaction = new WitnessedTransaction();
    transaction.pairs(3, 'now').changed('d', '{"b":7}');
    transaction.pairs(3, 'then').changed('d', '{"a":1}');
    // A form that the rows cannot have.
    transaction.pairs(3, 'never').logged('c', '{"x":1}');
    expect(transaction.findings(always, false)).toMatchObject([{ tableId: 3, keys: ['{"b":7}', '{"a":1}'] }]);
  });
});

describe('statements of the binary log', () => {
  const t = { database: 'shop', table: 't' };
  const cases: readonly (readonly [string, Statement])[] = [
    ['BEGIN', { kind: 'begin' }],
    ['COMMIT', { kind: 'commit' }],
    ['ROLLBACK', { kind: 'rollback' }],
    ['ROLLBACK TO `a`', { kind: 'other' }],
    ["XA START X'61',X'',1", { kind: 'xa-start' }],
    ["XA COMMIT X'6142',X'',1", { kind: 'xa-commit', xid: "X'6142',X'',1" }],
    ["XA ROLLBACK X'61', X'62', 7", { kind: 'xa-rollback', xid: "X'61',X'62',7" }],
    ['TRUNCATE t', { kind: 'truncate', tables: [t] }],
    ['/* app */ truncate table `other`.`a``b`', { kind: 'truncate', tables: [{ database: 'other', table: 'a`b' }] }],
    ['ALTER TABLE t DROP PARTITION p0', { kind: 'partition', tables: [t] }],
    ['ALTER TABLE shop.t TRUNCATE PARTITION ALL', { kind: 'partition', tables: [t] }],
    [
      'ALTER TABLE t EXCHANGE PARTITION p0 WITH TABLE shop.x WITHOUT VALIDATION',
      { kind: 'partition', tables: [t, { database: 'shop', table: 'x' }] },
    ],
    ['ALTER TABLE t IMPORT TABLESPACE', { kind: 'tablespace', tables: [t] }],
    ["ALTER TABLE t ADD c INT COMMENT 'DROP PARTITION p'", { kind: 'alter-table', tables: [t] }],
    ['ALTER TABLE t RENAME COLUMN a TO b', { kind: 'alter-table', tables: [t] }],
    ['ALTER TABLE t RENAME AS u', { kind: 'rename', renames: [{ from: t, to: { database: 'shop', table: 'u' } }] }],
    [
      'RENAME TABLE `shop`.`t` TO `shop`.`_t_del`, `shop`.`_t_gho` TO `shop`.`t`',
      {
        kind: 'rename',
        renames: [
          { from: t, to: { database: 'shop', table: '_t_del' } },
          { from: { database: 'shop', table: '_t_gho' }, to: t },
        ],
      },
    ],
    ['CREATE TABLE IF NOT EXISTS t (id INT)', { kind: 'create-table', tables: [t] }],
    ['CREATE TEMPORARY TABLE t (id INT)', { kind: 'other' }],
    ['CREATE UNIQUE INDEX i ON t (a)', { kind: 'alter-table', tables: [t] }],
    [
      'CREATE DEFINER=`a`@`%` TRIGGER `shop`.`lockstep_1_i_00000000` AFTER INSERT ON t FOR EACH ROW BEGIN END',
      { kind: 'create-trigger', name: 'lockstep_1_i_00000000', database: 'shop' },
    ],
    ['DROP TRIGGER IF EXISTS x', { kind: 'drop-trigger', name: 'x', database: 'shop' }],
    [
      'DROP TABLE IF EXISTS `t`,`u` /* generated by server */',
      { kind: 'drop-table', tables: [t, { database: 'shop', table: 'u' }] },
    ],
    ["DROP USER 'a'@'%'", { kind: 'account', takes: true }],
    ['REVOKE INSERT ON a.b FROM c', { kind: 'account', takes: true }],
    ['GRANT INSERT ON a.b TO c', { kind: 'account', takes: false }],
    ['INSERT INTO t VALUES (1)', { kind: 'dml' }],
    ['/*!50100 ALTER TABLE t DROP PARTITION p0 */', { kind: 'partition', tables: [t] }],
    ['SAVEPOINT `a`', { kind: 'other' }],
    ['', { kind: 'other' }],
  ];
  it.each(cases)('%s', (text, statement) => {
    expect(readStatement(text, 'shop')).toEqual(statement);
  });

  it('takes a backslash as the session did', () => {
    const text = "ALTER TABLE t COMMENT 'a\\', DROP PARTITION p0";
    expect(readStatement(text, 'shop', false).kind).toBe('partition');
    expect(readStatement(text, 'shop', true).kind).toBe('alter-table');
  });

  it('never fails, whatever the text', () => {
    const words = fc.constantFrom(
      'ALTER',
      'TABLE',
      'RENAME',
      '`',
      "'",
      'TO',
      ',',
      '.',
      '/*',
      '*/',
      'DROP',
      'PARTITION',
      '#',
      '\\',
    );
    const read = (text: readonly string[]) => readStatement(text.join(' '), 'shop').kind;
    fc.assert(
      fc.property(fc.array(words), (text) => {
        expect(read(text)).toBeTypeOf('string');
      }),
    );
  });
});

describe('what stands in the way', () => {
  const granted = {
    granted: [{ privileges: new Set(['REPLICATION SLAVE', 'REPLICATION CLIENT']), database: '*', table: '*' }],
    revoked: [],
  };
  const facts: BinlogFacts = {
    serverUuid: 'u',
    account: "o'k@%",
    on: true,
    format: 'ROW',
    rowImage: 'FULL',
    partialJson: false,
    checksums: true,
    cascadesLogged: true,
    cascadesFire: false,
    grants: granted,
  };
  it.each<[Partial<BinlogFacts>, RegExp]>([
    [{}, /^$/],
    [{ on: false, rowImage: 'MINIMAL' }, /no binary log/],
    [{ format: 'MIXED' }, /binlog_format is MIXED/],
    [{ rowImage: 'MINIMAL' }, /binlog_row_image is MINIMAL/],
    [{ partialJson: true }, /PARTIAL_JSON/],
    [{ grants: { granted: [], revoked: [] } }, /REPLICATION SLAVE and REPLICATION CLIENT/],
  ])('%o', (over, reason) => {
    const found = hindrances({ ...facts, ...over });
    expect(found.map((hindrance) => hindrance.reason).join('; ')).toMatch(reason);
    expect(found.length).toBe(reason.source === '^$' ? 0 : 1);
  });

  it('names the grant', () => {
    const [found] = hindrances({ ...facts, grants: { granted: [], revoked: [] } });
    expect(found?.fix).toBe("GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO 'o''k'@'%';");
  });
});

describe('cascades', () => {
  const key = (child: string, parent: string) => ({
    child,
    parent,
    parentDatabase: 'shop',
    onDelete: true,
    onUpdate: false,
  });
  it('reach grandchildren and come back to themselves', () => {
    const keys = [key('b', 'a'), key('c', 'b'), key('a', 'c'), key('x', 'y')];
    expect([...descendantsOf(keys, 'shop', 'a')].toSorted()).toEqual(['a', 'b', 'c']);
    expect(descendantsOf(keys, 'elsewhere', 'a')).toEqual([]);
  });
});

describe('row images smaller than FULL', () => {
  const virtualColumns = ['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((column) => ({ table: 't', column }));
  const images: RowImages = { global: 'FULL', sessions: [], virtualColumns };
  const sessions = [{ user: 'app', image: 'NOBLOB', count: 2 }];
  it.each<[Partial<RowImages>, readonly RegExp[]]>([
    [{}, []],
    [{ global: 'MINIMAL' }, [/is MINIMAL for new sessions: .*t\.a, t\.b, t\.c, t\.d, t\.e and 2 more\)$/]],
    [{ global: null }, [/^no binary log is written: .*t\.a/]],
    [{ sessions }, [/^2 sessions of app have binlog_row_image=NOBLOB: /]],
    [{ global: 'NOBLOB', sessions }, [/new sessions/, /2 sessions of app/]],
    [{ global: 'MINIMAL', virtualColumns: [] }, []],
    [{ global: 'MINIMAL', virtualColumns: [{ table: 'left_out', column: 'v' }] }, []],
  ])('%o', (over, said) => {
    const found = rowImageProblems({ ...images, ...over }, (table) => table === 't');
    expect(found.map(({ message }) => message)).toEqual(said.map((text) => expect.stringMatching(text) as string));
    expect(found.every(({ code, severity }) => code === 'LS-MYSQL-ROW-IMAGE' && severity === 'warning')).toBe(true);
  });
});
