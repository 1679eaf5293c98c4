import { describe, expect, it } from 'vitest';
import { dropOne, wantedAt, type LogEvent } from '../../stages/logScan.js';

function event(offset: number): LogEvent {
  const common = { partition: 't-0', op: 'u', seq: offset, at: 0, definition: 'd', incarnation: 'i', after: null };
  return { ...common, offset } as unknown as LogEvent;
}

/** What is left of a key's events when never more than `most` are kept. */
function kept(offsets: readonly number[], looks: readonly number[], most: number): number[] {
  const events: LogEvent[] = [];
  for (const offset of offsets) {
    events.push(event(offset));
    if (events.length > most) dropOne(events, looks);
  }
  return events.map(({ offset }) => offset);
}

describe('the events of a key that changes all the time', () => {
  const offsets = Array.from({ length: 200 }, (_, i) => 10 * i);

  it('are the last ones', () => {
    expect(kept(offsets, [], 3)).toEqual([1970, 1980, 1990]);
    expect(kept(offsets, [5_000], 3)).toEqual([1970, 1980, 1990]);
  });

  it('hold the last one before each look, however many follow', () => {
    expect(kept(offsets, [101], 3)).toEqual([100, 1980, 1990]);
    expect(kept(offsets, [100], 3)).toEqual([90, 1980, 1990]);
    expect(kept(offsets, [101, 1_000], 4)).toEqual([100, 990, 1980, 1990]);
    expect(kept(offsets, [0], 3)).toEqual([1970, 1980, 1990]);
  });
});

it('a key is wanted at every position at which a store was read for it', () => {
  const looks = [
    { key: 'a', position: 5 },
    { key: 'b', position: 6 },
    { key: 'a', position: 9 },
  ];
  expect([...wantedAt(looks)]).toEqual([
    ['a', [5, 9]],
    ['b', [6]],
  ]);
});
