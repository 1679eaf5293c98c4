/**
 * A table's definition: everything that row JSON, BSON and keys are made from. Immutable and named by the hash of its
 * canonical text, so that an event in flight keeps the definition it was written under.
 */
import { createHash } from 'node:crypto';

/**
 * Another form than the type's own, chosen by the configuration: a 64-bit integer as text, JSON as its text, a moment with
 * microseconds as a Date that cannot hold them, TINYINT(1) as a truth value.
 */
export type ColumnForm = 'int64-string' | 'json-string' | 'datetime-date' | 'tinyint1-boolean';

export interface Column {
  readonly name: string;
  /** information_schema DATA_TYPE in lower case: `int`, `varchar`, `decimal`, `geometry`, … */
  readonly type: string;
  /** information_schema COLUMN_TYPE, such as `int unsigned` or `enum('a','b')`. */
  readonly columnType: string;
  readonly nullable: boolean;
  readonly unsigned: boolean;
  readonly zerofill: boolean;
  /** Characters for text, bytes for binary types, null where it does not apply. */
  readonly length: number | null;
  /** DECIMAL, FLOAT(M,D): digits; BIT(n): n. */
  readonly precision: number | null;
  readonly scale: number | null;
  /** Fractional seconds digits of TIME, DATETIME, TIMESTAMP. */
  readonly fsp: number | null;
  readonly charset: string | null;
  readonly collation: string | null;
  readonly generated: boolean;
  /** Of a generated column: what its values are made by. */
  readonly expression?: string;
  readonly invisible: boolean;
  /** Members of ENUM and SET, in order; empty for other types. */
  readonly members: readonly string[];
  /** Absent: the type's own form. */
  readonly form?: ColumnForm;
}

export interface Definition {
  readonly database: string;
  readonly table: string;
  /** In the table's column order. */
  readonly columns: readonly Column[];
  /** Names of the primary key's columns, in key order. */
  readonly key: readonly string[];
}

/** 32 hex digits: the first 16 bytes of SHA-256 over the canonical text. */
export type DefinitionHash = string;

export function canonicalDefinition(definition: Definition): string {
  const columns = definition.columns.map((c) => ({
    name: c.name,
    type: c.type,
    columnType: c.columnType,
    nullable: c.nullable,
    unsigned: c.unsigned,
    zerofill: c.zerofill,
    length: c.length,
    precision: c.precision,
    scale: c.scale,
    fsp: c.fsp,
    charset: c.charset,
    collation: c.collation,
    generated: c.generated,
    ...(c.expression === undefined ? {} : { expression: c.expression }),
    invisible: c.invisible,
    members: c.members,
    ...(c.form === undefined ? {} : { form: c.form }),
  }));
  return JSON.stringify({ database: definition.database, table: definition.table, columns, key: definition.key });
}

export function definitionHash(definition: Definition): DefinitionHash {
  return createHash('sha256').update(canonicalDefinition(definition)).digest('hex').slice(0, 32);
}

/** The key's columns, in key order. */
export function keyColumns(definition: Definition): readonly Column[] {
  return definition.key.map((name) => {
    const column = definition.columns.find((c) => c.name === name);
    if (column === undefined) throw new TypeError(`key column ${name} is not among the columns of ${definition.table}`);
    return column;
  });
}

const wholeNumbers = new Set(['tinyint', 'smallint', 'mediumint', 'int', 'bigint']);

/** The key's one column, where that is a whole number in its own form: its text, its value and its order are one. */
export function wholeNumberKey(definition: Definition): Column | null {
  const [column, ...more] = keyColumns(definition);
  if (column === undefined || more.length > 0) return null;
  return wholeNumbers.has(column.type) && column.form === undefined ? column : null;
}

/** Undoes `canonicalDefinition`; the text comes from our own tables and topics, and its hash has vouched for it. */
export function parseDefinition(text: string): Definition {
  return JSON.parse(text) as Definition;
}
