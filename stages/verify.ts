/**
 * Verify: holds what each applied event should have left against what one shard of a store holds. The store's position and
 * its content are read in one atomic look, the log up to that position; so the last event of a key at or before it says
 * exactly what must be there. Only reads: the store is never waited for, and its apply never waits for this.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { LockstepError } from '../core/errors.js';
import type { VerifyOutcome } from '../core/outcome.js';
import type { PartitionName, Positions } from '../core/position.js';
import type { EventVerdict, ShardState, Sight } from '../core/store.js';
import type { Verified } from '../core/verified.js';
import type { Reader } from '../stores/kafka/reader.js';
import { shardOf } from './applyBegin.js';
import { Definitions } from './applyDefinitions.js';
import type { VerifyDeps } from './verifyDeps.js';
import { differenceOf, driftOf, isWrong } from './verifyFinding.js';
import { VerifyLog, keyName, type LoggedEvent, type Past } from './verifyLog.js';
import { afterRound, isSampled, type Pace } from './verifyPace.js';
import { Repairs } from './verifyRepairs.js';
import { Suspects, type Suspect } from './verifySuspects.js';
import { Through } from './verifyThrough.js';

export type { VerifyDeps } from './verifyDeps.js';

export interface VerifyRequest {
  readonly shard: number;
}

export interface VerifyHooks {
  /** Called several times a second while all is well, or while something that is away is being tried again. */
  beat(): void;
  trouble?(error: LockstepError | null): void;
}

/** Nobody waits for it: seldom enough to cost nothing at rest. */
const beatEveryMs = 1_000;
const hangAfterMs = 45_000;
const backoffMs = { first: 100, most: 1_000 };
const window = { events: 4_000, bytes: 4 * 1024 * 1024 };
const saveEveryMs = 2_000;
const markerEveryMs = 5_000;
const lostMarkerMs = 60_000;
/** Keys in doubt that are kept, at about 200 bytes; the log is then read ahead until they are fewer. */
const mostSuspects = 50_000;
const settledAtOnce = 200;
const againMs = 50;
const heldMs = 1_000;

/** Ends with an outcome, or throws what trying again cannot mend. Calling it again is always right. */
export async function runVerify(
  deps: VerifyDeps,
  request: VerifyRequest,
  signal: AbortSignal,
  hooks: VerifyHooks,
): Promise<VerifyOutcome> {
  if (deps.config.verify.sample === 0) return { kind: 'off' };
  const run = new Run(deps, request, signal, hooks);
  const pulse = setInterval(() => run.beat(), beatEveryMs);
  try {
    return await run.untilItEnds();
  } finally {
    clearInterval(pulse);
    await run.close();
  }
}

type Seen = Pick<Verified, 'epoch' | 'incarnation' | 'applied'>;

class Run {
  readonly #deps: VerifyDeps;
  readonly #shard: number;
  readonly #signal: AbortSignal;
  readonly #hooks: VerifyHooks;
  readonly #reader: Reader;
  readonly #definitionsReader: Reader;
  readonly #definitions: Definitions;
  readonly #suspects = new Suspects();
  readonly #repairs: Repairs;
  #run = '';
  #begun = false;
  #log: VerifyLog;
  /** Reads on while too many keys are in doubt. */
  #ahead: VerifyLog | null = null;
  #through = new Through({ through: null, behind: {} });
  #seen: Seen = { epoch: 0, incarnation: '', applied: 0 };
  #counts = { events: 0, differences: 0, unverified: 0 };
  #pace: Pace = { quietSince: 0 };
  /** Something is not saved yet. */
  #unsaved = false;
  #savedAt = 0;
  #movedSinceMarker = true;
  #markerAt = -Infinity;
  #aliveAt = performance.now();
  #backoff = backoffMs.first;

  constructor(deps: VerifyDeps, request: VerifyRequest, signal: AbortSignal, hooks: VerifyHooks) {
    this.#deps = deps;
    this.#shard = request.shard;
    this.#signal = signal;
    this.#hooks = hooks;
    this.#reader = deps.openReader();
    this.#definitionsReader = deps.openReader();
    this.#definitions = new Definitions(this.#definitionsReader, deps.config, deps.wantDefinition);
    this.#log = new VerifyLog(this.#reader, this.#definitions, new Map());
    this.#repairs = new Repairs(deps);
  }

  beat(): void {
    if (performance.now() - this.#aliveAt < hangAfterMs) this.#hooks.beat();
  }

  async close(): Promise<void> {
    await Promise.all([this.#repairs.end(), this.#reader.close(), this.#definitionsReader.close()]);
  }

  async untilItEnds(): Promise<VerifyOutcome> {
    while (!this.#signal.aborted) {
      try {
        if (!this.#begun && !(await this.#begin())) return { kind: 'fenced' };
        if (!(await this.#round())) return { kind: 'fenced' };
        this.#backoff = backoffMs.first;
        this.#hooks.trouble?.(this.#reader.trouble());
      } catch (error) {
        await this.#rest(error);
      }
      this.#aliveAt = performance.now();
    }
    if (this.#begun && this.#unsaved) await this.#save([]);
    return { kind: 'stopped' };
  }

  /** Claims what is kept at the first time, so that this run alone writes it; later it must be this run's still. */
  async #begin(): Promise<boolean> {
    const { ledger } = this.#deps;
    const verified =
      this.#run === ''
        ? await ledger.claim(this.#shard, (this.#run = randomUUID()))
        : await ledger.read(this.#shard, this.#run);
    if (verified === null) return false;
    await this.#repairs.begin();
    this.#suspects.clear();
    this.#ahead = null;
    this.#log = new VerifyLog(this.#reader, this.#definitions, this.#mine(verified.positions));
    this.#through = new Through(verified);
    this.#seen = verified;
    this.#counts = { events: verified.events, differences: verified.differences, unverified: verified.unverified };
    this.#begun = true;
    return true;
  }

  /** One look and what follows from it. False: another run has taken over. */
  async #round(): Promise<boolean> {
    const began = performance.now();
    const state = await this.#deps.store.readState(this.#shard);
    const before = this.#seen.applied;
    if (state !== null) {
      if (this.#fellBack(state)) this.#restart(state);
      this.#seen = seenOf(state);
      if (this.#suspects.size >= mostSuspects) this.#ahead ??= this.#log.fork();
      if (this.#ahead === null) await this.#verifyUpTo(this.#mine(state.positions));
      else await this.#readAhead(this.#ahead);
      if (!(await this.#settle((this.#ahead ?? this.#log).cursors()))) return false;
      if (this.#suspects.size < mostSuspects / 2) this.#ahead = null;
      await this.#moveThrough();
    }
    await this.#repairs.carryOut(this.#signal);
    if (this.#unsaved && performance.now() - this.#savedAt >= saveEveryMs && !(await this.#save([]))) return false;
    const { restMs, pace } = afterRound(this.#pace, {
      now: Date.now(),
      workMs: performance.now() - began,
      moved: state !== null && state.progress.applied !== before,
      lastEventAt: state?.progress.lastEventAt ?? 0,
      behind: state !== null && this.#log.isBehind(this.#mine(state.positions)),
      doubtful: this.#suspects.size > 0,
    });
    this.#pace = pace;
    if (restMs > 0) await sleep(restMs, undefined, { signal: this.#signal }).catch(() => undefined);
    return true;
  }

  #isMine(name: PartitionName): boolean {
    return shardOf(name, this.#deps.config.apply.shards) === this.#shard;
  }

  /** Another number of shards leaves positions behind that nobody moves any more. */
  #mine(positions: Positions): Positions {
    return new Map([...positions].filter(([name]) => this.#isMine(name)));
  }

  /** A store that shows less than before was restored or rebuilt: what it holds now is verified from where it stands now. */
  #fellBack(state: ShardState & { readonly epoch: number }): boolean {
    if (state.epoch < this.#seen.epoch || state.progress.applied < this.#seen.applied) return true;
    return [...this.#log.cursors()].some(([name, { offset }]) => (state.positions.get(name)?.offset ?? 0) < offset);
  }

  #restart(state: ShardState): void {
    this.#log.restart(this.#mine(state.positions));
    this.#ahead = null;
    this.#suspects.clear();
    this.#through = new Through({ through: null, behind: {} });
    this.#movedSinceMarker = true;
    this.#unsaved = true;
  }

  async #verifyUpTo(positions: Positions): Promise<void> {
    if (!this.#log.isBehind(positions)) return;
    this.#movedSinceMarker = true;
    const meet = (name: string, { offset }: LoggedEvent): void => this.#suspects.meet(name, offset);
    const read = await this.#log.read(positions, window, meet, this.#signal);
    this.#unsaved = true;
    for (const { changes } of read.holes) this.#counts.unverified += changes;
    const { sample } = this.#deps.config.verify;
    const events = [...read.last]
      .filter(([name, { seq }]) => isSampled(seq, sample) || this.#repairs.isOpen(name))
      .map(([, event]) => event);
    for (let at = 0; at < events.length; at += this.#deps.store.examineAtMost) {
      await this.#examine(events.slice(at, at + this.#deps.store.examineAtMost));
      this.#aliveAt = performance.now();
    }
    this.#counts.events += read.events;
  }

  /** The first look: most keys hold what their event says. */
  async #examine(events: readonly LoggedEvent[]): Promise<void> {
    const sight = await this.#look(events);
    for (const [i, event] of events.entries()) {
      const seenAt = positionIn(sight, event.partition);
      const found = sight?.found[i];
      if (sight === null || found === undefined || seenAt <= event.offset) {
        this.#doubt(event, event.offset + 1, againMs);
        continue;
      }
      const verdict = this.#deps.store.judgeEvent(event, found, sight.at);
      if (isWrong(verdict)) this.#doubt(event, seenAt, 0);
      else this.#isNotWrong(event, verdict);
    }
  }

  /** Null: the store is not what it was a moment ago; the next round finds out. */
  async #look(events: readonly LoggedEvent[]): Promise<Sight | null> {
    const sight = await this.#deps.store.examine(this.#shard, events);
    if (sight.state === null || sight.state.epoch < this.#seen.epoch) return null;
    return sight.state.progress.applied < this.#seen.applied ? null : sight;
  }

  #doubt({ partition, offset, ordinal, index, ...event }: LoggedEvent, seenAt: number, waitMs: number): void {
    const notBefore = waitMs === 0 ? 0 : performance.now() + waitMs;
    this.#suspects.doubt(keyName(event), { partition, offset, ordinal, index, seenAt, difference: null, notBefore });
  }

  /** A parked key keeps older content: it is left out, and named by status. */
  #isNotWrong(event: LoggedEvent, verdict: EventVerdict): void {
    const name = keyName(event);
    this.#suspects.clearUp(name);
    if (verdict.kind !== 'parked') this.#repairs.isRight(name);
  }

  /** More keys are in doubt than may be kept: the log ahead tells which of them have later events, read again in their turn. */
  async #readAhead(ahead: VerifyLog): Promise<void> {
    const meet = (name: string, { offset }: LoggedEvent): void => this.#suspects.meet(name, offset);
    const to = this.#suspects.horizon();
    while (ahead.isBehind(to) && !this.#signal.aborted) {
      if ((await ahead.read(to, window, meet, this.#signal)).events === 0) return;
      this.#aliveAt = performance.now();
    }
  }

  /** What no later event explains is looked at a second time, and what stands then is drift. */
  async #settle(cursors: Positions): Promise<boolean> {
    while (!this.#signal.aborted) {
      const standing = this.#suspects.standing(cursors, performance.now(), settledAtOnce);
      if (standing.length === 0) return true;
      const proven = standing.filter(([, { difference }]) => difference !== null);
      if (proven.length > 0 && !(await this.#report(proven))) return false;
      const seenOnce = standing.filter(([, { difference }]) => difference === null);
      if (seenOnce.length > 0) await this.#lookAgain(seenOnce);
      this.#aliveAt = performance.now();
    }
    return true;
  }

  async #lookAgain(seenOnce: readonly [string, Suspect][]): Promise<void> {
    const pasts = await this.#pasts(seenOnce);
    const known = seenOnce.filter(([name]) => pasts.has(name));
    // The log does not hold the event any more.
    for (const [name] of seenOnce) if (!pasts.has(name)) this.#suspects.clearUp(name);
    this.#counts.unverified += seenOnce.length - known.length;
    for (let at = 0; at < known.length; at += this.#deps.store.examineAtMost) {
      const some = known.slice(at, at + this.#deps.store.examineAtMost);
      const past = some.flatMap(([name]) => pasts.get(name) ?? []);
      const sight = await this.#look(past.map(({ event }) => event));
      for (const [i, [name, suspect]] of some.entries()) this.#weigh(name, suspect, past[i], sight, i);
    }
  }

  #weigh(name: string, suspect: Suspect, past: Past | undefined, sight: Sight | null, i: number): void {
    const seenAt = positionIn(sight, suspect.partition);
    const found = sight?.found[i];
    if (past === undefined || sight === null || found === undefined || seenAt <= suspect.offset) {
      this.#suspects.doubt(name, { ...suspect, notBefore: performance.now() + againMs });
      return;
    }
    const verdict = this.#deps.store.judgeEvent(past.event, found, sight.at);
    if (!isWrong(verdict)) return this.#isNotWrong(past.event, verdict);
    if (sight.deletesAhead && verdict.kind === 'missing') {
      this.#suspects.doubt(name, { ...suspect, notBefore: performance.now() + heldMs });
      return;
    }
    const difference = differenceOf(this.#deps.store, past, verdict, sight, found);
    this.#suspects.doubt(name, { ...suspect, seenAt, difference });
  }

  async #pasts(suspects: readonly [string, Suspect][]): Promise<Map<string, Past>> {
    const byPartition = new Map<PartitionName, Map<number, string>>();
    for (const [name, { partition, offset }] of suspects) {
      const keys = byPartition.get(partition) ?? new Map<number, string>();
      byPartition.set(partition, keys.set(offset, name));
    }
    const pasts = new Map<string, Past>();
    for (const [partition, keys] of byPartition) {
      for (const [offset, past] of await this.#log.past(partition, keys, this.#signal)) {
        pasts.set(keys.get(offset) ?? '', past);
      }
    }
    return pasts;
  }

  /** A table that is being copied, or that the store lost, is looked at again when it is whole. */
  async #report(proven: readonly [string, Suspect][]): Promise<boolean> {
    const incomplete = await this.#incomplete();
    const drift = proven.flatMap(([name, suspect]) => {
      const { difference, partition, offset, seenAt } = suspect;
      if (difference === null) return [];
      if (incomplete.has(difference.table) || incomplete.has('*')) {
        this.#suspects.doubt(name, { ...suspect, difference: null, notBefore: performance.now() + heldMs });
        return [];
      }
      this.#suspects.clearUp(name);
      const written = this.#repairs.written(name);
      return [driftOf(this.#deps.store.name, difference, { partition, offset, seenAt }, written)];
    });
    if (drift.length === 0) return true;
    this.#counts.differences += drift.length;
    if (!(await this.#save(drift))) return false;
    this.#repairs.found(drift);
    return true;
  }

  async #incomplete(): Promise<ReadonlySet<string>> {
    const tables = new Set(await this.#deps.ledger.copying());
    const state = await this.#deps.store.readState(this.#shard);
    if (state === null || this.#fellBack(state)) return new Set(['*']);
    for (const table of state.gaps) tables.add(table);
    const holding = await this.#deps.store.look(this.#shard, state.epoch);
    if (holding.kind === 'tables-lost') for (const table of holding.tables) tables.add(table);
    return tables;
  }

  async #moveThrough(): Promise<void> {
    const { ledger } = this.#deps;
    const now = performance.now();
    if (
      this.#movedSinceMarker &&
      now - this.#markerAt >= markerEveryMs &&
      this.#through.oldestUnresolved() === undefined
    ) {
      const id = randomUUID();
      this.#through.place({ id, at: await ledger.placeMarker(id) });
      this.#movedSinceMarker = false;
      this.#markerAt = now;
    }
    const open = this.#through.oldestUnresolved();
    if (open !== undefined) {
      const vector = await ledger.readMarker(open.id);
      if (vector === null) {
        if (now - this.#markerAt > lostMarkerMs) this.#through.drop(open.id);
        return;
      }
      this.#through.resolve(open.id, vector);
      if ([...vector.keys()].some((name) => !this.#definitions.topics().includes(topicOf(name)))) {
        await this.#definitions.refresh();
      }
    }
    const before = this.#through.through;
    this.#through.advance(
      this.#suspects.verified(this.#log.cursors()),
      (topic) => this.#definitions.tableOf(topic),
      (name) => this.#isMine(name),
    );
    if (this.#through.through !== before) this.#unsaved = true;
  }

  async #save(found: Parameters<VerifyDeps['ledger']['save']>[3]): Promise<boolean> {
    const verified: Verified = {
      ...this.#seen,
      ...this.#counts,
      events: this.#counts.events - this.#suspects.unsettled(this.#log.eventsRead()),
      positions: this.#suspects.verified(this.#log.cursors()),
      through: this.#through.through,
      behind: this.#through.behind,
    };
    const saved = await this.#deps.ledger.save(this.#shard, this.#run, verified, found);
    this.#unsaved = false;
    this.#savedAt = performance.now();
    return saved;
  }

  /** Waits out what passes; throws what does not. What was read and not verified is read again. */
  async #rest(error: unknown): Promise<void> {
    if (!(error instanceof LockstepError) || !error.retryable) throw error;
    this.#hooks.trouble?.(error);
    this.#begun = false;
    await sleep(this.#backoff, undefined, { signal: this.#signal }).catch(() => undefined);
    this.#backoff = Math.min(backoffMs.most, this.#backoff * 2);
  }
}

function seenOf(state: ShardState & { readonly epoch: number }): Seen {
  return { epoch: state.epoch, incarnation: state.incarnation, applied: state.progress.applied };
}

function positionIn(sight: Sight | null, partition: PartitionName): number {
  return sight?.state?.positions.get(partition)?.offset ?? 0;
}

function topicOf(name: PartitionName): string {
  return name.slice(0, name.lastIndexOf('/'));
}
