/**
 * How apply begins, each time: own the shard, find out what it holds, and make whatever was lost due for a copy before
 * anything else moves. A loss stands in the store's gaps from the write that passed over it until its copies are due.
 */
import { decodeHeader } from '../core/event.js';
import { ownTopic } from '../core/names.js';
import type { ApplyStageOutcome } from '../core/outcome.js';
import { emptyLag } from '../core/lag.js';
import { splitPartitionName, type PartitionName, type Position } from '../core/position.js';
import { decodeState, stateKey } from '../core/stateRecord.js';
import type { Ownership, Retaken, ShardState } from '../core/store.js';
import type { Reader } from '../stores/kafka/reader.js';
import { readTails, type Tail } from '../stores/kafka/tails.js';
import type { ApplyDeps } from './applyDeps.js';
import { unknownOrdinal } from './applyIntake.js';

export const everyTable = '*';

export interface Held {
  readonly epoch: number;
  readonly state: ShardState;
}

export type Begun =
  { readonly kind: 'held'; readonly held: Held } | { readonly kind: 'ended'; readonly outcome: ApplyStageOutcome };

export interface BeginContext {
  readonly deps: ApplyDeps;
  readonly shard: number;
  readonly reader: Reader;
  /** Data topics of the pipeline. */
  readonly topics: readonly string[];
}

/** `epoch`: the one this process held last; null at the start. */
export async function begin(context: BeginContext, epoch: number | null): Promise<Begun> {
  const { deps, shard } = context;
  let owned: Retaken = epoch === null ? await deps.store.takeOver(shard) : await deps.store.retake(shard, epoch);
  if (owned.kind === 'empty') owned = await initialise(context);
  // Another owner appeared in between: it is the one that goes on.
  if (owned.kind !== 'owned') return { kind: 'ended', outcome: { kind: 'fenced' } };
  if (owned.state.gaps.length === 0) return { kind: 'held', held: owned };
  return { kind: 'ended', outcome: await settleGaps(context, owned) };
}

async function initialise(context: BeginContext): Promise<Ownership> {
  const { deps, shard } = context;
  const lost = await deps.wasInitialised(shard);
  const state = await firstState(context, lost);
  // First outside: a store that is empty after this is known to have lost something.
  await deps.recordInitialised(shard);
  return deps.store.initialise(shard, state);
}

/** At the log's beginning where the log still has it; else at its end, with everything to be copied. */
async function firstState({ deps, shard, reader, topics }: BeginContext, lost: boolean): Promise<ShardState> {
  const record = await reader.lastCommitted(ownTopic(deps.config.kafka.topicPrefix, 'state'), stateKey);
  const value = record?.value ?? null;
  const incarnation = value === null ? '' : decodeState(value).incarnation;
  const progress = { applied: 0, lastEventAt: 0, lag: emptyLag() };
  const tails = await readTails(reader, topics);
  const whole = [...tails.values()].every((tail) => tail.beginning === 0);
  if (!lost && whole) return { incarnation, positions: new Map(), progress, gaps: [] };
  const mine = [...tails].filter(([name]) => shardOf(name, deps.config.apply.shards) === shard);
  return { incarnation, positions: new Map(mine.map(atEnd)), progress, gaps: [everyTable] };
}

function atEnd([name, { end, last }]: [PartitionName, Tail]): [PartitionName, Position] {
  const text = last?.header ?? null;
  const header = text === null ? undefined : decodeHeader(text);
  return [name, { offset: end, ordinal: header?.ordinal ?? (end === 0 ? 0 : unknownOrdinal) }];
}

/** Copies first, then the acknowledgement: a crash in between asks for the copies again. */
export async function settleGaps({ deps, shard }: BeginContext, { epoch, state }: Held): Promise<ApplyStageOutcome> {
  const all = state.gaps.includes(everyTable);
  await deps.requestCopies(all ? null : state.gaps);
  const { incarnation, positions } = state;
  if (!(await deps.store.reposition(shard, epoch, { incarnation, positions, gaps: [] }))) return { kind: 'fenced' };
  const store = deps.store.name;
  return all ? { kind: 'store-lost', store } : { kind: 'log-gap', store, tables: state.gaps };
}

export function shardOf(name: PartitionName, shards: number): number {
  return splitPartitionName(name).partition % shards;
}
