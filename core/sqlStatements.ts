/**
 * A file of DDL taken apart: its statements, and which tables each names where it changes them. Pure. It reads only as much of
 * SQL as that takes; what it does not know it refuses instead of guessing.
 */

export interface TableName {
  /** Null where the statement does not say. */
  readonly database: string | null;
  readonly table: string;
}

export type DdlKind = 'alter-table' | 'create-table' | 'drop-table' | 'rename-table' | 'create-index' | 'drop-index';

export interface DdlStatement {
  readonly text: string;
  readonly kind: DdlKind;
  /** Tables that it changes, in its order; of a rename, old and new names by turns. */
  readonly tables: readonly TableName[];
  /** Where the first table's name stands in the text, its database included. */
  readonly nameStart: number;
  readonly nameEnd: number;
  /** Its words in capitals, quoted names and texts left out. */
  readonly words: ReadonlySet<string>;
}

export type Parsed = { readonly statement: DdlStatement } | { readonly refusal: string };

interface Token {
  readonly kind: 'word' | 'name' | 'string' | 'symbol';
  /** A quoted name without its quotes. */
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

/** Without comments around them and without the semicolons; empty ones are left out. */
export function splitSql(text: string): readonly string[] {
  const statements: string[] = [];
  let first: Token | undefined;
  let last: Token | undefined;
  for (const token of tokensOf(text)) {
    if (token.kind === 'symbol' && token.text === ';') {
      if (first !== undefined && last !== undefined) statements.push(text.slice(first.start, last.end));
      first = undefined;
      continue;
    }
    first ??= token;
    last = token;
  }
  if (first !== undefined && last !== undefined) statements.push(text.slice(first.start, last.end));
  return statements;
}

export function parseDdl(text: string): Parsed {
  let tokens: readonly Token[];
  try {
    tokens = tokensOf(text);
  } catch (error) {
    return { refusal: error instanceof Error ? error.message : 'it cannot be read' };
  }
  const words = new Set(tokens.filter(({ kind }) => kind === 'word').map((token) => token.text.toUpperCase()));
  const found = read(new Cursor(tokens));
  return 'refusal' in found ? found : { statement: { text, words, ...found } };
}

type Found = Pick<DdlStatement, 'kind' | 'tables' | 'nameStart' | 'nameEnd'>;

function read(at: Cursor): Found | { readonly refusal: string } {
  if (at.takes('ALTER', 'TABLE')) return named('alter-table', [at.name()]);
  if (at.takes('CREATE', 'TABLE')) {
    at.takes('IF', 'NOT', 'EXISTS');
    return named('create-table', [at.name()]);
  }
  if (at.takes('DROP', 'TABLE')) {
    at.takes('IF', 'EXISTS');
    const names = [at.name()];
    while (at.takes(',')) names.push(at.name());
    return named('drop-table', names);
  }
  if (at.takes('RENAME', 'TABLE')) return renames(at);
  if (at.takes('DROP', 'INDEX')) return indexOn(at, 'drop-index');
  if (at.takes('TRUNCATE')) {
    return {
      refusal: 'TRUNCATE fires no trigger: use DELETE in an application, or TRUNCATE there and `lockstep resync`',
    };
  }
  if (at.takes('CREATE')) {
    for (const kind of ['UNIQUE', 'FULLTEXT', 'SPATIAL']) at.takes(kind);
    if (at.takes('INDEX')) return indexOn(at, 'create-index');
  }
  return { refusal: 'it is none of ALTER, CREATE, DROP, RENAME TABLE and CREATE, DROP INDEX' };
}

function indexOn(at: Cursor, kind: 'create-index' | 'drop-index'): Found | { readonly refusal: string } {
  at.name();
  if (at.takes('USING')) at.skip();
  return at.takes('ON') ? named(kind, [at.name()]) : { refusal: 'ON and the name of a table are missing' };
}

function renames(at: Cursor): Found | { readonly refusal: string } {
  const names: (Named | null)[] = [];
  do {
    names.push(at.name());
    if (!at.takes('TO')) return { refusal: 'TO is missing' };
    names.push(at.name());
  } while (at.takes(','));
  return named('rename-table', names);
}

interface Named extends TableName {
  readonly start: number;
  readonly end: number;
}

function named(kind: DdlKind, names: readonly (Named | null)[]): Found | { readonly refusal: string } {
  const tables = names.filter((name) => name !== null);
  const [first] = tables;
  if (first === undefined || tables.length < names.length) return { refusal: 'the name of a table is missing' };
  return {
    kind,
    tables: tables.map(({ database, table }) => ({ database, table })),
    nameStart: first.start,
    nameEnd: first.end,
  };
}

class Cursor {
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  /** Passes these words, if they are all there. */
  takes(...words: readonly string[]): boolean {
    const there = words.every((word, i) => {
      const token = this.#tokens[this.#at + i];
      return (token?.kind === 'word' || token?.kind === 'symbol') && token.text.toUpperCase() === word;
    });
    if (there) this.#at += words.length;
    return there;
  }

  skip(): void {
    this.#at += 1;
  }

  name(): Named | null {
    const first = this.#identifier();
    if (first === null) return null;
    if (!this.takes('.')) return { database: null, table: first.text, start: first.start, end: first.end };
    const second = this.#identifier();
    if (second === null) return null;
    return { database: first.text, table: second.text, start: first.start, end: second.end };
  }

  #identifier(): Token | null {
    const token = this.#tokens[this.#at];
    if (token === undefined || (token.kind !== 'word' && token.kind !== 'name')) return null;
    this.#at += 1;
    return token;
  }
}

const blank = /\s/;
const wordPart = /[\p{L}\p{N}_$@]/u;

/** Throws for a quote or a comment that is not closed, and for comments that MySQL executes. */
function tokensOf(text: string): readonly Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (at < text.length) {
    const c = text.charAt(at);
    const rest = text.slice(at, at + 3);
    if (blank.test(c)) at += 1;
    else if (c === '#' || /^--(?:\s|$)/.test(rest)) at = endOfLine(text, at);
    else if (rest.startsWith('/*')) at = endOfComment(text, at);
    else if (c === '`') at = quoted(text, at, 'name', tokens);
    else if (c === "'" || c === '"') at = quoted(text, at, 'string', tokens);
    else if (wordPart.test(c)) {
      let end = at;
      while (end < text.length && wordPart.test(text.charAt(end))) end += 1;
      tokens.push({ kind: 'word', text: text.slice(at, end), start: at, end });
      at = end;
    } else {
      tokens.push({ kind: 'symbol', text: c, start: at, end: at + 1 });
      at += 1;
    }
  }
  return tokens;
}

function endOfLine(text: string, at: number): number {
  const end = text.indexOf('\n', at);
  return end < 0 ? text.length : end + 1;
}

function endOfComment(text: string, at: number): number {
  if (text.charAt(at + 2) === '!' || text.charAt(at + 2) === '+') {
    throw new SyntaxError('it has a comment that MySQL reads (/*! or /*+): write it out');
  }
  const end = text.indexOf('*/', at + 2);
  if (end < 0) throw new SyntaxError('a comment is not closed');
  return end + 2;
}

/** A doubled quote stands for one; in texts a backslash takes the next character with it. */
function quoted(text: string, start: number, kind: 'name' | 'string', tokens: Token[]): number {
  const quote = text.charAt(start);
  let content = '';
  for (let at = start + 1; at < text.length; at++) {
    const c = text.charAt(at);
    if (c === '\\' && kind === 'string') {
      content += text.charAt(at + 1);
      at += 1;
    } else if (c !== quote) {
      content += c;
    } else if (text.charAt(at + 1) === quote) {
      content += quote;
      at += 1;
    } else {
      tokens.push({ kind, text: content, start, end: at + 1 });
      return at + 1;
    }
  }
  throw new SyntaxError(`a quote (${quote}) is not closed`);
}
