import { describe, expect, it } from 'vitest';
import { problemOf, type Pending } from '../../activities/workflowsRunning.js';

const now = 1_000_000;
const failure = { type: 'LS-KAFKA-UNREACHABLE', message: 'no broker answers' };
const pending: Pending = {
  waits: false,
  attempt: 1,
  scheduledAt: now - 60_000,
  startedAt: now - 50_000,
  failure: null,
};

describe('a pending activity', () => {
  it.each<[string, Partial<Pending> | null, string | null]>([
    ['is no trouble where there is none', null, null],
    ['is no trouble while it runs', {}, null],
    ['is no trouble just scheduled', { waits: true, scheduledAt: now - 1_000 }, null],
    ['is taken up by no worker', { waits: true }, 'LS-PIPELINE-NO-WORKER'],
    ['was restarted and runs', { attempt: 7, failure }, null],
    ['was restarted once or twice', { attempt: 2, waits: true, failure }, null],
    ['waits for another attempt', { attempt: 3, waits: true, failure }, 'LS-KAFKA-UNREACHABLE'],
    ['has only just begun another attempt', { attempt: 9, startedAt: now - 100, failure }, 'LS-KAFKA-UNREACHABLE'],
    [
      'fails for a reason that is not ours',
      { attempt: 3, waits: true, failure: { type: 'TypeError', message: 'TypeError' } },
      'LS-TEMPORAL-ACTIVITY',
    ],
  ])('%s', (_, over, code) => {
    const problem = problemOf('lockstep/shop/capture', over === null ? null : { ...pending, ...over }, now);
    expect(problem?.code ?? null).toBe(code);
  });
});
