/** Reads information_schema's COLUMN_TYPE, the one place where the members of ENUM and SET are named. */

/** Members in order; empty for every other type. Backslash escapes and doubled quotes are undone. */
export function members(columnType: string): string[] {
  const open = /^(?:enum|set)\(/i.exec(columnType);
  if (open === null) return [];
  const found: string[] = [];
  let at = open[0].length;
  while (columnType[at] === "'") {
    const [text, next] = quoted(columnType, at + 1);
    found.push(text);
    at = columnType[next] === ',' ? next + 1 : next;
  }
  return found;
}

/** From behind the opening quote: the text and where the closing quote has ended. */
function quoted(source: string, start: number): [string, number] {
  let text = '';
  let at = start;
  while (at < source.length) {
    const c = source.charAt(at);
    if (c === "'" && source[at + 1] === "'") {
      text += "'";
      at += 2;
    } else if (c === "'") {
      return [text, at + 1];
    } else if (c === '\\') {
      text += unescaped(source.charAt(at + 1));
      at += 2;
    } else {
      text += c;
      at += 1;
    }
  }
  throw new TypeError(`an unfinished member list: ${source}`);
}

function unescaped(c: string): string {
  const control: Readonly<Record<string, string>> = { 0: '\0', n: '\n', r: '\r', t: '\t', b: '\b', Z: '\x1a' };
  return control[c] ?? c;
}
