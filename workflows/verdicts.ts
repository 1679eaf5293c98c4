/** What follows from each outcome of a stream. Total: a new outcome does not compile before it has a verdict. */
import type { ApplyStageOutcome, CaptureOutcome, VerifyOutcome, WitnessOutcome } from '../core/outcome.js';
import { warning } from '../core/problem.js';
import type { Stream } from '../core/workflowNames.js';
import { again, type Verdict } from './stream.js';

/** Somebody outside this workflow took the place; taking it back at once would be ping-pong. */
const afterFencingMs = 2_000;

export function afterCapture(outcome: CaptureOutcome): Verdict {
  switch (outcome.kind) {
    case 'stopped':
      return again;
    case 'fenced':
      return {
        afterMs: afterFencingMs,
        problem: warning('LS-TEMPORAL-FENCED', 'another capture took the place of this one'),
        copyNow: false,
      };
    case 'log-lost':
    case 'source-rewound':
      return { afterMs: 0, problem: warning('LS-LOSS-COPYING', outcome.reason), copyNow: true };
  }
}

/** What it lacks may be granted, and the configuration may change: it looks again now and then. */
const standDownMs = 60_000;
const offMs = 300_000;

/** Why it stands down is in the state database, where `status` reads it. */
export function afterWitness(outcome: WitnessOutcome): Verdict {
  switch (outcome.kind) {
    case 'stopped':
      return again;
    case 'off':
      return { afterMs: offMs, problem: null, copyNow: false };
    case 'stands-down':
      return { afterMs: standDownMs, problem: null, copyNow: false };
  }
}

export function afterApply(stream: Extract<Stream, { kind: 'apply' }>, outcome: ApplyStageOutcome): Verdict {
  switch (outcome.kind) {
    case 'stopped':
      return again;
    case 'fenced':
      return {
        afterMs: afterFencingMs,
        problem: {
          ...warning('LS-TEMPORAL-FENCED', `another apply took shard ${stream.shard} of ${stream.store}`),
          store: stream.store,
        },
        copyNow: false,
      };
    case 'store-lost':
      return {
        afterMs: 0,
        problem: { ...warning('LS-LOSS-COPYING', `${outcome.store} lost its data`), store: outcome.store },
        copyNow: true,
      };
    case 'log-gap':
      return {
        afterMs: 0,
        problem: {
          ...warning('LS-LOSS-COPYING', `the log no longer holds what ${outcome.store} had not applied`),
          store: outcome.store,
        },
        copyNow: true,
      };
    case 'tables-lost':
      return {
        afterMs: 0,
        problem: {
          ...warning('LS-LOSS-COPYING', `${outcome.store} lost tables: ${outcome.tables.join(', ')}`),
          store: outcome.store,
        },
        copyNow: true,
      };
  }
}

/** A worker whose configuration switches verify off may be replaced by one that does not. */
const whileOffMs = 60_000;

export function afterVerify(stream: Extract<Stream, { kind: 'verify' }>, outcome: VerifyOutcome): Verdict {
  switch (outcome.kind) {
    case 'stopped':
      return again;
    case 'off':
      return { afterMs: whileOffMs, problem: null, copyNow: false };
    case 'fenced':
      return {
        afterMs: afterFencingMs,
        problem: {
          ...warning('LS-TEMPORAL-FENCED', `another verify took shard ${stream.shard} of ${stream.store}`),
          store: stream.store,
        },
        copyNow: false,
      };
  }
}
