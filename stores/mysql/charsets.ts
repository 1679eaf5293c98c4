/** Bytes of a MySQL character set → text, for those where Node's decoders and MySQL agree on every character. */

export type Decode = (buffer: Buffer, start: number, end: number) => string;

/** Null for a set that is left to MySQL. */
export function characterDecoder(charset: string): Decode | null {
  switch (charset) {
    case 'utf8mb4':
    case 'utf8mb3':
    case 'utf8':
    case 'ascii':
      return (buffer, start, end) => buffer.toString('utf8', start, end);
    case 'ucs2':
    case 'utf16':
      return (buffer, start, end) => Buffer.from(buffer.subarray(start, end)).swap16().toString('utf16le');
    case 'utf16le':
      return (buffer, start, end) => buffer.toString('utf16le', start, end);
    case 'utf32':
      return utf32;
    case 'latin1':
      return latin1;
    default: {
      const label = labels[charset];
      if (label === undefined) return null;
      const decoder = new TextDecoder(label);
      return (buffer, start, end) => decoder.decode(buffer.subarray(start, end));
    }
  }
}

const labels: Readonly<Record<string, string>> = {
  cp1250: 'windows-1250',
  cp1251: 'windows-1251',
  latin2: 'iso-8859-2',
  koi8r: 'koi8-r',
};

function utf32(buffer: Buffer, start: number, end: number): string {
  let text = '';
  for (let at = start; at + 4 <= end; at += 4) text += String.fromCodePoint(buffer.readUInt32BE(at));
  return text;
}

/** What 0x80 to 0x9f are in windows-1252, which MySQL's latin1 is; the five that it leaves open stay as they are. */
const euro =
  '\u20ac\u0081\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\u008d\u017d\u008f' +
  '\u0090\u2018\u2019\u201c\u201d\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\u009d\u017e\u0178';

/** Node 20's TextDecoder takes windows-1252 for ISO 8859-1. */
function latin1(buffer: Buffer, start: number, end: number): string {
  const text = buffer.toString('latin1', start, end);
  return text.replaceAll(/[\u0080-\u009f]/g, (c) => euro[c.charCodeAt(0) - 0x80] ?? c);
}
