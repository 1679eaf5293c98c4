/** What the passes of a sweep share: its connections, its tables as they were when it began, and whether they still are. */
import type { Config } from '../core/config.js';
import { definitionHash, type Definition, type DefinitionHash } from '../core/definition.js';
import { LockstepError } from '../core/errors.js';
import { withForms } from '../core/forms.js';
import { tableTopic } from '../core/names.js';
import { splitPartitionName, type OffsetVector } from '../core/position.js';
import type { Store, StoreName, Target } from '../core/store.js';
import type { LeftOutReason } from '../core/sweep.js';
import { targetOf } from '../core/target.js';
import type { Reader } from '../stores/kafka/reader.js';
import type { Mysql } from '../stores/mysql/connection.js';
import { isUnderWay, readCopy } from '../stores/mysql/copies.js';
import { readTables } from '../stores/mysql/definitions.js';
import { readDefinition, readKnownTables, type KnownTable } from '../stores/mysql/state.js';
import { Passing, Stopped } from './passing.js';
import type { Pace } from './pace.js';

export interface Circumstances {
  readonly running: boolean;
  readonly paused: boolean;
  readonly pausedTables: readonly string[];
}

export interface SweepDeps {
  readonly config: Config;
  readonly mysql: Mysql;
  readonly stores: readonly Store[];
  /** Each call opens one of its own; the stage closes it. */
  readonly openReader: () => Reader;
  /** Shared by all sweeps of the process. */
  readonly pace: Pace;
  /** What the pipeline says of itself. */
  readonly circumstances: () => Promise<Circumstances>;
}

export interface SweepContext {
  readonly config: Config;
  readonly mysql: Mysql;
  readonly stateDatabase: string;
  /** Those in scope. */
  readonly stores: readonly Store[];
  readonly passing: Passing;
  /** Tables as they were when they were opened: who waits asks now and then whether they still are. */
  readonly opened: Map<string, SweptTable>;
  readonly pace: Pace;
  readonly signal: AbortSignal;
  readonly beat: () => void;
  readonly reader: () => Reader;
  readonly definitionOf: (hash: DefinitionHash) => Promise<Definition | null>;
}

export interface SweptTable {
  readonly name: string;
  readonly tableId: number;
  readonly definition: Definition;
  readonly hash: DefinitionHash;
  readonly target: Target;
  readonly topic: string;
  readonly partitions: number;
  /** The copy that had been made when the table was begun. */
  readonly copyRun: string | null;
}

/** A table cannot be judged for now: an outcome, not a fault. */
export class TableAside extends Error {
  override readonly name = 'TableAside';
  readonly reason: LeftOutReason;

  constructor(reason: LeftOutReason) {
    super(reason);
    this.reason = reason;
  }
}

export interface SweepRun {
  readonly signal: AbortSignal;
  readonly beat: () => void;
}

/** Runs with a context of its own, and closes what it opened. `names`: tables that are waited for; it may change. */
export async function withSweep<T>(
  deps: SweepDeps,
  stores: readonly StoreName[],
  names: ReadonlySet<string>,
  { signal, beat }: SweepRun,
  work: (context: SweepContext) => Promise<T>,
): Promise<T> {
  const { config, mysql, pace } = deps;
  const { stateDatabase } = config.mysql;
  const inScope = deps.stores.filter(({ name }) => stores.includes(name));
  let reader: Reader | null = null;
  const opened = new Map<string, SweptTable>();
  const definitions = new Map<DefinitionHash, Promise<Definition | null>>();
  const reconsider = async (): Promise<void> => {
    const { running, paused, pausedTables } = await deps.circumstances();
    if (!running) throw new LockstepError('LS-SWEEP-STOPPED', `pipeline ${config.pipeline} does not run any more`);
    if (paused || pausedTables.some((name) => names.has(name))) throw new TableAside('paused');
    // A topic that was made anew begins at 0: where the old one was is never reached.
    for (const table of opened.values()) {
      const reason = names.has(table.name) ? await whyAside({ config, mysql, stateDatabase }, table) : null;
      if (reason !== null) throw new TableAside(reason);
    }
  };
  const { shards } = config.apply;
  const passing = new Passing({ queries: mysql, stateDatabase, stores: inScope, shards, signal, beat, reconsider });
  try {
    return await work({
      config,
      mysql,
      stateDatabase,
      stores: inScope,
      passing,
      opened,
      pace,
      signal,
      beat,
      reader: () => (reader ??= deps.openReader()),
      definitionOf(hash) {
        const known = definitions.get(hash) ?? readDefinition(mysql, stateDatabase, hash);
        definitions.set(hash, known);
        return known;
      },
    });
  } finally {
    passing.close();
    // Assigned in a closure, which the compiler does not follow.
    await (reader as Reader | null)?.close();
  }
}

export function stopIfAborted({ signal }: Pick<SweepContext, 'signal'>): void {
  if (signal.aborted) throw new Stopped('the sweep stops');
}

/** How long a marker takes to be passed by every store shows how the stream is: asked where `pace.asks()`. */
export async function askHowItGoes({ passing, pace, stores }: SweepContext, topic: string): Promise<void> {
  try {
    const vector = await passing.resolved();
    await Promise.all(stores.map(({ name }) => passing.passed(name, ownPart(vector, topic))));
    pace.answered(vector);
  } catch (error) {
    pace.answered(null);
    throw error;
  }
}

export function ownPart(vector: OffsetVector, topic: string): OffsetVector {
  return new Map([...vector].filter(([name]) => splitPartitionName(name).topic === topic));
}

/** The table under the definition that its triggers cite. */
export async function openTable(
  context: SweepContext,
  known: Pick<KnownTable, 'id' | 'name' | 'definition'>,
): Promise<SweptTable> {
  const { config, stateDatabase, mysql } = context;
  const definition = await context.definitionOf(known.definition);
  if (definition === null) throw new LockstepError('LS-INTERNAL', `the definition of ${known.name} is not recorded`);
  const topic = tableTopic(config.kafka.topicPrefix, definition.database, definition.table);
  const ends = await context.reader().endOffsets([topic]);
  const table = {
    name: known.name,
    tableId: known.id,
    definition,
    hash: known.definition,
    target: targetOf(known.name, config),
    topic,
    partitions: ends.size === 0 ? config.kafka.partitions : ends.size,
    copyRun: (await readCopy(mysql, stateDatabase, known.id))?.run ?? null,
  };
  context.opened.set(known.name, table);
  return table;
}

/**
 * Whether what was concluded under `table` may stand: it is captured under the same definition, looks like it in MySQL now,
 * and no copy of it was begun since. Null: it may.
 */
export async function whyAside(
  { config, mysql, stateDatabase }: Pick<SweepContext, 'config' | 'mysql' | 'stateDatabase'>,
  table: Pick<SweptTable, 'name' | 'tableId' | 'hash' | 'copyRun'>,
): Promise<LeftOutReason | null> {
  const copy = await readCopy(mysql, stateDatabase, table.tableId);
  if (copy !== null && isUnderWay(copy, config)) return 'copying';
  const known = (await readKnownTables(mysql, stateDatabase)).find(({ name }) => name === table.name);
  const [live] = await readTables(mysql, config.mysql.database, table.name);
  if (live === undefined || known === undefined || known.removed) return 'dropped';
  if (known.definition !== table.hash || definitionHash(withForms(live.definition, config)) !== table.hash)
    return 'changed';
  return copy?.run === table.copyRun ? null : 'changed';
}

export async function refuseIfAside(context: SweepContext, table: SweptTable): Promise<void> {
  const reason = await whyAside(context, table);
  if (reason !== null) throw new TableAside(reason);
}
