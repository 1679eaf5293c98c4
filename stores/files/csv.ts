/**
 * The fields of CSV records. Papa Parse takes a block of records apart at once; where its answer could differ from the
 * block's records (bytes that are no text, mixed line ends, misplaced quotes) each record is taken apart alone, so that one
 * bad record never spoils another.
 */
import { isUtf8 } from 'node:buffer';
import Papa from 'papaparse';
import type { Reading } from '../../core/ingest.js';
import { Fault } from '../../core/ingestFault.js';
import type { Block, Dialect } from './records.js';

const notUtf8 = new Fault('encoding', 'bytes that are not UTF-8');
const misplacedQuote = new Fault('quote');

/** With one column a blank line is an empty field; with more it is nothing. */
export function csvDialect(reading: Pick<Reading, 'delimiter' | 'quote'>, fields: number): Dialect {
  const { delimiter, quote } = reading;
  return {
    delimiter: Buffer.from(delimiter),
    quote: quote === null ? -1 : quote.charCodeAt(0),
    skipBlank: fields !== 1,
  };
}

/** Fields of each of the block's records, or why a record has none. */
export function fieldsOf(block: Block, reading: Pick<Reading, 'delimiter' | 'quote'>): (readonly string[] | Fault)[] {
  const whole = block.lineEnd === 'mixed' ? null : wholeBlock(block, reading);
  return whole ?? block.starts.map((start, i) => oneRecord(block.bytes.subarray(start, block.ends[i]), reading));
}

function wholeBlock(block: Block, reading: Pick<Reading, 'delimiter' | 'quote'>): (readonly string[])[] | null {
  const bytes = block.bytes.subarray(block.starts[0] ?? 0, block.ends.at(-1) ?? 0);
  // An empty last record leaves no trace in the text.
  if (bytes.length === 0 || !isUtf8(bytes)) return null;
  const { data, errors } = parse(bytes.toString('utf8'), reading, block.lineEnd === 'crlf' ? '\r\n' : '\n');
  return errors.length > 0 || data.length !== block.starts.length ? null : data;
}

function oneRecord(bytes: Buffer, reading: Pick<Reading, 'delimiter' | 'quote'>): readonly string[] | Fault {
  if (bytes.length === 0) return [''];
  if (!isUtf8(bytes)) return notUtf8;
  // A form that no line end within the record's quotes can be mistaken for.
  const { data, errors } = parse(bytes.toString('utf8'), reading, '\n');
  const [fields] = data;
  return errors.length > 0 || data.length !== 1 || fields === undefined ? misplacedQuote : fields;
}

function parse(
  text: string,
  { delimiter, quote }: Pick<Reading, 'delimiter' | 'quote'>,
  newline: '\n' | '\r\n',
): Papa.ParseResult<string[]> {
  return Papa.parse<string[]>(text.startsWith('\ufeff') ? `\ufeff${text}` : text, {
    delimiter,
    newline,
    header: false,
    ...(quote === null ? { fastMode: true } : { quoteChar: quote }),
  });
}

/** Whether field `index` of a well-formed record stands in quotes. */
export function isQuoted(bytes: Buffer, index: number, { delimiter, quote }: Dialect): boolean {
  let at = 0;
  for (let field = 0; ; field++) {
    const quoted = bytes[at] === quote;
    if (field === index) return quoted;
    if (quoted) at = afterQuotes(bytes, at, quote);
    const next = bytes.indexOf(delimiter, at);
    if (next === -1) return false;
    at = next + delimiter.length;
  }
}

/** The byte behind the closing quote of a field that opens at `at`. */
function afterQuotes(bytes: Buffer, at: number, quote: number): number {
  let i = at + 1;
  for (; i < bytes.length; i++) {
    if (bytes[i] !== quote) continue;
    if (bytes[i + 1] !== quote) return i + 1;
    i++;
  }
  return i;
}
