/**
 * What a statement of the binary log does to tables, as far as the witness must know: DDL is logged as its text. Pure. Only
 * the head of a statement is understood, and for ALTER TABLE what it does to partitions and names.
 */

import { Words, type TableName } from './statementWords.js';

export type { TableName } from './statementWords.js';

export type Statement =
  | { readonly kind: 'begin' | 'commit' | 'rollback' | 'xa-start' | 'other' }
  | { readonly kind: 'xa-commit' | 'xa-rollback'; readonly xid: string }
  /** Rows of these tables came or went without row events. */
  | { readonly kind: 'truncate' | 'partition' | 'tablespace'; readonly tables: readonly TableName[] }
  | { readonly kind: 'rename'; readonly renames: readonly { readonly from: TableName; readonly to: TableName }[] }
  | { readonly kind: 'create-table' | 'drop-table' | 'alter-table'; readonly tables: readonly TableName[] }
  | { readonly kind: 'create-trigger' | 'drop-trigger'; readonly name: string; readonly database: string }
  | { readonly kind: 'database' }
  /** `takes`: rights or accounts are taken away. */
  | { readonly kind: 'account'; readonly takes: boolean }
  /** Logged as a statement, so its rows are not in the binary log. */
  | { readonly kind: 'dml' };

/** Whether rows or names of tables go with it. */
export function isOfTables({ kind }: Statement): boolean {
  return ['truncate', 'partition', 'tablespace', 'rename', 'create-table', 'drop-table'].includes(kind);
}

const other: Statement = { kind: 'other' };

/** database: the session's, for names without one. backslashes: whether they escape in strings. */
export function readStatement(text: string, database: string, backslashes = true): Statement {
  const quick = quickKind(text);
  if (quick !== null) return quick;
  const words = new Words(text, database, backslashes);
  switch (words.next()) {
    case 'COMMIT':
      return { kind: 'commit' };
    case 'ROLLBACK':
      return words.peek() === 'TO' || words.peek() === 'WORK' ? other : { kind: 'rollback' };
    case 'XA':
      return xa(words.next() ?? '', text);
    case 'TRUNCATE':
      words.skip('TABLE');
      return { kind: 'truncate', tables: [words.name()] };
    case 'RENAME':
      return rename(words);
    case 'ALTER':
      return alter(words);
    case 'CREATE':
      return create(words);
    case 'DROP':
      return drop(words);
    case 'GRANT':
      return account(false);
    case 'REVOKE':
      return account(true);
    case 'INSERT':
    case 'UPDATE':
    case 'DELETE':
    case 'REPLACE':
    case 'LOAD':
    case 'WITH':
      return { kind: 'dml' };
    case null:
    default:
      return other;
  }
}

function account(takes: boolean): Statement {
  return { kind: 'account', takes };
}

/** Nearly every statement of the binary log. */
function quickKind(text: string): Statement | null {
  return text === 'BEGIN' ? { kind: 'begin' } : null;
}

function xa(verb: string, text: string): Statement {
  const xid = text.replace(/^\s*XA\s+\w+\s*/i, '').replace(/\s+ONE\s+PHASE\s*$/i, '');
  switch (verb) {
    case 'START':
    case 'BEGIN':
      return { kind: 'xa-start' };
    case 'COMMIT':
      return { kind: 'xa-commit', xid: normalXid(xid) };
    case 'ROLLBACK':
      return { kind: 'xa-rollback', xid: normalXid(xid) };
    default:
      return other;
  }
}

/** `X'61',X'',1` whatever the spacing and the case. */
export function normalXid(xid: string): string {
  return xid.replaceAll(/\s+/g, '').toLowerCase().replaceAll("x'", "X'");
}

function rename(words: Words): Statement {
  const what = words.next();
  if (what === 'USER') return account(true);
  if (what !== 'TABLE' && what !== 'TABLES') return other;
  const renames: { from: TableName; to: TableName }[] = [];
  do {
    const from = words.name();
    words.skip('TO');
    renames.push({ from, to: words.name() });
  } while (words.skip(','));
  return { kind: 'rename', renames };
}

function alter(words: Words): Statement {
  words.skip('ONLINE');
  const what = words.next();
  if (what === 'USER') return account(true);
  if (what === 'DATABASE' || what === 'SCHEMA') return { kind: 'database' };
  if (what !== 'TABLE') return other;
  const table = words.name();
  for (let before = ''; ;) {
    const word = words.next();
    if (word === null) return { kind: 'alter-table', tables: [table] };
    if (word === 'PARTITION' && (before === 'DROP' || before === 'TRUNCATE')) {
      return { kind: 'partition', tables: [table] };
    }
    if (word === 'PARTITION' && before === 'EXCHANGE') {
      while (words.peek() !== 'TABLE' && words.peek() !== null) words.next();
      words.next();
      return { kind: 'partition', tables: [table, words.name()] };
    }
    if (word === 'TABLESPACE' && (before === 'DISCARD' || before === 'IMPORT')) {
      return { kind: 'tablespace', tables: [table] };
    }
    if ((word === 'TABLESPACE' || word === 'PARTITION') && before === 'DISCARD') {
      return { kind: 'tablespace', tables: [table] };
    }
    if (word === 'RENAME' && !['COLUMN', 'INDEX', 'KEY'].includes(words.peek() ?? '')) {
      if (!words.skip('TO')) words.skip('AS');
      words.skip('=');
      return { kind: 'rename', renames: [{ from: table, to: words.name() }] };
    }
    before = word;
  }
}

function create(words: Words): Statement {
  for (let word = words.next(); word !== null; word = words.next()) {
    switch (word) {
      case 'TABLE':
        words.ifExists();
        return { kind: 'create-table', tables: [words.name()] };
      case 'TRIGGER': {
        words.ifExists();
        const { table, database } = words.name();
        return { kind: 'create-trigger', name: table, database };
      }
      case 'USER':
      case 'ROLE':
        return account(false);
      case 'DATABASE':
      case 'SCHEMA':
        return { kind: 'database' };
      case 'DEFINER':
        words.skip('=');
        words.account();
        break;
      case 'OR':
      case 'REPLACE':
        break;
      case 'TEMPORARY':
      case 'VIEW':
      case 'PROCEDURE':
      case 'FUNCTION':
      case 'EVENT':
        return other;
      default:
        // CREATE [UNIQUE|FULLTEXT|SPATIAL] INDEX … ON t
        if (word === 'INDEX') {
          while (words.peek() !== 'ON' && words.peek() !== null) words.next();
          words.next();
          return { kind: 'alter-table', tables: [words.name()] };
        }
    }
  }
  return other;
}

function drop(words: Words): Statement {
  const what = words.next();
  switch (what) {
    case 'TABLE':
    case 'TABLES': {
      words.ifExists();
      const tables = [words.name()];
      while (words.skip(',')) tables.push(words.name());
      return { kind: 'drop-table', tables };
    }
    case 'TRIGGER': {
      words.ifExists();
      const { table, database } = words.name();
      return { kind: 'drop-trigger', name: table, database };
    }
    case 'USER':
    case 'ROLE':
      return account(true);
    case 'DATABASE':
    case 'SCHEMA':
      return { kind: 'database' };
    case 'INDEX': {
      while (words.peek() !== 'ON' && words.peek() !== null) words.next();
      words.next();
      return { kind: 'alter-table', tables: [words.name()] };
    }
    case null:
    default:
      return other;
  }
}
