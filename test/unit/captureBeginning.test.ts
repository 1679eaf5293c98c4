import { expect, test } from 'vitest';
import type { StateRecord } from '../../core/stateRecord.js';
import { newBeginning, ordinalsAfter, shortened, type Found, type FoundTail } from '../../stages/captureBeginning.js';

const last: StateRecord = {
  pipeline: 'shop',
  database: 'shop',
  incarnation: 'one',
  beginning: { cause: 'first', reason: '' },
  serverUuid: 'server',
  highestSeq: 100,
  floor: 0,
  published: 100,
  rows: [],
  markers: [],
  freed: [],
  ordinals: new Map([['p.shop.orders', [5, 7, 0]]]),
  knownGaps: new Map(),
};

function tails(...found: [number, number | null][]): Map<string, FoundTail> {
  return new Map(found.map(([end, ordinal], i) => [`p.shop.orders/${i}`, { end, ordinal }]));
}

const agreeing = tails([10, 5], [14, 7], [0, null]);
const usual: Found = { last, accepted: 'one', tails: agreeing, serverUuid: 'server', nextSeq: 101, topicPrefix: 'p' };

test.each<[string, Partial<Found>, string | null]>([
  ['everything agrees', {}, null],
  ['the very first start', { last: null, accepted: null, tails: tails([0, null]) }, 'first'],
  ['a start that died before MySQL knew', { accepted: null }, null],
  ['state and topics are gone', { last: null, tails: tails([0, null]) }, 'log-lost'],
  ['the state topic is gone', { last: null }, 'log-lost'],
  ['the state topic lost its end', { tails: tails([10, 6], [14, 7]) }, 'log-lost'],
  ['a data topic lost its end', { tails: tails([9, 4], [14, 7]) }, null],
  ['a data topic is new', { tails: tails([0, null], [0, null]) }, null],
  ['records expired', { tails: tails([10, null], [14, null]) }, null],
  ['another server', { serverUuid: 'other' }, 'source-rewound'],
  ['a seq that was published already', { nextSeq: 100 }, 'source-rewound'],
])('%s', (_, found, cause) => {
  expect(newBeginning({ ...usual, ...found })?.cause ?? null).toBe(cause);
});

test('topics that someone else filled are refused by name', () => {
  expect(() => newBeginning({ ...usual, last: null, accepted: null })).toThrow(/p\.shop\.orders\/0 holds records/);
});

test.each<[string, Map<string, FoundTail>, Map<string, number>, string[]]>([
  ['nothing is missing', agreeing, new Map(), []],
  ['the end is missing', tails([9, 4], [14, 7]), new Map(), ['p.shop.orders/0']],
  [
    'the topic was recreated',
    tails([0, null], [0, null], [0, null]),
    new Map(),
    ['p.shop.orders/0', 'p.shop.orders/1'],
  ],
  ['it expired', tails([10, null], [14, 7]), new Map(), []],
  ['it is known already', tails([0, null], [14, 7]), new Map([['p.shop.orders/0', 5]]), []],
  ['an older gap is known', tails([0, null], [14, 7]), new Map([['p.shop.orders/0', 4]]), ['p.shop.orders/0']],
])('%s', (_, found, knownGaps, names) => {
  expect(shortened({ ...last, knownGaps }, found)).toEqual(names);
});

test('ordinals go on after whatever is known, so that a loss shows as a jump and nothing as a repetition', () => {
  expect(ordinalsAfter(last, tails([3, 2], [20, 9]))).toEqual(new Map([['p.shop.orders', [5, 9, 0]]]));
  expect(ordinalsAfter(null, tails([3, 2], [20, 9]))).toEqual(new Map([['p.shop.orders', [2, 9]]]));
});
