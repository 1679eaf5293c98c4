/**
 * Completes what a look at the change log found: large images are fetched one at a time within a budget of bytes, rows
 * without an image are read again from their table, and what cannot become a message is known before it is built.
 */
import { codeOf, describeError } from '../core/errors.js';
import { finishRowJson } from '../core/rowJson.js';
import { readImages, type LogRow } from '../stores/mysql/changeLog.js';
import type { Queries } from '../stores/mysql/connection.js';
import { atKeyText, keysAt } from '../stores/mysql/keyLookup.js';
import { readRowByKey, type Found } from '../stores/mysql/rowByKey.js';
import { canFit, tooLarge, type Change, type Route } from './captureBatch.js';

export interface RowSource {
  readonly queries: Queries;
  readonly stateDatabase: string;
  route(hash: string): Route | null;
}

/** Images of one batch: what capture holds in memory at a time, a single larger one apart. */
export const batchBytes = 8 * 1024 * 1024;

/** A prefix of the rows, as long as the budget allows and at least one. */
export async function completeRows(source: RowSource, rows: readonly LogRow[]): Promise<Change[]> {
  const changes: Change[] = [];
  let bytes = 0;
  for (const row of rows) {
    const size = row.key.length + row.beforeBytes + row.afterBytes;
    if (changes.length > 0 && bytes + size > batchBytes) break;
    bytes += size;
    changes.push(isWhole(row) ? eventOf(row, source.route(row.definition)) : await complete(source, row));
  }
  return changes;
}

/** Everything that its op needs is in the row itself: the usual case, which must not cost a promise. */
function isWhole(row: LogRow): boolean {
  switch (row.op) {
    case 'm':
      return true;
    case '?':
      return false;
    case 'd':
      return row.before !== null || row.beforeBytes === 0;
    case 'c':
    case 'u':
    case 'r':
      return row.after !== null && (row.before !== null || row.beforeBytes === 0);
  }
}

function eventOf(row: LogRow, route: Route | null): Change {
  const { seq, identity, tableId, op, key, before, after, at } = row;
  if (op === 'm')
    return { ...same(row), kind: key.length === 0 ? 'nothing' : 'marker', op: 'r', route: null, reason: '' };
  if (op === '?' || route === null) return parked(row, `definition ${row.definition} is not among the definitions`);
  try {
    return {
      kind: 'event',
      seq,
      identity,
      tableId,
      op,
      key,
      before: before === null ? null : finishRowJson(route.definition, before),
      after: after === null ? null : finishRowJson(route.definition, after),
      at,
      route,
      reason: '',
    };
  } catch (error) {
    return parked(row, `its image cannot be read under definition ${row.definition}: ${describeError(error)}`);
  }
}

async function complete(source: RowSource, row: LogRow): Promise<Change> {
  const route = source.route(row.definition);
  if (route === null) return parked(row, `definition ${row.definition} is not among the definitions`);
  const lacksImage = row.op === '?' || (row.op !== 'd' && row.afterBytes === 0);
  if (lacksImage) return readAgain(source, row, route);
  if (!canFit(route, row.key.length, row.op === 'd' ? 0 : row.afterBytes)) return parked(row, tooLarge(route));
  const images = await readImages(source.queries, source.stateDatabase, row);
  // Only a restore or a TRUNCATE takes a row away from under its reader; there is nothing of it left to publish.
  if (images === null) return { ...same(row), kind: 'nothing', op: 'r', route, reason: '' };
  const before = canFit(route, row.key.length, row.beforeBytes + row.afterBytes) ? images.before : null;
  return eventOf({ ...row, before, after: images.after }, route);
}

/** The trigger wrote the key alone. What the row is now is what the stores must come to; a row that is gone is a delete. */
async function readAgain(source: RowSource, row: LogRow, route: Route): Promise<Change> {
  const found = await lookAtRow(source, row, route);
  switch (found.kind) {
    case 'altered':
      return parked(row, `its table no longer fits definition ${row.definition}, under which the change was logged`);
    case 'gone':
      return eventOf({ ...row, op: 'd', before: null, after: null }, route);
    case 'row':
      return eventOf({ ...row, op: 'r', before: null, after: found.after }, route);
    case 'too-large':
      return parked(row, tooLarge(route));
  }
}

/**
 * A table that was altered or dropped under its triggers is its own trouble: the next copy of it brings the key back. A copy
 * brings no deletes, so whether the row is there at all is still asked, of the key alone.
 */
async function lookAtRow(source: RowSource, row: LogRow, route: Route): Promise<Found | { readonly kind: 'altered' }> {
  try {
    return await readRowByKey(source.queries, route.definition, row.key);
  } catch (error) {
    if (codeOf(error) === 'LS-MYSQL-UNREACHABLE') throw error;
  }
  try {
    const key = row.key.toString('utf8');
    const condition = atKeyText(route.definition, key);
    if (condition === null) return { kind: 'altered' };
    const there = await keysAt(source.queries, route.definition, condition, '');
    return { kind: there.includes(key) ? 'altered' : 'gone' };
  } catch (error) {
    if (codeOf(error) === 'LS-MYSQL-UNREACHABLE') throw error;
    return { kind: 'altered' };
  }
}

function parked(row: LogRow, reason: string): Change {
  return { ...same(row), kind: 'parked', op: 'r', route: null, reason };
}

function same({ seq, identity, tableId, key, at }: LogRow): Omit<Change, 'kind' | 'op' | 'route' | 'reason'> {
  return { seq, identity, tableId, key, before: null, after: null, at };
}
