/**
 * The witness: reads the server's own binary log and holds it against the triggers, transaction by transaction. What has no
 * change log row escaped them; it is named, with its cause, and goes through the change log after all. It stands beside
 * capture and never in its way: it only reads, but for what it heals. Its position moves after what it found is dealt with.
 */
import { createHash, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../core/config.js';
import { codeOf, LockstepError } from '../core/errors.js';
import type { WitnessOutcome } from '../core/outcome.js';
import { hindrances, readBinlogEnd, readBinlogFacts, type BinlogFacts } from '../stores/mysql/binlogFacts.js';
import { openBinlogStream, type BinlogStream } from '../stores/mysql/binlogStream.js';
import type { Mysql, Session } from '../stores/mysql/connection.js';
import { countOpen, forgetOldEscapes, readPrepared, settleEscapes } from '../stores/mysql/escapes.js';
import { moveWitness, readWitness, tellWitnessState, type WitnessPosition } from '../stores/mysql/witnessState.js';
import { beginAt, loseBinlog } from './witnessBeginning.js';
import { WitnessFeed } from './witnessFeed.js';
import type { FeedItem } from './witnessFindings.js';
import { boundedInTransaction, forgetCommitted, heal, type HealScope } from './witnessHeal.js';
import { WitnessTables } from './witnessTables.js';

export interface WitnessDeps {
  readonly config: Config;
  readonly mysql: Mysql;
}

export interface WitnessHooks {
  /** Called at least every second while all is well. */
  beat(): void;
  /** Triggers are to be put back, or copies begun. */
  lookNow(): void;
  escaped: HealScope['escaped'];
  /** Row events of captured tables since the last call. */
  witnessed(changes: number): void;
}

/** The server's sign of life at rest. */
const heartbeatSeconds = 10;
const silentMs = 35_000;
const tickMs = 1_000;
/** While relevant changes come in, the position is written this often. Its own writing is not one. */
const saveEveryMs = 5_000;
/** Where none do, it still moves, so that a new start need not read all of it again. */
const saveEveryBytes = 64 * 1024 ** 2;
const settleEveryMs = 2_000;
/** Keys that wait to be healed: more, and the stream waits. */
const mostPending = 50_000;

/** Ends with an outcome, or throws what went wrong: calling it again is always right. */
export async function runWitness(deps: WitnessDeps, signal: AbortSignal, hooks: WitnessHooks): Promise<WitnessOutcome> {
  const { mysql, config } = deps;
  const { stateDatabase } = config.mysql;
  if (config.witness === false) {
    await tellWitnessState(mysql, stateDatabase, 'off', null);
    return { kind: 'off' };
  }
  const reasons = await reasonsAgainst(deps);
  if (reasons.length > 0) return standDown(deps, reasons);
  while (!signal.aborted) {
    try {
      await watch(deps, signal, hooks);
    } catch (error) {
      if (codeOf(error) !== 'LS-WITNESS-BINLOG-LOST') throw error;
      await loseBinlog(deps);
      hooks.lookNow();
    }
  }
  return { kind: 'stopped' };
}

/** On a connection of its own: a global right that was just granted counts for new ones alone. */
async function reasonsAgainst(deps: WitnessDeps): Promise<readonly string[]> {
  const session = await deps.mysql.session();
  try {
    return await reasonsIn(session, deps.config);
  } finally {
    session.destroy();
  }
}

async function reasonsIn(session: Session, config: Config): Promise<readonly string[]> {
  const facts = await readBinlogFacts(session);
  const reasons = hindrances(facts).map(({ reason, fix }) => `${reason} (${fix})`);
  if (reasons.length > 0) return reasons;
  const end = await readBinlogEnd(session);
  if (end === null) return ['the server does not tell where its binary log ends'];
  const logged = (database: string): boolean =>
    !end.ignoreDatabases.includes(database) && (end.doDatabases.length === 0 || end.doDatabases.includes(database));
  const unlogged = [config.mysql.database, config.mysql.stateDatabase].filter((database) => !logged(database));
  return unlogged.map(
    (database) => `the server leaves ${database} out of its binary log (binlog-do-db, binlog-ignore-db)`,
  );
}

async function standDown({ mysql, config }: WitnessDeps, reasons: readonly string[]): Promise<WitnessOutcome> {
  const reason = reasons.join('; ');
  await tellWitnessState(mysql, config.mysql.stateDatabase, 'standing-down', reason);
  return { kind: 'stands-down', reason };
}

/** From the position on until the signal; throws when the stream ends. */
async function watch(deps: WitnessDeps, signal: AbortSignal, hooks: WitnessHooks): Promise<void> {
  const { mysql, config } = deps;
  const facts = await readBinlogFacts(mysql);
  const position = await positionOf(deps, facts);
  const tables = new WitnessTables(mysql);
  await tables.refresh();
  const pending = new Pending();
  const feed = new WitnessFeed(
    {
      database: config.mysql.database,
      stateDatabase: config.mysql.stateDatabase,
      cascadesLogged: facts.cascadesLogged,
      tables,
      checksums: facts.checksums,
      user: facts.account.slice(0, facts.account.lastIndexOf('@')),
      take: (item) => pending.add(item),
      schemaChanged: () => hooks.lookNow(),
    },
    position,
  );
  const stream = await openBinlogStream(
    config.mysql,
    { from: position, ...replicaNames(config), heartbeatSeconds },
    (buffer, start, end) => feed.event(buffer, start, end) ?? pending.room(),
  );
  try {
    const session = await mysql.session(boundedInTransaction);
    try {
      const prepared = new Map(await readPrepared(mysql, config.mysql.stateDatabase));
      const scope: HealScope = { mysql, session, tables, prepared, signal, ...hooks };
      await new Watching(deps, facts, feed, pending, stream, scope, hooks).run(signal);
    } finally {
      session.destroy();
    }
  } finally {
    stream.destroy();
  }
}

async function positionOf(deps: WitnessDeps, facts: BinlogFacts): Promise<WitnessPosition> {
  const known = (await readWitness(deps.mysql, deps.config.mysql.stateDatabase))?.position ?? null;
  if (known !== null && known.serverUuid === facts.serverUuid) return known;
  return beginAt(deps.mysql, facts.serverUuid, 'all');
}

/** The same for every witness of a pipeline: a new one's dump ends the one that was left behind. */
function replicaNames({ pipeline, mysql }: Config): { serverId: number; replicaUuid: string } {
  const hash = createHash('sha256').update(`witness ${pipeline} ${mysql.stateDatabase}`).digest();
  const hex = hash.toString('hex');
  const replicaUuid = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)];
  // Far from the small numbers that people give.
  return { serverId: 0x60000000 + (hash.readUInt32BE(28) % 0x20000000), replicaUuid: replicaUuid.join('-') };
}

class Watching {
  readonly #deps: WitnessDeps;
  readonly #facts: BinlogFacts;
  readonly #feed: WitnessFeed;
  readonly #pending: Pending;
  readonly #stream: BinlogStream;
  readonly #scope: HealScope;
  readonly #hooks: WitnessHooks;
  #saved: { readonly file: string; readonly offset: number; readonly changes: number; readonly at: number };
  #open = true;
  #settledAt = 0;
  #told = 0;

  constructor(
    deps: WitnessDeps,
    facts: BinlogFacts,
    feed: WitnessFeed,
    pending: Pending,
    stream: BinlogStream,
    scope: HealScope,
    hooks: WitnessHooks,
  ) {
    this.#deps = deps;
    this.#facts = facts;
    this.#feed = feed;
    this.#pending = pending;
    this.#stream = stream;
    this.#scope = scope;
    this.#hooks = hooks;
    this.#saved = { ...feed.position(), changes: 0, at: performance.now() };
  }

  async run(signal: AbortSignal): Promise<void> {
    const { mysql, config } = this.#deps;
    await tellWitnessState(mysql, config.mysql.stateDatabase, 'watching', null);
    const aborted = sleep(2 ** 31 - 1, undefined, { signal, ref: false }).catch(() => undefined);
    while (!signal.aborted) {
      await Promise.race([this.#stream.ended, this.#pending.something(tickMs), aborted]);
      this.#hooks.beat();
      try {
        await this.#deal();
      } catch (error) {
        // Told to end in the middle of healing: the position stays, and the next witness heals it all again.
        if (signal.aborted && error === signal.reason) return;
        throw error;
      }
      await this.#settle();
      this.#watchSilence();
    }
    await this.#save(true);
  }

  /** Effect first, then the position that was reached when the items were taken. */
  async #deal(): Promise<void> {
    const position = this.#feed.position();
    const items = this.#pending.takeAll();
    if (items.length > 0) {
      this.#open = (await heal(this.#scope, items)) || this.#open;
      await this.#move(position);
      await forgetCommitted(this.#scope, items);
    } else await this.#save(false);
    const { changes } = this.#feed;
    if (changes > this.#told) this.#hooks.witnessed(changes - this.#told);
    this.#told = changes;
  }

  async #save(atOnce: boolean): Promise<void> {
    if (this.#pending.size > 0) return;
    const position = this.#feed.position();
    const { file, offset, changes, at } = this.#saved;
    const relevant = this.#feed.changes > changes;
    const due = relevant && (atOnce || performance.now() - at > saveEveryMs);
    const far = position.file !== file || position.offset - offset > saveEveryBytes;
    if (due || far) await this.#move(position);
  }

  async #move(position: ReturnType<WitnessFeed['position']>): Promise<void> {
    const { mysql, config } = this.#deps;
    const changes = this.#feed.changes;
    await moveWitness(mysql, config.mysql.stateDatabase, { ...position, serverUuid: this.#facts.serverUuid });
    this.#saved = { file: position.file, offset: position.offset, changes, at: performance.now() };
  }

  /** What heals by a copy is healed when the copy is done. */
  async #settle(): Promise<void> {
    if (!this.#open || performance.now() - this.#settledAt < settleEveryMs) return;
    this.#settledAt = performance.now();
    const { mysql, config } = this.#deps;
    const { stateDatabase } = config.mysql;
    if (await settleEscapes(mysql, stateDatabase, randomUUID)) this.#hooks.lookNow();
    await forgetOldEscapes(mysql, stateDatabase);
    this.#open = (await countOpen(mysql, stateDatabase)) > 0;
  }

  #watchSilence(): void {
    if (this.#pending.isHolding || performance.now() - this.#stream.lastPacketAt() < silentMs) return;
    throw new LockstepError('LS-MYSQL-UNREACHABLE', 'the server has not said a word on the stream of its binary log');
  }
}

/** What the feed found and nobody has dealt with yet. */
class Pending {
  #items: FeedItem[] = [];
  #keys = 0;
  #wake: () => void = () => undefined;
  #release: () => void = () => undefined;
  #held: Promise<void> | null = null;

  get size(): number {
    return this.#items.length;
  }

  get isHolding(): boolean {
    return this.#held !== null;
  }

  add(item: FeedItem): void {
    this.#items.push(item);
    if ('findings' in item) for (const { keys } of item.findings) this.#keys += keys?.length ?? 1;
    this.#wake();
  }

  /** Null, or a promise until what was found is dealt with. */
  room(): Promise<void> | null {
    if (this.#keys < mostPending) return null;
    this.#held ??= new Promise((resolve) => {
      this.#release = resolve;
    });
    return this.#held;
  }

  /** Returns when there is something, or when the time has passed. */
  async something(ms: number): Promise<void> {
    if (this.#items.length > 0) return;
    const timer = new AbortController();
    const woken = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    await Promise.race([woken, sleep(ms, undefined, { signal: timer.signal }).catch(() => undefined)]);
    timer.abort();
    this.#wake = () => undefined;
  }

  takeAll(): readonly FeedItem[] {
    const items = this.#items;
    this.#items = [];
    this.#keys = 0;
    this.#held = null;
    this.#release();
    return items;
  }
}
