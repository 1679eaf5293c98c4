/**
 * Keys read back: found by their prefix and taken apart to table and key text. Another pipeline's prefix may begin with
 * ours (`p` and `p:q`): its keys are told by its claim, and are none of ours.
 */
import type { Redis } from 'ioredis';
import { wholeNumberKey, type Definition } from '../../core/definition.js';
import { LockstepError } from '../../core/errors.js';
import { keyTextOf } from '../../core/keyText.js';
import { redisPart } from '../../core/names.js';
import type { Entries, Entry, Target } from '../../core/store.js';
import { parseInfo } from './info.js';
import { claimKey } from './shardState.js';

/** Keys that one call looks at: more where hardly any is ours, so that a crowded server costs few round trips. */
const scanCount = { least: 1_000, most: 10_000 };

function nextCount(count: number, found: number): number {
  return found < count / 20 ? Math.min(scanCount.most, count * 2) : scanCount.least;
}

/** Keys that begin with a text and go on with a glob; SCAN may name one twice. */
export async function* scanAll(client: Redis, prefix: string, glob: string): AsyncIterable<string[]> {
  let cursor = '0';
  let count = scanCount.least;
  do {
    const [next, keys] = await client.scan(cursor, 'MATCH', pattern(prefix, glob), 'COUNT', count);
    cursor = next;
    count = nextCount(count, keys.length);
    yield keys;
  } while (cursor !== '0');
}

function pattern(prefix: string, glob: string): string {
  return prefix.replaceAll(/[\\*?[\]]/g, (c) => `\\${c}`) + glob;
}

/** Whether keys belong to other pipelines, whose prefix begins with ours: their claims stand under their prefixes. */
class Strangers {
  readonly #client: Redis;
  readonly #keyPrefix: string;
  readonly #claimed = new Map<string, boolean>();

  constructor(client: Redis, keyPrefix: string) {
    this.#client = client;
    this.#keyPrefix = keyPrefix;
  }

  async without(keys: readonly string[]): Promise<readonly string[]> {
    const prefixes = keys.map((key) => this.#possible(key));
    const unknown = [...new Set(prefixes.flat())].filter((prefix) => !this.#claimed.has(prefix));
    if (unknown.length > 0) {
      const claims = await this.#client.mget(unknown.map(claimKey));
      for (const [i, prefix] of unknown.entries()) this.#claimed.set(prefix, typeof claims[i] === 'string');
    }
    return keys.filter((_, i) => prefixes[i]?.some((prefix) => this.#claimed.get(prefix) === true) !== true);
  }

  /** Prefixes that leave a table and a part of a key behind them: none for keys of one part. */
  #possible(key: string): readonly string[] {
    if (key.indexOf(':', key.indexOf(':', this.#keyPrefix.length + 1) + 1) < 0) return [];
    const parts = key.slice(this.#keyPrefix.length + 1).split(':');
    return Array.from({ length: Math.max(0, parts.length - 2) }, (_, i) =>
      [this.#keyPrefix, ...parts.slice(0, i + 1)].join(':'),
    );
  }
}

export async function* scanKeys(
  client: Redis,
  keyPrefix: string,
  target: Target,
  definition: Definition,
): AsyncIterable<readonly string[]> {
  const head = `${keyPrefix}:${redisPart(target.table)}:`;
  const strangers = new Strangers(client, keyPrefix);
  for await (const keys of scanAll(client, head, '*')) {
    const texts: string[] = [];
    for (const key of await strangers.without(keys)) {
      const parts = key.slice(head.length).split(':');
      if (parts.length !== definition.key.length) continue;
      texts.push(keyTextOf(definition, parts.map(partText)));
    }
    // Among millions of keys of others none of ours may come for minutes: an empty group says that the look goes on.
    yield texts;
  }
}

function partText(escaped: string): string {
  if (!escaped.includes('%')) return escaped;
  return escaped.replaceAll('%3A', ':').replaceAll('%25', '%');
}

interface Tables {
  readonly target: Target;
  readonly definition: Definition;
}

/** A part of the keyspace. A place is the server's run and the cursor. */
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
  const strangers = new Strangers(client, keyPrefix);
  const byTable = new Map(tables.map((table) => [table.target.table, table]));
  const [only] = tables;
  const head = `${keyPrefix}:${everything || only === undefined || tables.length > 1 ? '' : `${redisPart(only.target.table)}:`}`;
  const entries: Entry[] = [];
  let cursor = place?.cursor ?? '0';
  let count = scanCount.least;
  do {
    const [next, keys] = await client.scan(cursor, 'MATCH', pattern(head, '*'), 'COUNT', count);
    cursor = next;
    count = nextCount(count, keys.length);
    for (const key of await strangers.without(keys)) {
      const entry = entryOf(key, key.slice(keyPrefix.length + 1), byTable);
      if (entry !== null && (everything || byTable.has(entry.table))) entries.push(entry);
    }
  } while (cursor !== '0' && entries.length < limit);
  return { entries, next: cursor === '0' ? null : JSON.stringify({ run, cursor } satisfies Place) };
}

interface Place {
  readonly run: string;
  readonly cursor: string;
}

/** Null for lockstep's own state: an empty table name cannot exist. */
function entryOf(key: string, behindPrefix: string, tables: ReadonlyMap<string, Tables>): Entry | null {
  const numbered = numberedEntry(behindPrefix, tables);
  if (numbered !== null) return numbered;
  const [first = '', ...rest] = behindPrefix.split(':');
  if (first === '') return null;
  const table = partText(first);
  const definition = tables.get(table)?.definition;
  if (definition === undefined || rest.length !== definition.key.length) return { table, key, isKey: false };
  if (!behindPrefix.includes('%')) return { table, key: keyTextOf(definition, rest), isKey: true };
  const parts = rest.map(partText);
  // Another spelling of the same parts would be another entry.
  const same = rest.every((part, i) => redisPart(parts[i] ?? '') === part);
  return same ? { table, key: keyTextOf(definition, parts), isKey: true } : { table, key, isKey: false };
}

/** The usual key, at once: one column of whole numbers, under a name that needs no escapes. */
function numberedEntry(behindPrefix: string, tables: ReadonlyMap<string, Tables>): Entry | null {
  const colon = behindPrefix.indexOf(':');
  if (colon <= 0 || behindPrefix.includes('%')) return null;
  const table = behindPrefix.slice(0, colon);
  const definition = tables.get(table)?.definition;
  const column = definition === undefined ? null : wholeNumberKey(definition);
  const number = behindPrefix.slice(colon + 1);
  if (column === null || !/^-?\d+$/.test(number)) return null;
  return { table, key: `{${JSON.stringify(column.name)}:${number}}`, isKey: true };
}
