/**
 * The character sets of clients: statements stand in the binary log as they were sent. By the collation that the log names
 * beside each; one that Node cannot decode is read as UTF-8, in which the names of ASCII are right. Pure.
 */
import { characterDecoder, type Decode } from './charsets.js';

/** Labels of the Encoding Standard, by MySQL's name, and the numbers of its collations. */
const sets: readonly (readonly [label: string, ...collations: number[]])[] = [
  ['big5', 1, 84],
  ['windows-1250', 26, 34, 44, 66, 99],
  ['windows-1251', 14, 23, 50, 51, 52],
  ['windows-1256', 57, 67],
  ['windows-1257', 29, 58, 59],
  ['ibm866', 36, 68],
  ['shift_jis', 13, 88, 95, 96],
  ['euc-jp', 12, 91, 97, 98],
  ['euc-kr', 19, 85],
  ['gb18030', 24, 28, 86, 87, 248, 249, 250],
  ['iso-8859-7', 25, 70],
  ['iso-8859-8', 16, 71],
  ['koi8-r', 7, 74],
  ['koi8-u', 22, 75],
  ['iso-8859-2', 2, 9, 21, 27, 77],
  ['windows-1254', 30, 78],
  ['iso-8859-13', 20, 41, 42, 79],
  ['macintosh', 39, 53],
  ['windows-874', 18, 89],
];
const latin1 = [5, 8, 15, 31, 47, 48, 49, 94];

const utf8: Decode = (buffer, start, end) => buffer.toString('utf8', start, end);
const decoders = new Map<number, Decode>(latin1.map((id) => [id, characterDecoder('latin1') ?? utf8]));
for (const [label, ...collations] of sets) {
  const decoder = new TextDecoder(label);
  for (const id of collations) decoders.set(id, (buffer, start, end) => decoder.decode(buffer.subarray(start, end)));
}

/** collation: 0 where it is not told. */
export function clientDecoder(collation: number): Decode {
  return decoders.get(collation) ?? utf8;
}
