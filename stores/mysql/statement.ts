/**
 * What a statement of the binary log does to tables, as far as the witness must know: DDL is logged as its text. Pure. Only
 * the head of a statement is understood, and for ALTER TABLE what it does to partitions and names.
 */

export interface TableName {
  readonly database: string;
  readonly table: string;
}

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

/**
 * Comments are passed by, those with code in them (`/*!50100 … *\/`) entered. A quoted word keeps its case and its quote's
 * first character, so that no name is taken for a keyword.
 */
class Words {
  readonly #text: string;
  readonly #database: string;
  readonly #backslashes: boolean;
  #at = 0;
  #peeked: string | null | undefined;

  constructor(text: string, database: string, backslashes: boolean) {
    this.#text = text;
    this.#database = database;
    this.#backslashes = backslashes;
  }

  /** In upper case unless quoted; punctuation one by one; null at the end. */
  next(): string | null {
    const word = this.peek();
    this.#peeked = undefined;
    return word !== null && /^\w/.test(word) ? word.toUpperCase() : word;
  }

  peek(): string | null {
    this.#peeked ??= this.#scan();
    const word = this.#peeked;
    return word !== null && /^\w/.test(word) ? word.toUpperCase() : word;
  }

  skip(word: string): boolean {
    if (this.peek() !== word) return false;
    this.next();
    return true;
  }

  ifExists(): void {
    if (!this.skip('IF')) return;
    this.skip('NOT');
    this.skip('EXISTS');
  }

  /** `a`.`b` or `b`. */
  name(): TableName {
    const first = this.#identifier();
    if (!this.skip('.')) return { database: this.#database, table: first };
    return { database: first, table: this.#identifier() };
  }

  /** `user`@`host`, or a function such as CURRENT_USER(). */
  account(): void {
    this.next();
    if (this.skip('(')) this.skip(')');
    if (this.skip('@')) this.next();
  }

  #identifier(): string {
    this.peek();
    const word = this.#peeked ?? '';
    this.#peeked = undefined;
    const quote = word[0];
    if (quote !== '`' && quote !== '"') return word;
    return word.slice(1).replaceAll(quote + quote, quote);
  }

  #scan(): string | null {
    this.#skipSpace();
    const text = this.#text;
    const first = text[this.#at];
    if (first === undefined) return null;
    if (first === '`' || first === '"' || first === "'") return this.#quoted(first);
    const word = /[\w$\u0080-\uffff]+/y;
    word.lastIndex = this.#at;
    const match = word.exec(text);
    this.#at += match === null ? 1 : match[0].length;
    return match === null ? first : match[0];
  }

  #quoted(quote: string): string {
    const text = this.#text;
    let at = this.#at + 1;
    for (; at < text.length; at++) {
      if (text[at] === '\\' && quote !== '`' && this.#backslashes) at += 1;
      else if (text[at] === quote) {
        if (text[at + 1] !== quote) break;
        at += 1;
      }
    }
    const word = text.slice(this.#at, at);
    this.#at = at + 1;
    return word;
  }

  #skipSpace(): void {
    for (;;) {
      const rest = /(?:\s+|#[^\n]*|--\s[^\n]*|\/\*(?![!+])[\s\S]*?\*\/|\/\*!\d*|\*\/)/y;
      rest.lastIndex = this.#at;
      const match = rest.exec(this.#text);
      if (match === null) return;
      this.#at += match[0].length;
    }
  }
}
