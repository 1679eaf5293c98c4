/** What people read of a load: which rejected rows there are, by kind. */
import { expect, test } from 'vitest';
import { RejectKinds } from '../../cli/ingestWords.js';
import type { RejectedRow } from '../../stores/files/rejectFile.js';

async function* rejects(): AsyncGenerator<RejectedRow> {
  const of = (line: number, more: Partial<RejectedRow>): RejectedRow => ({
    file: 'f.csv',
    line,
    reason: 'type',
    column: 'price',
    detail: 'not a number',
    raw: `secret ${line}`,
    ...more,
  });
  yield await Promise.resolve(of(4, { reason: 'column-count', column: null, detail: '3 instead of 2' }));
  for (let line = 5; line < 1_240; line++) yield of(line, {});
  for (const column of ['a', 'b', 'c', 'd']) yield of(9_000, { column });
}

test('rejected rows are told by kind, the most frequent first, each with its first line and without a value', async () => {
  const kinds = new RejectKinds();
  let rows = 0;
  for await (const { line } of kinds.counted(rejects())) rows += line > 0 ? 1 : 0;
  expect(rows).toBe(1_240);
  const words = kinds.words();
  expect(words[0]).toBe('  line 5: type, price, not a number, and 1,234 more such');
  expect(words[1]).toBe('  line 4: column-count, 3 instead of 2');
  expect(words.at(-1)).toBe('  and 1 other kinds');
  expect(words.join()).not.toContain('secret');
});
