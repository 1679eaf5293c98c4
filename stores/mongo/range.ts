/**
 * A range of a collection held against the rows of the same range. Numbers of whatever BSON type lie in the index by their
 * value, so a table whose key is a whole number lies there in the order of its rows: one walk compares them and meets
 * whatever lies between them. The first range begins, and the last one ends, with what is no number at all.
 */
import { Decimal128, Long, type Db } from 'mongodb';
import { wholeNumberKey, type Definition } from '../../core/definition.js';
import type { KeyRange, RangeCompared, RowVerdict, SourceRow, Target } from '../../core/store.js';
import { documentsOf, idElement, idText, noDocument, verdictOf, withWriter } from './documents.js';
import { entryOf, lastOfAll } from './ids.js';
import { rawFind } from './rawFind.js';

/** Documents of no row that a walk reads; where there are more, whoever walks the whole collection tells. */
const mostExtra = 500;

/** Null: the collection is in another order than the table, or it holds too much besides. */
export async function compareRange(
  db: Db,
  target: Target,
  definition: Definition,
  rows: readonly SourceRow[],
  range: KeyRange,
): Promise<RangeCompared | null> {
  if (wholeNumberKey(definition) === null) return null;
  const found = await documentsIn(db, target, range, rows.length + mostExtra + 1);
  if (found.length > rows.length + mostExtra) return null;
  return withWriter((w) => Promise.resolve(held(target, definition, rows, documentsOf(w, definition, rows), found)));
}

/** Both are in the order of the keys; `wanted` is null for a row that no document can hold. */
function held(
  target: Target,
  definition: Definition,
  rows: readonly SourceRow[],
  wanted: readonly (Buffer | null)[],
  found: readonly Buffer[],
): RangeCompared {
  const same = inStep(wanted, found);
  const rest = new Map(found.slice(same).map((document) => [idText(document), document]));
  const verdicts = rows.map(({ key }, i): RowVerdict => {
    if (i < same) return equal;
    const document = wanted[i] ?? null;
    const id = idText(document ?? idElement(definition, key));
    const stored = rest.get(id);
    rest.delete(id);
    return document === null ? noDocument : verdictOf(document, stored);
  });
  return { verdicts, extra: [...rest.values()].map((document) => entryOf(target, definition, document)) };
}

const equal: RowVerdict = { kind: 'equal' };

/** How many are byte for byte the same from the first on: usually all. */
function inStep(wanted: readonly (Buffer | null)[], found: readonly Buffer[]): number {
  const first = wanted.findIndex((document, i) => document === null || found[i]?.equals(document) !== true);
  return first < 0 ? wanted.length : first;
}

async function documentsIn(
  db: Db,
  target: Target,
  { after, upTo }: KeyRange,
  limit: number,
): Promise<readonly Buffer[]> {
  // Of a range without a key the bounds would meet, which the server refuses.
  if (after !== null && upTo !== null && after[0] === upTo[0]) return [];
  const found = await rawFind(db, {
    find: target.collection,
    hint: { _id: 1 },
    sort: { _id: 1 },
    limit,
    batchSize: limit,
    ...(after === null ? {} : { min: { _id: behind(after) } }),
    ...(upTo === null ? {} : { max: { _id: behind(upTo) } }),
  });
  return upTo === null && after !== null ? [...found, ...(await lastOfAll(db, target))] : found;
}

/** Bounds of the index include their lower end and not their upper one: (5, 9] is [6, 10). */
function behind([key = '']: readonly string[]): Long | Decimal128 {
  const next = BigInt(key) + 1n;
  return BigInt.asIntN(64, next) === next ? Long.fromBigInt(next) : Decimal128.fromString(String(next));
}
