/**
 * The scalars of lockstep.yaml. Each says in its own words what is wrong and what is allowed, and never quotes the value:
 * whoever knows the path decides whether it may be shown.
 */
import { z } from 'zod';
import { invalid } from './configText.js';
import { durationForm, parseDuration } from './duration.js';
import { parseSize, sizeForm } from './size.js';
import { nearest } from './suggest.js';

/** A mistake that was told where it was found; it only keeps the file from being accepted. */
export const alreadyTold = 'already told';

export type Reading<T> = { readonly value: T } | { readonly wrong: string };

/** A scalar from what YAML gives: text, number or boolean. */
export function scalar<T>(
  allowed: string,
  read: (value: string | number | boolean) => Reading<T>,
): z.ZodPipe<z.ZodUnknown, z.ZodTransform<T, unknown>> {
  return z.unknown().transform((input, context): T => {
    const told = (message: string): never => {
      context.issues.push({ code: 'custom', message, input });
      return z.NEVER;
    };
    if (input === invalid) return told(alreadyTold);
    if (input === undefined || input === null) return told(`is missing; allowed: ${allowed}`);
    if (typeof input === 'object') return told(`is a ${Array.isArray(input) ? 'list' : 'group'}; allowed: ${allowed}`);
    if (typeof input !== 'string' && typeof input !== 'number' && typeof input !== 'boolean') {
      return told(`is no text; allowed: ${allowed}`);
    }
    const reading = read(input);
    return 'value' in reading ? reading.value : told(`${reading.wrong}; allowed: ${allowed}`);
  });
}

export function text(allowed: string, check: (text: string) => string | undefined = () => undefined) {
  return scalar<string>(allowed, (input) => {
    const value = String(input);
    const wrong = value === '' ? 'is empty' : check(value);
    return wrong === undefined ? { value } : { wrong };
  });
}

/** Text that matches the pattern as a whole. */
export function matching(pattern: RegExp, allowed: string) {
  return text(allowed, (value) => (pattern.test(value) ? undefined : 'has another form'));
}

export function integer(from: number, to: number) {
  return scalar<number>(`a whole number from ${from} to ${to}`, (input) => {
    const value = typeof input === 'string' && /^\d{1,15}$/.test(input) ? Number(input) : input;
    if (typeof value !== 'number' || !Number.isInteger(value)) return { wrong: 'is no whole number' };
    return value < from || value > to ? { wrong: 'is out of range' } : { value };
  });
}

/** 0 … 1; `off` for 0. */
export function share() {
  return scalar<number>('a number from 0 to 1, or off', (input) => {
    const value =
      input === false || input === 'off' ? 0 : typeof input === 'string' && input !== '' ? Number(input) : input;
    if (typeof value !== 'number' || Number.isNaN(value)) return { wrong: 'is no number' };
    return value < 0 || value > 1 ? { wrong: 'is out of range' } : { value };
  });
}

export function duration(from: number, to: number, range: string) {
  return scalar<number>(`${durationForm}; ${range}`, (input) => {
    const value = typeof input === 'string' ? parseDuration(input) : undefined;
    if (value === undefined) return { wrong: typeof input === 'number' ? 'has no unit' : 'is no duration' };
    return value < from || value > to ? { wrong: 'is out of range' } : { value };
  });
}

export function size(from: number, to: number, range: string) {
  return scalar<number>(`${sizeForm}; ${range}`, (input) => {
    const value = parseSize(String(input));
    if (value === undefined) return { wrong: 'is no size' };
    return value < from || value > to ? { wrong: 'is out of range' } : { value };
  });
}

export function flag() {
  return scalar<boolean>('true or false', (input) => {
    const value = input === 'true' ? true : input === 'false' ? false : input;
    return typeof value === 'boolean' ? { value } : { wrong: 'is neither' };
  });
}

export function onOrOff() {
  return scalar<boolean>('on or off', (input) => {
    if (input === 'on' || input === true || input === 'true') return { value: true };
    return input === 'off' || input === false || input === 'false' ? { value: false } : { wrong: 'is neither' };
  });
}

export function oneOf<const T extends string>(...names: readonly T[]) {
  return scalar<T>(names.join(', '), (input) => {
    const value = names.find((name) => name === String(input));
    if (value !== undefined) return { value };
    const meant = nearest(String(input), names);
    return { wrong: meant === undefined ? 'is unknown' : `is unknown (did you mean ${meant}?)` };
  });
}

/** A group of settings in which no unknown name is accepted. */
export function group<T extends z.ZodRawShape>(shape: T) {
  return z.strictObject(shape, {
    error: (issue) => {
      if (issue.code === 'unrecognized_keys') return Object.keys(shape).join(' ');
      if (issue.input === invalid) return alreadyTold;
      return `${issue.input === undefined || issue.input === null ? 'is missing' : 'is no group of settings'}; allowed: ${Object.keys(shape).join(', ')}`;
    },
  });
}

/** A list, or a text with commas, which is what an environment variable can hold. */
export function list<T extends z.ZodType>(item: T, allowed: string) {
  const split = z
    .unknown()
    .transform((input) => (typeof input === 'string' ? input.split(',').map((part) => part.trim()) : input));
  return split.pipe(
    z.array(item, {
      error: (issue) =>
        issue.input === invalid
          ? alreadyTold
          : `${issue.input === undefined || issue.input === null ? 'is missing' : 'is no list'}; allowed: ${allowed}`,
    }),
  );
}
