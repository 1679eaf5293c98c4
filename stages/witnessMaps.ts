/**
 * What the table maps of the binary log stand for: a captured table and how its rows are read, the change log, or nothing that
 * matters. A map comes before each group of rows, nearly always the same one, so it is read once.
 */
import type { CompareImages } from '../stores/mysql/binlogAlike.js';
import { headerBytes } from '../stores/mysql/binlogEvents.js';
import type { KeyReader } from '../stores/mysql/binlogKey.js';
import { mappedTable, readTableMap, type TableMap } from '../stores/mysql/binlogTableMap.js';
import { comparisonFor, readerFor, type WitnessedTable, type WitnessTables } from './witnessTables.js';

export interface Mapped {
  readonly map: TableMap;
  readonly use: 'log' | 'ignore' | TableUse;
}

export interface TableUse {
  readonly table: WitnessedTable | null;
  /** By key form; none where keys cannot be read. */
  readonly readers: ReadonlyMap<string, KeyReader>;
  readonly compare: CompareImages | null;
  /** Captured tables on whose rows foreign keys act when this one's are deleted or get another key. */
  readonly children: readonly WitnessedTable[];
}

interface Known extends Mapped {
  /** The event's own bytes, to tell the same map when it comes again. */
  readonly bytes: Buffer;
  /** Of the tables' knowledge that it was made with. */
  readonly generation: number;
}

export interface MapScope {
  readonly database: string;
  readonly stateDatabase: string;
  readonly tables: WitnessTables;
}

export class TableMaps {
  readonly #scope: MapScope;
  readonly #known = new Map<number, Known>();
  #generation = 0;
  /** A trigger was made: its table may be ours, and new to us. */
  #unknownMayBeOurs = false;
  #refreshing: Promise<void> | null = null;

  constructor(scope: MapScope) {
    this.#scope = scope;
  }

  get(table: number): Mapped | undefined {
    return this.#known.get(table);
  }

  /** A file begins: its numbers of tables are its own. */
  clear(): void {
    this.#known.clear();
  }

  /** Tables changed: what is known of them is looked at again. */
  forget(): void {
    this.#known.clear();
    this.#generation += 1;
  }

  get unknownMayBeOurs(): boolean {
    return this.#unknownMayBeOurs;
  }

  triggerMade(): void {
    this.#unknownMayBeOurs = true;
  }

  /** Whether what is known of tables does not explain a map. */
  mustRefresh(buffer: Buffer, start: number, end: number): boolean {
    const known = this.#known.get(mappedTable(buffer, start));
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

  async refresh(): Promise<void> {
    this.#refreshing ??= this.#scope.tables.refresh().finally(() => {
      this.#refreshing = null;
    });
    await this.#refreshing;
    this.#generation += 1;
    this.#unknownMayBeOurs = false;
  }

  read(buffer: Buffer, start: number, end: number): void {
    const id = mappedTable(buffer, start);
    const known = this.#known.get(id);
    if (known?.generation === this.#generation && isSame(known.bytes, buffer, start, end)) return;
    const map = readTableMap(buffer, start, end);
    const bytes = Buffer.from(buffer.subarray(start + headerBytes, end));
    this.#known.set(id, { map, bytes, use: this.#useOf(map), generation: this.#generation });
  }

  #useOf(map: TableMap): Mapped['use'] {
    const { database, stateDatabase, tables } = this.#scope;
    if (map.database === stateDatabase && map.table === 'change_log') return 'log';
    const table = map.database === database ? (tables.byName(map.table) ?? null) : null;
    const children = tables.cascadesFrom(map.database, map.table);
    if (table === null && children.length === 0) return 'ignore';
    if (table === null) return { table, readers: new Map(), compare: null, children };
    const readers = new Map<string, KeyReader>();
    for (const form of table.keyForms) {
      const reader = readerFor(form, map);
      if (reader !== null) readers.set(form.name, reader);
    }
    return { table, readers, compare: comparisonFor(table, map), children };
  }
}

function isSame(bytes: Buffer, buffer: Buffer, start: number, end: number): boolean {
  const from = start + headerBytes;
  return bytes.length === end - from && bytes.compare(buffer, from, end) === 0;
}
