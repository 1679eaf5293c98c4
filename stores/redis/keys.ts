/** Reads keys back: found by their table's prefix, taken apart to key text, or held against rows. */
import type { Redis } from 'ioredis';
import type { Definition } from '../../core/definition.js';
import { keyTextOf } from '../../core/keyText.js';
import { redisPart } from '../../core/names.js';
import type { RowVerdict, SourceRow, Target } from '../../core/store.js';
import { hashFields, keyUnder } from './batchArguments.js';

const scanCount = 1_000;

/** Keys that begin with a text and go on with a glob; SCAN may name one twice. */
export async function* scanAll(client: Redis, prefix: string, glob: string): AsyncIterable<string[]> {
  const pattern = prefix.replaceAll(/[\\*?[\]]/g, (c) => `\\${c}`) + glob;
  let cursor = '0';
  do {
    const [next, keys] = await client.scan(cursor, 'MATCH', pattern, 'COUNT', scanCount);
    cursor = next;
    yield keys;
  } while (cursor !== '0');
}

export async function* scanKeys(
  client: Redis,
  keyPrefix: string,
  target: Target,
  definition: Definition,
): AsyncIterable<readonly string[]> {
  const head = `${keyPrefix}:${redisPart(target.table)}:`;
  for await (const keys of scanAll(client, head, '*')) {
    const texts: string[] = [];
    for (const key of keys) {
      const parts = key.slice(head.length).split(':');
      // Another prefix may begin with ours: its keys have more parts, or none of ours.
      if (parts.length === definition.key.length) texts.push(keyTextOf(definition, parts.map(partText)));
    }
    if (texts.length > 0) yield texts;
  }
}

function partText(escaped: string): string {
  return escaped.replaceAll('%3A', ':').replaceAll('%25', '%');
}

export async function compareRows(
  client: Redis,
  keyPrefix: string,
  target: Target,
  definition: Definition,
  rows: readonly SourceRow[],
): Promise<RowVerdict[]> {
  const head = `${keyPrefix}:${redisPart(target.table)}`;
  const pipeline = client.pipeline();
  for (const { key } of rows) {
    const name = keyUnder(head, { definition, key });
    if (target.redis.layout === 'hash') pipeline.hgetall(name);
    else pipeline.getBuffer(name);
  }
  const replies = (await pipeline.exec()) ?? [];
  return rows.map(({ row }, i) => {
    const [error, reply] = replies[i] ?? [new Error('no reply'), null];
    if (error !== null) {
      if (error.message.startsWith('WRONGTYPE')) return { kind: 'different', fields: ['(type of the key)'] };
      throw error;
    }
    return target.redis.layout === 'hash'
      ? hashVerdict(target, hashFields(definition, row), reply as Record<string, string>)
      : stringVerdict(target, row, reply as Buffer | null);
  });
}

function stringVerdict(target: Target, row: Buffer, stored: Buffer | null): RowVerdict {
  if (stored === null) return absent(target);
  return stored.equals(row) ? { kind: 'equal' } : { kind: 'different', fields: ['(row JSON)'] };
}

function hashVerdict(target: Target, fields: readonly string[], stored: Readonly<Record<string, string>>): RowVerdict {
  const expected = new Map<string, string>();
  for (let i = 0; i < fields.length; i += 2) expected.set(fields[i] ?? '', fields[i + 1] ?? '');
  const names = new Set([...expected.keys(), ...Object.keys(stored)]);
  if (Object.keys(stored).length === 0 && expected.size > 0) return absent(target);
  const different = [...names].filter((name) => !Object.hasOwn(stored, name) || stored[name] !== expected.get(name));
  return different.length === 0 ? { kind: 'equal' } : { kind: 'different', fields: different };
}

function absent(target: Target): RowVerdict {
  return { kind: target.redis.ttlMs === null ? 'missing' : 'expired' };
}
