/**
 * What statements of the binary log do to captured tables: which of them change rows unseen, and from where on a table's rows
 * must be logged, which the making of its triggers tells, in the log's own order. Pure but for what it remembers.
 */
import type { EscapeCause } from '../core/witness.js';
import type { Statement, TableName } from '../stores/mysql/statement.js';
import { isOurName, writesTo } from '../stores/mysql/triggers.js';
import type { Expected } from '../stores/mysql/witnessState.js';
import type { Finding } from './witnessFindings.js';
import type { WitnessedTable, WitnessTables } from './witnessTables.js';

export type SchemaStatement = Exclude<
  Statement,
  {
    readonly kind: 'begin' | 'commit' | 'rollback' | 'xa-start' | 'xa-commit' | 'xa-rollback' | 'dml' | 'other';
  }
>;

export interface SchemaScope {
  readonly database: string;
  readonly stateDatabase: string;
  readonly tables: WitnessTables;
  /** Name of the account that the triggers run as. */
  readonly user: string;
}

export interface SchemaEffect {
  readonly findings: readonly Finding[];
  /** Whether it is about this database, or about our account; a server has many others, whose looks would be ours. */
  readonly concerns: boolean;
}

/** In `expected`: the table was there, and another may take its name. */
const gone = '-';

export class WitnessedSchema {
  readonly #scope: SchemaScope;
  readonly #expected: Map<number, string>;
  /** By table and event: triggers made beside one that stood, less those dropped. */
  readonly #beside = new Map<string, number>();
  /** Whether rights of the triggers' account were taken away, and none given since. */
  withoutRights = false;

  constructor(scope: SchemaScope, expected: Expected) {
    this.#scope = scope;
    this.#expected = new Map(expected);
  }

  expected(): Expected {
    return new Map(this.#expected);
  }

  /** Before all of a table's triggers were made nothing of it was logged, and the copy that follows brings it. */
  isExpected(id: number): boolean {
    return this.#expected.get(id)?.length === 3;
  }

  /** Two versions of a trigger stand beside each other: they log a change twice, each under its own definition. */
  mayHaveTwins(id: number): boolean {
    return ['i', 'u', 'd'].some((event) => (this.#beside.get(`lockstep_${id}_${event}`) ?? 0) > 0);
  }

  apply(statement: SchemaStatement, text: string): SchemaEffect {
    switch (statement.kind) {
      case 'truncate':
      case 'partition':
      case 'tablespace':
        return this.#effect(
          statement.tables,
          statement.tables.flatMap((name) => this.#wholeTable(name, statement.kind)),
        );
      case 'rename': {
        const swapped = statement.renames.flatMap(({ to }) => this.#wholeTable(to, 'renamed-in'));
        for (const { from } of statement.renames) this.#leave(from);
        return this.#effect(
          statement.renames.flatMap(({ from, to }) => [from, to]),
          swapped,
        );
      }
      case 'create-table': {
        // IF NOT EXISTS is logged for a table that stays, too.
        const again = statement.tables.filter((name) => this.#isGone(name));
        return this.#effect(
          statement.tables,
          again.flatMap((name) => this.#wholeTable(name, 'recreated')),
        );
      }
      case 'drop-table':
        for (const name of statement.tables) this.#leave(name);
        return this.#effect(statement.tables, []);
      case 'alter-table':
        return this.#effect(statement.tables, []);
      case 'create-trigger':
        this.#made(statement, text);
        return this.#effect([statement], []);
      case 'drop-trigger':
        if (statement.database === this.#scope.database && isOurName(statement.name)) this.#count(statement.name, -1);
        return this.#effect([statement], []);
      case 'account': {
        const ours = text.includes(this.#scope.user);
        if (ours) this.withoutRights = statement.takes;
        return { findings: [], concerns: ours };
      }
      case 'database':
        return { findings: [], concerns: text.includes(this.#scope.database) };
    }
  }

  #effect(about: readonly { readonly database: string }[], findings: readonly Finding[]): SchemaEffect {
    return { findings, concerns: about.some(({ database }) => database === this.#scope.database) };
  }

  #captured({ database, table }: TableName): WitnessedTable | undefined {
    return database === this.#scope.database ? this.#scope.tables.byName(table) : undefined;
  }

  #wholeTable(name: TableName, cause: EscapeCause): readonly Finding[] {
    const table = this.#captured(name);
    if (table === undefined || !this.#expected.has(table.id)) return [];
    return [{ tableId: table.id, cause, keys: null, cascaded: false, withoutRights: false }];
  }

  #leave(name: TableName): void {
    const table = this.#captured(name);
    if (table !== undefined && this.#expected.has(table.id)) this.#expected.set(table.id, gone);
  }

  #isGone(name: TableName): boolean {
    const table = this.#captured(name);
    return table !== undefined && this.#expected.get(table.id) === gone;
  }

  /** `lockstep_<table id>_<i|u|d>_…` of this state database: from here on its rows must be logged. */
  #made({ name, database }: { readonly name: string; readonly database: string }, text: string): void {
    if (database !== this.#scope.database || !isOurName(name) || !writesTo(text, this.#scope.stateDatabase)) return;
    const [, id = '', event = ''] = name.split('_');
    const before = (this.#expected.get(Number(id)) ?? '').replace(gone, '');
    if (before.includes(event)) this.#count(name, 1);
    else this.#expected.set(Number(id), before + event);
  }

  #count(name: string, by: 1 | -1): void {
    const of = name.slice(0, name.lastIndexOf('_'));
    this.#beside.set(of, (this.#beside.get(of) ?? 0) + by);
  }
}
