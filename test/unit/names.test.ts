/** Names outside MySQL: as the contract has them, never longer than a server takes, and never one for two. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { collectionName, idFieldName, redisKey, redisPart, tableTopic, topicPart } from '../../core/names.js';

/** What MySQL allows in a name, with what the escapes are made of. */
const name = fc.string({
  unit: fc.constantFrom(
    'a',
    'Z',
    '0',
    '_',
    '-',
    '$',
    '.',
    ':',
    '%',
    '%3A',
    '-0024',
    '2',
    '5',
    ' ',
    'ü',
    '表',
    '`',
    '"',
  ),
  minLength: 1,
  maxLength: 64,
});

describe('names', () => {
  it.each([
    [tableTopic('shop', 'my-db', 'a b.c'), 'shop.my-002ddb.a-0020b-002ec'],
    [tableTopic('shop', 'db', '表'), 'shop.db.-8868'],
    [collectionName('a$b.c'), 'a-0024b.c'],
    [collectionName('system.users'), 'system-002eusers'],
    [collectionName('表'.repeat(64)), '表'.repeat(64)],
    [idFieldName('$a.b$'), '-0024a.b-0024'],
    [redisKey('shop', 'a:b', ['x:%', '']), 'shop:a%3Ab:x%3A%25:'],
  ])('%s', (actual, expected) => {
    expect(actual).toBe(expected);
  });

  it('two tables never share a topic, and every topic is one that Kafka takes', () => {
    fc.assert(
      fc.property(name, name, (a, b) => {
        const [one, other] = [tableTopic('p', 'd', a), tableTopic('p', 'd', b)];
        expect(one === other).toBe(a === b);
        expect(one).toMatch(/^[a-zA-Z0-9._-]{1,249}$/);
      }),
    );
    const long = (last: string): string => tableTopic('prefix', 'database', `${'表'.repeat(63)}${last}`);
    expect(long('x')).not.toBe(long('y'));
    expect(long('x')).toMatch(/^prefix\.database\.(?:-8868)+[-0-9a-f]*-[0-9a-f]{16}$/);
    expect(long('x').length).toBeLessThanOrEqual(249);
    expect(topicPart('表'.repeat(64))).toHaveLength(320);
  });

  it('a collection’s name stays within what MongoDB takes', () => {
    fc.assert(
      fc.property(name, (table) => {
        expect(Buffer.byteLength(collectionName(table))).toBeLessThanOrEqual(192);
        expect(collectionName(table)).not.toMatch(/\$|^system\./);
      }),
    );
    expect(collectionName('$'.repeat(64))).not.toBe(collectionName(`${'$'.repeat(63)}x`));
  });

  it('two keys never share a Redis key, however their parts are cut', () => {
    const parts = fc.array(name, { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(name, parts, name, parts, (t1, p1, t2, p2) => {
        const same = t1 === t2 && p1.length === p2.length && p1.every((part, i) => part === p2[i]);
        expect(redisKey('p', t1, p1) === redisKey('p', t2, p2)).toBe(same);
      }),
    );
    expect(redisPart('%3A')).not.toBe(redisPart(':'));
  });
});
