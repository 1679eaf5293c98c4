/** The only functions that put a name or a constant into SQL text. Values that come from rows are bound instead. */

type Quote = '`' | '"';

/** Our sessions and triggers have ANSI_QUOTES, under which a name may stand in either kind of quotes. */
export function quoteName(name: string): string {
  const quote = !fitsTrigger(name, '`') && fitsTrigger(name, '"') ? '"' : '`';
  return quote + doubled(name, quote) + quote;
}

/** Whether a trigger can name the column at all: MySQL fails to store one in which neither kind of quotes goes well. */
export function isNameableInTrigger(name: string): boolean {
  return fitsTrigger(name, '`') || fitsTrigger(name, '"');
}

function doubled(name: string, quote: Quote): string {
  return name.replaceAll(quote, quote + quote);
}

/**
 * Keeping a trigger's text, MySQL cuts a name with k doubled quotes k bytes behind its beginning and k before its end. Within
 * a letter that leaves no UTF-8, and CREATE TRIGGER fails: "Failed to update triggers dictionary object" (tried).
 */
function fitsTrigger(name: string, quote: Quote): boolean {
  const text = Buffer.from(doubled(name, quote));
  const cut = text.length - Buffer.byteLength(name);
  return [cut, text.length - cut].every((at) => ((text[at] ?? 0) & 0xc0) !== 0x80);
}

export function quoteTable(database: string, table: string): string {
  return `${quoteName(database)}.${quoteName(table)}`;
}

/** For sessions and triggers without NO_BACKSLASH_ESCAPES, which all of ours are. */
export function quoteText(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
}

/** Bytes given as hex digits. */
export function quoteHex(hex: string): string {
  if (!/^(?:[0-9a-fA-F]{2})*$/.test(hex)) throw new TypeError('not hex digits');
  return `X'${hex}'`;
}
