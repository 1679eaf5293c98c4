/**
 * Capture: the change log → Kafka, exactly once. Read the oldest rows, publish them with the state record that names them
 * in one transaction, delete exactly those; the delete runs beside the next publish. Whatever fails ends this run: the
 * next one claims, reads what was committed and goes on from there. One batch is all that it ever holds.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CaptureOutcome } from '../core/outcome.js';
import type { PartitionName } from '../core/position.js';
import type { FreedKey, RowName, StateRecord } from '../core/stateRecord.js';
import { sameAddress } from '../stores/kafka/client.js';
import type { PartitionRecords } from '../stores/kafka/producer.js';
import { hasRows, readOldest, removeRows, removeUnlocked, seqRuns, type SeqRun } from '../stores/mysql/changeLog.js';
import { openTransactions } from '../stores/mysql/openTransactions.js';
import { requestCopiesOf } from '../stores/mysql/incarnation.js';
import { forgetOldMarkers, resolveMarkers } from '../stores/mysql/markers.js';
import { freeKeys, keyHash, parkedKey, parkKeys } from '../stores/mysql/parked.js';
import { planBatch, twinDistance, type BatchPlan, type Change } from './captureBatch.js';
import { afterRead, afterTransactions, noFloor, type Floor } from './captureFloor.js';
import { pauseMs } from './capturePace.js';
import { completeRows } from './captureRows.js';
import { publishSchema } from './captureSchema.js';
import { startRelay, stateRecords, type CaptureDeps, type Relay } from './captureStart.js';

export type { CaptureDeps } from './captureStart.js';

export interface Hooks {
  /** Called at least every 300 ms while all is well. */
  beat(): void;
}

/** Ends with an outcome, or throws what went wrong: calling it again is always right. */
export async function runCapture(deps: CaptureDeps, signal: AbortSignal, hooks: Hooks): Promise<CaptureOutcome> {
  const pulse = new Pulse(hooks);
  try {
    const start = await startRelay(deps);
    if (start.kind === 'ended') return start.outcome;
    try {
      return await new RunningRelay(start.relay, pulse).run(signal);
    } finally {
      await start.close();
    }
  } finally {
    pulse.stop();
  }
}

/** Published rows on their way out of the change log. */
interface Leaving {
  readonly rows: readonly RowName[];
  readonly markers: readonly string[];
  readonly freed: readonly FreedKey[];
  /** Whether they were deleted; false when a lock stood in the way. */
  readonly deleted: Promise<boolean>;
}

/** More runs than this in a read's condition, and the delete is awaited instead. */
const mostRuns = 64;
/** Rows that locks keep in the change log, published or not: beyond this nothing more is until they are gone. */
const mostBlocked = 20_000;
const upkeepMs = 1_000;
const fullReadMs = 60_000;
/** How long a change of a table may wait for its topic. */
const schemaMs = 2_000;

class RunningRelay {
  readonly #relay: Relay;
  readonly #pulse: Pulse;
  readonly #stateDatabase: string;
  readonly #mostRows: number;
  readonly #ends: Map<PartitionName, number>;
  readonly #parkedKeys: Set<string>;
  #state: StateRecord;
  #blocked: readonly RowName[];
  /** Read, and not done with: their table is locked. */
  #left: readonly RowName[] = [];
  #leaving: Leaving | null = null;
  #earlier: readonly Change[] = [];
  #floor: Floor = noFloor;
  /** Highest seq read by the last upkeep. */
  #seenBefore = 0;
  #lookedAt = '';
  /** Rows a look asks for: fewer while they are large, so that what the budget leaves out is not read again and again. */
  #limit: number;
  #upkeepAt = 0;
  #schemaAt = 0;
  #fullReadAt = Date.now() + fullReadMs;

  constructor(relay: Relay, pulse: Pulse) {
    this.#relay = relay;
    this.#pulse = pulse;
    this.#stateDatabase = relay.deps.config.mysql.stateDatabase;
    this.#mostRows = relay.deps.config.capture.batchRows;
    this.#limit = this.#mostRows;
    this.#ends = new Map(relay.ends);
    this.#parkedKeys = new Set(relay.parkedKeys);
    this.#state = relay.state;
    this.#blocked = relay.undeleted;
  }

  async run(signal: AbortSignal): Promise<CaptureOutcome> {
    let emptyLooks = 0;
    while (!signal.aborted) {
      this.#pulse.progress();
      const began = performance.now();
      const limit = this.#limit;
      const rows = await this.#look(emptyLooks > 1);
      emptyLooks = rows === 0 ? emptyLooks + 1 : 0;
      if (rows === 'fenced') return { kind: 'fenced' };
      if (!(await this.#maintain())) return { kind: 'fenced' };
      const pause = pauseMs({ rows, limit, elapsedMs: performance.now() - began, emptyLooks });
      if (pause > 0) await sleep(pause);
    }
    await this.#settle();
    return { kind: 'stopped' };
  }

  /** One look at the change log and everything that follows from it. */
  async #look(atRest: boolean): Promise<number | 'fenced'> {
    const { session, tables, producer, reader } = this.#relay;
    if (reader.isAnyFree()) this.#left = [];
    let except = this.#except();
    if (atRest && except.length === 0 && !(await hasRows(session, this.#stateDatabase, this.#floor.at))) {
      this.#floor = afterRead(this.#floor, null, null);
      return 0;
    }
    if (except.length > mostRuns || this.#kept() > mostBlocked) {
      await this.#settle();
      except = this.#except();
      if (this.#kept() > mostBlocked) return 0;
    }
    const options = { floor: this.#floor.at, limit: this.#limit, except };
    const rows = await readOldest(session, this.#stateDatabase, options);
    this.#floor = afterRead(this.#floor, rows[0]?.seq ?? null, except[0]?.[0] ?? null);
    if (rows.length === 0) {
      await this.#settle();
      return 0;
    }
    const now = Date.now();
    const unknown = new Set<string>();
    for (const { definition, op } of rows) if (op !== 'm' && tables.route(definition) === null) unknown.add(definition);
    if (unknown.size > 0 && !(await tables.learn(unknown, producer, now))) return 'fenced';
    const route = tables.route.bind(tables);
    const source = { queries: session, stateDatabase: this.#stateDatabase, reader, route };
    const changes = await completeRows(source, rows);
    const more = changes.length < rows.length ? changes.length + 16 : this.#limit * 2;
    this.#limit = Math.min(this.#mostRows, more);
    const plan = planBatch(changes, {
      incarnation: this.#state.incarnation,
      publishedAt: now,
      ordinals: this.#state.ordinals,
      earlier: this.#earlier,
      lowestLeft: this.#left[0]?.seq ?? null,
      isParked: this.#parkedKeys.size === 0 ? null : (id, key) => this.#parkedKeys.has(parkedKey(id, keyHash(key))),
    });
    this.#earlier = changes.slice(-twinDistance);
    if (plan.left.length > 0) this.#left = [...this.#left, ...plan.left].sort((a, b) => a.seq - b.seq);
    return (await this.#publish(plan, now)) ? rows.length : 'fenced';
  }

  /** Effect first, then progress: parked keys, the Kafka transaction, and only then the delete. */
  async #publish(plan: BatchPlan, now: number): Promise<boolean> {
    const { session, tables, producer, deps } = this.#relay;
    const { topicPrefix } = deps.config.kafka;
    await parkKeys(session, this.#stateDatabase, plan.parked);
    const freed = plan.freed.map(({ tableId, key, seq }) => ({ tableId, keyHash: keyHash(key), seq }));
    for (const { tableId, key } of plan.parked) this.#parkedKeys.add(parkedKey(tableId, keyHash(key)));
    for (const { tableId, keyHash: hash } of freed) this.#parkedKeys.delete(parkedKey(tableId, hash));
    if (plan.published > 0 || plan.markers.length > 0) {
      const state = this.#stateWith(plan, freed);
      const partitions = [...plan.partitions, stateRecords(topicPrefix, tables, state)];
      const published = await producer.publish(partitions, now);
      if (published.kind === 'fenced') return false;
      this.#state = state;
      await this.#moveEnds(plan.partitions, published.ends);
    }
    await this.#settle();
    const deleted = this.#leave(plan, freed, new Map(this.#ends));
    // Awaited at the next settle; until then a failure must not count as unhandled.
    deleted.catch(() => undefined);
    this.#leaving = { rows: plan.rows, markers: plan.markers, freed, deleted };
    return true;
  }

  #stateWith(plan: BatchPlan, freed: readonly FreedKey[]): StateRecord {
    const named = [...this.#blocked, ...(this.#leaving?.rows ?? []), ...plan.rows];
    const rows = named.map(({ seq, identity }) => ({ seq, identity })).sort((a, b) => a.seq - b.seq);
    return {
      ...this.#state,
      highestSeq: Math.max(this.#state.highestSeq, plan.rows.at(-1)?.seq ?? 0),
      floor: this.#floor.at,
      published: this.#state.published + plan.published,
      rows,
      markers: [...(this.#leaving?.markers ?? []), ...plan.markers],
      freed: [...(this.#leaving?.freed ?? []), ...freed],
      ordinals: plan.ordinals,
    };
  }

  /** Where the log ends now; a partition that begins again below its end lost what it held. */
  async #moveEnds(partitions: readonly PartitionRecords[], ends: ReadonlyMap<PartitionName, number>): Promise<void> {
    const { tables, deps } = this.#relay;
    const lost = new Set<string>();
    for (const { topic, partition, records } of partitions) {
      const name = `${topic}/${partition}`;
      const end = ends.get(name) ?? 0;
      const table = tables.tableOf(topic);
      if (end - records.length < (this.#ends.get(name) ?? 0) && table !== undefined) lost.add(table);
      this.#ends.set(name, end);
    }
    await requestCopiesOf(deps.mysql, lost, { reason: 'loss', newRun: randomUUID });
  }

  async #leave(
    plan: BatchPlan,
    freed: readonly FreedKey[],
    ends: ReadonlyMap<PartitionName, number>,
  ): Promise<boolean> {
    const { second } = this.#relay;
    // Whoever waits for a marker must not find a key parked that was freed before it.
    await freeKeys(second, this.#stateDatabase, freed);
    await resolveMarkers(second, this.#stateDatabase, plan.markers, ends);
    return removeRows(second, this.#stateDatabase, plan.rows);
  }

  /** Until the batch before is gone from the change log, or known to be blocked. */
  async #settle(): Promise<void> {
    const leaving = this.#leaving;
    if (leaving === null) return;
    const deleted = await leaving.deleted;
    this.#leaving = null;
    if (!deleted) this.#blocked = [...this.#blocked, ...leaving.rows].sort((a, b) => a.seq - b.seq);
  }

  #except(): SeqRun[] {
    const rows = this.#leaving?.rows ?? [];
    if (this.#kept() === 0) return seqRuns(rows);
    return seqRuns([...this.#blocked, ...this.#left, ...rows].sort((a, b) => a.seq - b.seq));
  }

  #kept(): number {
    return this.#blocked.length + this.#left.length;
  }

  /** Beside the work: what is due once a second or a minute. False when another producer has taken over. */
  async #maintain(): Promise<boolean> {
    const now = Date.now();
    if (now < this.#upkeepAt) return true;
    this.#upkeepAt = now + upkeepMs;
    const { session, second } = this.#relay;
    if (this.#blocked.length > 0) {
      await this.#settle();
      this.#blocked = await removeUnlocked(second, this.#stateDatabase, this.#blocked);
    }
    if (this.#floor.at <= this.#state.highestSeq) await this.#raiseFloor();
    this.#seenBefore = this.#state.highestSeq;
    if (now >= this.#fullReadAt) {
      this.#fullReadAt = now + fullReadMs;
      this.#floor = noFloor;
      await forgetOldMarkers(session, this.#stateDatabase, 1);
    }
    if (now < this.#schemaAt) return true;
    this.#schemaAt = now + schemaMs;
    const { config, dial = sameAddress } = this.#relay.deps;
    return publishSchema({ config, queries: session, dial }, this.#relay.producer, now);
  }

  async #raiseFloor(): Promise<void> {
    const { session, second } = this.#relay;
    const look = await openTransactions(session, this.#stateDatabase, [second.threadId]);
    const isNew = look !== null && look.began !== this.#lookedAt;
    if (isNew) this.#lookedAt = look.began;
    this.#floor = afterTransactions(this.#floor, isNew ? look.open : null, this.#seenBefore);
  }
}

/** Beats for as long as the loop moves: a publish or a delete may take seconds without anything being wrong. */
class Pulse {
  readonly #timer: NodeJS.Timeout;
  #progressAt = Date.now();

  constructor(hooks: Hooks) {
    this.#timer = setInterval(() => {
      if (Date.now() - this.#progressAt < 20_000) hooks.beat();
    }, 200);
  }

  progress(): void {
    this.#progressAt = Date.now();
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
