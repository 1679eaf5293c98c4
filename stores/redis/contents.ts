/**
 * What lies under keys, held against rows. Two ways to read: many keys at once, for a first look, and a few together with
 * the positions in one script, which is one moment.
 */
import type { Redis } from 'ioredis';
import type { Definition } from '../../core/definition.js';
import { codeOf } from '../../core/errors.js';
import { columnText, scanRow } from '../../core/rowJson.js';
import { redisPart } from '../../core/names.js';
import type { Content, Expected, Held, RowVerdict, SourceRow, Target } from '../../core/store.js';
import { hashFields, keyUnder } from './batchArguments.js';
import { compareScript, readScript, runBuffer } from './scripts.js';
import { fieldMap, stateKey, stateOf } from './shardState.js';

/** Keys of one call: about a millisecond of the server's time. */
const keysAtOnce = 500;
const wholeEntry = ['(type of the key)'];
const expiry = ['(expiry)'];

/** A first look: not one moment. A key of another type looks absent, but where absence would be excused by a TTL. */
export async function compareRows(
  client: Redis,
  keyPrefix: string,
  target: Target,
  definition: Definition,
  rows: readonly SourceRow[],
): Promise<RowVerdict[]> {
  const head = `${keyPrefix}:${redisPart(target.table)}`;
  const groups: Promise<RowVerdict[]>[] = [];
  for (let from = 0; from < rows.length; from += keysAtOnce) {
    groups.push(compareGroup(client, head, target, definition, rows.slice(from, from + keysAtOnce)));
  }
  return (await Promise.all(groups)).flat();
}

async function compareGroup(
  client: Redis,
  head: string,
  target: Target,
  definition: Definition,
  rows: readonly SourceRow[],
): Promise<RowVerdict[]> {
  const keys = rows.map(({ key }) => keyUnder(head, { definition, key }));
  if (target.redis.layout === 'hash') {
    const held = await readContents(client, [], keys);
    return rows.map((row, i) => verdict(target, definition, held[i] ?? { kind: 'absent' }, row));
  }
  const args = [target.redis.ttlMs === null ? 'never' : 'always'];
  const [values, wrong] = (await runBuffer(client, compareScript, keys, args)) as [(Buffer | null)[], number[]];
  const wrongExpiry = new Set(wrong);
  const excused = target.redis.ttlMs === null ? [] : keys.filter((_, i) => !values[i]);
  const others = await readEntries(client, excused);
  return rows.map(({ row }, i) => {
    const value = values[i] ?? null;
    if (value === null) return verdict(target, definition, others.get(keys[i] ?? '') ?? { kind: 'absent' }, { row });
    if (!value.equals(row)) return { kind: 'different', fields: differentColumns(definition, row, value) };
    return wrongExpiry.has(i + 1) ? { kind: 'different', fields: expiry } : { kind: 'equal' };
  });
}

/** Keys and the positions of shards at one moment. */
export async function readAtOnce(
  client: Redis,
  keyPrefix: string,
  target: Target,
  definition: Definition,
  keys: readonly Buffer[],
  shards: number,
): Promise<Held> {
  const head = `${keyPrefix}:${redisPart(target.table)}`;
  const states = Array.from({ length: shards }, (_, shard) => stateKey(keyPrefix, shard));
  const names = keys.map((key) => keyUnder(head, { definition, key }));
  const reply = (await runBuffer(client, readScript, [...states, ...names], [shards])) as RawRead;
  return {
    shards: reply[0].map((flat) => {
      const fields = fieldMap(flat);
      return fields.has('epoch') ? stateOf(fields) : null;
    }),
    contents: reply[1].map(contentOf),
  };
}

type RawEntry = [kind: Buffer, value: Buffer | Buffer[] | null, expiresAt: number];
type RawRead = [states: Buffer[][], entries: RawEntry[]];

async function readContents(client: Redis, states: readonly string[], keys: readonly string[]): Promise<Content[]> {
  const reply = (await runBuffer(client, readScript, [...states, ...keys], [states.length])) as RawRead;
  return reply[1].map(contentOf);
}

/** By key; those that are not there at all are absent. */
async function readEntries(client: Redis, keys: readonly string[]): Promise<ReadonlyMap<string, Content>> {
  if (keys.length === 0) return new Map();
  const contents = await readContents(client, [], keys);
  return new Map(keys.map((key, i) => [key, contents[i] ?? { kind: 'absent' }]));
}

function contentOf([kind, value, expires]: RawEntry): Content {
  const type = kind.toString();
  const expiresAt = expires < 0 ? null : expires;
  if (type === 'none') return { kind: 'absent' };
  if (type === 'string' && Buffer.isBuffer(value)) return { kind: 'bytes', bytes: value, expiresAt };
  if (type !== 'hash' || !Array.isArray(value)) return { kind: 'other', type };
  const fields = new Map<string, Buffer>();
  for (let i = 0; i + 1 < value.length; i += 2) fields.set(String(value[i]), value[i + 1] ?? Buffer.alloc(0));
  return { kind: 'fields', fields, expiresAt };
}

export function verdict(
  target: Target,
  definition: Definition,
  content: Content,
  { row }: Pick<Expected, 'row'>,
): RowVerdict {
  if (content.kind === 'absent') return row === null ? { kind: 'equal' } : absent(target);
  if (row === null) return { kind: 'extra' };
  if (content.kind === 'other') return { kind: 'different', fields: wholeEntry };
  const fields = differentFields(target, definition, content, row);
  if (fields.length > 0) return { kind: 'different', fields };
  const expires = content.expiresAt !== null;
  return expires === (target.redis.ttlMs !== null) ? { kind: 'equal' } : { kind: 'different', fields: expiry };
}

type Present = Extract<Content, { kind: 'bytes' | 'fields' }>;

function differentFields(target: Target, definition: Definition, content: Present, row: Buffer): readonly string[] {
  if (target.redis.layout === 'json') {
    if (content.kind !== 'bytes') return wholeEntry;
    return content.bytes.equals(row) ? [] : differentColumns(definition, row, content.bytes);
  }
  if (content.kind !== 'fields') return wholeEntry;
  const { fields } = content;
  const flat = fieldsOf(definition, row);
  if (flat === null) return ['(no hash can be made of the row)'];
  const expected = new Map<string, string>();
  for (let i = 0; i < flat.length; i += 2) expected.set(flat[i] ?? '', flat[i + 1] ?? '');
  const names = new Set([...expected.keys(), ...fields.keys()]);
  return [...names].filter((name) => {
    const [wanted, stored] = [expected.get(name), fields.get(name)];
    return wanted === undefined || stored === undefined || !stored.equals(Buffer.from(wanted));
  });
}

/** Null for a row that no hash can hold: its key was parked when it came. */
function fieldsOf(definition: Definition, row: Buffer): readonly string[] | null {
  try {
    return hashFields(definition, row);
  } catch (error) {
    if (codeOf(error) !== 'LS-ROW-JSON') throw error;
    return null;
  }
}

/** Names of the columns that differ, where the stored text has the table's columns. */
function differentColumns(definition: Definition, row: Buffer, stored: Buffer): readonly string[] {
  const whole = ['(row JSON)'];
  try {
    const wanted = columnTexts(definition, row);
    const found = columnTexts(definition, stored);
    const names = definition.columns.flatMap(({ name }, i) => (wanted[i] === found[i] ? [] : [name]));
    return names.length > 0 ? names : whole;
  } catch (error) {
    if (codeOf(error) !== 'LS-ROW-JSON') throw error;
    return whole;
  }
}

function columnTexts(definition: Definition, row: Buffer): readonly (string | null)[] {
  const spans = scanRow(definition, row);
  return definition.columns.map((column, i) => columnText(column, row, spans[2 * i] ?? 0, spans[2 * i + 1] ?? 0));
}

function absent(target: Target): RowVerdict {
  return { kind: target.redis.ttlMs === null ? 'missing' : 'expired' };
}
