/**
 * Dates and times of row JSON → BSON Date, or the text as it stands for what no calendar has (zero and impossible
 * dates, as MySQL prints them). Each function takes a string token, quotes included, and returns the type it wrote.
 */
import { bsonType, type BsonWriter } from './bsonWriter.js';
import { writeString } from './jsonToBson.js';

const msPerDay = 86_400_000;
const daysInMonth = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** `"YYYY-MM-DD"` → midnight UTC. */
export function writeDate(w: BsonWriter, text: Uint8Array, start: number, end: number): number {
  const day = end - start === 12 ? dayAt(text, start + 1) : Number.NaN;
  if (Number.isNaN(day)) return writeString(w, text, start, end);
  w.int64(day * msPerDay);
  return bsonType.date;
}

/** `"YYYY-MM-DDTHH:MM:SS[.fff][Z]"` → that moment, read as UTC. Row JSON puts a blank for the T of an impossible one. */
export function writeMoment(w: BsonWriter, text: Uint8Array, start: number, end: number): number {
  const day = text[start + 11] === 0x54 ? dayAt(text, start + 1) : Number.NaN;
  if (Number.isNaN(day)) return writeString(w, text, start, end);
  const seconds = two(text, start + 12) * 3600 + two(text, start + 15) * 60 + two(text, start + 18);
  w.int64(day * msPerDay + seconds * 1000 + milliseconds(text, start + 20));
  return bsonType.date;
}

/** Up to three digits after the point at `at`; 0 where there is none. */
function milliseconds(text: Uint8Array, at: number): number {
  if (text[at] !== 0x2e) return 0;
  let value = 0;
  let weight = 100;
  for (let i = at + 1; weight >= 1; i++, weight /= 10) {
    const digit = (text[i] ?? 0) - 0x30;
    if (digit < 0 || digit > 9) break;
    value += digit * weight;
  }
  return value;
}

/** Days since 1970-01-01 of the `YYYY-MM-DD` at `at`; NaN for a day that no calendar has, the year 0 included. */
function dayAt(text: Uint8Array, at: number): number {
  const year = two(text, at) * 100 + two(text, at + 2);
  const month = two(text, at + 5);
  const day = two(text, at + 8);
  if (!(year >= 1 && month >= 1 && month <= 12 && day >= 1)) return Number.NaN;
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  if (day > (month === 2 && leap ? 29 : (daysInMonth[month - 1] ?? 0))) return Number.NaN;
  // Years that begin in March put the leap day last: then days are a linear function of the month.
  const y = month <= 2 ? year - 1 : year;
  const century = Math.floor(y / 100);
  const inYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  return 365 * y + Math.floor(y / 4) - century + Math.floor(century / 4) + inYear - 719_468;
}

function two(text: Uint8Array, at: number): number {
  const [tens, ones] = [(text[at] ?? 0) - 0x30, (text[at + 1] ?? 0) - 0x30];
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : Number.NaN;
}
