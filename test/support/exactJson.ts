/**
 * JSON read without losing a digit, for the comparator alone: numbers stay text until two of them are compared.
 * Written apart from the product on purpose: a mistake shared by both would prove nothing.
 */

export class ExactNumber {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

export type ExactJson = null | boolean | string | ExactNumber | ExactJson[] | Map<string, ExactJson>;

export function parseExact(text: string): ExactJson {
  let at = 0;
  const value = readValue();
  skipSpace();
  if (at !== text.length) throw new SyntaxError(`text after the JSON value at ${at}`);
  return value;

  function readValue(): ExactJson {
    skipSpace();
    const c = text[at];
    if (c === '{') return readObject();
    if (c === '[') return readArray();
    if (c === '"') return readString();
    for (const [word, literal] of [
      ['null', null],
      ['true', true],
      ['false', false],
    ] as const) {
      if (text.startsWith(word, at)) {
        at += word.length;
        return literal;
      }
    }
    const number = /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
    number.lastIndex = at;
    const match = number.exec(text);
    if (match === null) throw new SyntaxError(`no JSON value at ${at}`);
    at += match[0].length;
    return new ExactNumber(match[0]);
  }

  function readObject(): Map<string, ExactJson> {
    const members = new Map<string, ExactJson>();
    at++;
    skipSpace();
    if (text[at] === '}') {
      at++;
      return members;
    }
    for (;;) {
      skipSpace();
      const name = readString();
      skipSpace();
      expect(':');
      if (members.has(name)) throw new SyntaxError(`member ${name} twice`);
      members.set(name, readValue());
      skipSpace();
      if (text[at] === '}') {
        at++;
        return members;
      }
      expect(',');
    }
  }

  function readArray(): ExactJson[] {
    const elements: ExactJson[] = [];
    at++;
    skipSpace();
    if (text[at] === ']') {
      at++;
      return elements;
    }
    for (;;) {
      elements.push(readValue());
      skipSpace();
      if (text[at] === ']') {
        at++;
        return elements;
      }
      expect(',');
    }
  }

  function readString(): string {
    const string = /"(?:[^"\\]|\\.)*"/sy;
    string.lastIndex = at;
    const match = string.exec(text);
    if (match === null) throw new SyntaxError(`no JSON string at ${at}`);
    at += match[0].length;
    return JSON.parse(match[0]) as string;
  }

  function expect(c: string): void {
    if (text[at] !== c) throw new SyntaxError(`${c} expected at ${at}`);
    at++;
  }

  function skipSpace(): void {
    while (text[at] === ' ' || text[at] === '\n' || text[at] === '\t' || text[at] === '\r') at++;
  }
}

/** One text for one numeric value: `1.50`, `15e-1` and `1.5` are the same; −0 stays apart from 0. */
export function canonicalNumber(text: string): string {
  const match = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text);
  if (match === null) return `?${text}`;
  const fraction = match[3] ?? '';
  const digits = `${match[2]}${fraction}`.replace(/^0+/, '');
  const stripped = digits.replace(/0+$/, '');
  if (stripped === '') return `${match[1]}0`;
  const exponent = Number(match[4] ?? 0) - fraction.length + (digits.length - stripped.length);
  return `${match[1]}${stripped}e${exponent}`;
}

/** Members in the order of their names: JSON objects have no order. */
export function canonicalJson(value: ExactJson): string {
  if (value instanceof ExactNumber) return canonicalNumber(value.text);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (value instanceof Map) {
    const members = [...value].sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonicalJson(member)}`).join(',')}}`;
  }
  return JSON.stringify(value);
}
