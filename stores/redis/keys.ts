/**
 * Keys read back: found by their prefix and taken apart to table and key text. Another pipeline's prefix may begin with
 * ours (`p` and `p:q`): its keys are told by its claim, and are none of ours.
 */
import type { Redis } from 'ioredis';
import type { Definition } from '../../core/definition.js';
import { LockstepError } from '../../core/errors.js';
import { keyTextOf } from '../../core/keyText.js';
import { redisPart } from '../../core/names.js';
import type { Entries, Entry, Target } from '../../core/store.js';
import { parseInfo } from './info.js';
import { claimKey } from './shardState.js';

const scanCount = 1_000;
/** Of keys that are nearly all someone else's. */
const wideScanCount = 10_000;

/** Keys that begin with a text and go on with a glob; SCAN may name one twice. */
export async function* scanAll(
  client: Redis,
  prefix: string,
  glob: string,
  count = scanCount,
): AsyncIterable<string[]> {
  let cursor = '0';
  do {
    const [next, keys] = await client.scan(cursor, 'MATCH', pattern(prefix, glob), 'COUNT', count);
    cursor = next;
    yield keys;
  } while (cursor !== '0');
}

function pattern(prefix: string, glob: string): string {
  return prefix.replaceAll(/[\\*?[\]]/g, (c) => `\\${c}`) + glob;
}

/** Beginnings of the keys that belong to other pipelines, whose prefix begins with ours. */
export async function foreignHeads(client: Redis, keyPrefix: string): Promise<readonly string[]> {
  const claim = claimKey('');
  const heads: string[] = [];
  for await (const keys of scanAll(client, `${keyPrefix}:`, `*${claim}`, wideScanCount)) {
    for (const key of keys) heads.push(`${key.slice(0, key.length - claim.length)}:`);
  }
  return heads;
}

export async function* scanKeys(
  client: Redis,
  keyPrefix: string,
  target: Target,
  definition: Definition,
): AsyncIterable<readonly string[]> {
  const head = `${keyPrefix}:${redisPart(target.table)}:`;
  const foreign = (await foreignHeads(client, keyPrefix)).filter((other) => nested(other, head));
  for await (const keys of scanAll(client, head, '*')) {
    const texts: string[] = [];
    for (const key of keys) {
      const parts = key.slice(head.length).split(':');
      if (parts.length !== definition.key.length || foreign.some((other) => key.startsWith(other))) continue;
      texts.push(keyTextOf(definition, parts.map(partText)));
    }
    if (texts.length > 0) yield texts;
  }
}

/** Whether keys of the one may be keys of the other. */
function nested(a: string, b: string): boolean {
  return a.startsWith(b) || b.startsWith(a);
}

function partText(escaped: string): string {
  return escaped.replaceAll('%3A', ':').replaceAll('%25', '%');
}

interface Tables {
  readonly target: Target;
  readonly definition: Definition;
}

/** A part of the keyspace. A place is the server's run, the cursor, and what was known of others when the scan began. */
export async function readEntries(
  client: Redis,
  keyPrefix: string,
  tables: readonly Tables[],
  from: string | null,
  { limit, everything }: { readonly limit: number; readonly everything: boolean },
): Promise<Entries> {
  const run = parseInfo(await client.info('server')).get('run_id') ?? '';
  const place = from === null ? null : (JSON.parse(from) as Place);
  if (place !== null && place.run !== run) {
    throw new LockstepError('LS-SWEEP-PLACE-LOST', 'Redis was restarted while its keys were read');
  }
  const foreign = place?.foreign ?? (await foreignHeads(client, keyPrefix));
  const byTable = new Map(tables.map((table) => [table.target.table, table]));
  const [only] = tables;
  const head = `${keyPrefix}:${everything || only === undefined || tables.length > 1 ? '' : `${redisPart(only.target.table)}:`}`;
  const entries: Entry[] = [];
  let cursor = place?.cursor ?? '0';
  do {
    const [next, keys] = await client.scan(cursor, 'MATCH', pattern(head, '*'), 'COUNT', scanCount);
    cursor = next;
    for (const key of keys) {
      if (foreign.some((other) => key.startsWith(other))) continue;
      const entry = entryOf(key, key.slice(keyPrefix.length + 1), byTable);
      if (entry !== null && (everything || byTable.has(entry.table))) entries.push(entry);
    }
  } while (cursor !== '0' && entries.length < limit);
  return { entries, next: cursor === '0' ? null : JSON.stringify({ run, cursor, foreign } satisfies Place) };
}

interface Place {
  readonly run: string;
  readonly cursor: string;
  readonly foreign: readonly string[];
}

/** Null for lockstep's own state: an empty table name cannot exist. */
function entryOf(key: string, behindPrefix: string, tables: ReadonlyMap<string, Tables>): Entry | null {
  const [first = '', ...rest] = behindPrefix.split(':');
  if (first === '') return null;
  const table = partText(first);
  const definition = tables.get(table)?.definition;
  if (definition === undefined || rest.length !== definition.key.length) return { table, key, isKey: false };
  const parts = rest.map(partText);
  // Another spelling of the same parts would be another entry.
  const same = rest.every((part, i) => redisPart(parts[i] ?? '') === part);
  return same ? { table, key: keyTextOf(definition, parts), isKey: true } : { table, key, isKey: false };
}
