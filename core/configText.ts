/**
 * From the text of lockstep.yaml to plain values: YAML, then `${NAME}` and `file:/path`. Keeps the line of every path, and
 * which values came from outside the file, because those are never shown. Collects mistakes and goes on.
 */
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, type YAMLError } from 'yaml';

export interface Mistake {
  /** Dotted path such as `mysql.uri` or `kafka.brokers[1]`; empty for the file as a whole. */
  readonly path: string;
  readonly line?: number;
  /** What is wrong and what is allowed, as a clause that completes the path. */
  readonly problem: string;
}

export interface Outside {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Content of a file that holds a secret; throws when it cannot be read. */
  readonly readSecret: (path: string) => string;
}

export interface ConfigText {
  readonly value: unknown;
  readonly mistakes: readonly Mistake[];
  readonly lineOf: (path: string) => number | undefined;
  /** Whether the value at the path, or a part of it, came from the environment or a secret's file. */
  readonly fromOutside: (path: string) => boolean;
}

export function readConfigText(text: string, outside: Outside): ConfigText {
  const counter = new LineCounter();
  // Flow mappings are usual in this file and end a plain scalar at `}`: expressions are hidden from YAML, length kept.
  const doc = parseDocument(hideExpressions(text), { lineCounter: counter, prettyErrors: false });
  const line = (offset: number): number => counter.linePos(offset).line;
  const lines = new Map<string, number>();
  const outsiders = new Set<string>();
  const mistakes: Mistake[] = [...doc.errors, ...doc.warnings].map((error) => ({
    path: '',
    line: line(error.pos[0]),
    problem: yamlProblem(error, text),
  }));
  const wrong = (path: string, problem: string): typeof invalid => {
    mistakes.push({ path, problem, ...lineEntry(lines.get(path)) });
    return invalid;
  };

  const walk = (node: unknown, path: string): unknown => {
    if (isMap(node)) {
      // Without a prototype: a table may be called `constructor`.
      const map: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
      for (const { key, value } of node.items) {
        const name = isScalar(key) ? showExpressions(String(key.value)) : '';
        const child = path === '' ? name : `${path}.${name}`;
        if (isScalar(key) && key.range) lines.set(child, line(key.range[0]));
        map[name] = walk(value, child);
      }
      return map;
    }
    if (isSeq(node)) {
      return node.items.map((item, i) => {
        const child = `${path}[${i}]`;
        if (isScalar(item) && item.range) lines.set(child, line(item.range[0]));
        return walk(item, child);
      });
    }
    if (isAlias(node))
      return wrong(path, 'is a YAML alias; allowed: the value itself (quote a text that begins with *)');
    return isScalar(node) ? expand(node.value, path) : null;
  };

  const expand = (value: unknown, path: string): unknown => {
    if (typeof value !== 'string') return value;
    const expanded = expandText(showExpressions(value), path, outside.env, wrong);
    if (expanded === undefined) return invalid;
    if (expanded.outside) outsiders.add(path);
    if (!expanded.text.startsWith('file:/')) return expanded.text;
    outsiders.add(path);
    try {
      return outside.readSecret(expanded.text.slice('file:'.length)).replace(/\r?\n$/, '');
    } catch (error) {
      return wrong(
        path,
        `names a file that cannot be read (${errorReason(error)}); allowed: file:/path of a readable file`,
      );
    }
  };

  const value = walk(doc.contents, '');
  return { value, mistakes, lineOf: (path) => lines.get(path), fromOutside: (path) => outsiders.has(path) };
}

/** Stands where a mistake was already told, so that it is not told twice. */
export const invalid: unique symbol = Symbol('invalid');

function lineEntry(line: number | undefined): { line?: number } {
  return line === undefined ? {} : { line };
}

function errorReason(error: unknown): string {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
  return 'unreadable';
}

/** The parser's own words, without what they quote of the file: that may be a secret. */
function yamlProblem(error: YAMLError, text: string): string {
  if (error.code === 'DUPLICATE_KEY') {
    const key = /^[\w-]+/.exec(text.slice(error.pos[0]))?.[0] ?? 'this key';
    return `${key} is given twice; allowed: once`;
  }
  if (error.code === 'TAG_RESOLVE_FAILED')
    return 'has a YAML tag (!…); allowed: none (quote a text that begins with !)';
  const words = error.message.split(/[:"]/)[0] ?? '';
  return `is not YAML: ${words.replace(/; please use.*/, '').trim()}`;
}

const expression = /\$\{[^}\n]*\}/g;
const hidden = 0xe000;

function hideExpressions(text: string): string {
  return text.replaceAll(expression, (found) =>
    found.replaceAll(/[\x20-\x7e]/g, (c) => String.fromCharCode(hidden + c.charCodeAt(0))),
  );
}

function showExpressions(text: string): string {
  return text.replaceAll(/[\ue020-\ue07e]/g, (c) => String.fromCharCode(c.charCodeAt(0) - hidden));
}

const variable = /^\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?\}$/;

/** Undefined when a mistake was told. A value put between `//` and `@` of a URI is taken literally, so it is encoded. */
function expandText(
  text: string,
  path: string,
  env: Outside['env'],
  wrong: (path: string, problem: string) => unknown,
): { text: string; outside: boolean } | undefined {
  let outside = false;
  let failed = false;
  const login = /^[a-z][a-z0-9+.-]*:\/\/[^/?#]*@/i.exec(text.replaceAll(expression, (e) => 'x'.repeat(e.length)));
  const expanded = text.replaceAll(/\$?\$\{[^}\n]*\}?/g, (found, at: number) => {
    if (found.startsWith('$$')) return found.slice(1);
    const parts = variable.exec(found);
    if (parts === null) {
      wrong(path, 'has a wrong expression; allowed: ${NAME} or ${NAME:-default} ($${ for a plain ${)');
      failed = true;
      return '';
    }
    const [, name = '', fallback] = parts;
    const given = Object.hasOwn(env, name) ? env[name] : undefined;
    const value = given === undefined || (given === '' && fallback !== undefined) ? fallback : given;
    if (value === undefined) {
      wrong(
        path,
        `needs the environment variable ${name}, which is not set; allowed: set it, or write \${${name}:-default}`,
      );
      failed = true;
      return '';
    }
    outside = true;
    return login !== null && at < login[0].length ? encodeURIComponent(value) : value;
  });
  return failed ? undefined : { text: expanded, outside };
}
