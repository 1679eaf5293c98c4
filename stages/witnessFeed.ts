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
import { innerEvents } from '../stores/mysql/binlogPayload.js';
import { rowsTable } from '../stores/mysql/binlogRows.js';
import type { BinlogPlace } from '../stores/mysql/binlogStream.js';
import { isOfTables, normalXid, readStatement } from '../stores/mysql/statement.js';
import type { Expected } from '../stores/mysql/witnessState.js';
import type { FeedItem, Finding } from './witnessFindings.js';
import { LogRows } from './witnessLogRows.js';
import { TableMaps } from './witnessMaps.js';
import { ReadingPlace } from './witnessPlace.js';
import { noteCascades, noteRows } from './witnessRows.js';
import { WitnessedSchema, type SchemaStatement } from './witnessSchema.js';
import type { WitnessTables } from './witnessTables.js';
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

export class WitnessFeed {
  readonly #scope: FeedScope;
  readonly #maps: TableMaps;
  readonly #logRows: LogRows;
  readonly #schema: WitnessedSchema;
  readonly #reading: ReadingPlace;
  #checksums: boolean;
  #transaction: WitnessedTransaction | null = null;
  #seenAt: number | null;
  /** End of the event at hand, for those that are packed into it too. */
  #place: BinlogPlace;
  /** Row events of captured tables. */
  changes = 0;

  constructor(scope: FeedScope, start: FeedStart) {
    this.#scope = scope;
    this.#checksums = scope.checksums;
    this.#logRows = new LogRows(scope.tables);
    this.#schema = new WitnessedSchema(scope, start.expected);
    this.#maps = new TableMaps(scope);
    this.#reading = new ReadingPlace(start);
    this.#place = start;
    this.#seenAt = start.seenAt;
  }

  /** Behind the last transaction that was read to its end. */
  position(): FeedStart {
    return { ...this.#reading.reached(), expected: this.#schema.expected(), seenAt: this.#seenAt };
  }

  /** A promise where the event had to wait for what is known of tables; it is dealt with when that is settled. */
  readonly event = (buffer: Buffer, start: number, end: number): Promise<void> | null => {
    const header = readHeader(buffer, start);
    const packed = this.#unpack(header, buffer, start, end);
    if (this.#mustRefresh(header, buffer, start, end, packed)) {
      // The buffer belongs to the socket.
      const copy = Buffer.from(buffer.subarray(start, end));
      return this.#maps.refresh().then(() => {
        this.#event(header, copy, 0, copy.length, this.#unpack(header, copy, 0, copy.length));
      });
    }
    this.#event(header, buffer, start, end, packed);
    return null;
  };

  /** Events of a compressed transaction; none where it is another event. */
  #unpack({ type }: EventHeader, buffer: Buffer, start: number, end: number): readonly Buffer[] {
    return type === eventType.transactionPayload ? innerEvents(buffer, start + headerBytes, this.#bodyEnd(end)) : [];
  }

  #mustRefresh({ type }: EventHeader, buffer: Buffer, start: number, end: number, packed: readonly Buffer[]): boolean {
    switch (type) {
      case eventType.tableMap:
        return this.#maps.mustRefresh(buffer, start, this.#bodyEnd(end));
      case eventType.query: {
        if (!this.#maps.unknownMayBeOurs) return false;
        const { database, text, backslashes } = readQuery(buffer, start, this.#bodyEnd(end));
        return isOfTables(readStatement(text, database, backslashes));
      }
      default:
        return packed.some(
          (inner) => readHeader(inner, 0).type === eventType.tableMap && this.#maps.mustRefresh(inner, 0, inner.length),
        );
    }
  }

  #bodyEnd(end: number): number {
    return this.#checksums ? end - 4 : end;
  }

  #event(header: EventHeader, buffer: Buffer, start: number, end: number, packed: readonly Buffer[]): void {
    this.#place = this.#reading.endOf(header);
    if (header.type === eventType.formatDescription) {
      this.#checksums = hasChecksums(buffer, start, end);
      this.#reading.begin(header.at);
      this.#maps.clear();
    } else this.#dispatch(header, buffer, start, this.#bodyEnd(end));
    for (const inner of packed) this.#dispatch(readHeader(inner, 0), inner, 0, inner.length);
    this.#reading.pass(header, this.#transaction !== null);
  }

  #dispatch(header: EventHeader, buffer: Buffer, start: number, end: number): void {
    switch (header.type) {
      case eventType.tableMap:
        this.#maps.read(buffer, start, end);
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
      case eventType.rotate:
        this.#reading.rotate(readRotate(buffer, start, end));
        return;
      case eventType.incident:
        throw new LockstepError('LS-WITNESS-BINLOG-LOST', 'the server says that its binary log misses changes');
      default:
    }
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
    const event = { type, map, buffer, start, end };
    noteCascades(event, use, this.#scope.tables, transaction, this.#scope.cascadesLogged);
    const { table } = use;
    if (table === null || !this.#schema.isExpected(table.id)) return;
    const { id, keyForms } = table;
    this.changes += noteRows(event, use, (form) => transaction.pairs(id, form), keyForms[0]?.name ?? '');
  }

  #open(): WitnessedTransaction {
    this.#transaction ??= new WitnessedTransaction();
    return this.#transaction;
  }

  #query(header: EventHeader, buffer: Buffer, start: number, end: number): void {
    const { database, text, backslashes } = readQuery(buffer, start, end);
    const statement = readStatement(text, database, backslashes);
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
          place: this.#place,
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
    if (statement.kind === 'create-trigger') this.#maps.triggerMade();
    if (concerns) {
      this.#maps.forget();
      this.#scope.schemaChanged();
    }
    if (findings.length > 0) this.#scope.take({ kind: 'found', findings, place: this.#place });
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
    this.#scope.take({ kind: 'found', findings, place: this.#place });
  }

  #findings(): readonly Finding[] {
    this.#logRows.endTransaction();
    const schema = this.#schema;
    const logsOnce = (id: number): boolean => schema.isExpected(id) && !schema.mayHaveTwins(id);
    return this.#transaction?.findings(logsOnce, schema.withoutRights) ?? [];
  }
}
