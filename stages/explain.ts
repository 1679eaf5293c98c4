/**
 * One key's story: its row, what waits in the change log, what the log told of it, what each store holds and where it
 * stands, what was parked, found and repaired. Reads only. It holds values of the row: for the terminal of whoever asks.
 */
import type { Definition } from '../core/definition.js';
import { LockstepError } from '../core/errors.js';
import { keyColumns } from '../core/definition.js';
import { keyTextOf } from '../core/keyText.js';
import { tableTopic } from '../core/names.js';
import { partitionOf } from '../core/partitioner.js';
import { partitionName } from '../core/position.js';
import type { Content, RowVerdict, SourceRow, Store, StoreName } from '../core/store.js';
import { targetOf } from '../core/target.js';
import type { Config } from '../core/config.js';
import type { Reader } from '../stores/kafka/reader.js';
import type { Mysql } from '../stores/mysql/connection.js';
import { asCount, asText } from '../stores/mysql/cell.js';
import { readDrift, type RecordedDrift } from '../stores/mysql/drift.js';
import { errorNumber } from '../stores/mysql/failure.js';
import { readRepairs } from '../stores/mysql/repairs.js';
import { readSwept } from '../stores/mysql/swept.js';
import { atKeyText, asMysqlPrints } from '../stores/mysql/keyLookup.js';
import { keyHash, readParked } from '../stores/mysql/parked.js';
import { quoteTable } from '../stores/mysql/quote.js';
import { readRowsAt } from '../stores/mysql/readRows.js';
import { readDefinition, readKnownTables, type KnownTable } from '../stores/mysql/state.js';
import { scanLog, type LogEvent } from './logScan.js';

export interface ExplainDeps {
  readonly config: Config;
  readonly mysql: Mysql;
  readonly reader: Reader;
  readonly stores: readonly Store[];
}

export interface KeyStory {
  readonly table: string;
  /** Key text `{"pk1":…}`. */
  readonly key: string;
  /** What was asked for, where it is another spelling of that key: MySQL takes them for one. Else null. */
  readonly asked: string | null;
  /** Asked for by its very bytes: the key text of the row that MySQL finds under it, where that is another. Else null. */
  readonly alike: string | null;
  readonly row: string | null;
  /** Changes that are committed in MySQL and not yet in the log. */
  readonly pending: readonly { readonly seq: number; readonly op: string; readonly at: string }[];
  readonly log: {
    readonly partition: string;
    readonly end: number;
    /** The log began later than the key's first event may have come. */
    readonly cutOff: boolean;
    readonly events: readonly {
      readonly offset: number;
      readonly seq: number;
      readonly op: string;
      readonly at: string;
      readonly after: string | null;
      readonly definition: string;
    }[];
  };
  readonly stores: readonly StoreStory[];
  readonly parked: readonly { readonly where: 'capture' | StoreName; readonly reason: string; readonly seq: number }[];
  readonly drift: readonly RecordedDrift[];
  readonly repairs: Awaited<ReturnType<typeof readRepairs>>;
}

export interface StoreStory {
  readonly store: StoreName;
  readonly content: string | null;
  readonly expiresAt: string | null;
  /** Next offset that the store reads of the key's partition. */
  readonly position: number;
  readonly verdict: RowVerdict;
  /** The key's last event before that position. */
  readonly lastApplied: { readonly offset: number; readonly seq: number } | null;
  /** Whether the store is as that event left it; null: the log holds none. */
  readonly asTheLogSays: boolean | null;
  readonly verifiedThrough: string | null;
}

/** Records of the partition that are read back from its end. */
const mostRecords = 1_000_000;
const shownEvents = 20;
const never = new AbortController().signal;

/** Throws LS-TABLE-UNKNOWN, and LS-USAGE for a text that is no key of the table. */
export async function explain(deps: ExplainDeps, name: string, given: string): Promise<KeyStory> {
  const { config, mysql, stores } = deps;
  const { stateDatabase } = config.mysql;
  const table = (await readKnownTables(mysql, stateDatabase)).find((one) => one.name === name);
  if (table === undefined) throw new LockstepError('LS-TABLE-UNKNOWN', `${name} was never captured`);
  const definition = await readDefinition(mysql, stateDatabase, table.definition);
  if (definition === null) throw new LockstepError('LS-INTERNAL', `the definition of ${name} is not recorded`);
  const { key, asked, alike, row } = await keyGiven(mysql, table, definition, given);
  const topic = tableTopic(config.kafka.topicPrefix, definition.database, definition.table);
  const ends = await deps.reader.endOffsets([topic]);
  const number = partitionOf(Buffer.from(key), Math.max(1, ends.size));
  const partition = partitionName(topic, number);
  const end = ends.get(partition) ?? 0;
  const span = { from: Math.max(0, end - mostRecords), to: end };
  const scan = await scanLog(deps.reader, new Map([[partition, span]]), new Map([[key, []]]), never, () => undefined);
  const events = scan.events.get(key) ?? [];
  const swept = (await readSwept(mysql, stateDatabase)).filter((one) => one.name === name);
  const told = await Promise.all(
    stores.map(async (store): Promise<StoreStory> => {
      const through = swept.find((one) => one.store === store.name)?.through ?? null;
      const story = await storeStory(deps, store, { table, definition, key, row, number, partition, events });
      return { ...story, verifiedThrough: through === null ? null : iso(through) };
    }),
  );
  return {
    table: name,
    key,
    asked,
    alike,
    row: row?.toString() ?? null,
    pending: await pendingOf(mysql, table, key),
    log: {
      partition,
      end,
      cutOff: scan.cutOff.has(partition) || span.from > 0,
      events: events.slice(-shownEvents).map(({ offset, seq, op, at, after, definition: hash }) => ({
        offset,
        seq,
        op,
        at: iso(at),
        after: after?.toString() ?? null,
        definition: hash,
      })),
    },
    stores: told,
    parked: await parkedOf(deps, table, key),
    drift: await readDrift(mysql, stateDatabase, { table: name, key }, 100),
    repairs: await readRepairs(mysql, stateDatabase, name, key, 100),
  };
}

interface Subject {
  readonly table: KnownTable;
  readonly definition: Definition;
  readonly key: string;
  readonly row: Buffer | null;
  readonly number: number;
  readonly partition: string;
  readonly events: readonly LogEvent[];
}

async function storeStory(
  { config, mysql }: ExplainDeps,
  store: Store,
  { table, definition, key, row, number, partition, events }: Subject,
): Promise<Omit<StoreStory, 'verifiedThrough'>> {
  const target = targetOf(table.name, config);
  const bytes = Buffer.from(key);
  const held = await store.read(target, definition, [bytes], config.apply.shards);
  const content = held.contents[0] ?? { kind: 'absent' };
  const position = held.shards[number % config.apply.shards]?.positions.get(partition)?.offset ?? 0;
  const last = events.filter(({ offset }) => offset < position).at(-1);
  const landed = last === undefined ? null : await readDefinition(mysql, config.mysql.stateDatabase, last.definition);
  const left =
    last === undefined || landed === null
      ? null
      : store.judge(target, landed, content, { key: bytes, row: last.after });
  return {
    store: store.name,
    content: shown(store, content),
    expiresAt: 'expiresAt' in content && content.expiresAt !== null ? iso(content.expiresAt) : null,
    position,
    verdict: store.judge(target, definition, content, { key: bytes, row }),
    lastApplied: last === undefined ? null : { offset: last.offset, seq: last.seq },
    asTheLogSays: left === null ? null : left.kind === 'equal' || left.kind === 'expired',
  };
}

function shown(store: Store, content: Content): string | null {
  switch (content.kind) {
    case 'absent':
      return null;
    case 'bytes':
      return store.text(content.bytes);
    case 'fields':
      return JSON.stringify(Object.fromEntries([...content.fields].map(([name, value]) => [name, value.toString()])));
    case 'other':
      return `(a ${content.type})`;
  }
}

type Asked = Pick<KeyStory, 'key' | 'asked' | 'alike'> & { readonly row: Buffer | null };

/**
 * Key text, or the values of the key columns as a JSON array, or the one value as it stands. MySQL finds a row under other
 * spellings than its own (another case, `007` for a DECIMAL): values mean the row that it finds, key text its very bytes.
 */
async function keyGiven(mysql: Mysql, table: KnownTable, definition: Definition, given: string): Promise<Asked> {
  const key = await keyTextGiven(mysql, definition, given);
  const found = table.removed ? new Map<string, SourceRow>() : await rowsUnder(mysql, definition, key);
  const exact = found.get(key);
  const [other] = found.keys();
  if (exact !== undefined || other === undefined) return { key, asked: null, alike: null, row: exact?.row ?? null };
  if (given === key) return { key, asked: null, alike: other, row: null };
  return { key: other, asked: key, alike: null, row: found.get(other)?.row ?? null };
}

/** Values that no date is, and the like, which MySQL refuses to compare with. */
const incomparable = new Set([1292, 1525]);

async function rowsUnder(mysql: Mysql, definition: Definition, key: string): ReturnType<typeof readRowsAt> {
  try {
    return await readRowsAt(mysql, definition, [key]);
  } catch (error) {
    if (incomparable.has(errorNumber(error))) throw noKey(definition, error);
    throw error;
  }
}

async function keyTextGiven(mysql: Mysql, definition: Definition, given: string): Promise<string> {
  const columns = keyColumns(definition);
  const candidates = given.startsWith('{')
    ? [given, membersOf(definition, given)]
    : [
        given.startsWith('[') ? listOf(definition, given) : null,
        columns.length === 1 ? keyTextOf(definition, [given]) : null,
      ];
  for (const candidate of candidates) {
    if (candidate === null || atKeyText(definition, candidate) === null) continue;
    const [printed] = await asMysqlPrints(mysql, definition, [candidate]);
    return printed ?? candidate;
  }
  throw noKey(definition);
}

function noKey(definition: Definition, cause?: unknown): LockstepError {
  const example = `{${definition.key.map((name) => `${JSON.stringify(name)}:…`).join(',')}}`;
  return new LockstepError(
    'LS-USAGE',
    `that is no key of ${definition.table}; allowed: ${example}, or the values with commas in [ ]`,
    { cause },
  );
}

/** The members in another order or spacing. */
function membersOf(definition: Definition, given: string): string | null {
  const parsed = parsedOf(given);
  if (typeof parsed !== 'object' || parsed === null) return null;
  const parts = definition.key.map((name) => partOf(Reflect.get(parsed, name)));
  return parts.includes(null) ? null : keyTextOf(definition, parts as string[]);
}

function listOf(definition: Definition, given: string): string | null {
  const parsed = parsedOf(given);
  if (!Array.isArray(parsed) || parsed.length !== definition.key.length) return null;
  const parts = parsed.map(partOf);
  return parts.includes(null) ? null : keyTextOf(definition, parts as string[]);
}

function parsedOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function partOf(value: unknown): string | null {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? String(value) : null;
}

async function pendingOf(mysql: Mysql, table: KnownTable, key: string): Promise<KeyStory['pending']> {
  const rows = await mysql.rows(
    `SELECT seq, op, CAST(UNIX_TIMESTAMP(at) * 1000 AS UNSIGNED) FROM ${quoteTable(mysql.config.stateDatabase, 'change_log')}
      WHERE table_id = ? AND \`key\` = ? ORDER BY seq LIMIT 100`,
    [table.id, Buffer.from(key)],
  );
  return rows.map((row) => ({ seq: asCount(row[0]), op: asText(row[1]), at: iso(asCount(row[2])) }));
}

async function parkedOf(
  { mysql, config, stores }: ExplainDeps,
  table: KnownTable,
  key: string,
): Promise<KeyStory['parked']> {
  const hash = keyHash(Buffer.from(key));
  const [inCapture, ...inStores] = await Promise.all([
    readParked(mysql, config.mysql.stateDatabase, 10_000),
    ...stores.map(async (store) => ({ store: store.name, keys: await store.parkedKeys(10_000) })),
  ]);
  const own = inCapture.filter((one) => one.tableId === table.id && keyHash(Buffer.from(one.key)) === hash);
  return [
    ...own.map(({ reason, seq }) => ({ where: 'capture' as const, reason, seq })),
    ...inStores.flatMap(({ store, keys }) =>
      keys
        .filter((one) => one.table === table.name && one.key === key)
        .map(({ reason, seq }) => ({ where: store, reason, seq })),
    ),
  ];
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
