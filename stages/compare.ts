/**
 * Compares one table over the three stores while nothing changes it: every row of MySQL with its full content, and every
 * key that a store holds without a row. While traffic flows, a difference may be a change on its way.
 */
import type { Definition } from '../core/definition.js';
import type { RowVerdict, SourceRow, Store, StoreName, Target } from '../core/store.js';
import type { Mysql } from '../stores/mysql/connection.js';
import { asMysqlPrints, atKeyText, keysWithoutRow } from '../stores/mysql/keyLookup.js';
import type { Boundary } from '../stores/mysql/keyWalk.js';
import { readRows } from '../stores/mysql/readRows.js';

export interface CompareDeps {
  readonly mysql: Mysql;
  readonly stores: readonly Store[];
}

export interface Differences {
  readonly missing: number;
  readonly extra: number;
  readonly different: number;
  /** Absent under a TTL: no difference. */
  readonly expired: number;
}

export interface Difference {
  readonly store: StoreName;
  readonly kind: 'missing' | 'extra' | 'different';
  /** Key text `{"pk1":…}`. */
  readonly key: string;
  readonly fields: readonly string[];
}

export interface TableComparison {
  readonly table: string;
  readonly rows: number;
  readonly stores: Readonly<Partial<Record<StoreName, Differences>>>;
  /** The first `mostListed` of them. */
  readonly differences: readonly Difference[];
}

const chunkRows = 1_000;
const mostListed = 1_000;

export async function compareTable(
  { mysql, stores }: CompareDeps,
  definition: Definition,
  target: Target,
): Promise<TableComparison> {
  const tallies = new Map(stores.map((store) => [store.name, new Tally(store.name)]));
  let rows = 0;
  let after: Boundary | null = null;
  do {
    const chunk = await readRows(mysql, definition, after, chunkRows);
    rows += chunk.rows.length;
    await Promise.all(
      stores.map(async (store) =>
        tallies.get(store.name)?.rows(chunk.rows, await store.compareRows(target, definition, chunk.rows)),
      ),
    );
    after = chunk.last;
  } while (after !== null);
  await Promise.all(
    stores.map(async (store) => {
      for await (const keys of store.scanKeys(target, definition)) {
        tallies.get(store.name)?.extra(await keysOfNoRow(mysql, definition, keys));
      }
    }),
  );
  return {
    table: definition.table,
    rows,
    stores: Object.fromEntries([...tallies].map(([name, tally]) => [name, tally.counts])),
    differences: [...tallies.values()].flatMap((tally) => tally.listed).slice(0, mostListed),
  };
}

export function differenceCount(comparison: TableComparison): number {
  return Object.values(comparison.stores).reduce((sum, d) => sum + d.missing + d.extra + d.different, 0);
}

/** A key that is none of this definition's has no row either. */
async function keysOfNoRow(mysql: Mysql, definition: Definition, keys: readonly string[]): Promise<readonly string[]> {
  const foreign = keys.filter((key) => atKeyText(definition, key) === null);
  const printed = await asMysqlPrints(mysql, definition, keys);
  return [...foreign, ...(await keysWithoutRow(mysql, definition, printed))];
}

class Tally {
  readonly #store: StoreName;
  readonly listed: Difference[] = [];
  counts: Differences = { missing: 0, extra: 0, different: 0, expired: 0 };

  constructor(store: StoreName) {
    this.#store = store;
  }

  rows(rows: readonly SourceRow[], verdicts: readonly RowVerdict[]): void {
    for (const [i, { key }] of rows.entries()) {
      const verdict = verdicts[i];
      if (verdict === undefined) throw new TypeError('a store gave fewer verdicts than rows');
      if (verdict.kind === 'equal') continue;
      this.counts = { ...this.counts, [verdict.kind]: this.counts[verdict.kind] + 1 };
      if (verdict.kind === 'missing') this.#list('missing', key.toString(), []);
      if (verdict.kind === 'different') this.#list('different', key.toString(), verdict.fields);
    }
  }

  extra(keys: readonly string[]): void {
    this.counts = { ...this.counts, extra: this.counts.extra + keys.length };
    for (const key of keys) this.#list('extra', key, []);
  }

  #list(kind: Difference['kind'], key: string, fields: readonly string[]): void {
    if (this.listed.length < mostListed) this.listed.push({ store: this.#store, kind, key, fields });
  }
}
