/**
 * Whether three stores hold the same rows, decided without a line of the product: plain SELECTs on one side, what the
 * contract says they must become on the other, row by row in both directions. Call it when traffic rests.
 */
import { Redis } from 'ioredis';
import { BSON, MongoClient } from 'mongodb';
import type { Document } from 'mongodb';
import {
  actualBson,
  canonicalBson,
  canonicalField,
  expectedBson,
  expectedField,
  expectedJson,
  isFloating,
  numberText,
} from './expected.js';
import { canonicalRow, canonicalRowJson, connectSource, expectedId, keyOf, readRows, readTables } from './source.js';
import type { ChosenForms, SourceRow, SourceTable } from './source.js';

export interface CompareTargets {
  readonly mysql: { readonly uri: string; readonly database: string };
  readonly mongo: { readonly uri: string; readonly database: string } | null;
  readonly redis: { readonly uri: string; readonly keyPrefix: string; readonly hashTables?: readonly string[] } | null;
  /** Tables that the pipeline leaves out; tables without a primary key are left out by themselves. */
  readonly exclude?: readonly string[];
  readonly forms?: ChosenForms;
}

export interface Difference {
  readonly key: string;
  readonly column: string;
  readonly expected: string;
  readonly actual: string;
}

export interface StoreDifferences {
  readonly missing: string[];
  readonly extra: string[];
  readonly different: Difference[];
}

export interface TableComparison {
  readonly table: string;
  readonly rows: number;
  readonly mongo: StoreDifferences | null;
  readonly redis: StoreDifferences | null;
}

export async function compareStores(targets: CompareTargets): Promise<TableComparison[]> {
  const mysql = await connectSource(targets.mysql.uri, targets.mysql.database);
  const mongo = targets.mongo === null ? null : await MongoClient.connect(targets.mongo.uri);
  const redis = targets.redis === null ? null : new Redis(targets.redis.uri, { lazyConnect: false });
  try {
    const tables = await readTables(mysql, targets.mysql.database, targets.exclude ?? [], targets.forms);
    const redisKeys = redis === null ? [] : await scanKeys(redis, targets.redis?.keyPrefix ?? '');
    const comparisons: TableComparison[] = [];
    const claimed = new Set<string>();
    for (const table of tables) {
      const rows = await readRows(mysql, table);
      comparisons.push({
        table: table.name,
        rows: rows.length,
        mongo: mongo === null ? null : await compareMongo(mongo, targets.mongo?.database ?? '', table, rows),
        redis:
          redis === null || targets.redis === null
            ? null
            : await compareRedis(redis, targets.redis, table, rows, { claimed, all: redisKeys }),
      });
    }
    const strays = redisKeys.filter((key) => !claimed.has(key));
    if (strays.length > 0) {
      comparisons.push({
        table: '(no row)',
        rows: 0,
        mongo: null,
        redis: { missing: [], extra: strays, different: [] },
      });
    }
    return comparisons;
  } finally {
    await mysql.end();
    await mongo?.close();
    redis?.disconnect();
  }
}

/** Every difference as one line each, the first `limit` of them; empty when the stores are equal. */
export function differencesOf(comparisons: readonly TableComparison[], limit = 40): string[] {
  const lines: string[] = [];
  for (const { table, mongo, redis } of comparisons) {
    for (const [store, found] of [
      ['mongo', mongo],
      ['redis', redis],
    ] as const) {
      if (found === null) continue;
      lines.push(...found.missing.map((key) => `${store} ${table} ${key}: missing`));
      lines.push(...found.extra.map((key) => `${store} ${table} ${key}: extra`));
      lines.push(
        ...found.different.map(
          (d) => `${store} ${table} ${d.key} ${d.column}: expected ${d.expected}, found ${d.actual}`,
        ),
      );
    }
  }
  return lines.length > limit ? [...lines.slice(0, limit), `… and ${lines.length - limit} more`] : lines;
}

async function compareMongo(
  client: MongoClient,
  database: string,
  table: SourceTable,
  rows: readonly SourceRow[],
): Promise<StoreDifferences> {
  const dollar = table.name.replaceAll('$', '-0024');
  const name = dollar.startsWith('system.') ? `system-002e${dollar.slice(7)}` : dollar;
  const found: StoreDifferences = { missing: [], extra: [], different: [] };
  const options = { promoteValues: false, promoteLongs: false, promoteBuffers: false };
  const documents = new Map<string, Document>();
  // Raw, and read here: the driver leaves arrays undone whose name is that of a method, such as `constructor`.
  for await (const bytes of client.db(database).collection<Buffer>(name, { raw: true }).find()) {
    const document = BSON.deserialize(bytes, options);
    documents.set(canonicalBson(document['_id']), document);
  }
  for (const row of rows) {
    const id = expectedId(table, row);
    const document = documents.get(id);
    if (document === undefined) found.missing.push(id);
    else {
      documents.delete(id);
      const actual = new Map(Object.entries(document).filter(([field]) => field !== '_id'));
      const columns = new Map(table.columns.map((c) => [c.name, c]));
      const expected = new Map(table.columns.map((c) => [c.name, expectedBson(c, row.get(c.name) ?? null)]));
      const shown = new Map(
        [...actual].map(([field, value]) => {
          const column = columns.get(field);
          return [field, column === undefined ? canonicalBson(value) : actualBson(column, value)];
        }),
      );
      found.different.push(...membersThatDiffer(id, expected, shown, false));
    }
  }
  found.extra.push(...documents.keys());
  return found;
}

async function compareRedis(
  redis: Redis,
  target: { readonly keyPrefix: string; readonly hashTables?: readonly string[] },
  table: SourceTable,
  rows: readonly SourceRow[],
  { claimed, all }: { readonly claimed: Set<string>; readonly all: readonly string[] },
): Promise<StoreDifferences> {
  const found: StoreDifferences = { missing: [], extra: [], different: [] };
  const asHash = target.hashTables?.includes(table.name) ?? false;
  const escape = (part: string): string => part.replaceAll('%', '%25').replaceAll(':', '%3A');
  const head = `${target.keyPrefix}:${escape(table.name)}:`;
  const printed = keysAsPrinted(table, head, all);
  for (let from = 0; from < rows.length; from += 1000) {
    const chunk = rows.slice(from, from + 1000);
    const keys = chunk.map((row) => {
      const key =
        head +
        keyOf(table, row)
          .map(([, part]) => escape(part))
          .join(':');
      return printed.get(key) ?? key;
    });
    keys.forEach((key) => claimed.add(key));
    const pipeline = redis.pipeline();
    for (const key of keys) {
      if (asHash) pipeline.hgetall(key);
      else pipeline.get(key);
    }
    const replies = (await pipeline.exec()) ?? [];
    chunk.forEach((row, i) => {
      const key = keys[i] ?? '';
      const [error, reply] = replies[i] ?? [new Error('no reply'), null];
      if (error !== null) found.different.push({ key, column: '(key)', expected: 'readable', actual: error.message });
      else if (asHash) compareHash(table, row, key, reply as Record<string, string>, found);
      else if (reply === null) found.missing.push(key);
      else {
        const expected = canonicalRow(table, row);
        found.different.push(...membersThatDiffer(key, expected, canonicalRowJson(table, reply as string), true));
      }
    });
  }
  return found;
}

/** MySQL prints a FLOAT or DOUBLE its own way (`1e16`): keys by the text that any print of the same number is brought to. */
function keysAsPrinted(table: SourceTable, head: string, all: readonly string[]): ReadonlyMap<string, string> {
  const floats = table.key.map((name) => table.columns.some((c) => c.name === name && isFloating(c)));
  if (!floats.includes(true)) return new Map();
  return new Map(
    all
      .filter((key) => key.startsWith(head))
      .map((key) => {
        const parts = key.slice(head.length).split(':');
        return [head + parts.map((part, i) => (floats[i] === true ? numberText(Number(part)) : part)).join(':'), key];
      }),
  );
}

function compareHash(
  table: SourceTable,
  row: SourceRow,
  key: string,
  fields: Readonly<Record<string, string>>,
  found: StoreDifferences,
): void {
  if (Object.keys(fields).length === 0) {
    found.missing.push(key);
    return;
  }
  const columns = new Map(table.columns.map((c) => [c.name, c]));
  const expected = new Map<string, string>();
  for (const column of table.columns) {
    const value = expectedJson(column, row.get(column.name) ?? null);
    if (value !== null) expected.set(column.name, expectedField(column, value));
  }
  const shown = new Map(
    Object.entries(fields).map(([name, value]) => {
      const column = columns.get(name);
      return [name, column === undefined ? value : canonicalField(column, value)];
    }),
  );
  found.different.push(...membersThatDiffer(key, expected, shown, false));
}

function membersThatDiffer(
  key: string,
  expected: ReadonlyMap<string, string>,
  actual: ReadonlyMap<string, string>,
  ordered: boolean,
): Difference[] {
  const differences: Difference[] = [];
  for (const column of new Set([...expected.keys(), ...actual.keys()])) {
    const [e, a] = [expected.get(column) ?? 'absent', actual.get(column) ?? 'absent'];
    if (e !== a) differences.push({ key, column, expected: cut(e), actual: cut(a) });
  }
  const [before, after] = [[...expected.keys()].join(), [...actual.keys()].join()];
  if (ordered && differences.length === 0 && before !== after) {
    differences.push({ key, column: '(order of members)', expected: cut(before), actual: cut(after) });
  }
  return differences;
}

async function scanKeys(redis: Redis, prefix: string): Promise<string[]> {
  const glob = prefix.replaceAll(/[\\*?[\]]/g, (c) => `\\${c}`);
  const keys = new Set<string>();
  let cursor = '0';
  do {
    const [next, batch] = await redis.scan(cursor, 'MATCH', `${glob}:*`, 'COUNT', 5000);
    batch.filter((key) => !key.startsWith(`${prefix}::lockstep:`)).forEach((key) => keys.add(key));
    cursor = next;
  } while (cursor !== '0');
  return [...keys];
}

function cut(text: string): string {
  return text.length > 160 ? `${text.slice(0, 160)}…` : text;
}
