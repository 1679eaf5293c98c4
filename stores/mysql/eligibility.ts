/** Which tables lockstep captures. One that it leaves out is named with the reason, never silently. */
import { keyColumns, type Definition } from '../../core/definition.js';
import { takesTable, type TableFilter } from '../../core/glob.js';
import { idFieldName } from '../../core/names.js';
import { isNameableInTrigger } from './quote.js';

export type LeftOutReason =
  | 'excluded'
  | 'no-primary-key'
  | 'not-innodb'
  | 'ghost-table'
  | 'column-named-id'
  /** Another table lands in its collection. */
  | 'collection-taken'
  /** Two rows could come to lie under one key. */
  | 'ambiguous-key'
  /** MySQL cannot store a trigger that names the column. */
  | 'unnameable-column';

export interface LeftOut {
  readonly table: string;
  readonly reason: LeftOutReason;
  /** A sentence for the operator. */
  readonly explanation: string;
}

export interface TableFacts {
  readonly definition: Definition;
  readonly engine: string;
}

/** gh-ost: _x_gho, _x_ghc, _x_del; pt-online-schema-change: _x_new (more underscores after a failed try), _x_old. */
const ghostName = /^_+.+_(?:gho|ghc|del|new|old)$/;

/** Null for a table to capture. */
export function leftOut(facts: TableFacts, filter: TableFilter): LeftOut | null {
  const { table, key, columns } = facts.definition;
  const because = (reason: LeftOutReason, explanation: string): LeftOut => ({ table, reason, explanation });
  if (!takesTable(filter, table)) {
    return because('excluded', 'the configuration leaves it out (tables.include, tables.exclude)');
  }
  if (ghostName.test(table) && !filter.include.includes(table)) {
    return because(
      'ghost-table',
      'its name is that of a gh-ost or pt-online-schema-change table; include it by its full name',
    );
  }
  if (facts.engine.toLowerCase() !== 'innodb') {
    return because('not-innodb', `its engine is ${facts.engine}; convert it: ALTER TABLE … ENGINE=InnoDB`);
  }
  if (key.length === 0) {
    return because('no-primary-key', 'it has no primary key; add one');
  }
  if (columns.some((c) => c.name === '_id') && !(key.length === 1 && key[0] === '_id')) {
    return because('column-named-id', 'a column is named `_id`, which is MongoDB’s name for the key; rename it');
  }
  const unnameable = columns.find((c) => !isNameableInTrigger(c.name));
  if (unnameable !== undefined) {
    return because(
      'unnameable-column',
      `MySQL cannot store a trigger that names its column ${unnameable.name}; rename it`,
    );
  }
  const ambiguity = ambiguousKey(facts.definition);
  return ambiguity === null ? null : because('ambiguous-key', ambiguity);
}

/** Why two rows could come to lie under one key; null where they cannot. */
function ambiguousKey(definition: Definition): string | null {
  const columns = keyColumns(definition);
  const blank = columns.find(({ type, members }) => (type === 'enum' || type === 'set') && members.includes(''));
  if (blank !== undefined) {
    const other = blank.type === 'enum' ? 'the error value' : 'the empty set';
    return `its key column ${blank.name} has the member '', which reads like ${other}: two keys would be one`;
  }
  const taken = new Map<string, string>();
  for (const { name } of columns) {
    const other = taken.get(idFieldName(name));
    if (other !== undefined) return `its key columns ${other} and ${name} have one name in MongoDB; rename one`;
    taken.set(idFieldName(name), name);
  }
  return null;
}
