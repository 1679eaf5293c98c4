/** A statement's text word by word, as MySQL's lexer would cut it. Pure. */

export interface TableName {
  readonly database: string;
  readonly table: string;
}

/**
 * Comments are passed by, those with code in them (`/*!50100 … *\/`) entered. A quoted word keeps its case and its quote's
 * first character, so that no name is taken for a keyword.
 */
export class Words {
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
