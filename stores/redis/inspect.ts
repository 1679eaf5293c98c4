/** Holds some keys of each table against the table: type of the key, fields of the row, expiry. */
import type { Redis } from 'ioredis';
import type { Definition } from '../../core/definition.js';
import { redisPart } from '../../core/names.js';
import type { Disagreement, TableForm } from '../../core/tableForm.js';
import { scanAll } from './keys.js';

type Found = Omit<Disagreement, 'table' | 'store'>;

/** SCAN calls that may pass without a key of the table: it may have none, among millions of others. */
const mostIdleScans = 200;

export async function inspectTables(
  client: Redis,
  keyPrefix: string,
  tables: readonly TableForm[],
  samples: number,
): Promise<readonly Disagreement[]> {
  const all: Disagreement[] = [];
  for (const form of tables) {
    const found = new Map<string, Found>();
    for (const key of await sampleKeys(client, keyPrefix, form, samples)) {
      for (const difference of await differencesOf(client, form, key)) {
        found.set(`${difference.kind} ${difference.subject} ${difference.found}`, difference);
      }
    }
    for (const difference of found.values()) {
      all.push({ table: form.target.table, store: 'redis', ...difference });
    }
  }
  return all;
}

async function sampleKeys(
  client: Redis,
  keyPrefix: string,
  { target, definition }: TableForm,
  samples: number,
): Promise<readonly string[]> {
  const head = `${keyPrefix}:${redisPart(target.table)}:`;
  const sample: string[] = [];
  let idle = 0;
  for await (const keys of scanAll(client, head, '*')) {
    // Another prefix may begin with ours: its keys have more parts, or none of ours.
    const own = keys.filter((key) => key.slice(head.length).split(':').length === definition.key.length);
    sample.push(...own.slice(0, samples - sample.length));
    idle = own.length === 0 ? idle + 1 : 0;
    if (sample.length >= samples || idle >= mostIdleScans) break;
  }
  return sample;
}

async function differencesOf(client: Redis, { target, definition }: TableForm, key: string): Promise<readonly Found[]> {
  const { layout, ttlMs } = target.redis;
  const [type, ttl] = await Promise.all([client.type(key), client.pttl(key)]);
  // It expired or was deleted since it was listed.
  if (type === 'none' || ttl === -2) return [];
  const expected = layout === 'hash' ? 'hash' : 'string';
  if (type !== expected) return [{ kind: 'layout', subject: 'key', expected, found: type }];
  const expiry: Found[] =
    ttl >= 0 === (ttlMs !== null)
      ? []
      : [
          {
            kind: 'expiry',
            subject: 'key',
            expected: ttlMs === null ? 'no expiry' : 'an expiry',
            found: ttl >= 0 ? 'an expiry' : 'no expiry',
          },
        ];
  const fields =
    layout === 'hash' ? hashFields(definition, await client.hkeys(key)) : jsonFields(definition, await client.get(key));
  return [...fields, ...expiry];
}

/** NULL columns are absent. */
function hashFields(definition: Definition, names: readonly string[]): readonly Found[] {
  if (names.length === 0) return [];
  const there = new Set(names);
  const missing = definition.columns.filter(({ name, nullable }) => !nullable && !there.has(name));
  return [...missing.map(({ name }) => lacking(name)), ...strange(definition, names)];
}

function jsonFields(definition: Definition, text: string | null): readonly Found[] {
  if (text === null) return [];
  let row: unknown;
  try {
    row = JSON.parse(text);
  } catch {
    row = null;
  }
  if (typeof row !== 'object' || row === null || Array.isArray(row)) {
    return [{ kind: 'layout', subject: 'value', expected: 'row JSON', found: 'another text' }];
  }
  const names = Object.keys(row);
  const missing = definition.columns.filter(({ name }) => !names.includes(name));
  return [...missing.map(({ name }) => lacking(name)), ...strange(definition, names)];
}

function strange({ columns }: Definition, names: readonly string[]): readonly Found[] {
  return names
    .filter((name) => !columns.some((column) => column.name === name))
    .map((name) => ({ kind: 'fields', subject: name, expected: 'no such field', found: 'a field' }));
}

function lacking(name: string): Found {
  return { kind: 'fields', subject: name, expected: 'a field', found: 'no such field' };
}
