/** The small readers of text: patterns, durations, sizes, suggestions, URIs. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { durationText, parseDuration } from '../../core/duration.js';
import { matchesGlob, takesTable } from '../../core/glob.js';
import { parseSize } from '../../core/size.js';
import { editDistance, nearest } from '../../core/suggest.js';
import { hostsOf, joinUri, redactUri, splitUri } from '../../core/uri.js';

describe('globs', () => {
  it.each([
    ['*', '', true],
    ['*', 'orders', true],
    ['order*', 'orders', true],
    ['*_log', 'audit_log', true],
    ['*_log', 'audit_logs', false],
    ['a*b*c', 'aXbYbZc', true],
    ['a.c', 'abc', false],
    ['Orders', 'orders', false],
    ['', '', true],
    ['', 'a', false],
    ['$a[1]*', '$a[1]b', true],
  ])('%j on %j: %j', (pattern, name, expected) => {
    expect(matchesGlob(pattern, name)).toBe(expected);
  });

  it('agrees with a regular expression', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '*', '.') });
    fc.assert(
      fc.property(text, text, (pattern, name) => {
        const body = pattern
          .split('*')
          .map((part) => part.replaceAll('.', '\\.'))
          .join('[^]*');
        expect(matchesGlob(pattern, name)).toBe(new RegExp(`^${body}$`).test(name));
      }),
    );
  });

  it('stays quick on a pattern made to be slow', () => {
    const started = performance.now();
    expect(matchesGlob('a*'.repeat(200) + 'b', 'a'.repeat(2_000))).toBe(false);
    expect(performance.now() - started).toBeLessThan(1_000);
  });

  it('takes what is included and not excluded', () => {
    const filter = { include: ['shop_*', 'users'], exclude: ['*_tmp'] };
    expect(['shop_a', 'users', 'shop_tmp', 'other'].filter((t) => takesTable(filter, t))).toEqual(['shop_a', 'users']);
  });
});

describe('durations and sizes', () => {
  it.each([
    ['250ms', 250],
    ['5s', 5_000],
    ['30m', 1_800_000],
    ['1h', 3_600_000],
    ['7d', 604_800_000],
    ['1.5s', 1_500],
    ['5', undefined],
    ['-5s', undefined],
    ['5 sec', undefined],
    ['', undefined],
    ['9'.repeat(30) + 'd', undefined],
  ])('%j is %j ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  it('reads back what it writes', () => {
    fc.assert(
      fc.property(fc.nat(), (ms) => {
        expect(parseDuration(durationText(ms))).toBe(ms);
      }),
    );
  });

  it.each([
    ['100', 100],
    ['1KB', 1024],
    ['16MB', 16_777_216],
    ['1.5GiB', 1_610_612_736],
    ['2t', 2_199_023_255_552],
    ['x', undefined],
    ['1PB', undefined],
    ['-1', undefined],
  ])('%j is %j bytes', (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
  });
});

describe('suggestions', () => {
  it.each([
    ['kafak', ['kafka', 'redis'], 'kafka'],
    ['keyprefix', ['keyPrefix'], 'keyPrefix'],
    ['zzz', ['kafka', 'redis'], undefined],
    ['', ['a'], 'a'],
  ])('%j', (typed, known, expected) => {
    expect(nearest(typed, known)).toBe(expected);
  });

  it('measures a distance', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 12 }), fc.string({ maxLength: 12 }), (a, b) => {
        expect(editDistance(a, b)).toBe(editDistance(b, a));
        expect(editDistance(a, b) === 0).toBe(a === b);
        expect(editDistance(a, b)).toBeLessThanOrEqual(Math.max(a.length, b.length));
      }),
    );
  });
});

describe('URIs', () => {
  it.each([
    ['mysql://u:p%40ss@h:3306/shop', 'mysql://u:***@h:3306/shop'],
    ['mysql://u@h/shop', 'mysql://u@h/shop'],
    ['redis://:pw@h', 'redis://:***@h'],
    [
      'mongodb://u:pw@a:1,b:2/?w=1&tlsCertificateKeyFilePassword=x',
      'mongodb://u:***@a:1,b:2/?w=1&tlsCertificateKeyFilePassword=***',
    ],
    ['mysql://u:p@ss@h/shop', 'mysql://u:***@h/shop'],
    ['mysql://u:12/x@h/shop', '***'],
    ['nonsense with p@ss', '***'],
    ['127.0.0.1:7233', '127.0.0.1:7233'],
  ])('%j is shown as %j', (uri, shown) => {
    expect(redactUri(uri)).toBe(shown);
  });

  it('come back from their parts, whatever user and password hold, and never show the password', () => {
    const word = fc.string({ unit: 'grapheme', minLength: 1 });
    fc.assert(
      fc.property(
        word,
        fc.stringMatching(/^[!-~]{8,20}$/),
        fc.stringMatching(/^[a-z]{1,8}$/),
        (user, password, path) => {
          const parts = { scheme: 'mysql', user, password, hosts: 'h:1', path, query: new Map([['a', 'b&c']]) };
          const uri = joinUri(parts);
          expect(splitUri(uri)).toEqual(parts);
          const others = redactUri(joinUri({ ...parts, password: 'x' }));
          expect(redactUri(uri)).toBe(others);
        },
      ),
    );
  });

  it('name their hosts', () => {
    expect(hostsOf('mongodb://a,b:2/x', 27017)).toEqual(['a:27017', 'b:2']);
    expect(hostsOf('redis://u:p@[::1]/0', 6379)).toEqual(['[::1]:6379']);
    expect(hostsOf('nonsense', 1)).toEqual(['localhost:1']);
  });
});
