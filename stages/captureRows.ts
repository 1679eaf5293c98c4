/**
 * Completes what a look at the change log found: large images are fetched one at a time within a budget of bytes, rows
 * without an image are read again from their table, and what cannot become a message is known before it is built.
 */
import { describeError } from '../core/errors.js';
import { finishRowJson } from '../core/rowJson.js';
import { undecodableInKey, undecodableInRow, whyUndecodable } from '../core/undecodable.js';
import { readImage, type LogRow } from '../stores/mysql/changeLog.js';
import type { Queries } from '../stores/mysql/connection.js';
import { canFit, tooLarge, type Change, type Route } from './captureBatch.js';
import type { RowReader } from './captureReread.js';

export interface RowSource {
  readonly queries: Queries;
  readonly stateDatabase: string;
  readonly reader: RowReader;
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
    const { definition } = route;
    const finished = after === null ? null : finishRowJson(definition, after);
    const inKey = undecodableInKey(definition, key);
    // No store ever had it: what is left of it is that it stands parked.
    if (inKey !== null && op === 'd') return { ...same(row), kind: 'gone', op, route, reason: '' };
    const lost = inKey ?? (finished === null ? null : undecodableInRow(definition, finished));
    if (lost !== null) return parked(row, whyUndecodable(lost, inKey !== null));
    return {
      kind: 'event',
      seq,
      identity,
      tableId,
      op,
      key,
      before:
        before === null || undecodableInRow(definition, before) !== null ? null : finishRowJson(definition, before),
      after: finished,
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
  // One at a time: together they may pass max_allowed_packet.
  const after = await imageOf(source, row, 'after', row.afterBytes);
  const wanted = canFit(route, row.key.length, row.beforeBytes + row.afterBytes);
  const before = wanted ? await imageOf(source, row, 'before', row.beforeBytes) : null;
  // Only a restore or a TRUNCATE takes a row away from under its reader; there is nothing of it left to publish.
  if (after === undefined || before === undefined) return { ...same(row), kind: 'nothing', op: 'r', route, reason: '' };
  return eventOf({ ...row, before, after }, route);
}

async function imageOf(
  { queries, stateDatabase }: RowSource,
  row: LogRow,
  image: 'before' | 'after',
  bytes: number,
): Promise<Buffer | null | undefined> {
  return row[image] ?? (bytes === 0 ? null : await readImage(queries, stateDatabase, image, row));
}

/** The trigger wrote the key alone. What the row is now is what the stores must come to; a row that is gone is a delete. */
async function readAgain(source: RowSource, row: LogRow, route: Route): Promise<Change> {
  const found = await source.reader.read(route.definition, row.key, route.maxMessageBytes);
  switch (found.kind) {
    case 'row':
      return eventOf({ ...row, op: 'r', before: null, after: found.after }, route);
    case 'gone':
      return eventOf({ ...row, op: 'd', before: null, after: null }, route);
    case 'too-large':
      return parked(row, tooLarge(route));
    case 'over-packet':
      return parked(row, 'its row JSON is larger than max_allowed_packet of the MySQL server');
    case 'unreadable':
      return parked(row, found.why);
    case 'locked':
      return { ...same(row), kind: 'locked', op: 'r', route, reason: '' };
  }
}

function parked(row: LogRow, reason: string): Change {
  return { ...same(row), kind: 'parked', op: 'r', route: null, reason };
}

function same({ seq, identity, tableId, key, at }: LogRow): Omit<Change, 'kind' | 'op' | 'route' | 'reason'> {
  return { seq, identity, tableId, key, before: null, after: null, at };
}
