/**
 * Apply: the log → one shard of one store, exactly once. Fetch, cut into batches, write each with the position it moves.
 * The store decides: whoever does not hold its epoch, or does not stand where its position is, writes nothing. All that
 * is kept here can be thrown away at any moment and read again.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { LockstepError } from '../core/errors.js';
import type { ApplyStageOutcome } from '../core/outcome.js';
import { partitionName, splitPartitionName, type PartitionName, type Position } from '../core/position.js';
import type { BatchLimits, ParkedKey } from '../core/store.js';
import type { FetchResult, Reader } from '../stores/kafka/reader.js';
import type { ApplyDeps } from './applyDeps.js';
import { begin, settleGaps, shardOf, type BeginContext, type Held } from './applyBegin.js';
import { Definitions } from './applyDefinitions.js';
import { Intake, unknownOrdinal } from './applyIntake.js';
import { Sender, type Setback } from './applySender.js';

export type { ApplyDeps } from './applyDeps.js';

export interface ApplyRequest {
  readonly shard: number;
  /** Tables whose events wait in the log. */
  readonly pausedTables: readonly string[];
}

export interface ApplyHooks {
  /** Called several times a second while all is well, or while a store that is away is being tried again. */
  beat(): void;
  /** What stands in the way; null once it is gone. */
  trouble?(error: LockstepError | null): void;
  parked?(keys: readonly ParkedKey[]): void;
}

const beatEveryMs = 200;
/** Longer than any wait of a store's client: silence means that something hangs, and another attempt takes over. */
const hangAfterMs = 45_000;
const lookEveryMs = 1_000;
const backoffMs = { first: 100, most: 1_000 };

/** Ends with an outcome, or throws what trying again cannot mend. Calling it again is always right. */
export async function runApply(
  deps: ApplyDeps,
  request: ApplyRequest,
  signal: AbortSignal,
  hooks: ApplyHooks,
): Promise<ApplyStageOutcome> {
  const run = new Run(deps, request, signal, hooks);
  const pulse = setInterval(() => run.beat(), beatEveryMs);
  try {
    return await run.untilItEnds();
  } finally {
    clearInterval(pulse);
    await run.close();
  }
}

type Ending = ApplyStageOutcome | { readonly kind: 'again' };

class Run {
  readonly #deps: ApplyDeps;
  readonly #shard: number;
  readonly #paused: ReadonlySet<string>;
  readonly #signal: AbortSignal;
  readonly #hooks: ApplyHooks;
  readonly #reader: Reader;
  readonly #definitionsReader: Reader;
  readonly #definitions: Definitions;
  /** Partitions of this shard, by the topics' real partition counts. */
  readonly #partitions = new Set<PartitionName>();
  readonly #counted = new Set<string>();
  #definitionsRead = 0;
  /** The epoch held last. */
  #epoch: number | null = null;
  /** Divides the store's limits after a batch that was too large for it; grows back. */
  #shrunk = 1;
  #aliveAt = performance.now();
  #backoff = backoffMs.first;

  constructor(deps: ApplyDeps, request: ApplyRequest, signal: AbortSignal, hooks: ApplyHooks) {
    this.#deps = deps;
    this.#shard = request.shard;
    this.#paused = new Set(request.pausedTables);
    this.#signal = signal;
    this.#hooks = hooks;
    this.#reader = deps.openReader();
    this.#definitionsReader = deps.openReader();
    this.#definitions = new Definitions(this.#definitionsReader, deps.config, deps.wantDefinition);
  }

  beat(): void {
    if (performance.now() - this.#aliveAt < hangAfterMs) this.#hooks.beat();
  }

  async close(): Promise<void> {
    await Promise.all([this.#reader.close(), this.#definitionsReader.close()]);
  }

  async untilItEnds(): Promise<ApplyStageOutcome> {
    while (!this.#signal.aborted) {
      try {
        const ending = await this.#holdAndFollow();
        if (ending.kind !== 'again') return ending;
      } catch (error) {
        await this.#rest(error);
      }
      this.#alive();
    }
    return { kind: 'stopped' };
  }

  async #holdAndFollow(): Promise<Ending> {
    await this.#learnTopics();
    const begun = await begin(this.#context(), this.#epoch);
    if (begun.kind === 'ended') return begun.outcome;
    this.#epoch = begun.held.epoch;
    this.#backoff = backoffMs.first;
    this.#hooks.trouble?.(null);
    return this.#follow(begun.held);
  }

  async #follow(held: Held): Promise<Ending> {
    const { store } = this.#deps;
    const intake = new Intake(this.#definitions, held.state.positions, held.state.incarnation);
    const sender = new Sender(store, held, {
      shard: this.#shard,
      now: Date.now,
      onParked: (keys) => this.#hooks.parked?.(keys),
    });
    // Fetching ends with this run, whatever it ends with: the next one starts from other positions.
    const fetching = new AbortController();
    const signal = AbortSignal.any([this.#signal, fetching.signal]);
    let read = this.#cursors(intake);
    let coming = this.#reader.fetch(read, signal);
    let lookedAt = performance.now();
    try {
      while (!this.#signal.aborted) {
        const results = await coming;
        this.#alive();
        this.#hooks.trouble?.(this.#reader.trouble());
        const lost = results.filter((result) => this.#isLost(result, intake));
        if (lost.length > 0) return await this.#passOver(lost, sender, held);
        if (await this.#newDefinitions(results)) await this.#learnTopics();
        this.#forgetMissing(results);
        read = this.#cursors(intake, results);
        coming = this.#reader.fetch(read, signal);

        const setback = await this.#send(intake, sender, results);
        if (setback !== null) return this.#after(setback);
        if (sender.gaps().length > 0) return await this.#settle(sender, held);
        if (performance.now() - lookedAt < lookEveryMs) continue;
        lookedAt = performance.now();
        if (this.#definitions.topics().length > this.#counted.size) await this.#learnTopics();
        const ending = await this.#look(sender, held);
        if (ending !== null) return ending;
      }
      const setback = (await sender.drain()) ?? (await sender.sayProgress());
      return setback === null || setback.kind === 'failed' ? { kind: 'stopped' } : this.#after(setback);
    } finally {
      fetching.abort();
      await coming;
      await sender.drain();
    }
  }

  async #send(intake: Intake, sender: Sender, results: readonly FetchResult[]): Promise<Setback | null> {
    const data = results.filter((result) => !this.#isDefinitions(result));
    for await (const load of intake.loads(data, () => this.#limits())) {
      const setback = await sender.send(load);
      if (setback !== null) return setback;
      this.#alive();
      if (this.#shrunk > 1) this.#shrunk = Math.max(1, this.#shrunk / 1.1);
    }
    // Nothing more is there: what is under way is all there is to wait for.
    return data.length === 0 ? ((await sender.drain()) ?? (await sender.sayProgress())) : null;
  }

  #after(setback: Setback): Ending {
    switch (setback.kind) {
      case 'failed':
        throw setback.error;
      case 'fenced':
        return { kind: 'fenced' };
      case 'too-large':
        this.#shrunk = Math.min(this.#shrunk * 2, 4096);
        return { kind: 'again' };
      case 'stale':
        return { kind: 'again' };
      case 'lost':
        // Nothing of ours is left there: begin as a newcomer.
        this.#epoch = null;
        return { kind: 'again' };
    }
  }

  /** Does the store still hold what this run believes? A loss at rest shows nowhere else. */
  async #look(sender: Sender, held: Held): Promise<Ending | null> {
    const holding = await this.#deps.store.look(this.#shard, held.epoch);
    switch (holding.kind) {
      case 'held': {
        // A server that came back from a snapshot shows our own epoch, at earlier positions: nothing new may ever tell.
        const state = await this.#deps.store.readState(this.#shard);
        return state !== null && sender.isBehind(state.positions) ? this.#after({ kind: 'stale' }) : null;
      }
      case 'fenced':
      case 'stale':
      case 'lost':
        return this.#after(holding);
      case 'tables-lost': {
        const setback = await sender.drain();
        if (setback !== null) return this.#after(setback);
        if (!(await sender.reposition(new Map(), holding.tables))) return { kind: 'fenced' };
        const settled = await this.#settle(sender, held);
        if (settled.kind !== 'log-gap') return settled;
        return { kind: 'tables-lost', store: this.#deps.store.name, tables: holding.tables };
      }
    }
  }

  /** The log does not hold these positions any more: go on where it begins now, and copy the tables. */
  async #passOver(lost: readonly FetchResult[], sender: Sender, held: Held): Promise<Ending> {
    const setback = await sender.drain();
    if (setback !== null) return this.#after(setback);
    const beginnings = await this.#reader.beginningOffsets([...new Set(lost.map((result) => result.topic))]);
    const positions = new Map<PartitionName, Position>();
    for (const { topic, partition } of lost) {
      const offset = beginnings.get(partitionName(topic, partition)) ?? 0;
      positions.set(partitionName(topic, partition), { offset, ordinal: unknownOrdinal });
    }
    const tables = [...new Set(lost.map((result) => this.#definitions.tableOf(result.topic)))];
    if (!(await sender.reposition(positions, tables))) return { kind: 'fenced' };
    return this.#settle(sender, held);
  }

  async #settle(sender: Sender, held: Held): Promise<Ending> {
    const setback = await sender.drain();
    if (setback !== null) return this.#after(setback);
    const state = await this.#deps.store.readState(this.#shard);
    if (state?.epoch !== held.epoch) return { kind: 'again' };
    return settleGaps(this.#context(), { epoch: held.epoch, state });
  }

  #isLost(result: FetchResult, intake: Intake): boolean {
    if (this.#isDefinitions(result)) return false;
    const name = partitionName(result.topic, result.partition);
    // A topic that never held anything for us may come and go.
    return result.outOfRange || (result.missing && intake.position(name).offset > 0);
  }

  #isDefinitions(result: FetchResult): boolean {
    return partitionName(result.topic, result.partition) === this.#definitions.partition;
  }

  async #newDefinitions(results: readonly FetchResult[]): Promise<boolean> {
    const news = results.find((result) => this.#isDefinitions(result));
    if (news === undefined || news.missing) return false;
    this.#definitionsRead = news.outOfRange ? 0 : news.nextOffset;
    await this.#definitions.refresh();
    return true;
  }

  /** Which partitions there are: asked once a topic. */
  async #learnTopics(): Promise<void> {
    await this.#definitions.refresh();
    this.#definitionsRead = Math.max(this.#definitionsRead, this.#definitions.offset);
    const unknown = this.#definitions.topics().filter((topic) => !this.#counted.has(topic));
    if (unknown.length === 0) return;
    for (const name of (await this.#definitionsReader.beginningOffsets(unknown)).keys()) {
      this.#counted.add(splitPartitionName(name).topic);
      if (shardOf(name, this.#deps.config.apply.shards) === this.#shard) this.#partitions.add(name);
    }
  }

  /** A topic that is not there, and never held anything for us, is looked for again instead of asked for. */
  #forgetMissing(results: readonly FetchResult[]): void {
    for (const { topic, partition, missing } of results) {
      if (!missing) continue;
      this.#counted.delete(topic);
      this.#partitions.delete(partitionName(topic, partition));
    }
  }

  /** Where to read on: behind what these results hold, before they are sent. */
  #cursors(intake: Intake, results: readonly FetchResult[] = []): Map<PartitionName, number> {
    const cursors = new Map<PartitionName, number>([[this.#definitions.partition, this.#definitionsRead]]);
    for (const name of this.#partitions) {
      if (this.#paused.has(this.#definitions.tableOf(splitPartitionName(name).topic))) continue;
      cursors.set(name, intake.position(name).offset);
    }
    for (const result of results) {
      const name = partitionName(result.topic, result.partition);
      if (cursors.has(name) && !this.#isDefinitions(result) && !result.missing) cursors.set(name, result.nextOffset);
    }
    return cursors;
  }

  #limits(): BatchLimits {
    const { events, bytes, inFlight } = this.#deps.store.limits;
    const shrunk = Math.floor(this.#shrunk);
    return { events: Math.max(1, Math.floor(events / shrunk)), bytes: Math.floor(bytes / shrunk), inFlight };
  }

  #context(): BeginContext {
    const topics = [...this.#counted];
    return { deps: this.#deps, shard: this.#shard, reader: this.#definitionsReader, topics };
  }

  /** Waits out what passes; throws what does not. */
  async #rest(error: unknown): Promise<void> {
    if (!(error instanceof LockstepError) || !error.retryable) throw error;
    this.#hooks.trouble?.(error);
    await sleep(this.#backoff, undefined, { signal: this.#signal }).catch(() => undefined);
    this.#backoff = Math.min(backoffMs.most, this.#backoff * 2);
  }

  #alive(): void {
    this.#aliveAt = performance.now();
  }
}
