/**
 * Every name that lockstep gives to a thing outside MySQL. Two different tables or keys never get the same name: the escapes
 * of topics and Redis keys are injective; where MongoDB's are not (`a$` and `a-0024`), `checkOverrides` and `leftOut` refuse.
 */
import { createHash } from 'node:crypto';

/** Kafka's own limit. */
const longestTopic = 249;
/** A namespace has at most 255 bytes, the database's name 62 of them. 64 letters of three bytes still stand as they are. */
const longestCollection = 192;

/** A character outside letters, digits and `_` becomes `-` and the four hex digits of its UTF-16 code unit. */
export function topicPart(name: string): string {
  return name.replaceAll(/[^A-Za-z0-9_]/g, (c) => `-${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** 64 letters that Kafka does not allow would make more than it takes: such a name ends in a digest of the whole. */
export function tableTopic(prefix: string, database: string, table: string): string {
  return atMost(longestTopic, `${prefix}.${topicPart(database)}.${topicPart(table)}`);
}

/** Too long: its beginning, and 16 hex digits that stand for all of it. */
function atMost(bytes: number, name: string): string {
  if (Buffer.byteLength(name) <= bytes) return name;
  const digest = createHash('sha256').update(name).digest('hex').slice(0, 16);
  let kept = name;
  while (Buffer.byteLength(kept) > bytes - digest.length - 1) kept = kept.slice(0, -1);
  return `${kept}-${digest}`;
}

export type OwnTopic = 'state' | 'definitions' | 'schema' | 'parked';

/** A database of the source cannot collide with it: the part after `lockstep.` has no further dot-separated table of that name. */
export function ownTopic(prefix: string, topic: OwnTopic): string {
  return `${prefix}.lockstep.${topic}`;
}

/** MongoDB forbids `$` in collection names and reserves a leading `system.`. */
export function collectionName(table: string): string {
  const escaped = escapeDollar(table);
  return atMost(
    longestCollection,
    escaped.startsWith('system.') ? `system-002e${escaped.slice('system.'.length)}` : escaped,
  );
}

/** Field names inside a composite `_id`, where MongoDB forbids a leading `$`. */
export function idFieldName(column: string): string {
  return escapeDollar(column);
}

function escapeDollar(name: string): string {
  return name.replaceAll('$', '-0024');
}

/** `%` and `:` percent-encoded, so that parts joined by `:` can be told apart again. */
export function redisPart(text: string): string {
  return text.replaceAll('%', '%25').replaceAll(':', '%3A');
}

/** keyParts: each key column's text as in row JSON, strings unquoted. */
export function redisKey(prefix: string, table: string, keyParts: readonly string[]): string {
  return [prefix, redisPart(table), ...keyParts.map(redisPart)].join(':');
}

/** lockstep's own keys; an empty table name cannot exist, so `::` is free. */
export function redisStateKey(prefix: string, name: string): string {
  return `${prefix}::lockstep:${name}`;
}
