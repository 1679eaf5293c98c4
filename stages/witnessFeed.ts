/**
 * Follows the binary log event by event: transactions, the rows of captured tables and of the change log in them, and the
 * statements that change tables. What does not pair comes out as findings, at the transaction's end and in the log's order.
 * Nothing here waits, but for the names of tables that it does not know.
 */
import { LockstepError } from '../core/errors.js';
import {
  eventType,
  hasChecksums,
  headerBytes,
  readHeader,
  readQuery,
  readRotate,
  readXaPrepare,
  type EventHeader,
} from '../stores/mysql/binlogEvents.js';
import type { CompareImages } from '../stores/mysql/binlogAlike.js';
import type { KeyReader } from '../stores/mysql/binlogKey.js';
import { innerEvents } from '../stores/mysql/binlogPayload.js';
import { rowsTable, walkRows } from '../stores/mysql/binlogRows.js';
import type { BinlogPlace } from '../stores/mysql/binlogStream.js';
import { mappedTable, readTableMap, type TableMap } from '../stores/mysql/binlogTableMap.js';
import { normalXid, readStatement } from '../stores/mysql/statement.js';
import type { Expected } from '../stores/mysql/witnessState.js';
import type { FeedItem, Finding } from './witnessFindings.js';
import { LogRows } from './witnessLogRows.js';
import type { RowOp } from './witnessPairs.js';
import { WitnessedSchema, type SchemaStatement } from './witnessSchema.js';
import { comparisonFor, readerFor, type WitnessedTable, type WitnessTables } from './witnessTables.js';
import { WitnessedTransaction } from './witnessTransaction.js';

export interface FeedStart extends BinlogPlace {
  readonly fileMadeAt: number | null;
  readonly expected: Expected;
  readonly seenAt: number | null;
}

export interface FeedScope {
  readonly database: string;
  readonly stateDatabase: string;
  /** False where MySQL keeps rows of cascades out of its log: then what a parent's change did is not known row by row. */
  readonly cascadesLogged: boolean;
  readonly tables: WitnessTables;
  /** Of the events before the first file tells. */
  readonly checksums: boolean;
  /** Name of the account that the triggers run as. */
  readonly user: string;
  /** Called at once; it must not throw. */
  readonly take: (item: FeedItem) => void;
  /** A statement changed a table, a trigger or a database of ours. */
  readonly schemaChanged: () => void;
}

interface Mapped {
  readonly map: TableMap;
  /** The event's own bytes, to tell the same map when it comes again. */
  readonly bytes: Buffer;
  readonly use: 'log' | 'ignore' | TableUse;
  /** Of the tables' knowledge that it was made with. */
  readonly generation: number;
}

interface TableUse {
  readonly table: WitnessedTable | null;
  readonly reader: KeyReader | null;
  readonly compare: CompareImages | null;
  /** Captured tables on whose rows foreign keys act when this one's are deleted or get another key. */
  readonly children: readonly WitnessedTable[];
}

export class WitnessFeed {
  readonly #scope: FeedScope;
  readonly #maps = new Map<number, Mapped>();
  readonly #logRows: LogRows;
  readonly #schema: WitnessedSchema;
  #generation = 0;
  /** A trigger of ours was made: its table may be new to us. */
  #unknownMayBeOurs = false;
  #refreshing: Promise<void> | null = null;
  #file: string;
  #offset: number;
  #fileMadeAt: number | null;
  #checksums: boolean;
  #transaction: WitnessedTransaction | null = null;
  #reached: BinlogPlace;
  #seenAt: number | null;
  /** Of the event at hand, for those that are packed into it too. */
  #eventEnd = 0;
  /** Row events of captured tables. */
  changes = 0;

  constructor(scope: FeedScope, start: FeedStart) {
    this.#scope = scope;
    this.#checksums = scope.checksums;
    this.#logRows = new LogRows(scope.tables);
    this.#schema = new WitnessedSchema(scope, start.expected);
    this.#file = start.file;
    this.#offset = start.offset;
    this.#fileMadeAt = start.fileMadeAt;
    this.#reached = { file: start.file, offset: start.offset };
    this.#seenAt = start.seenAt;
  }

  /** Behind the last transaction that was read to its end. */
  position(): FeedStart {
    return {
      ...this.#reached,
      fileMadeAt: this.#fileMadeAt,
      expected: this.#schema.expected(),
      seenAt: this.#seenAt,
    };
  }

  /** A promise where the event had to wait for what is known of tables; it is dealt with when that is settled. */
  readonly event = (buffer: Buffer, start: number, end: number): Promise<void> | null => {
    const header = readHeader(buffer, start);
    if (header.type === eventType.tableMap && this.#mustRefresh(buffer, start, this.#bodyEnd(end))) {
      // The buffer belongs to the socket.
      const copy = Buffer.from(buffer.subarray(start, end));
      return this.#refresh().then(() => this.#event(header, copy, 0, copy.length));
    }
    this.#event(header, buffer, start, end);
    return null;
  };

  #place(): BinlogPlace {
    return { file: this.#file, offset: this.#eventEnd };
  }

  #bodyEnd(end: number): number {
    return this.#checksums ? end - 4 : end;
  }

  async #refresh(): Promise<void> {
    this.#refreshing ??= this.#scope.tables.refresh().finally(() => {
      this.#refreshing = null;
    });
    await this.#refreshing;
    this.#generation += 1;
    this.#unknownMayBeOurs = false;
  }

  #event(header: EventHeader, buffer: Buffer, start: number, end: number): void {
    this.#eventEnd = header.next;
    if (header.type === eventType.formatDescription) this.#begin(header, buffer, start, end);
    else this.#dispatch(header, buffer, start, this.#bodyEnd(end));
    this.#advance(header);
  }

  #dispatch(header: EventHeader, buffer: Buffer, start: number, end: number): void {
    switch (header.type) {
      case eventType.tableMap:
        this.#tableMap(buffer, start, end);
        return;
      case eventType.writeRows:
      case eventType.updateRows:
      case eventType.deleteRows:
      case eventType.partialUpdateRows:
        this.#rows(header.type, buffer, start, end);
        return;
      case eventType.query:
        this.#query(header, buffer, start, end);
        return;
      case eventType.xid:
        this.#endTransaction(header, true);
        return;
      case eventType.xaPrepare:
        this.#prepare(header, buffer, start);
        return;
      case eventType.rotate: {
        const { file, offset } = readRotate(buffer, start, end);
        if (file !== this.#file) this.#fileMadeAt = null;
        this.#file = file;
        this.#offset = offset;
        return;
      }
      case eventType.transactionPayload:
        for (const inner of innerEvents(buffer, start + headerBytes, end)) {
          this.#dispatch(readHeader(inner, 0), inner, 0, inner.length);
        }
        return;
      case eventType.incident:
        throw new LockstepError('LS-WITNESS-BINLOG-LOST', 'the server says that its binary log misses changes');
      default:
    }
  }

  /** After a reset another file may bear the name that was remembered. */
  #begin(header: EventHeader, buffer: Buffer, start: number, end: number): void {
    this.#checksums = hasChecksums(buffer, start, end);
    const known = this.#fileMadeAt;
    if (known !== null && known !== header.at) {
      throw new LockstepError('LS-WITNESS-BINLOG-LOST', `${this.#file} is another file than before: logs were reset`);
    }
    this.#fileMadeAt = header.at;
    this.#maps.clear();
  }

  /** The header tells 32 bits of the place; a file that one large transaction made longer counts on. */
  #advance(header: EventHeader): void {
    const counts = header.next !== 0 && !header.artificial;
    const inFile = header.type !== eventType.heartbeat && header.type !== eventType.heartbeat2;
    if (counts && inFile && header.type !== eventType.rotate) {
      const wraps = 0x100000000;
      let next = Math.floor(this.#offset / wraps) * wraps + header.next;
      if (next < this.#offset) next += wraps;
      this.#offset = next;
    }
    // A dump can only be asked for below 4 GiB; such a file ends behind the transaction that made it so long.
    if (this.#transaction === null && this.#offset < 0x100000000) {
      this.#reached = { file: this.#file, offset: this.#offset };
    }
  }

  #mustRefresh(buffer: Buffer, start: number, end: number): boolean {
    const known = this.#maps.get(mappedTable(buffer, start));
    if (known !== undefined && isSame(known.bytes, buffer, start, end)) {
      if (known.generation === this.#generation || known.use === 'log') return false;
    }
    const map = readTableMap(buffer, start, end);
    if (map.database !== this.#scope.database) return false;
    const table = this.#scope.tables.byName(map.table);
    if (table === undefined) return this.#unknownMayBeOurs;
    // Its rows are not of any definition that is known: once more after each change of what is known.
    return readerFor(table, map) === null && known?.generation !== this.#generation;
  }

  #tableMap(buffer: Buffer, start: number, end: number): void {
    const id = mappedTable(buffer, start);
    const known = this.#maps.get(id);
    if (known?.generation === this.#generation && isSame(known.bytes, buffer, start, end)) return;
    const map = readTableMap(buffer, start, end);
    const bytes = Buffer.from(buffer.subarray(start + headerBytes, end));
    this.#maps.set(id, { map, bytes, use: this.#useOf(map), generation: this.#generation });
  }

  #useOf(map: TableMap): Mapped['use'] {
    const { database, stateDatabase, tables } = this.#scope;
    if (map.database === stateDatabase && map.table === 'change_log') return 'log';
    const table = map.database === database ? (tables.byName(map.table) ?? null) : null;
    const children = tables.cascadesFrom(map.database, map.table);
    if (table === null && children.length === 0) return 'ignore';
    if (table === null) return { table, reader: null, compare: null, children };
    return { table, reader: readerFor(table, map), compare: comparisonFor(table, map), children };
  }

  #rows(type: number, buffer: Buffer, start: number, end: number): void {
    const mapped = this.#maps.get(rowsTable(buffer, start));
    if (mapped === undefined || mapped.use === 'ignore') return;
    const { map, use } = mapped;
    const transaction = this.#open();
    if (use === 'log') {
      // Capture deletes what it published, and nothing updates a log row.
      if (type === eventType.writeRows) this.#logRows.read(map, buffer, start, end, transaction);
      return;
    }
    const { table, reader, compare, children } = use;
    if (children.length > 0 && type !== eventType.writeRows) {
      for (const { id } of children) transaction.cascadedTo.add(id);
      if (!this.#scope.cascadesLogged) this.#cascade(type, map, buffer, start, end, use, transaction);
    }
    if (table === null || !this.#schema.isExpected(table.id)) return;
    const pairs = transaction.pairs(table.id);
    const read = (spots: Int32Array): string | null => (reader === null ? null : reader(buffer, spots));
    walkRows(type, map, buffer, start, end, (first, second) => {
      this.changes += 1;
      const op = opOf(type);
      const key = read(first);
      if (op !== 'u') {
        pairs.changed(op, key);
        return;
      }
      // Without the whole image an update that names no key kept it.
      const after = read(second) ?? key;
      if (after === key) {
        const images = compare?.(buffer, first, second, type === eventType.partialUpdateRows) ?? 'different';
        if (images === 'different') pairs.changed('u', key);
        else pairs.changedAlike(key, images);
      } else {
        pairs.changed('d', key);
        pairs.changed('c', after);
      }
    });
  }

  /** Where cascades leave no rows in the log, a parent's delete or new key tells that children changed. */
  #cascade(
    type: number,
    map: TableMap,
    buffer: Buffer,
    start: number,
    end: number,
    { reader, children }: TableUse,
    { cascadedUnseen }: WitnessedTransaction,
  ): void {
    let acts = type === eventType.deleteRows;
    if (!acts && this.#scope.tables.cascadesOnUpdate(map.database, map.table)) {
      walkRows(type, map, buffer, start, end, (first, second) => {
        acts ||= reader === null || reader(buffer, first) !== (reader(buffer, second) ?? reader(buffer, first));
      });
    }
    if (acts) for (const { id } of children) cascadedUnseen.add(id);
  }

  #open(): WitnessedTransaction {
    this.#transaction ??= new WitnessedTransaction();
    return this.#transaction;
  }

  #query(header: EventHeader, buffer: Buffer, start: number, end: number): void {
    const { database, text } = readQuery(buffer, start, end);
    const statement = readStatement(text, database);
    switch (statement.kind) {
      case 'begin':
      case 'xa-start':
        this.#open();
        return;
      case 'commit':
        this.#endTransaction(header, true);
        return;
      case 'rollback':
        this.#endTransaction(header, false);
        return;
      case 'xa-commit':
      case 'xa-rollback':
        this.#scope.take({
          kind: statement.kind === 'xa-commit' ? 'xa-committed' : 'xa-rolled-back',
          xid: statement.xid,
          place: this.#place(),
        });
        return;
      case 'dml':
      case 'other':
        return;
      case 'truncate':
      case 'partition':
      case 'tablespace':
      case 'rename':
      case 'create-table':
      case 'drop-table':
      case 'alter-table':
      case 'create-trigger':
      case 'drop-trigger':
      case 'database':
      case 'account':
        this.#schemaStatement(statement, text);
    }
  }

  /** DDL commits by itself. */
  #schemaStatement(statement: SchemaStatement, text: string): void {
    const { findings, concerns } = this.#schema.apply(statement, text);
    if (statement.kind === 'create-trigger') this.#unknownMayBeOurs = true;
    if (concerns) {
      this.#maps.clear();
      this.#generation += 1;
      this.#scope.schemaChanged();
    }
    if (findings.length > 0) this.#scope.take({ kind: 'found', findings, place: this.#place() });
  }

  #prepare(header: EventHeader, buffer: Buffer, start: number): void {
    const { onePhase, xid } = readXaPrepare(buffer, start);
    if (onePhase) {
      this.#endTransaction(header, true);
      return;
    }
    const findings = this.#findings();
    this.#transaction = null;
    this.#seenAt = header.at;
    if (findings.length > 0) this.#scope.take({ kind: 'prepared', xid: normalXid(xid), findings });
  }

  #endTransaction(header: EventHeader, committed: boolean): void {
    const findings = committed ? this.#findings() : [];
    this.#transaction = null;
    this.#seenAt = header.at;
    if (findings.length === 0) return;
    this.#scope.take({ kind: 'found', findings, place: this.#place() });
  }

  #findings(): readonly Finding[] {
    this.#logRows.endTransaction();
    const schema = this.#schema;
    const logsOnce = (id: number): boolean => schema.isExpected(id) && !schema.mayHaveTwins(id);
    return this.#transaction?.findings(logsOnce, schema.withoutRights) ?? [];
  }
}

function opOf(type: number): RowOp {
  if (type === eventType.writeRows) return 'c';
  return type === eventType.deleteRows ? 'd' : 'u';
}

function isSame(bytes: Buffer, buffer: Buffer, start: number, end: number): boolean {
  const from = start + headerBytes;
  return bytes.length === end - from && bytes.compare(buffer, from, end) === 0;
}
