/**
 * Key and value of a data record: key text and a Debezium envelope, each alone or as the payload beside its schema, put
 * together from bytes that are JSON already. Nothing is parsed: the images are row JSON as the triggers wrote it, and the
 * places of key text and after-image go into the header, so that our own stages can slice them out again.
 */
import type { ConnectSchemas } from './connectSchema.js';
import type { Op } from './event.js';

/** What all envelopes of one table share. */
export interface EnvelopeSource {
  /** `topicPrefix`: Debezium's logical server name. */
  readonly name: string;
  readonly database: string;
  readonly table: string;
}

export interface Envelope {
  readonly value: Buffer;
  /** Byte range of the after-image in the value; both 0 where there is none. */
  readonly afterStart: number;
  readonly afterEnd: number;
}

export interface EnvelopeFacts {
  readonly op: Op;
  readonly seq: number;
  /** When the change was made in MySQL, and when capture published it; milliseconds since 1970. */
  readonly at: number;
  readonly publishedAt: number;
  readonly before: Buffer | null;
  readonly after: Buffer | null;
}

export type EnvelopeBuilder = (facts: EnvelopeFacts) => Envelope;

/** How the records of one table are written. */
export interface RecordForm {
  readonly value: EnvelopeBuilder;
  readonly key: (keyText: Buffer) => Buffer;
  /** Where the key text begins in the key; 0 where it is the key. */
  readonly keyStart: number;
}

/** `schemas`: null for keys and values that stand alone. */
export function recordForm(source: EnvelopeSource, version: string, schemas: ConnectSchemas | null): RecordForm {
  if (schemas === null) return { value: envelopeBuilder(source, version), key: (keyText) => keyText, keyStart: 0 };
  const head = beside(schemas.key);
  return {
    value: envelopeBuilder(source, version, schemas.value),
    key: (keyText) => Buffer.concat([head, keyText, brace]),
    keyStart: head.length,
  };
}

const brace = Buffer.from('}');

function beside(schema: string): Buffer {
  return Buffer.from(`{"schema":${schema},"payload":`);
}

const between = Buffer.from(',"after":');
const nothing = Buffer.from('null');

export function envelopeBuilder(
  source: EnvelopeSource,
  version: string,
  schema: string | null = null,
): EnvelopeBuilder {
  const opening = Buffer.concat([schema === null ? Buffer.alloc(0) : beside(schema), Buffer.from('{"before":')]);
  const end = schema === null ? '}' : '}}';
  const fixed = Buffer.from(
    `,"source":{"version":${JSON.stringify(version)},"connector":"lockstep","name":${JSON.stringify(source.name)},` +
      `"db":${JSON.stringify(source.database)},"table":${JSON.stringify(source.table)}`,
  );
  return ({ op, seq, at, publishedAt, before, after }) => {
    // Digits and ASCII only: one byte a character.
    const closing =
      `,"ts_ms":${Math.floor(at)},"snapshot":"${op === 'r' ? 'true' : 'false'}","seq":${seq}},` +
      `"op":"${op}","ts_ms":${Math.floor(publishedAt)}${end}`;
    const first = before ?? nothing;
    const second = after ?? nothing;
    const secondAt = opening.length + first.length + between.length;
    const fixedAt = secondAt + second.length;
    const value = Buffer.allocUnsafe(fixedAt + fixed.length + closing.length);
    value.set(opening, 0);
    value.set(first, opening.length);
    value.set(between, opening.length + first.length);
    value.set(second, secondAt);
    value.set(fixed, fixedAt);
    value.write(closing, fixedAt + fixed.length, 'latin1');
    return after === null ? { value, afterStart: 0, afterEnd: 0 } : { value, afterStart: secondAt, afterEnd: fixedAt };
  };
}

/** Bytes an envelope has beside its images and the fixed part of its table: an upper bound. */
export const envelopeOverhead = 160;

const beforeName = Buffer.from('{"before":');
const noAfter = Buffer.from(',"after":null');

/** The before-image as a view of a data record's value; null where there is none. */
export function imagesOf(
  value: Buffer | null,
  { afterStart, afterEnd }: { readonly afterStart: number; readonly afterEnd: number },
): { readonly before: Buffer | null } {
  if (value === null) return { before: null };
  const named = value.indexOf(beforeName);
  // Behind the images there is nothing but names, numbers and texts of ours: the last one is the one.
  const end = afterEnd > 0 ? afterStart - between.length : value.lastIndexOf(noAfter);
  const start = named + beforeName.length;
  if (named < 0 || end <= start) return { before: null };
  const before = value.subarray(start, end);
  return { before: before.equals(nothing) ? null : before };
}
