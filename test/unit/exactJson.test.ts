/** The comparator's own JSON reader: what it calls equal must be equal. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { canonicalJson, canonicalNumber, parseExact } from '../support/exactJson.js';
import { splitByDelimiter } from '../support/sakila.js';

test.each([
  ['1.50', '15e-1', true],
  ['100', '1E+2', true],
  ['0', '0.000', true],
  ['-0', '0', false],
  ['9007199254740993', '9007199254740992', false],
  ['0.1', '0.10000000000000001', false],
  ['18446744073709551615', '1.8446744073709551615e19', true],
])('%s and %s: same value %s', (a, b, same) => {
  expect(canonicalNumber(a) === canonicalNumber(b)).toBe(same);
});

test('reads whatever JSON.stringify writes, whatever the order and the space', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const text = JSON.stringify(value);
      const spaced = JSON.stringify(value, null, 2);
      expect(canonicalJson(parseExact(spaced))).toBe(canonicalJson(parseExact(text)));
    }),
  );
});

test('tells values apart that JSON.parse would call equal', () => {
  const canonical = (text: string): string => canonicalJson(parseExact(text));
  expect(canonical('{"a":9007199254740993}')).not.toBe(canonical('{"a":9007199254740992}'));
  expect(canonical('{"a":1,"b":2}')).toBe(canonical('{"b":2,"a":1.0}'));
  expect(canonical('"1"')).not.toBe(canonical('1'));
});

test.each(['{"a":1,"a":2}', '[1,]', '{"a"}', '01x', '"open', ''])('refuses %s', (text) => {
  expect(() => parseExact(text)).toThrow(SyntaxError);
});

test('a script is cut where the mysql client would cut it', () => {
  const text = 'SELECT 1; SELECT 2;\nDELIMITER ;;\nCREATE TRIGGER a BEGIN x; END;;\nDELIMITER ;\nSELECT 3;\n';
  expect(splitByDelimiter(text).map((part) => part.trim())).toEqual([
    'SELECT 1; SELECT 2;',
    'CREATE TRIGGER a BEGIN x; END',
    'SELECT 3;',
  ]);
});
