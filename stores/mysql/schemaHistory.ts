/** Statements on schema_changes and schemas: what became of the source's tables, and which of them are held paused. */
import { canonicalDefinition, definitionHash, type Definition, type DefinitionHash } from '../../core/definition.js';
import type { SchemaChange } from '../../core/schemaChange.js';
import type { Consequence, SchemaPolicy } from '../../core/schemaPolicy.js';
import { asBytesOrNull, asCount, asCountOrNull, asText, type Row } from './cell.js';
import type { Mysql, Queries } from './connection.js';
import { quoteTable } from './quote.js';

/** A change before it is recorded. */
export interface Notice {
  readonly table: string;
  /** The table's id in `tables`; 0 for one that was never captured. */
  readonly tableId: number;
  /** Null: nothing was recorded of the table. */
  readonly before: DefinitionHash | null;
  /** The whole table as it is now; null when it is gone or left out. */
  readonly after: Definition | null;
  readonly changes: readonly SchemaChange[];
  readonly policy: SchemaPolicy;
  readonly consequence: Consequence;
}

export interface RecordedChange {
  readonly id: number;
  readonly table: string;
  readonly before: DefinitionHash | null;
  readonly after: DefinitionHash | null;
  readonly changes: readonly SchemaChange[];
  readonly policy: SchemaPolicy;
  readonly consequence: Consequence;
  /** Milliseconds since 1970. */
  readonly noticedAt: number;
}

export interface KnownSchema {
  readonly definition: DefinitionHash | null;
  /** The change that holds the table paused. */
  readonly heldBy: number | null;
}

/** By table. */
export async function readSchemas(queries: Queries, stateDatabase: string): Promise<ReadonlyMap<string, KnownSchema>> {
  const rows = await queries.rows(
    `SELECT table_name, definition, held_by FROM ${quoteTable(stateDatabase, 'schemas')} ORDER BY table_name`,
  );
  return new Map(
    rows.map((row) => [asText(row[0]), { definition: hashOf(row[1]), heldBy: asCountOrNull(row[2] ?? null) }]),
  );
}

/**
 * Null when someone else has recorded it meanwhile. `again`: also where the definition is the one that stands there, unless
 * the newest change tells the same of it and no copy has been asked for since.
 */
export async function recordChange(mysql: Mysql, notice: Notice, again: boolean): Promise<number | null> {
  const { stateDatabase } = mysql.config;
  const schemas = quoteTable(stateDatabase, 'schemas');
  const { table, tableId, before, after } = notice;
  return mysql.transaction(async (queries) => {
    // Only for a table that comes: of one that is gone, a second notice would leave a row for good.
    if (before === null) await queries.run(`INSERT IGNORE INTO ${schemas} (table_name) VALUES (?)`, [table]);
    const [row] = await queries.rows(`SELECT definition FROM ${schemas} WHERE table_name = ? FOR UPDATE`, [table]);
    const standing = hashOf(row?.[0]);
    if (row === undefined || standing !== before) return null;
    const hash = after === null ? null : definitionHash(after);
    if (hash === standing && (!again || (await isToldAlready(queries, stateDatabase, notice)))) return null;
    if (after !== null && hash !== null) {
      await queries.run(
        `INSERT IGNORE INTO ${quoteTable(stateDatabase, 'definitions')} (hash, table_id, definition) VALUES (?, ?, ?)`,
        [Buffer.from(hash, 'hex'), tableId, canonicalDefinition(after)],
      );
    }
    const { insertId } = await queries.run(
      `INSERT INTO ${quoteTable(stateDatabase, 'schema_changes')}
        (table_name, definition_before, definition_after, changes, policy, consequence) VALUES (?, ?, ?, ?, ?, ?)`,
      [table, bytesOf(before), bytesOf(hash), JSON.stringify(notice.changes), notice.policy, notice.consequence],
    );
    if (after === null) await queries.run(`DELETE FROM ${schemas} WHERE table_name = ?`, [table]);
    else {
      const held = notice.consequence === 'paused' ? ', held_by = COALESCE(held_by, ?)' : '';
      await queries.run(`UPDATE ${schemas} SET definition = ?${held} WHERE table_name = ?`, [
        bytesOf(hash),
        ...(held === '' ? [] : [insertId]),
        table,
      ]);
    }
    return insertId;
  });
}

/** Whoever told it first has not asked for the copy, or not yet. */
async function isToldAlready(
  queries: Queries,
  stateDatabase: string,
  { table, tableId, changes }: Notice,
): Promise<boolean> {
  const [newest] = await queries.rows(
    `SELECT changes, EXISTS (SELECT 1 FROM ${quoteTable(stateDatabase, 'copies')} WHERE table_id = ? AND started_at > noticed_at)
       FROM ${quoteTable(stateDatabase, 'schema_changes')} WHERE table_name = ? ORDER BY id DESC LIMIT 1`,
    [tableId, table],
  );
  if (newest === undefined || asCount(newest[1]) === 1) return false;
  const told = JSON.parse(asText(newest[0])) as readonly SchemaChange[];
  return changes.every(({ kind }) => told.some((one) => one.kind === kind));
}

/** The operator has looked: the stores may follow. Null: every table. */
export async function releaseHeld(
  queries: Queries,
  stateDatabase: string,
  tables: readonly string[] | null,
): Promise<void> {
  if (tables?.length === 0) return;
  await queries.run(
    `UPDATE ${quoteTable(stateDatabase, 'schemas')} SET held_by = NULL WHERE held_by IS NOT NULL
      ${tables === null ? '' : 'AND table_name IN (?)'}`,
    tables === null ? [] : [tables],
  );
}

const columns = `id, table_name, definition_before, definition_after, changes, policy, consequence,
  CAST(UNIX_TIMESTAMP(noticed_at) * 1000 AS UNSIGNED)`;

/** The newest first. */
export async function readChanges(
  queries: Queries,
  stateDatabase: string,
  options: { readonly table?: string; readonly limit: number },
): Promise<readonly RecordedChange[]> {
  const rows = await queries.rows(
    `SELECT ${columns} FROM ${quoteTable(stateDatabase, 'schema_changes')}
      ${options.table === undefined ? '' : 'WHERE table_name = ?'} ORDER BY id DESC LIMIT ${options.limit}`,
    options.table === undefined ? [] : [options.table],
  );
  return rows.map(asChange);
}

/** Seconds since 1970, whole ones, of the newest change of each table. */
export async function lastNoticedAt(
  queries: Queries,
  stateDatabase: string,
  tables: readonly string[],
): Promise<ReadonlyMap<string, number>> {
  const rows = await queries.rows(
    `SELECT table_name, CAST(FLOOR(UNIX_TIMESTAMP(MAX(noticed_at))) AS UNSIGNED) FROM ${quoteTable(stateDatabase, 'schema_changes')}
      WHERE table_name IN (?) GROUP BY table_name`,
    [tables],
  );
  return new Map(rows.map((row) => [asText(row[0]), asCount(row[1])]));
}

/** The oldest that are not in the topic. */
export async function readUnpublished(
  queries: Queries,
  stateDatabase: string,
  limit: number,
): Promise<readonly RecordedChange[]> {
  const rows = await queries.rows(
    `SELECT ${columns} FROM ${quoteTable(stateDatabase, 'schema_changes')}
      WHERE published_at IS NULL ORDER BY id LIMIT ${limit}`,
  );
  return rows.map(asChange);
}

export async function markPublished(queries: Queries, stateDatabase: string, ids: readonly number[]): Promise<void> {
  if (ids.length === 0) return;
  await queries.run(
    `UPDATE ${quoteTable(stateDatabase, 'schema_changes')} SET published_at = CURRENT_TIMESTAMP(6) WHERE id IN (?)`,
    [ids],
  );
}

/** False when MySQL does not know the definition either. Safe to repeat. */
export async function wantDefinition(queries: Queries, stateDatabase: string, hash: DefinitionHash): Promise<boolean> {
  const bytes = Buffer.from(hash, 'hex');
  const [known] = await queries.rows(`SELECT 1 FROM ${quoteTable(stateDatabase, 'definitions')} WHERE hash = ?`, [
    bytes,
  ]);
  if (known === undefined) return false;
  await queries.run(`INSERT IGNORE INTO ${quoteTable(stateDatabase, 'wanted_definitions')} (hash) VALUES (?)`, [bytes]);
  return true;
}

export async function readWanted(queries: Queries, stateDatabase: string): Promise<readonly DefinitionHash[]> {
  const rows = await queries.rows(`SELECT hash FROM ${quoteTable(stateDatabase, 'wanted_definitions')} LIMIT 100`);
  return rows.flatMap((row) => hashOf(row[0]) ?? []);
}

export async function forgetWanted(
  queries: Queries,
  stateDatabase: string,
  hashes: readonly DefinitionHash[],
): Promise<void> {
  if (hashes.length === 0) return;
  await queries.run(`DELETE FROM ${quoteTable(stateDatabase, 'wanted_definitions')} WHERE hash IN (?)`, [
    hashes.map((hash) => Buffer.from(hash, 'hex')),
  ]);
}

function asChange(row: Row): RecordedChange {
  return {
    id: asCount(row[0]),
    table: asText(row[1]),
    before: hashOf(row[2]),
    after: hashOf(row[3]),
    // Our own text.
    changes: JSON.parse(asText(row[4])) as readonly SchemaChange[],
    policy: asText(row[5]) as SchemaPolicy,
    consequence: asText(row[6]) as Consequence,
    noticedAt: asCount(row[7]),
  };
}

function hashOf(cell: Row[number] | undefined): DefinitionHash | null {
  return asBytesOrNull(cell ?? null)?.toString('hex') ?? null;
}

function bytesOf(hash: DefinitionHash | null): Buffer | null {
  return hash === null ? null : Buffer.from(hash, 'hex');
}
