import { expect, test } from 'vitest';
import { pauseMs } from '../../stages/capturePace.js';

test.each([
  ['a full batch', { rows: 2_000, limit: 2_000, elapsedMs: 5, emptyLooks: 0 }, 0],
  ['half a batch', { rows: 1_000, limit: 2_000, elapsedMs: 5, emptyLooks: 0 }, 0],
  ['less, quickly done', { rows: 4, limit: 2_000, elapsedMs: 5, emptyLooks: 0 }, 12],
  ['less, slowly done', { rows: 4, limit: 2_000, elapsedMs: 50, emptyLooks: 0 }, 0],
  ['nothing yet', { rows: 0, limit: 2_000, elapsedMs: 1, emptyLooks: 1 }, 1],
  ['nothing for long', { rows: 0, limit: 2_000, elapsedMs: 1, emptyLooks: 50 }, 10],
  ['at rest for a second', { rows: 0, limit: 2_000, elapsedMs: 1, emptyLooks: 101 }, 20],
  ['at rest for ten', { rows: 0, limit: 2_000, elapsedMs: 1, emptyLooks: 551 }, 40],
  ['at rest for forty', { rows: 0, limit: 2_000, elapsedMs: 1, emptyLooks: 1301 }, 60],
])('%s', (_, pace, pause) => {
  expect(pauseMs(pace)).toBe(pause);
});
