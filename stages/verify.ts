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
import type { ShardState } from '../core/store.js';
import type { Verified } from '../core/verified.js';
import type { Reader } from '../stores/kafka/reader.js';
import { shardOf } from './applyBegin.js';
import { Definitions } from './applyDefinitions.js';
import type { VerifyDeps } from './verifyDeps.js';
import { Doubts, heldMs, seenOf, type Seen } from './verifyDoubts.js';
import { driftOf } from './verifyFinding.js';
import { VerifyLog, type LoggedEvent } from './verifyLog.js';
import { Markers } from './verifyMarkers.js';
import { afterRound, isSampled, type Pace } from './verifyPace.js';
import { Repairs } from './verifyRepairs.js';
import type { Suspect, Suspects } from './verifySuspects.js';
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
/** Keys in doubt that are kept, at about 200 bytes; the log is then read ahead until they are fewer. */
const mostSuspects = 50_000;

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

class Run {
  readonly #deps: VerifyDeps;
  readonly #shard: number;
  readonly #signal: AbortSignal;
  readonly #hooks: VerifyHooks;
  readonly #reader: Reader;
  readonly #definitionsReader: Reader;
  readonly #definitions: Definitions;
  readonly #doubts: Doubts;
  readonly #suspects: Suspects;
  readonly #markers: Markers;
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
    this.#markers = new Markers(deps.ledger, this.#definitions);
    this.#doubts = new Doubts({
      store: deps.store,
      shard: request.shard,
      repairs: this.#repairs,
      log: () => this.#log,
      seen: () => this.#seen,
      alive: () => void (this.#aliveAt = performance.now()),
      unverified: (events) => void (this.#counts.unverified += events),
    });
    this.#suspects = this.#doubts.suspects;
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
      const read = (this.#ahead ?? this.#log).cursors();
      if (!(await this.#doubts.settle(read, this.#signal, (proven) => this.#report(proven)))) return false;
      if (this.#suspects.size < mostSuspects / 2) this.#ahead = null;
      await this.#moveThrough();
    }
    await this.#repairs.carryOut({ shard: this.#shard, run: this.#run }, this.#signal);
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
    this.#markers.moved();
    this.#unsaved = true;
  }

  async #verifyUpTo(positions: Positions): Promise<void> {
    if (!this.#log.isBehind(positions)) return;
    this.#markers.moved();
    const meet = (name: string, { offset }: LoggedEvent): void => this.#suspects.meet(name, offset);
    const read = await this.#log.read(positions, window, meet, this.#signal);
    this.#unsaved = true;
    for (const { changes } of read.holes) this.#counts.unverified += changes;
    const { sample } = this.#deps.config.verify;
    const events = [...read.last]
      .filter(([name, { seq }]) => isSampled(seq, sample) || this.#repairs.isOpen(name))
      .map(([, event]) => event);
    for (let at = 0; at < events.length; at += this.#deps.store.examineAtMost) {
      await this.#doubts.examine(events.slice(at, at + this.#deps.store.examineAtMost));
      this.#aliveAt = performance.now();
    }
    this.#counts.events += read.events;
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
    if (!(await this.#markers.turn(this.#through))) return;
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
