/**
 * Whether capture may go on where the last state record ends, or a new incarnation of the log begins. Pure. What was
 * committed, what the topics hold, what MySQL says and what the next seq would be must agree; where they do not, events
 * may be missing, and only a copy of every table makes the stores right again.
 */
import { LockstepError } from '../core/errors.js';
import { decodeHeader } from '../core/event.js';
import type { CaptureOutcome } from '../core/outcome.js';
import { splitPartitionName, type PartitionName } from '../core/position.js';
import type { Beginning, StateRecord } from '../core/stateRecord.js';

/** A data partition as it is found. */
export interface FoundTail {
  readonly end: number;
  /** Ordinal of its last record; null when none is left or it is not ours. */
  readonly ordinal: number | null;
}

export function foundTail(tail: {
  readonly end: number;
  readonly last: { readonly header: string | null } | null;
}): FoundTail {
  const header = tail.last?.header ?? null;
  return { end: tail.end, ordinal: header === null ? null : (decodeHeader(header)?.ordinal ?? null) };
}

export interface Found {
  readonly last: StateRecord | null;
  /** Of MySQL's meta: the incarnation whose loss or beginning has been dealt with. */
  readonly accepted: string | null;
  readonly tails: ReadonlyMap<PartitionName, FoundTail>;
  readonly serverUuid: string;
  /** The seq that a row written now gets. */
  readonly nextSeq: number;
  readonly topicPrefix: string;
}

/** Null: go on. Throws where the topics are someone else's. */
export function newBeginning(found: Found): Beginning | null {
  const { last, accepted, tails, serverUuid, nextSeq, topicPrefix } = found;
  const written = [...tails].filter(([, { end }]) => end > 0).map(([name]) => name);
  if (last === null) {
    if (accepted !== null) {
      return {
        cause: 'log-lost',
        reason: `topic ${topicPrefix}.lockstep.state holds no state of this pipeline any more`,
      };
    }
    if (written.length === 0) return { cause: 'first', reason: 'nothing was captured before' };
    throw new LockstepError(
      'LS-KAFKA-PREFIX-TAKEN',
      `${written[0]} holds records that no capture of this pipeline wrote: delete the topics under ${topicPrefix} or choose another kafka.topicPrefix`,
    );
  }
  if (last.serverUuid !== serverUuid) {
    return { cause: 'source-rewound', reason: `server ${serverUuid} answers, not ${last.serverUuid}` };
  }
  if (nextSeq <= last.highestSeq) {
    const reason = `the change log counts on from ${nextSeq}, but ${last.highestSeq} was published already`;
    return { cause: 'source-rewound', reason };
  }
  for (const [name, { ordinal }] of tails) {
    if (ordinal !== null && ordinal > ordinalOf(last, name)) {
      return { cause: 'log-lost', reason: `${name} holds records newer than the last state record` };
    }
  }
  return null;
}

/** Partitions whose last records are gone, beside those that are known already. */
export function shortened(state: StateRecord, tails: ReadonlyMap<PartitionName, FoundTail>): PartitionName[] {
  return [...tails].flatMap(([name, { end, ordinal }]) => {
    const expected = ordinalOf(state, name);
    if (expected === 0 || state.knownGaps.get(name) === expected) return [];
    // An end above 0 with nothing left: its records expired.
    const gone = ordinal === null ? end === 0 : ordinal < expected;
    return gone ? [name] : [];
  });
}

/** Where counting goes on when the state record cannot say: after whatever the topics hold. */
export function ordinalsAfter(
  last: StateRecord | null,
  tails: ReadonlyMap<PartitionName, FoundTail>,
): Map<string, readonly number[]> {
  const ordinals = new Map<string, number[]>();
  for (const [topic, counts] of last?.ordinals ?? []) ordinals.set(topic, [...counts]);
  for (const [name, { ordinal }] of tails) {
    const { topic, partition } = splitPartitionName(name);
    const counts = ordinals.get(topic) ?? [];
    for (let i = counts.length; i <= partition; i++) counts[i] = 0;
    counts[partition] = Math.max(counts[partition] ?? 0, ordinal ?? 0);
    ordinals.set(topic, counts);
  }
  return ordinals;
}

function ordinalOf(state: StateRecord, name: PartitionName): number {
  const { topic, partition } = splitPartitionName(name);
  return state.ordinals.get(topic)?.[partition] ?? 0;
}

/** What a beginning asks of the workflow; null for one that asks nothing. */
export function outcomeOf({ cause, reason }: Beginning): CaptureOutcome | null {
  switch (cause) {
    case 'first':
      return null;
    case 'log-lost':
    case 'source-rewound':
      return { kind: cause, reason };
  }
}
