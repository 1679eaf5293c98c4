/**
 * Loads the files of an ingest: chunk by chunk into MySQL in the order of the files, and many chunks at a time from there
 * into the stores. What is in stands in MySQL, in the transaction that brought it; so this may end anywhere and begin again.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../core/config.js';
import type { Definition } from '../core/definition.js';
import { LockstepError } from '../core/errors.js';
import { beginning, type ContentCheck, type FileChunk, type IngestPlan, type ReadChunks } from '../core/ingest.js';
import { restMs } from '../core/ingestPace.js';
import type { IngestProgress } from '../core/ingestReport.js';
import { tableTopic } from '../core/names.js';
import type { LoadOutcome } from '../core/outcome.js';
import type { Store } from '../core/store.js';
import type { Mysql, Session } from '../stores/mysql/connection.js';
import { readCounts, readNextPoint, readOpenChunks } from '../stores/mysql/ingestChunks.js';
import { keysCondition, readImages } from '../stores/mysql/ingestImages.js';
import { lockIngest, raiseIngestEpoch, type Ingest } from '../stores/mysql/ingests.js';
import { insertMarker } from '../stores/mysql/markers.js';
import { readCapturedTables } from '../stores/mysql/state.js';
import { readTraits } from '../stores/mysql/tableTraits.js';
import { randomUUID } from 'node:crypto';
import { bringIn, IngestTaken, type ChunkContext } from './ingestChunk.js';
import { DirectWriter } from './ingestLane.js';
import { carryDirectly, carryThroughLog, land, Stopped, type Carry, type LandingContext } from './ingestLanding.js';
import { Landings } from './ingestLandings.js';
import { MarkerWatch } from './ingestMarkers.js';
import { rowsContext } from './ingestRows.js';
import { IngestMeter } from './ingestMeter.js';
import { chunksInMysql, InTurn } from './ingestTurns.js';

export interface IngestDeps {
  readonly config: Config;
  readonly mysql: Mysql;
  readonly stores: readonly Store[];
  readonly readChunks: ReadChunks;
  readonly contentOf: (plan: IngestPlan) => ContentCheck;
  /** As triggers and copies see the table. */
  readonly definitionOf: (table: string) => Promise<Definition>;
}

export interface IngestHooks {
  beat(): void;
  trouble(error: LockstepError | null): void;
  progress(progress: IngestProgress): void;
}

export interface LoadRequest {
  /** Without it, only what is in MySQL is brought into the stores. */
  readonly readOn: boolean;
  readonly sliceMs: number;
}

/** What is under way at an abort gets this long to land; what does not is landed by whoever goes on. */
const graceMs = 3_000;

/** One chunk as it goes into MySQL for the log road: its marker is drawn before its transaction. */
interface Road {
  carryOf(marker: string | null, fresh: boolean): Carry;
  readonly markers: MarkerWatch | null;
}

export async function loadFiles(
  deps: IngestDeps,
  name: string,
  how: LoadRequest,
  signal: AbortSignal,
  hooks: IngestHooks,
): Promise<LoadOutcome> {
  const ingest = await takeIngest(deps, name);
  const giveUp = new AbortController();
  const grace = (): void => void sleep(graceMs, undefined, { ref: false }).then(() => giveUp.abort());
  signal.addEventListener('abort', grace, { once: true });
  const sessions: Session[] = [];
  try {
    for (let i = 0; how.readOn && i < chunksInMysql; i++)
      sessions.push(await deps.mysql.session({ sqlMode: ingestMode, idleInTransaction: 5 }));
    return await new Loading(deps, ingest, sessions, how, signal, giveUp.signal, hooks).run();
  } catch (error) {
    if (error instanceof IngestTaken || error instanceof Stopped) return { kind: 'stopped' };
    throw error;
  } finally {
    signal.removeEventListener('abort', grace);
    giveUp.abort();
    for (const session of sessions) session.destroy();
  }
}

/** A number 0 in the file is 0, and dates are what the file says. */
const ingestMode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO';

async function takeIngest({ mysql }: IngestDeps, name: string): Promise<Ingest> {
  const { stateDatabase } = mysql.config;
  return await mysql.transaction(async (queries) => {
    const ingest = await lockIngest(queries, stateDatabase, name);
    if (ingest === null) throw new LockstepError('LS-INGEST-UNKNOWN', `there is no ingest ${name}`);
    // An attempt that was frozen before it got here, and wakes up when the table is streaming.
    if (ingest.phase !== 'loading') throw new LockstepError('LS-INGEST-DONE', `the load of ingest ${name} is over`);
    return { ...ingest, epoch: await raiseIngestEpoch(queries, stateDatabase, ingest.id) };
  });
}

class Loading {
  readonly #deps: IngestDeps;
  readonly #ingest: Ingest;
  readonly #sessions: readonly Session[];
  readonly #how: LoadRequest;
  readonly #signal: AbortSignal;
  readonly #giveUp: AbortSignal;
  readonly #hooks: IngestHooks;
  readonly #stateDatabase: string;

  constructor(
    deps: IngestDeps,
    ingest: Ingest,
    sessions: readonly Session[],
    how: LoadRequest,
    signal: AbortSignal,
    giveUp: AbortSignal,
    hooks: IngestHooks,
  ) {
    this.#deps = deps;
    this.#ingest = ingest;
    this.#sessions = sessions;
    this.#how = how;
    this.#signal = signal;
    this.#giveUp = giveUp;
    this.#hooks = hooks;
    this.#stateDatabase = deps.mysql.config.stateDatabase;
  }

  async run(): Promise<LoadOutcome> {
    const { mysql, config, stores } = this.#deps;
    const definition = await this.#deps.definitionOf(this.#ingest.table);
    const plan = { ...this.#ingest.plan, definition };
    const landing: LandingContext = { config, mysql, definition, stores, signal: this.#giveUp };
    const counts = await readCounts(mysql, this.#stateDatabase, this.#ingest.id);
    const meter = new IngestMeter(this.#deps, this.#ingest, counts, this.#hooks);
    const road = await this.#openRoad(landing, meter);
    await meter.begin();
    const landings = new Landings(mysql, this.#stateDatabase, this.#ingest.id, meter);
    try {
      if (!(await this.#landLeftOver(landing, road, landings))) return { kind: 'stopped' };
      const outcome: LoadOutcome = this.#how.readOn
        ? await this.#loadChunks(plan, landing, road, landings, meter)
        : { kind: 'loaded' };
      await landings.drain();
      return outcome;
    } finally {
      await landings.settle();
      await meter.end();
    }
  }

  async #openRoad(landing: LandingContext, meter: IngestMeter): Promise<Road> {
    const { config, stores, mysql } = this.#deps;
    if (this.#ingest.road === 'direct') {
      const writers = await Promise.all(stores.map((store) => DirectWriter.open(store, this.#ingest.id)));
      return { markers: null, carryOf: (_, fresh) => carryDirectly(landing, writers, fresh) };
    }
    const captured = (await readCapturedTables(mysql, this.#stateDatabase)).find(
      ({ name }) => name === this.#ingest.table,
    );
    if (captured === undefined) {
      throw new LockstepError('LS-TABLE-UNKNOWN', `table ${this.#ingest.table} is not captured any more`);
    }
    const { table, database } = landing.definition;
    const markers = new MarkerWatch({
      mysql,
      stateDatabase: this.#stateDatabase,
      stores,
      shards: config.apply.shards,
      topic: tableTopic(config.kafka.topicPrefix, database, table),
      signal: this.#giveUp,
      trouble: (error) => meter.standsInTheWay(error),
    });
    const scope = { ...landing, stateDatabase: this.#stateDatabase, tableId: captured.id };
    return { markers, carryOf: (marker) => carryThroughLog(scope, markers, marker) };
  }

  /** Chunks that are in MySQL and of which nobody knows whether they are in the stores. False: told to end before all were. */
  async #landLeftOver(landing: LandingContext, road: Road, landings: Landings): Promise<boolean> {
    const { mysql } = this.#deps;
    for (;;) {
      const open = await readOpenChunks(mysql, this.#stateDatabase, this.#ingest.id, 8);
      if (open.length === 0) return true;
      if (this.#signal.aborted) return false;
      for (const { number, accepted, keys } of open) {
        this.#hooks.beat();
        const { images } = await readImages(mysql, landing.definition, keysCondition(landing.definition, keys));
        landings.add(land(landing, { number, accepted, images }, road.carryOf(null, false)));
      }
      await landings.drain();
    }
  }

  async #loadChunks(
    plan: IngestPlan,
    landing: LandingContext,
    road: Road,
    landings: Landings,
    meter: IngestMeter,
  ): Promise<LoadOutcome> {
    const { mysql, readChunks, contentOf } = this.#deps;
    const { options } = this.#ingest;
    const found = await readNextPoint(mysql, this.#stateDatabase, this.#ingest.id);
    if (tooManyRejects()) return { kind: 'too-many-rejects' };
    if (found === null || plan.records === 0) return { kind: 'loaded' };
    const context: ChunkContext = {
      stateDatabase: this.#stateDatabase,
      ingest: this.#ingest,
      rows: rowsContext(plan, options.mode, await readTraits(mysql, plan.definition.database, plan.definition.table)),
      content: contentOf(plan),
      signal: this.#signal,
      beat: () => this.#hooks.beat(),
      beforeCommit: async (queries) => {
        if (road.markers === null) return null;
        const marker = randomUUID();
        await insertMarker(queries, this.#stateDatabase, marker);
        return marker;
      },
    };
    const endsAt = performance.now() + this.#how.sliceMs;
    const inTurn = new InTurn(this.#sessions, (chunk, place) => bringIn(context, chunk, place));
    try {
      for await (const chunk of ahead(readChunks(plan, found === 'first' ? beginning : found, this.#signal))) {
        if (this.#signal.aborted) return { kind: 'stopped' };
        await landings.below(meter.pace.chunksAtOnce);
        if (meter.shouldStandStill) {
          const outcome = await settle(0);
          if (outcome !== null) return outcome;
          const since = performance.now();
          await landings.drain();
          await meter.measureAtRest(since);
        }
        const began = performance.now();
        inTurn.begin(chunk);
        meter.working(inTurn.size);
        // Beside others one at a time, and a rest behind each; else the next one is begun while this one is compared.
        const outcome = await settle(meter.pace.share < 1 ? 0 : 1);
        if (outcome !== null) return outcome;
        await this.#rest(restMs(meter.pace, performance.now() - began));
      }
      return (await settle(0)) ?? (this.#signal.aborted ? { kind: 'stopped' } : { kind: 'loaded' });
    } finally {
      await inTurn.end();
      meter.working(0);
    }

    async function settle(left: number): Promise<LoadOutcome | null> {
      for (let brought = await inTurn.first(left); brought !== null; brought = await inTurn.first(left)) {
        meter.brought(brought);
        if (brought.images.length > 0) {
          landings.add(land(landing, brought, road.carryOf(brought.marker, options.mode === 'insert')));
        }
        if (tooManyRejects()) return { kind: 'too-many-rejects' };
        // Behind the last chunk the file's end is read on: only there its content is held against the planned one.
        if (brought.next !== null && performance.now() > endsAt) return { kind: 'more' };
        inTurn.goOn();
        meter.working(inTurn.size);
      }
      return null;
    }

    function tooManyRejects(): boolean {
      return options.maxRejects !== null && meter.counts.rejected > options.maxRejects;
    }
  }

  async #rest(ms: number): Promise<void> {
    const until = performance.now() + ms;
    for (let left = ms; left > 1 && !this.#signal.aborted; left = until - performance.now()) {
      this.#hooks.beat();
      await sleep(Math.min(left, 100));
    }
  }
}

/** The next chunk is read while MySQL works on this one. */
async function* ahead(chunks: AsyncIterable<FileChunk>): AsyncIterable<FileChunk> {
  const iterator = chunks[Symbol.asyncIterator]();
  let next = iterator.next();
  try {
    for (;;) {
      const result: IteratorResult<FileChunk, unknown> = await next;
      if (result.done === true) return;
      next = iterator.next();
      // A failure to read shows when its chunk's turn comes; until then it must not count as unhandled.
      next.catch(() => undefined);
      yield result.value;
    }
  } finally {
    await iterator.return?.();
  }
}
