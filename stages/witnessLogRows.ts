/**
 * The change log's rows as the binary log shows them: which change of which key each of them stands for. Rows that stand for
 * no change of the application's (copies, repairs, markers) are passed by, and so is a twin, which two versions of a
 * trigger write for one change while they are exchanged.
 */
import { LockstepError } from '../core/errors.js';
import { isNull, lengthAt, walkRows, type Spots } from '../stores/mysql/binlogRows.js';
import { columnTypes, type TableMap } from '../stores/mysql/binlogTableMap.js';
import { eventType } from '../stores/mysql/binlogEvents.js';
import type { TablePairs } from './witnessPairs.js';
import type { WitnessTables } from './witnessTables.js';
import type { WitnessedTransaction } from './witnessTransaction.js';

/** Of sql/001_state.sql. */
const column = { tableId: 2, op: 3, key: 4, before: 5, after: 6, definition: 7 } as const;
/** Bytes that tell the length of a LONGBLOB. */
const blobHead = 4;

/** Columns from the table's id to the after-image: everything but what is each row's own. */
interface Content {
  readonly buffer: Buffer;
  readonly from: number;
  readonly to: number;
  readonly key: string;
}

/** Of a table that is not known: its log rows are all there is. */
const unknownForm = [{ name: '', asRead: null }];

export class LogRows {
  readonly #tables: WitnessTables;
  #last: Content | null = null;
  #beforeLast: Content | null = null;

  constructor(tables: WitnessTables) {
    this.#tables = tables;
  }

  /** Rows of a WRITE event. */
  read(map: TableMap, buffer: Buffer, start: number, end: number, into: WitnessedTransaction): void {
    checkShape(map);
    walkRows(eventType.writeRows, map, buffer, start, end, (spots) => {
      const op = String.fromCharCode(buffer[spotOf(spots, column.op) + 1] ?? 0);
      if (op === 'r' || op === 'm') return;
      const keyAt = spots[column.key] ?? isNull;
      if (keyAt < 0) return;
      const id = buffer.readUInt32LE(spotOf(spots, column.tableId));
      const text = buffer.toString('utf8', keyAt + blobHead, keyAt + blobHead + lengthAt(buffer, keyAt, blobHead));
      const isAlike = op === 'u' && printsAlike(buffer, spots);
      // Two updates of a key that print nothing new may follow one another, each with a row event of its own.
      if (!isAlike && this.#isTwin(buffer, spots, text)) return;
      for (const { name, asRead } of this.#tables.byId(id)?.keyForms ?? unknownForm) {
        const key = asRead === null ? text : asRead(text);
        const pairs = into.pairs(id, name);
        if (isAlike) pairs.loggedAlike(key);
        else note(pairs, op, key, spots);
      }
    });
  }

  endTransaction(): void {
    this.#last = null;
    this.#beforeLast = null;
  }

  /**
   * The row before it in every byte; or the one before that, for the two rows of a key that became another. No application
   * writes either: a second delete of a key needs an insert between.
   */
  #isTwin(buffer: Buffer, spots: Spots, key: string): boolean {
    const content = { buffer, from: spotOf(spots, column.tableId), to: spotOf(spots, column.definition), key };
    const last = this.#last;
    const beforeLast = this.#beforeLast;
    this.#beforeLast = last;
    this.#last = content;
    if (last === null) return false;
    if (last.key === key) return isSame(last, content);
    return beforeLast !== null && beforeLast.key === key && isSame(beforeLast, content);
  }
}

function note(pairs: TablePairs, op: string, key: string, spots: Spots): void {
  const before = spots[column.before] ?? isNull;
  const after = spots[column.after] ?? isNull;
  switch (op) {
    case 'c':
      if (after < 0) pairs.covers(key);
      else pairs.logged('c', key);
      return;
    case 'u':
      if (after < 0) pairs.covers(key);
      else pairs.logged('u', key);
      return;
    case 'd':
      // Repairs and the pass for orphans log deletes of their own.
      if (before < 0) pairs.deletedPerhaps(key);
      else pairs.logged('d', key);
      return;
    default:
      pairs.covers(key);
  }
}

function isSame(a: Content, b: Content): boolean {
  const bytes = b.to - b.from;
  return a.to - a.from === bytes && b.buffer.compare(a.buffer, a.from, a.to, b.from, b.to) === 0;
}

function printsAlike(buffer: Buffer, spots: Spots): boolean {
  const [a, b] = [spotOf(spots, column.before), spotOf(spots, column.after)];
  if (a < 0 || b < 0) return false;
  const bytes = lengthAt(buffer, a, blobHead);
  if (bytes !== lengthAt(buffer, b, blobHead)) return false;
  return buffer.compare(buffer, a + blobHead, a + blobHead + bytes, b + blobHead, b + blobHead + bytes) === 0;
}

function spotOf(spots: Spots, index: number): number {
  return spots[index] ?? isNull;
}

const shape = [
  columnTypes.longlong,
  columnTypes.string,
  columnTypes.long,
  columnTypes.string,
  columnTypes.blob,
  columnTypes.blob,
  columnTypes.blob,
  columnTypes.string,
];
const checked = new WeakSet<TableMap>();

function checkShape(map: TableMap): void {
  if (checked.has(map)) return;
  if (shape.some((type, i) => map.types[i] !== type)) {
    throw new LockstepError(
      'LS-INTERNAL',
      'the change log has other columns in the binary log than its migration made',
    );
  }
  checked.add(map);
}
