/**
 * A batch as the arguments of the apply script: folded to the last event a key, so each key is touched once. Values go
 * as they came from Kafka; only the hash layout looks into them.
 */
import { codeOf, describeError, LockstepError } from '../../core/errors.js';
import { foldByTable } from '../../core/fold.js';
import { keyParts } from '../../core/keyText.js';
import { redisPart } from '../../core/names.js';
import { columnText, scanRow } from '../../core/rowJson.js';
import type { Batch, ParkedKey, StoreEvent } from '../../core/store.js';
import { usualArgumentBytes } from './client.js';
import { aheadField, gapsField, positionField, positionText, progressFields } from './shardState.js';

export type Argument = string | Buffer;

export interface BatchArguments {
  readonly head: readonly Argument[];
  readonly deletes: readonly Argument[];
  /** Strings, expiring strings, hashes: each list with its number of entries first. */
  readonly writes: readonly Argument[];
  readonly onlyDeletes: boolean;
  readonly parked: readonly ParkedKey[];
}

export interface ArgumentOptions {
  /** Of one argument; a longer one would cost the connection, and everything behind it. */
  readonly mostBytes?: number;
  /** These deletes go ahead of the position, which stays. */
  readonly deletesAhead?: boolean;
}

export function batchArguments(
  keyPrefix: string,
  epoch: number,
  batch: Batch,
  { mostBytes = usualArgumentBytes, deletesAhead = false }: ArgumentOptions = {},
): BatchArguments {
  const deletes: Argument[] = [];
  const strings: Argument[] = [];
  const expiring: Argument[] = [];
  const hashes: Argument[] = [];
  const parked: ParkedKey[] = [];
  let hashCount = 0;
  for (const keys of foldByTable(batch.events).values()) {
    const [any] = keys;
    if (any === undefined) continue;
    const head = `${keyPrefix}:${redisPart(any.last.target.table)}`;
    for (const { last, changedAt } of keys) {
      const { target } = last;
      try {
        const key = keyUnder(head, last);
        requireFit(last, mostBytes);
        if (last.after === null) deletes.push(key);
        else if (target.redis.layout === 'hash') {
          hashes.push(...hashEntry(key, last, last.after, changedAt));
          hashCount++;
        } else if (target.redis.ttlMs === null) strings.push(key, last.after);
        else expiring.push(key, last.after, expiryOf(last, changedAt, target.redis.ttlMs));
      } catch (error) {
        if (codeOf(error) !== 'LS-ROW-JSON') throw error;
        parked.push({
          table: target.table,
          key: last.key.toString('utf8'),
          reason: describeError(error),
          seq: last.seq,
        });
      }
    }
  }
  const fields = [
    ...progressFields(batch.progress),
    ...aheadField(deletesAhead),
    ...(batch.gaps === null ? [] : gapsField(batch.gaps)),
  ];
  return {
    head: [
      String(epoch),
      ...counted(batch.moves.length, batch.moves.flatMap(moveArguments)),
      ...counted(fields.length / 2, fields),
    ],
    deletes: counted(deletes.length, deletes),
    writes: [
      ...counted(strings.length / 2, strings),
      ...counted(expiring.length / 3, expiring),
      ...counted(hashCount, hashes),
    ],
    onlyDeletes: strings.length + expiring.length + hashes.length === 0,
    parked,
  };
}

function requireFit({ after, target, definition }: StoreEvent, mostBytes: number): void {
  if (after === null || after.length <= mostBytes) return;
  const parts: readonly (string | Buffer)[] = target.redis.layout === 'hash' ? hashFields(definition, after) : [after];
  const longest = Math.max(...parts.map((part) => Buffer.byteLength(part)));
  if (longest <= mostBytes) return;
  throw new LockstepError(
    'LS-ROW-JSON',
    `a value of ${longest} bytes; this Redis takes at most ${mostBytes} (proto-max-bulk-len)`,
  );
}

function moveArguments({ partition, from, to }: Batch['moves'][number]): string[] {
  return [positionField(partition), positionText(from), positionText(to)];
}

export function counted(count: number, list: readonly Argument[]): Argument[] {
  return [String(count), ...list];
}

/** `<prefix>:<table>:<k1>[:<k2>…]`. */
export function keyUnder(head: string, event: Pick<StoreEvent, 'definition' | 'key'>): string {
  let key = head;
  for (const part of keyParts(event.definition, event.key)) key += `:${redisPart(part)}`;
  return key;
}

/**
 * Absolute, from the time of the change: a replay revives nothing. A copied row has not changed: `k` keeps the expiry of a
 * key that is there, and the time behind it is for one that is not.
 */
function expiryOf(event: StoreEvent, changedAt: number | null, ttlMs: number): string {
  const at = String(expiryAt(changedAt ?? event.at, ttlMs));
  return changedAt === null ? `k${at}` : at;
}

/** When a change that was made at `at` lets its key go. */
export function expiryAt(at: number, ttlMs: number): number {
  return Math.max(1, Math.ceil(at + ttlMs));
}

function hashEntry(key: string, event: StoreEvent, row: Buffer, changedAt: number | null): Argument[] {
  const fields = hashFields(event.definition, row);
  const { ttlMs } = event.target.redis;
  return [key, ttlMs === null ? '0' : expiryOf(event, changedAt, ttlMs), String(fields.length), ...fields];
}

/** Field, value, …: NULL columns are absent. */
export function hashFields(definition: StoreEvent['definition'], row: Buffer): string[] {
  const spans = scanRow(definition, row);
  const fields: string[] = [];
  definition.columns.forEach((column, i) => {
    const text = columnText(column, row, spans[2 * i] ?? 0, spans[2 * i + 1] ?? 0);
    if (text !== null) fields.push(column.name, text);
  });
  return fields;
}
