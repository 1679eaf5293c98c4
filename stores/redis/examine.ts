/**
 * Values and the position by one script call, which nothing comes between: what an applied event should have left, held
 * against what is there, its expiry included.
 */
import type { Redis } from 'ioredis';
import { LockstepError } from '../../core/errors.js';
import { redisPart } from '../../core/names.js';
import { scanRow } from '../../core/rowJson.js';
import type { EventVerdict, ExpectedEvent, Found, Sight } from '../../core/store.js';
import { expiryAt, hashFields, keyUnder } from './batchArguments.js';
import { examineScript, runForBytes } from './scripts.js';
import { parkedName } from './shard.js';
import { fieldMap, isAhead, parkedHashKey, stateKey, stateOf } from './shardState.js';

/** Keys in one look: the server does nothing else for about a millisecond. */
export const examineAtMost = 500;

export async function examine(
  client: Redis,
  prefix: string,
  shard: number,
  keys: readonly ExpectedEvent[],
): Promise<Sight> {
  const args = keys.flatMap((expected) => {
    const { target, key } = expected;
    const name = keyUnder(`${prefix}:${redisPart(target.table)}`, expected);
    return [name, target.redis.layout, parkedName({ table: target.table, key: key.toString('utf8') })];
  });
  const seen = await runForBytes(client, examineScript, [stateKey(prefix, shard), parkedHashKey(prefix, shard)], args);
  if (!Array.isArray(seen)) throw new LockstepError('LS-INTERNAL', 'the script that looks at keys gave no list');
  const [time, fields, ...rest] = seen as readonly unknown[];
  const state = fieldMap(Array.isArray(fields) ? (fields as readonly unknown[]) : []);
  return {
    state: state.has('epoch') ? stateOf(state) : null,
    found: keys.map((_, i) => foundOf(rest[3 * i], rest[3 * i + 1], rest[3 * i + 2])),
    at: Number(String(time)) / 1000,
    deletesAhead: isAhead(state),
  };
}

function foundOf(value: unknown, expiresAt: unknown, parked: unknown): Found {
  const isContent = Buffer.isBuffer(value) || Array.isArray(value);
  return {
    content: isContent ? (value as Buffer | readonly Buffer[]) : null,
    otherType: value === 1,
    expiresAt: Number(expiresAt) > 0 ? Number(expiresAt) : null,
    parked: parked === 1,
  };
}

export function judge(expected: ExpectedEvent, found: Found, at: number): EventVerdict {
  const { after, target, definition } = expected;
  if (found.parked) return { kind: 'parked' };
  const absent = found.content === null && !found.otherType;
  if (after === null) return { kind: absent ? 'equal' : 'extra' };
  const { ttlMs, layout } = target.redis;
  const expiresAt = ttlMs === null ? null : expiryAt(expected.at, ttlMs);
  const fields = layout === 'hash' ? hashFields(definition, after) : null;
  // A row of NULLs alone has no field, so no key.
  if (fields?.length === 0) return { kind: absent ? 'equal' : 'extra' };
  // A copied row keeps the expiry of what is there: it may have gone, or go, sooner.
  const copied = expected.op === 'r' && expiresAt !== null;
  if (absent) return { kind: expiresAt !== null && (copied || at >= expiresAt) ? 'expired' : 'missing' };
  if (found.otherType || found.content === null) return { kind: 'different', fields: ['(type of the key)'] };
  const different =
    fields === null ? differentColumns(expected, after, found.content) : differentFields(fields, found.content);
  const kept = copied && found.expiresAt !== null && found.expiresAt <= expiresAt;
  if (found.expiresAt !== expiresAt && !kept) different.push('(expiry)');
  return different.length === 0 ? { kind: 'equal' } : { kind: 'different', fields: different };
}

function differentFields(expected: readonly string[], content: Buffer | readonly Buffer[]): string[] {
  const stored = fieldMap(Buffer.isBuffer(content) ? [] : content);
  const wanted = fieldMap(expected);
  const names = new Set([...wanted.keys(), ...stored.keys()]);
  return [...names].filter((name) => stored.get(name) !== wanted.get(name));
}

function differentColumns({ definition }: ExpectedEvent, after: Buffer, content: Buffer | readonly Buffer[]): string[] {
  if (!Buffer.isBuffer(content)) return ['(type of the key)'];
  if (content.equals(after)) return [];
  try {
    const stored = Int32Array.from(scanRow(definition, content));
    const wanted = scanRow(definition, after);
    const names = definition.columns.flatMap(({ name }, i) => {
      const theirs = content.subarray(stored[2 * i], stored[2 * i + 1]);
      return theirs.equals(after.subarray(wanted[2 * i], wanted[2 * i + 1])) ? [] : [name];
    });
    return names.length > 0 ? names : ['(row JSON)'];
  } catch {
    // Not the row JSON of this table: the whole text is what differs.
    return ['(row JSON)'];
  }
}
