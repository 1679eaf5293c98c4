/**
 * Settles whether keys that look different drift, in generations, while the table and the stores go on changing.
 *
 * A generation: V0, ends of the log known before anything is read. The row is read: R. A marker is written behind that, M, and
 * resolved: V1. The store is read once it has passed V1, content and position at one moment: C at P. The key's last event
 * in [V0, P), if there is one: E.
 *
 * - C is what R asks for: the key was right when R was read.
 * - No E: the row did not change from before R was read until P, so C should be what R asks for. It is not: suspect.
 * - C is not what E left: the store is not what the log says at its own position: suspect.
 * - C is what E left, and E lies at or behind V1, or its seq is larger than M's: it was committed after R was read, and the
 *   key was right then.
 * - C is what E left, and E is older than M: it may be older than R or newer. The next generation tells.
 *
 * E is newer than R and older than M only when it was made in the moment between the two statements: the slower capture, the
 * log and the stores are, the surer a key that goes on changing has a newer event. So hot keys are settled, not waited out.
 *
 * A key that is suspect in two generations running drifts. The second one spares whatever was parked and freed, or copied,
 * between two of our looks.
 */
import type { Definition, DefinitionHash } from '../core/definition.js';
import type { KeyText } from '../core/drift.js';
import { LockstepError } from '../core/errors.js';
import { partitionOf } from '../core/partitioner.js';
import { partitionName, type OffsetVector, type PartitionName } from '../core/position.js';
import type { Content, RowVerdict, Store, StoreName } from '../core/store.js';
import { errorNumber } from '../stores/mysql/failure.js';
import { readRowsAt } from '../stores/mysql/readRows.js';
import { readMeta, type Meta } from '../stores/mysql/state.js';
import { scanLog, wantedAt, type LogEvent, type Scan, type Span } from './logScan.js';
import type { Marked } from './passing.js';
import { ownPart, type SweepContext, type SweptTable } from './sweepContext.js';

/** A key and store that drift, with everything that was read of it last. */
export interface Suspicion {
  readonly key: KeyText;
  readonly store: StoreName;
  readonly row: Buffer | null;
  readonly content: Content;
  readonly verdict: Exclude<RowVerdict, { readonly kind: 'equal' | 'expired' }>;
  readonly partition: PartitionName;
  /** Where the store stood when it was read. */
  readonly position: number;
}

export interface Settled {
  readonly drift: readonly Suspicion[];
  readonly expired: number;
}

/** Keys of one generation: one statement, one script, one find. */
const groupKeys = 300;
/** A key that changes at every look is settled by the log; more looks than this would be a mistake of ours. */
const mostGenerations = 500;
const noSuchTable = 1146;

export async function settle(
  context: SweepContext,
  table: SweptTable,
  keys: ReadonlyMap<KeyText, readonly StoreName[]>,
): Promise<Settled> {
  const all = [...keys];
  const drift: Suspicion[] = [];
  let expired = 0;
  for (let from = 0; from < all.length; from += groupKeys) {
    const group = await new Settling(context, table, all.slice(from, from + groupKeys)).run();
    drift.push(...group.drift);
    expired += group.expired;
  }
  return { drift, expired };
}

type Rows = Awaited<ReturnType<typeof readRowsAt>>;

class Settling {
  readonly #context: SweepContext;
  readonly #table: SweptTable;
  /** What is open, by store: whether the generation before found it suspect. */
  readonly #open = new Map<StoreName, Map<KeyText, boolean>>();
  readonly #drift: Suspicion[] = [];
  #expired = 0;

  constructor(context: SweepContext, table: SweptTable, keys: readonly (readonly [KeyText, readonly StoreName[]])[]) {
    this.#context = context;
    this.#table = table;
    for (const [key, stores] of keys) {
      for (const store of stores) {
        const open = this.#open.get(store) ?? new Map<KeyText, boolean>();
        this.#open.set(store, open.set(key, false));
      }
    }
  }

  async run(): Promise<Settled> {
    let before = await this.#context.passing.resolved();
    for (let generation = 1; this.#open.size > 0; generation++) {
      if (generation > mostGenerations) {
        throw new LockstepError(
          'LS-SWEEP-STOPPED',
          `keys of ${this.#table.name} do not settle: the log is cut all the time`,
        );
      }
      before = await this.#generation(before);
    }
    return { drift: this.#drift, expired: this.#expired };
  }

  async #generation(before: OffsetVector): Promise<OffsetVector> {
    const { context, definition } = { context: this.#context, definition: this.#table.definition };
    const keys = [...new Set([...this.#open.values()].flatMap((open) => [...open.keys()]))];
    const rows = await this.#rowsOf(definition, keys);
    const marked = await context.passing.marked();
    const own = ownPart(marked.ends, this.#table.topic);
    const looks = await Promise.all(
      context.stores
        .filter(({ name }) => this.#open.has(name))
        .map(async (store) => {
          await context.passing.passed(store.name, own);
          return this.#look(store, rows, own);
        }),
    );
    const different = looks.flat().filter((look) => look !== null);
    const { events, cutOff } = await this.#scan(different, before);
    const definitions = await this.#definitionsOf([...events.values()].flat());
    const { incarnation } = different.length === 0 ? { incarnation: null } : await this.#meta();
    for (const look of different) {
      // The log was cut or replaced under us: what it held cannot be told, so nothing is told.
      if (cutOff.has(look.partition)) this.#open.get(look.store)?.set(look.key, false);
      else this.#decide(look, events.get(look.key) ?? [], { ...marked, incarnation }, definitions);
    }
    for (const [store, open] of this.#open) if (open.size === 0) this.#open.delete(store);
    return marked.ends;
  }

  /**
   * Read behind the resolved marker: whoever answered it, or somebody later, wrote it. A failover in between has minted
   * another one, and what the seqs of the lost server say counts for nothing.
   */
  async #meta(): Promise<Pick<Meta, 'incarnation'>> {
    const { mysql, stateDatabase } = this.#context;
    return (await readMeta(mysql, stateDatabase)) ?? { incarnation: null };
  }

  /** A table that was dropped has none; whoever concludes from that asks first whether it was. */
  async #rowsOf(definition: Definition, keys: readonly KeyText[]): Promise<Rows> {
    try {
      return await readRowsAt(this.#context.mysql, definition, keys);
    } catch (error) {
      if (errorNumber(error) === noSuchTable) return new Map();
      throw error;
    }
  }

  /** What a store holds of its open keys. Those that are right are closed; null for what says nothing this time. */
  async #look(store: Store, rows: Rows, own: OffsetVector): Promise<readonly (Suspicion | null)[]> {
    const { config } = this.#context;
    const { target, definition, topic } = this.#table;
    const open = this.#open.get(store.name) ?? new Map<KeyText, boolean>();
    const keys = [...open.keys()];
    const held = await store.read(
      target,
      definition,
      keys.map((key) => Buffer.from(key)),
      config.apply.shards,
    );
    return keys.map((key, i) => {
      const bytes = Buffer.from(key);
      const content = held.contents[i] ?? { kind: 'absent' };
      const number = partitionOf(bytes, this.#table.partitions);
      const partition = partitionName(topic, number);
      const position = held.shards[number % config.apply.shards]?.positions.get(partition)?.offset ?? 0;
      // The store fell back behind what it had passed: this look is worth nothing.
      if (position < (own.get(partition) ?? 0)) return null;
      const row = rows.get(key)?.row ?? null;
      const verdict = store.judge(target, definition, content, { key: bytes, row });
      if (verdict.kind === 'equal' || verdict.kind === 'expired') {
        if (verdict.kind === 'expired') this.#expired += 1;
        open.delete(key);
        return null;
      }
      return { key, store: store.name, row, content, verdict, partition, position };
    });
  }

  /** Events of the differing keys from V0 to where each store stood, the farther one. */
  async #scan(looks: readonly Suspicion[], before: OffsetVector): Promise<Scan> {
    const spans = new Map<PartitionName, Span>();
    for (const { partition, position } of looks) {
      const from = before.get(partition) ?? 0;
      spans.set(partition, { from, to: Math.max(position, spans.get(partition)?.to ?? 0) });
    }
    const { reader, signal, beat } = this.#context;
    return scanLog(reader(), spans, wantedAt(looks), signal, beat);
  }

  /** An event landed under its own definition, whatever the table's is now. */
  async #definitionsOf(events: readonly LogEvent[]): Promise<ReadonlyMap<DefinitionHash, Definition>> {
    const known = new Map([[this.#table.hash, this.#table.definition]]);
    for (const { definition } of events) {
      if (known.has(definition)) continue;
      const found = await this.#context.definitionOf(definition);
      if (found !== null) known.set(definition, found);
    }
    return known;
  }

  #decide(
    look: Suspicion,
    events: readonly LogEvent[],
    marker: Marked & Pick<Meta, 'incarnation'>,
    definitions: ReadonlyMap<DefinitionHash, Definition>,
  ): void {
    const open = this.#open.get(look.store);
    const event = events.filter(({ offset }) => offset < look.position).at(-1);
    const store = this.#context.stores.find(({ name }) => name === look.store);
    if (open === undefined || store === undefined) return;
    if (event !== undefined && isWhatItLeft(store, this.#table, look, event, definitions)) {
      if (isBehind(event, look.partition, marker)) open.delete(look.key);
      else open.set(look.key, false);
      return;
    }
    if (open.get(look.key) !== true) {
      open.set(look.key, true);
      return;
    }
    open.delete(look.key);
    this.#drift.push(look);
  }
}

/** Whether an event was surely made after its key's row was read. */
function isBehind(
  event: LogEvent,
  partition: PartitionName,
  { ends, seq, incarnation }: Marked & Pick<Meta, 'incarnation'>,
): boolean {
  if (event.offset >= (ends.get(partition) ?? 0)) return true;
  return event.incarnation === incarnation && event.seq > seq;
}

/** Whether a store's content of a key is what an event left there. */
export function isWhatItLeft(
  store: Store,
  table: SweptTable,
  { key, content }: Pick<Suspicion, 'key' | 'content'>,
  event: LogEvent,
  definitions: ReadonlyMap<DefinitionHash, Definition>,
): boolean {
  const definition = definitions.get(event.definition);
  if (definition === undefined) return false;
  const { kind } = store.judge(table.target, definition, content, { key: Buffer.from(key), row: event.after });
  return kind === 'equal' || kind === 'expired';
}
