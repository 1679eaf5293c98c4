/** Dates and times as MySQL stores them → the text of row JSON, without quotes. Pure. */

/** Three bytes: day 5 bits, month 4, year 15. */
export function datePart(buffer: Buffer, at: number): string {
  const value = buffer.readUIntLE(at, 3);
  return dateText(value >> 9, (value >> 5) & 15, value & 31);
}

/** DATETIME2: 1 bit sign, 17 bits year*13+month, 5 day, 5 hour, 6 minute, 6 second; then the fraction. Big-endian. */
export function datetimePart(buffer: Buffer, at: number, fsp: number): string {
  const value = buffer.readUIntBE(at, 5) - 0x8000000000;
  const days = Math.floor(value / 0x20000);
  const clock = value % 0x20000;
  const months = days >> 5;
  const [year, month, day] = [Math.floor(months / 13), months % 13, days & 31];
  const time = clockText(clock >> 12, (clock >> 6) & 63, clock & 63);
  const between = isCalendarDate(year, month, day) ? 'T' : ' ';
  return `${dateText(year, month, day)}${between}${time}${fraction(buffer, at + 5, fsp)}`;
}

/** TIMESTAMP2: seconds since 1970, big-endian; then the fraction. */
export function timestampPart(buffer: Buffer, at: number, fsp: number): string {
  const seconds = buffer.readUInt32BE(at);
  const behind = fraction(buffer, at + 4, fsp);
  if (seconds === 0) return `0000-00-00 00:00:00${behind}`;
  return `${new Date(seconds * 1000).toISOString().slice(0, 19)}${behind}Z`;
}

/** TIME2: 1 bit sign, 1 unused, 10 hour, 6 minute, 6 second, then the fraction; negatives as the complement of the whole. */
export function timePart(buffer: Buffer, at: number, fsp: number): string {
  const fractionBytes = (fsp + 1) >> 1;
  const scale = 256 ** fractionBytes;
  const raw = buffer.readUIntBE(at, 3 + fractionBytes) - 0x800000 * scale;
  const magnitude = Math.abs(raw);
  const whole = Math.floor(magnitude / scale);
  const behind = fractionText(magnitude % scale, fsp);
  return `${raw < 0 ? '-' : ''}${clockText(whole >> 12, (whole >> 6) & 63, whole & 63)}${behind}`;
}

function fraction(buffer: Buffer, at: number, fsp: number): string {
  const bytes = (fsp + 1) >> 1;
  return bytes === 0 ? '' : fractionText(buffer.readUIntBE(at, bytes), fsp);
}

/** Stored in hundredths, ten-thousandths or millionths; an odd number of digits leaves the last of these 0. */
function fractionText(value: number, fsp: number): string {
  if (fsp === 0) return '';
  const digits = ((fsp + 1) >> 1) * 2;
  return `.${String(value).padStart(digits, '0').slice(0, fsp)}`;
}

/** What row JSON takes for a date of the calendar (rowJson.ts): zero and impossible ones are not, nor is the year 0. */
function isCalendarDate(year: number, month: number, day: number): boolean {
  if (year === 0 || month === 0 || day === 0) return false;
  const leap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  const days = month === 2 ? (leap ? 29 : 28) : [4, 6, 9, 11].includes(month) ? 30 : 31;
  return day <= days;
}

function dateText(year: number, month: number, day: number): string {
  return `${String(year).padStart(4, '0')}-${two(month)}-${two(day)}`;
}

function clockText(hours: number, minutes: number, seconds: number): string {
  return `${two(hours)}:${two(minutes)}:${two(seconds)}`;
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}
