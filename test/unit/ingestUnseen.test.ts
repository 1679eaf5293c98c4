/** How long a file that no worker sees is waited for. */
import { expect, it } from 'vitest';
import { pauseBeforeAsking } from '../../core/ingestUnseen.js';

function waitedMs(read: boolean): number {
  let ms = 0;
  for (let asked = 1; ; asked++) {
    const pause = pauseBeforeAsking(asked, read);
    if (pause === null) return ms;
    ms += pause;
  }
}

it('is a matter of seconds before anything was read', () => {
  expect(waitedMs(false)).toBeGreaterThan(10_000);
  expect(waitedMs(false)).toBeLessThan(20_000);
});

it('is an hour once somebody has read from it, as quick at first', () => {
  expect(waitedMs(true)).toBeGreaterThan(3_600_000);
  expect(waitedMs(true)).toBeLessThan(3_700_000);
  expect(pauseBeforeAsking(1, true)).toBe(pauseBeforeAsking(1, false));
});
