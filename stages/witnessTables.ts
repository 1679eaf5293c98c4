/**
 * What the witness knows of tables: which are captured, how the key of their rows is read, and which tables' rows change
 * by cascades. Read when it begins and whenever the binary log shows something that this does not explain.
 */
import { keyColumns, type Definition } from '../core/definition.js';
import { imagesComparison, type CompareImages } from '../stores/mysql/binlogAlike.js';
import { asRead, fits, hasFloatKey, keyReader, type KeyReader } from '../stores/mysql/binlogKey.js';
import type { TableMap } from '../stores/mysql/binlogTableMap.js';
import type { Mysql } from '../stores/mysql/connection.js';
import { descendantsOf, readCascadingKeys, type CascadingKey } from '../stores/mysql/foreignKeys.js';
import { readCapturedTables, readDefinitions, type StoredDefinition } from '../stores/mysql/state.js';

export interface WitnessedTable {
  readonly id: number;
  readonly name: string;
  /** Newest first; the one that the triggers cite before all others. */
  readonly definitions: readonly Definition[];
  readonly keyForms: readonly KeyForm[];
}

/**
 * How keys were read and printed under some of a table's definitions. The binary log does not name the columns of its rows:
 * what was written before a key column got another name or place may fit the definition of now, too.
 */
export interface KeyForm {
  /** The same for the same form, whenever it is read. */
  readonly name: string;
  readonly definitions: readonly Definition[];
  /** Key text of a log row as a reader gives it; null where it is that already. */
  readonly asRead: ((key: string) => string) | null;
}

export class WitnessTables {
  readonly #mysql: Mysql;
  readonly #byName = new Map<string, WitnessedTable>();
  readonly #byId = new Map<number, WitnessedTable>();
  #cascades: readonly CascadingKey[] = [];

  constructor(mysql: Mysql) {
    this.#mysql = mysql;
  }

  async refresh(): Promise<void> {
    const { database, stateDatabase } = this.#mysql.config;
    const captured = await readCapturedTables(this.#mysql, stateDatabase);
    const stored = await readDefinitions(this.#mysql, stateDatabase);
    this.#cascades = await readCascadingKeys(this.#mysql, database);
    this.#byName.clear();
    this.#byId.clear();
    for (const { id, name, definition: hash } of captured) {
      const definitions = definitionsOf(stored, id, hash);
      const table = { id, name, definitions, keyForms: keyFormsOf(definitions) };
      this.#byName.set(name, table);
      this.#byId.set(id, table);
    }
  }

  captured(): readonly WitnessedTable[] {
    return [...this.#byName.values()];
  }

  byName(name: string): WitnessedTable | undefined {
    return this.#byName.get(name);
  }

  byId(id: number): WitnessedTable | undefined {
    return this.#byId.get(id);
  }

  /** Whether a foreign key changes rows of this table. */
  isCascadedTo(name: string): boolean {
    return this.#cascades.some(({ child }) => child === name);
  }

  /** Captured tables whose rows change with a change of this table's. */
  cascadesFrom(database: string, name: string): readonly WitnessedTable[] {
    return descendantsOf(this.#cascades, database, name).flatMap((child) => this.#byName.get(child) ?? []);
  }

  /** Whether some cascade acts when a row of the table gets another key. */
  cascadesOnUpdate(database: string, name: string): boolean {
    return this.#cascades.some(
      ({ parent, parentDatabase, onUpdate }) => onUpdate && parent === name && parentDatabase === database,
    );
  }
}

/** The trigger's own first, then the newest. */
function definitionsOf(stored: readonly StoredDefinition[], id: number, cited: string): readonly Definition[] {
  const own = stored.filter(({ tableId }) => tableId === id).toReversed();
  return [...own.filter(({ hash }) => hash === cited), ...own.filter(({ hash }) => hash !== cited)].map(
    ({ definition }) => definition,
  );
}

function keyFormsOf(definitions: readonly Definition[]): readonly KeyForm[] {
  const byName = new Map<string, Definition[]>();
  for (const definition of definitions) {
    const places = keyColumns(definition).map((column) => [definition.columns.indexOf(column), column]);
    const name = JSON.stringify(places);
    byName.set(name, [...(byName.get(name) ?? []), definition]);
  }
  return [...byName].map(([name, of]) => {
    const [first] = of;
    const prints = first !== undefined && hasFloatKey(first) ? (key: string): string => asRead(first, key) : null;
    return { name, definitions: of, asRead: prints };
  });
}

/** Null when none of the definitions is that of the rows. */
export function readerFor({ definitions }: Pick<KeyForm, 'definitions'>, map: TableMap): KeyReader | null {
  for (const definition of definitions) {
    const reader = keyReader(definition, map);
    if (reader !== null) return reader;
  }
  return null;
}

/** Null where an update that has a row event always prints something new. */
export function comparisonFor(table: WitnessedTable, map: TableMap): CompareImages | null {
  return imagesComparison(table.definitions.find((definition) => fits(definition, map)) ?? null, map);
}
