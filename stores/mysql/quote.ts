/** The only functions that put a name or a constant into SQL text. Values that come from rows are bound instead. */

export function quoteName(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
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
