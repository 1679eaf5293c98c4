/**
 * Times as files write them (ISO 8601 with `T` or a blank, `Z`, an offset, or none) → the text MySQL holds, exactly. DATETIME
 * and TIMESTAMP are UTC, as in row JSON: an offset is taken off. Digits beyond the column's are a fault, or rounded half up.
 */
import type { Column } from './definition.js';
import { Fault } from './ingestFault.js';

const notATime = new Fault('type', 'not an ISO 8601 time');
const notADate = new Fault('type', 'not an ISO 8601 date');
const impossible = new Fault('range', 'no day of the calendar');
const outOfYears = new Fault('range', 'years 0001 to 9999');
const outOfTimestamps = new Fault('range', '1970-01-01T00:00:01Z to 2038-01-19T03:14:07Z');
const outOfTimes = new Fault('range', '-838:59:59 to 838:59:59');

const zeroDate = '0000-00-00';
const zeroDatetime = /^0000-00-00(?:[T ]00:00(?::00(?:\.0*)?)?)?$/;
const timeForm = /^(-?)(\d{1,3}):([0-5]\d)(?::([0-5]\d)(?:\.(\d*))?)?$/;
const datetimeForm =
  /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):([0-5]\d)(?::([0-5]\d)(?:[.,](\d+))?)?\s?(?:(Z|z|UTC)|([+-])(\d\d)(?::?(\d\d))?)?)?$/;

const maxTimestamp = 2_147_483_647;
const maxTimeSeconds = 838 * 3600 + 59 * 60 + 59;

/** `YYYY-MM-DD`. A time of day is allowed when it is midnight. Zero dates and dates with a zero part are as MySQL has them. */
export function dateOf(text: string): string | Fault {
  const trimmed = text.trim();
  const parts = datetimeForm.exec(trimmed);
  if (parts === null) return notADate;
  const day = trimmed.slice(0, 10);
  if (hasZeroPart(day)) return trimmed.length === 10 || zeroDatetime.test(trimmed) ? partialDate(day) : notADate;
  const moment = momentOf(parts);
  if (moment instanceof Fault) return moment;
  if (moment.seconds % 86_400 !== 0 || /[1-9]/.test(moment.fraction)) {
    return new Fault('precision', 'a time of day in a DATE column');
  }
  return civil(moment.seconds).slice(0, 10);
}

/** `YYYY-MM-DD HH:MM:SS[.f]` with the column's digits, in UTC. */
export function datetimeOf(column: Column, round: boolean): (text: string) => string | Fault {
  const digits = column.fsp ?? 0;
  const timestamp = column.type === 'timestamp';
  const zero = `${zeroDate} 00:00:00${digits === 0 ? '' : `.${'0'.repeat(digits)}`}`;
  return (text) => {
    const parts = datetimeForm.exec(text) ?? datetimeForm.exec(text.trim());
    if (parts === null) return notATime;
    const day = text.trim().slice(0, 10);
    if (hasZeroPart(day)) {
      if (zeroDatetime.test(text.trim())) return zero;
      return timestamp || parts[8] !== undefined || parts[9] !== undefined
        ? impossible
        : partialDatetime(parts, digits);
    }
    const moment = momentOf(parts);
    if (moment instanceof Fault) return moment;
    const fraction = fractionOf(moment.fraction, digits, round);
    if (fraction instanceof Fault) return fraction;
    const seconds = moment.seconds + fraction.carry;
    if (timestamp && (seconds < 1 || seconds > maxTimestamp)) return outOfTimestamps;
    if (seconds < firstSecond || seconds > lastSecond) return outOfYears;
    // Without an offset the text is there already; making it anew from its seconds costs more than everything else here.
    const written = parts[9] === undefined && fraction.carry === 0;
    return `${written ? clockAsWritten(parts) : civil(seconds)}${fraction.text}`;
  };
}

/** `[-]HH:MM:SS[.f]`, two or three digits of hours. */
export function timeOf(column: Column, round: boolean): (text: string) => string | Fault {
  const digits = column.fsp ?? 0;
  return (text) => {
    const parts = timeForm.exec(text.trim());
    if (parts === null) return new Fault('type', 'not a time such as 12:34:56');
    const fraction = fractionOf(parts[5] ?? '', digits, round);
    if (fraction instanceof Fault) return fraction;
    const seconds = Number(parts[2]) * 3600 + Number(parts[3]) * 60 + Number(parts[4] ?? 0) + fraction.carry;
    if (seconds > maxTimeSeconds || (seconds === maxTimeSeconds && /[1-9]/.test(fraction.text))) return outOfTimes;
    const clock = `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
    const negative = parts[1] === '-' && (seconds !== 0 || /[1-9]/.test(fraction.text));
    return `${negative ? '-' : ''}${clock}${fraction.text}`;
  };
}

interface Moment {
  /** Since 1970 in UTC. */
  readonly seconds: number;
  /** Digits behind the point, as written. */
  readonly fraction: string;
}

function momentOf(parts: RegExpExecArray): Moment | Fault {
  const [year, month, day] = [Number(parts[1]), Number(parts[2]), Number(parts[3])];
  if (month > 12 || day > daysIn(year, month)) return impossible;
  const hour = Number(parts[4] ?? 0);
  if (hour > 23) return notATime;
  const local =
    daysBefore(year, month, day) * 86_400 + hour * 3600 + Number(parts[5] ?? 0) * 60 + Number(parts[6] ?? 0);
  const [offsetHours, offsetMinutes] = [Number(parts[10] ?? 0), Number(parts[11] ?? 0)];
  if (offsetHours > 14 || offsetMinutes > 59) return notATime;
  const offset = (offsetHours * 60 + offsetMinutes) * 60;
  return { seconds: parts[9] === '-' ? local + offset : local - offset, fraction: parts[7] ?? '' };
}

interface Fraction {
  /** With its point; empty for a column without digits. */
  readonly text: string;
  /** 1 when rounding reached the next second. */
  readonly carry: 0 | 1;
}

function fractionOf(written: string, digits: number, round: boolean): Fraction | Fault {
  if (written === '') return { text: digits === 0 ? '' : `.${'0'.repeat(digits)}`, carry: 0 };
  const kept = written.slice(0, digits).padEnd(digits, '0');
  const rest = written.slice(digits);
  if (!/[1-9]/.test(rest)) return { text: digits === 0 ? '' : `.${kept}`, carry: 0 };
  if (!round) return new Fault('precision', `at most ${digits} digits of a second`);
  if (rest.charCodeAt(0) < 0x35) return { text: digits === 0 ? '' : `.${kept}`, carry: 0 };
  const next = String(Number(kept === '' ? '0' : kept) + 1);
  if (digits === 0 || next.length > digits) return { text: digits === 0 ? '' : `.${'0'.repeat(digits)}`, carry: 1 };
  return { text: `.${next.padStart(digits, '0')}`, carry: 0 };
}

function clockAsWritten(parts: RegExpExecArray): string {
  return `${parts[1]}-${parts[2]}-${parts[3]} ${parts[4] ?? '00'}:${parts[5] ?? '00'}:${parts[6] ?? '00'}`;
}

/** A day that MySQL holds but no calendar has: `2024-00-00`. */
function hasZeroPart(day: string): boolean {
  return day.startsWith('0000') || day.slice(5, 7) === '00' || day.slice(8, 10) === '00';
}

function partialDate(day: string): string | Fault {
  const [year, month, date] = [Number(day.slice(0, 4)), Number(day.slice(5, 7)), Number(day.slice(8, 10))];
  if (month > 12 || date > (month === 0 ? 31 : daysIn(year, month))) return impossible;
  // MySQL would take month and day of a zero year; row JSON could not tell them from a zero date by its form.
  return year === 0 && (month !== 0 || date !== 0) ? outOfYears : day;
}

function partialDatetime(parts: RegExpExecArray, digits: number): string | Fault {
  const day = partialDate(`${parts[1]}-${parts[2]}-${parts[3]}`);
  if (day instanceof Fault) return day;
  if (Number(parts[4] ?? 0) > 23) return notATime;
  const fraction = fractionOf(parts[7] ?? '', digits, false);
  if (fraction instanceof Fault) return fraction;
  return `${clockAsWritten(parts)}${fraction.text}`;
}

const monthDays = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

function daysIn(year: number, month: number): number {
  if (month === 2 && year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)) return 29;
  return monthDays[month - 1] ?? 0;
}

/** Days from 1970-01-01. After Howard Hinnant, https://howardhinnant.github.io/date_algorithms.html */
function daysBefore(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yearOfEra = y - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}

const firstSecond = daysBefore(1, 1, 1) * 86_400;
const lastSecond = daysBefore(9999, 12, 31) * 86_400 + 86_399;

/** `YYYY-MM-DD HH:MM:SS` */
function civil(seconds: number): string {
  const iso = new Date(seconds * 1000).toISOString();
  return `${iso.slice(0, 10)} ${iso.slice(11, 19)}`;
}

function two(value: number): string {
  return value < 10 ? `0${value}` : String(value);
}
