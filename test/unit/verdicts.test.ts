/** What follows from each outcome of a stream. The tables are total, or they do not compile. */
import { describe, expect, it } from 'vitest';
import type { ApplyStageOutcome, CaptureOutcome, WitnessOutcome } from '../../core/outcome.js';
import { afterApply, afterCapture, afterWitness } from '../../workflows/verdicts.js';

type Expected = readonly [afterMs: number, code: string | null, copyNow: boolean];

const captures: { readonly [K in CaptureOutcome['kind']]: readonly [Extract<CaptureOutcome, { kind: K }>, Expected] } =
  {
    stopped: [{ kind: 'stopped' }, [0, null, false]],
    fenced: [{ kind: 'fenced' }, [2_000, 'LS-TEMPORAL-FENCED', false]],
    'log-lost': [{ kind: 'log-lost', reason: 'gone' }, [0, 'LS-LOSS-COPYING', true]],
    'source-rewound': [{ kind: 'source-rewound', reason: 'older' }, [0, 'LS-LOSS-COPYING', true]],
  };

const applies: {
  readonly [K in ApplyStageOutcome['kind']]: readonly [Extract<ApplyStageOutcome, { kind: K }>, Expected];
} = {
  stopped: [{ kind: 'stopped' }, [0, null, false]],
  fenced: [{ kind: 'fenced' }, [2_000, 'LS-TEMPORAL-FENCED', false]],
  'store-lost': [{ kind: 'store-lost', store: 'redis' }, [0, 'LS-LOSS-COPYING', true]],
  'log-gap': [{ kind: 'log-gap', store: 'redis', tables: ['orders'] }, [0, 'LS-LOSS-COPYING', true]],
  'tables-lost': [{ kind: 'tables-lost', store: 'redis', tables: ['orders'] }, [0, 'LS-LOSS-COPYING', true]],
};

const witnesses: {
  readonly [K in WitnessOutcome['kind']]: readonly [Extract<WitnessOutcome, { kind: K }>, Expected];
} = {
  stopped: [{ kind: 'stopped' }, [0, null, false]],
  off: [{ kind: 'off' }, [300_000, null, false]],
  'stands-down': [{ kind: 'stands-down', reason: 'no right' }, [60_000, null, false]],
};

describe('outcomes of the witness', () => {
  it.each(Object.values(witnesses))('$kind', (outcome, [afterMs, code, copyNow]) => {
    const verdict = afterWitness(outcome);
    expect([verdict.afterMs, verdict.problem?.code ?? null, verdict.copyNow]).toEqual([afterMs, code, copyNow]);
  });
});

describe('outcomes of capture', () => {
  it.each(Object.values(captures))('$kind', (outcome, [afterMs, code, copyNow]) => {
    const verdict = afterCapture(outcome);
    expect([verdict.afterMs, verdict.problem?.code ?? null, verdict.copyNow]).toEqual([afterMs, code, copyNow]);
  });
});

describe('outcomes of apply', () => {
  it.each(Object.values(applies))('$kind', (outcome, [afterMs, code, copyNow]) => {
    const verdict = afterApply({ kind: 'apply', store: 'redis', shard: 0 }, outcome);
    expect([verdict.afterMs, verdict.problem?.code ?? null, verdict.copyNow]).toEqual([afterMs, code, copyNow]);
    expect(verdict.problem?.store).toBe(code === null ? undefined : 'redis');
  });
});
